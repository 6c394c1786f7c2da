//! Commands put into a platform's words, by a profile: what can be said, and the calls that say it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use headgate_core::Now;
use headgate_core::adapter::Rules;
use headgate_core::body::Refusal;
use headgate_core::capabilities::Capabilities;
use headgate_core::command::{Command, CommandKind, RawMessage};
use headgate_core::http::{HttpCall, Method};
use headgate_core::provider::{Provider, ServiceMap};
use headgate_core::request::{Priority, Process, Request, RequestId, Source};
use serde::Deserialize;

use super::draft::{Draft, DraftBody, Signer};
use super::profile::{Body, Operation, Profile};
use super::table::{EachTable, ProfileTable, SignTable};
use super::text::Template;
use super::values::{Context, Scope};
use crate::http::{form, soap};
use crate::registry::SettingsError;
use crate::xml::write::XmlWriter;

/// Most calls that one request makes.
const MOST_CALLS: usize = 1_000;

/// The content type of JSON bodies.
const JSON: &str = "application/json";

/// A profile with everything it needs to speak: the services, the settings, the signatures.
pub struct Speech {
    /// The profile.
    pub profile: Profile,
    pub(super) map: ServiceMap,
    pub(super) context: Context,
    pub(super) signer: Arc<dyn Signer>,
    capabilities: Capabilities,
    /// Stands for a request where there is none: for logins.
    nobody: Request,
}

/// The part of a request that one call is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The operation.
    pub(super) operation: usize,
    pub(super) smartcards: Range<usize>,
    pub(super) stbs: Range<usize>,
    pub(super) services: Range<usize>,
}

impl Speech {
    /// Speech for a provider.
    ///
    /// # Errors
    /// [`SettingsError`] if the login can not be written.
    pub fn new(
        profile: Profile,
        provider: &Provider,
        context: Context,
        signer: Arc<dyn Signer>,
    ) -> Result<Self, SettingsError> {
        let context = Context { zone: profile.zone.clone(), ..context };
        let nobody = Request {
            id: RequestId(uuid::Uuid::nil()),
            number: 0,
            provider: provider.name.clone(),
            subscription: None,
            account: None,
            command: Command::TestConnection,
            priority: Priority::default(),
            process: Process::default(),
            not_before: None,
            expires: None,
            reference: None,
            source: Source::default(),
            created: jiff::Timestamp::UNIX_EPOCH,
            body: headgate_core::request::Body::default(),
            idempotency: None,
        };
        let capabilities = profile.capabilities();
        let this = Self { profile, map: provider.services.clone(), context, signer, capabilities, nobody };
        if let Some((index, _)) = this.profile.login
            && let Some(operation) = this.profile.operation(index)
        {
            let now = Now { tick: headgate_core::Tick::default(), wall: jiff::Timestamp::UNIX_EPOCH };
            this.write(operation, &this.for_nobody(now)).map_err(|refusal| {
                SettingsError::new(format!("profile.operations.{}", operation.name), refusal.detail)
            })?;
        }
        Ok(this)
    }

    /// Speech by the profile of the settings, or else by the one that the protocol ships.
    ///
    /// # Errors
    /// [`SettingsError`] with the path of the first mistake.
    pub fn read(
        shipped: &str,
        own: Option<&ProfileTable>,
        provider: &Provider,
        context: Context,
        signer: Arc<dyn Signer>,
    ) -> Result<Self, SettingsError> {
        Self::new(Profile::read(shipped, own, &context, &*signer)?, provider, context, signer)
    }

    /// The calls that carry out a request, each with its part of it.
    ///
    /// # Errors
    /// A [`Refusal`] if no operation does, or too many calls would be needed.
    pub fn units(&self, scope: &Scope<'_>) -> Result<Vec<Unit>, Refusal> {
        let command = scope.request.command.kind();
        let none = || {
            let detail = format!("this provider's profile has no operation for such a {command}");
            Refusal::new("command", "unsupported_command", detail)
        };
        let index = self.profile.operation_for(scope).ok_or_else(none)?;
        let operation = self.profile.operation(index).ok_or_else(none)?;
        let per_call = |each, block: Option<usize>| if operation.for_each.contains(&each) { Some(1) } else { block };
        let cards = blocks(scope.smartcards.len(), per_call(EachTable::Smartcard, operation.per_call.smartcards));
        let stbs = blocks(scope.stbs.len(), per_call(EachTable::Stb, operation.per_call.stbs));
        let services = blocks(scope.services.len(), per_call(EachTable::Service, operation.per_call.services));
        let calls = cards.len().saturating_mul(stbs.len()).saturating_mul(services.len());
        if calls > MOST_CALLS {
            let detail = format!("needs {calls} calls at this provider; at most {MOST_CALLS} are made for one request");
            return Err(Refusal::new("command", "out_of_range", detail));
        }
        let mut units = Vec::with_capacity(calls);
        for smartcards in &cards {
            for stbs in &stbs {
                for services in &services {
                    units.push(Unit {
                        operation: index,
                        smartcards: smartcards.clone(),
                        stbs: stbs.clone(),
                        services: services.clone(),
                    });
                }
            }
        }
        Ok(units)
    }

    /// The whole of a request.
    #[must_use]
    pub fn scope<'a>(&'a self, now: Now, request: &'a Request) -> Scope<'a> {
        Scope::of(now, request, &self.map, &self.context)
    }

    /// No request: what a login is about.
    pub(super) fn for_nobody(&self, now: Now) -> Scope<'_> {
        self.scope(now, &self.nobody)
    }

    /// An operation's call, signed.
    ///
    /// # Errors
    /// A [`Refusal`] that names the field which can not be written.
    pub fn write(&self, operation: &Operation, scope: &Scope<'_>) -> Result<HttpCall, Refusal> {
        let body = match &operation.body {
            Body::None => DraftBody::None,
            Body::Json(json) => DraftBody::Bytes(JSON, json.write(scope)?.into()),
            Body::Form(pairs) => DraftBody::Form(pairs.write(scope)?),
            Body::Xml(root) => {
                let prefixes = &self.profile.prefixes;
                let bytes = self.document(scope, |writer, rooted| match rooted {
                    true => root.write_root(writer, scope, prefixes),
                    false => root.write(writer, scope, prefixes, None),
                })?;
                DraftBody::Bytes(soap::CONTENT_TYPE, bytes)
            }
        };
        let headers = operation.headers.write(scope)?;
        if headers.iter().any(|(_, value)| !value.bytes().all(|b| (0x20..0x7f).contains(&b))) {
            return Err(Refusal::new("command", "out_of_range", "a header field can only carry printable ASCII"));
        }
        let draft = Draft {
            endpoint: operation.endpoint.clone(),
            method: operation.method,
            path: path(&operation.path, scope)?,
            query: operation.query.write(scope)?,
            headers,
            body,
            harmless: operation.harmless,
        };
        self.sign(draft, operation.sign.as_ref(), scope.now)
    }

    /// A raw message's call, signed.
    ///
    /// # Errors
    /// A [`Refusal`] of the payload.
    pub fn write_raw(&self, raw: &RawMessage, now: Now) -> Result<HttpCall, Refusal> {
        let wrong = |detail: String| Refusal::new("payload", "out_of_range", detail);
        let form = self.profile.raw.as_ref().ok_or_else(|| wrong("this provider takes no raw messages".to_owned()))?;
        let is_xml = raw.payload.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'<');
        let draft = match (&form.path, is_xml) {
            (Some(path), true) => Draft {
                endpoint: String::new(),
                method: Method::Post,
                path: path.clone(),
                query: Vec::new(),
                headers: Vec::new(),
                body: DraftBody::Bytes(soap::CONTENT_TYPE, self.raw_document(&raw.payload)?),
                harmless: false,
            },
            (None, true) => {
                return Err(wrong(
                    "must be a call in JSON: {\"method\":\"POST\",\"path\":\"/..\",\"json\":{..}}".to_owned(),
                ));
            }
            (_, false) => {
                let call: RawCall = serde_json::from_slice(&raw.payload).map_err(|error| {
                    wrong(format!(
                        "must be a call in JSON: {{\"method\":\"POST\",\"path\":\"/..\",\"json\":{{..}}}}; \
                         it breaks at line {}, column {}",
                        error.line(),
                        error.column()
                    ))
                })?;
                call.draft(self)?
            }
        };
        self.sign(draft, form.sign.as_ref(), now)
    }

    fn sign(&self, mut draft: Draft, sign: Option<&SignTable>, now: Now) -> Result<HttpCall, Refusal> {
        if let Some(sign) = sign {
            let signed = self.signer.sign(sign, &mut draft, now);
            signed.map_err(|why| Refusal::new("command", "out_of_range", format!("can not be signed: {why}")))?;
        }
        Ok(draft.into_call())
    }

    /// An XML payload as it is sent: in an envelope, where there is one.
    fn raw_document(&self, payload: &[u8]) -> Result<Bytes, Refusal> {
        let wrong = |error: crate::xml::XmlError| Refusal::new("payload", "out_of_range", error.to_string());
        let root = crate::xml::parse(payload, 1 << 20).map_err(wrong)?;
        if !self.profile.soap {
            return Ok(Bytes::copy_from_slice(payload));
        }
        let node = super::body::Node::verbatim(&root).map_err(|why| Refusal::new("payload", "out_of_range", why))?;
        let scope = self.for_nobody(Now { tick: headgate_core::Tick::default(), wall: jiff::Timestamp::UNIX_EPOCH });
        self.document(&scope, |writer, _| node.write(writer, &scope, &BTreeMap::new(), None))
    }

    /// A document, in an envelope where the profile says so. `content` is told whether it writes the root.
    fn document(
        &self,
        scope: &Scope<'_>,
        content: impl FnOnce(&mut XmlWriter, bool) -> Result<(), Refusal>,
    ) -> Result<Bytes, Refusal> {
        let mut result = Ok(());
        let document = if self.profile.soap {
            let prefixes: Vec<_> =
                self.profile.prefixes.iter().map(|(prefix, uri)| (prefix.as_str(), uri.as_str())).collect();
            soap::write(&prefixes, |writer| result = content(writer, false))
        } else {
            let mut writer = XmlWriter::document();
            result = content(&mut writer, true);
            writer.finish()
        };
        result?;
        document.map_err(|error| {
            let field =
                if scope.request.command.kind() == CommandKind::SendMessage { "message/text" } else { "command" };
            Refusal::new(field, "out_of_range", error.to_string())
        })
    }
}

impl Rules for Speech {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Writes every call of the request once: what can not be written is refused now, not when it is sent.
    fn check(&self, request: &Request) -> Result<(), Refusal> {
        let now = Now { tick: headgate_core::Tick::default(), wall: request.created };
        if let Command::Raw(raw) = &request.command {
            return self.write_raw(raw, now).map(|_| ());
        }
        let whole = self.scope(now, request);
        for unit in self.units(&whole)? {
            let mut kept = BTreeMap::new();
            let mut next = Some(unit.operation);
            while let Some(operation) = next.and_then(|index| self.profile.operation(index)) {
                let scope = Scope { kept: &kept, session: Some("0"), ..unit.scope(whole) };
                self.write(operation, &scope)?;
                // What an answer will tell is not known yet.
                kept.extend(operation.answer.keeps().map(|name| (name.to_owned(), "0".to_owned())));
                next = operation.then;
            }
        }
        Ok(())
    }
}

impl Unit {
    /// The part of a request that the call is about.
    #[must_use]
    pub fn scope<'a>(&self, whole: Scope<'a>) -> Scope<'a> {
        Scope {
            smartcards: whole.smartcards.get(self.smartcards.clone()).unwrap_or_default(),
            stbs: whole.stbs.get(self.stbs.clone()).unwrap_or_default(),
            services: whole.services.get(self.services.clone()).unwrap_or_default(),
            ..whole
        }
    }
}

/// A raw message as a call.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCall {
    #[serde(default)]
    endpoint: String,
    method: Method,
    path: String,
    #[serde(default)]
    query: Vec<(String, String)>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    json: Option<serde_json::Value>,
    xml: Option<String>,
    form: Option<Vec<(String, String)>>,
}

impl RawCall {
    fn draft(self, speech: &Speech) -> Result<Draft, Refusal> {
        let wrong = |detail: &str| Refusal::new("payload", "out_of_range", detail.to_owned());
        super::profile::check_path_literal(&self.path).map_err(|why| wrong(&format!("path: {why}")))?;
        for (name, value) in &self.headers {
            super::profile::check_header(name).map_err(|why| wrong(&format!("headers: {why}")))?;
            if !value.bytes().all(|b| (0x20..0x7f).contains(&b)) {
                return Err(wrong("headers: a header field can only carry printable ASCII"));
            }
        }
        let body = match (self.json, self.xml, self.form) {
            (None, None, None) => DraftBody::None,
            (Some(json), None, None) => DraftBody::Bytes(JSON, json.to_string().into()),
            (None, Some(xml), None) => DraftBody::Bytes(soap::CONTENT_TYPE, speech.raw_document(xml.as_bytes())?),
            (None, None, Some(form)) => DraftBody::Form(form),
            _ => return Err(wrong("has more than one body; give one of json, xml, form")),
        };
        Ok(Draft {
            endpoint: self.endpoint,
            method: self.method,
            path: self.path,
            query: self.query,
            headers: self.headers,
            body,
            harmless: self.method == Method::Get,
        })
    }
}

/// A path whose values each stay within their segment.
fn path(template: &Template, scope: &Scope<'_>) -> Result<String, Refusal> {
    let path = template.written(scope, |value| form::escape(&value))?.unwrap_or_default();
    // A value that is empty, or is made of dots, would lead to another place.
    let astray = path.split('/').skip(1).any(|segment| matches!(form::unescape(segment).as_str(), "." | ".."))
        || (path.contains("//") && !template.around().0.concat().contains("//"));
    if astray || (path.ends_with('/') && !template.around().0.last().is_some_and(|literal| literal.ends_with('/'))) {
        let field = template.placeholders().next().and_then(|place| place.names.first());
        let field = field.map(super::values::Name::field).filter(|field| !field.is_empty());
        let field = field.unwrap_or_else(|| "command".to_owned());
        return Err(Refusal::new(
            field,
            "out_of_range",
            "can not be a part of the platform's path: it is empty, or dots",
        ));
    }
    Ok(path)
}

/// Ranges of at most `block` that cover so many; one that covers all, where there are no blocks.
fn blocks(count: usize, block: Option<usize>) -> Vec<Range<usize>> {
    match block {
        Some(block) if count > 0 => {
            (0..count).step_by(block.max(1)).map(|start| start..(start + block.max(1)).min(count)).collect()
        }
        _ => std::iter::once(0..count).collect(),
    }
}
