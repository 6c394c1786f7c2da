//! Tokens, as Keycloak gives them: short ones to call with, longer ones to renew them.

use std::collections::BTreeMap;
use std::time::Duration;

use headgate_core::Tick;
use serde_json::{Value, json};

/// How long a token is good \[S10\].
const ACCESS: Duration = Duration::from_secs(300);

/// How long it can be renewed \[S10\].
const REFRESH: Duration = Duration::from_secs(1_800);

/// The tokens that are good, and until when.
#[derive(Default)]
pub(super) struct Tokens {
    access: BTreeMap<String, Tick>,
    refresh: BTreeMap<String, Tick>,
    given: u64,
}

impl Tokens {
    /// None are good any more; those that follow are others.
    pub(super) fn after(before: &Self) -> Self {
        Self { given: before.given, ..Self::default() }
    }

    pub(super) fn grant(&mut self, now: Tick) -> Value {
        self.access.retain(|_, until| now < *until);
        self.refresh.retain(|_, until| now < *until);
        self.given += 1;
        let (access, refresh) = (format!("access-{}", self.given), format!("refresh-{}", self.given));
        self.access.insert(access.clone(), now + ACCESS);
        self.refresh.insert(refresh.clone(), now + REFRESH);
        json!({
            "access_token": access, "expires_in": ACCESS.as_secs(), "token_type": "Bearer",
            "refresh_token": refresh, "refresh_expires_in": REFRESH.as_secs(),
        })
    }

    /// Whether that token renews: once.
    pub(super) fn renew(&mut self, now: Tick, token: &str) -> bool {
        self.refresh.remove(token).is_some_and(|until| now < until)
    }

    pub(super) fn is_good(&self, now: Tick, token: &str) -> bool {
        self.access.get(token).is_some_and(|until| now < *until)
    }

    /// A token that is good for nothing here.
    pub(super) fn for_subscriber(&mut self) -> Value {
        self.given += 1;
        json!({
            "access_token": format!("subscriber-{}", self.given), "expires_in": ACCESS.as_secs(), "token_type": "Bearer",
            "refresh_token": format!("subscriber-refresh-{}", self.given),
        })
    }
}
