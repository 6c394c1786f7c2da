//! A call before it is signed: its parameters still apart, its body already the bytes that are sent.

use std::borrow::Cow;

use bytes::Bytes;
use headgate_core::Now;
use headgate_core::http::{HttpCall, HttpRequest, Method};

use super::table::SignTable;
use crate::http::form::{self, Form};

/// A call before it is signed.
#[derive(Clone, PartialEq, Eq)]
pub struct Draft {
    /// Which of the provider's end points; empty: the main one.
    pub endpoint: String,
    /// The method.
    pub method: Method,
    /// The path, percent-encoded, beginning with `/`.
    pub path: String,
    /// The query's pairs.
    pub query: Vec<(String, String)>,
    /// Header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: DraftBody,
    /// Whether it changes nothing at the platform.
    pub harmless: bool,
}

/// A body before its call is signed.
#[derive(Clone, PartialEq, Eq)]
pub enum DraftBody {
    /// These bytes, of that content type.
    Bytes(&'static str, Bytes),
    /// A form's pairs.
    Form(Vec<(String, String)>),
    /// None.
    None,
}

impl Draft {
    /// The first parameter of that name, of the form or else of the query.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let form = match &self.body {
            DraftBody::Form(pairs) => pairs.as_slice(),
            _ => &[],
        };
        form.iter().chain(&self.query).find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Adds a parameter to the form, where there is one, else to the query.
    pub fn add_parameter(&mut self, name: &str, value: String) {
        let pairs = match &mut self.body {
            DraftBody::Form(pairs) => pairs,
            _ => &mut self.query,
        };
        pairs.push((name.to_owned(), value));
    }

    /// The body's bytes, if it has any that are not a form.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match &self.body {
            DraftBody::Bytes(_, bytes) => bytes,
            _ => &[],
        }
    }

    /// A call as it came to a platform.
    #[must_use]
    pub fn received(request: &HttpRequest) -> Self {
        let content_type = request.header("content-type").unwrap_or_default();
        let body = match content_type.split(';').next().map(str::trim) {
            _ if request.body.is_empty() => DraftBody::None,
            Some(form::CONTENT_TYPE) => DraftBody::Form(form::parse(&request.body)),
            _ => DraftBody::Bytes("", request.body.clone()),
        };
        Self {
            endpoint: String::new(),
            method: request.method,
            path: request.path().to_owned(),
            query: form::parse(request.query().as_bytes()),
            headers: request.headers.clone(),
            body,
            harmless: false,
        }
    }

    /// Takes the parameter of that name away, from the form or else from the query.
    pub fn take_parameter(&mut self, name: &str) -> Option<String> {
        if let DraftBody::Form(pairs) = &mut self.body
            && let Some(at) = pairs.iter().position(|(known, _)| known == name)
        {
            return Some(pairs.remove(at).1);
        }
        let at = self.query.iter().position(|(known, _)| known == name)?;
        Some(self.query.remove(at).1)
    }

    /// The call.
    #[must_use]
    pub fn into_call(self) -> HttpCall {
        let mut target = self.path;
        if !self.query.is_empty() {
            target.push('?');
            target.push_str(&encoded(&self.query));
        }
        let (content_type, body) = match self.body {
            DraftBody::None => (None, Bytes::new()),
            DraftBody::Bytes(content_type, bytes) => (Some(content_type), bytes),
            DraftBody::Form(pairs) => (Some(form::CONTENT_TYPE), encoded(&pairs).into()),
        };
        let mut headers: Vec<(Cow<'static, str>, String)> =
            self.headers.into_iter().map(|(name, value)| (Cow::Owned(name), value)).collect();
        if let Some(content_type) = content_type
            && !headers.iter().any(|(name, _)| name == "content-type")
        {
            headers.insert(0, (Cow::Borrowed("content-type"), content_type.to_owned()));
        }
        HttpCall {
            endpoint: Cow::Owned(self.endpoint),
            headers,
            body,
            harmless: self.harmless,
            ..HttpCall::new(self.method, target)
        }
    }
}

fn encoded(pairs: &[(String, String)]) -> String {
    let mut form = Form::new();
    for (name, value) in pairs {
        form.push(name, value);
    }
    form.finish()
}

/// Signs calls: what a protocol adds to the profile.
pub trait Signer: Send + Sync {
    /// Checks how a profile wants calls signed. A profile may always say `none`.
    ///
    /// # Errors
    /// What is wrong, in words.
    fn check(&self, sign: &SignTable) -> Result<(), String>;

    /// Signs a call.
    ///
    /// # Errors
    /// Why it can not be signed, in words.
    fn sign(&self, sign: &SignTable, draft: &mut Draft, now: Now) -> Result<(), String>;

    /// On the platform's side: takes the signature away from a call that came. Returns whether it is right.
    /// A call without a signature has a wrong one.
    fn verify(&self, sign: &SignTable, draft: &mut Draft, now: Now) -> bool;

    /// What it signs with: must not stand in the record of what was said.
    fn secrets(&self) -> Vec<&str> {
        Vec::new()
    }
}

/// Signs nothing.
#[derive(Clone, Copy, Debug)]
pub struct Unsigned;

impl Signer for Unsigned {
    fn check(&self, sign: &SignTable) -> Result<(), String> {
        Err(format!("{:?} is no signature that this protocol knows", sign.by))
    }

    fn sign(&self, _: &SignTable, _: &mut Draft, _: Now) -> Result<(), String> {
        Ok(())
    }

    fn verify(&self, _: &SignTable, _: &mut Draft, _: Now) -> bool {
        true
    }
}
