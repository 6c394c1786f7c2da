//! Who asks, and what they may do.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::request::Parts;
use headgate_core::text::{ProviderName, from_hex};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use super::front::Front;
use super::problem::{Kind, Problem};
use super::{Api, ServeError, Shared};
use crate::config::{ApiKey, Role};

/// The API keys. Without any, everybody is admitted as an administrator: then only loopback is served.
#[derive(Debug)]
pub(super) struct Keys {
    holders: Vec<(Caller, [u8; 32])>,
    anybody: Caller,
}

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// The name of the API key.
    pub(super) name: Arc<str>,
    /// What the key allows.
    pub(super) role: Role,
    /// Of a worker: the providers whose work it may fetch; empty: all.
    providers: Arc<[ProviderName]>,
}

impl Keys {
    /// Reads the configured keys.
    ///
    /// # Errors
    /// [`ServeError::Key`] for a hash that is none, or a name that is used twice.
    pub(super) fn new(configured: &[ApiKey]) -> Result<Self, ServeError> {
        let mut names = BTreeSet::new();
        let mut holders = Vec::with_capacity(configured.len());
        for key in configured {
            let wrong = |why: &'static str| ServeError::Key { name: key.name.clone(), why };
            if !names.insert(&key.name) {
                return Err(wrong(
                    "another key has the same name; idempotency keys are kept by name, so give each its own",
                ));
            }
            let hash = from_hex(&key.sha256).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
            let hash = hash.ok_or_else(|| {
                wrong("sha256 must be 64 hexadecimal digits; `headgate config key` makes a key and its hash")
            })?;
            let providers = Arc::from(key.providers.as_slice());
            holders.push((Caller { name: Arc::from(&*key.name), role: key.role, providers }, hash));
        }
        let anybody = Caller { name: Arc::from("loopback"), role: Role::Admin, providers: Arc::default() };
        Ok(Self { holders, anybody })
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.holders.is_empty()
    }

    /// Who asks without showing a key.
    ///
    /// # Errors
    /// A problem, where there are keys.
    pub(super) fn without_key(&self) -> Result<Caller, Problem> {
        if self.is_empty() { Ok(self.anybody.clone()) } else { Err(no_key("send Authorization: Bearer KEY")) }
    }

    /// Who holds this key. Takes the same time for every key that is not configured.
    ///
    /// # Errors
    /// A problem, if nobody does.
    pub(super) fn holder(&self, key: &[u8]) -> Result<Caller, Problem> {
        if self.is_empty() {
            return Ok(self.anybody.clone());
        }
        let hash: [u8; 32] = Sha256::digest(key).into();
        let mut found = u32::MAX;
        for (index, (_, known)) in (0..).zip(&self.holders) {
            let same: Choice = known.ct_eq(&hash);
            found.conditional_assign(&index, same);
        }
        let holder = self.holders.get(found as usize).map(|(caller, _)| caller.clone());
        holder.ok_or_else(|| no_key("this key is not known"))
    }
}

impl<F> Api<F> {
    /// Who calls: by the header, or else by a parameter `token`, as CRM.COM's calls show their key.
    ///
    /// # Errors
    /// A problem, if neither shows a key that is known.
    pub(super) fn caller(&self, by_header: Result<Caller, Problem>, token: Option<&str>) -> Result<Caller, Problem> {
        let keys = self.keys.borrow();
        match (by_header, token) {
            (Ok(caller), _) => Ok(caller),
            (Err(_), Some(token)) if !keys.is_empty() => keys.holder(token.as_bytes()),
            (Err(problem), _) => Err(problem),
        }
    }
}

impl Caller {
    /// Checks that the caller's role is `role` or above.
    ///
    /// # Errors
    /// A problem that names the role, if it is below.
    pub(super) fn needs(&self, role: Role) -> Result<(), Problem> {
        if self.role >= role {
            return Ok(());
        }
        let detail = format!("needs the role {}; this key has {}", role.name(), self.role.name());
        Err(Problem::new(Kind::Forbidden, "forbidden", detail))
    }
}

impl Caller {
    /// Checks that the caller may do the work of this provider.
    ///
    /// # Errors
    /// A problem, if it may not.
    pub(super) fn may_work_for(&self, provider: &ProviderName) -> Result<(), Problem> {
        if self.role == Role::Worker {
            if self.providers.is_empty() || self.providers.contains(provider) {
                return Ok(());
            }
            let detail = "this key is for the work of other providers; see `providers` of its [[key]]";
            return Err(Problem::new(Kind::Forbidden, "forbidden", detail));
        }
        if self.role >= Role::Operator {
            return Ok(());
        }
        let detail = format!("needs the role worker, operator or admin; this key has {}", self.role.name());
        Err(Problem::new(Kind::Forbidden, "forbidden", detail))
    }
}

impl<F: Front> FromRequestParts<Shared<F>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Shared<F>) -> Result<Self, Problem> {
        let keys = api.keys.borrow();
        if keys.is_empty() {
            by_no_web_page(parts)?;
        }
        match parts.headers.get(AUTHORIZATION) {
            None => keys.without_key(),
            Some(value) => {
                let key = bearer(value.as_bytes()).ok_or_else(|| no_key("write it as Authorization: Bearer KEY"))?;
                keys.holder(key)
            }
        }
    }
}

/// Checks that the call names this machine, and that no page of another site makes it.
///
/// Loopback keeps other machines out, but not the browser of somebody who sits at this one: a page could post
/// to it (`Origin` tells), or have its own name resolve to it (`Host` tells).
fn by_no_web_page(parts: &Parts) -> Result<(), Problem> {
    let named = parts.headers.get(HOST).map_or_else(
        || parts.uri.host().is_some_and(is_loopback),
        |host| Uri::try_from(host.as_bytes()).is_ok_and(|uri| uri.host().is_some_and(is_loopback)),
    );
    let origin = parts.headers.get(ORIGIN);
    let at_home = origin.is_none_or(|origin| {
        Uri::try_from(origin.as_bytes()).is_ok_and(|uri| uri.scheme().is_some() && uri.host().is_some_and(is_loopback))
    });
    if named && at_home {
        return Ok(());
    }
    let detail =
        "without API keys, calls must name localhost or a loopback address; configure a [[key]] to use another name";
    Err(Problem::new(Kind::Forbidden, "not_loopback", detail).field(if named { "Origin" } else { "Host" }))
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// The key in `Bearer KEY`; the scheme in any case, as RFC 9110 section 11.1 has it.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, key) = value.split_at_checked(7)?;
    (scheme.eq_ignore_ascii_case(b"bearer ") && !key.is_empty()).then_some(key.trim_ascii())
}

fn no_key(detail: &str) -> Problem {
    Problem::new(Kind::Unauthorised, "unauthorised", detail)
}
