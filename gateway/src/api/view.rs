//! How a request is shown: one JSON object with what was asked and what became of it. Secrets are masked.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use headgate_core::command::CommandKind;
use headgate_core::dispatch::store::Finish;
use headgate_core::failure::{Blame, FailedPart, Failure, Retry, Sent};
use headgate_core::outcome::{Answer, Exchange};
use headgate_core::request::{Priority, Process, RequestId, Source, State};
use headgate_core::text::{PlatformReference, ProviderName, Reference, SubscriptionNumber, to_hex};
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::config::Role;
use crate::store::StoredRequest;

/// A request as the API shows it.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "Request")]
pub(super) struct View<'a> {
    /// Its id: a UUID of version 7.
    pub(super) id: RequestId,
    /// Its human number; numbers grow in the order of acceptance.
    pub(super) number: u64,
    /// The provider that carries it out.
    #[schemars(with = "ProviderName")]
    pub(super) provider: &'a str,
    /// The subscription it is for.
    #[schemars(with = "Option<SubscriptionNumber>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subscription: Option<&'a str>,
    /// What to do.
    pub(super) command: CommandKind,
    /// The command's arguments as they were posted; PINs, passwords and a raw payload read `***`.
    pub(super) arguments: Arguments<'a>,
    /// How urgent it is.
    pub(super) priority: Priority,
    /// Whether it goes out by itself.
    pub(super) process: Process,
    /// Who made it.
    pub(super) source: Source,
    /// The CRM's own reference.
    #[schemars(with = "Option<Reference>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reference: Option<&'a str>,
    /// It does not go out before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) not_before: Option<Timestamp>,
    /// It does not go out after this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires: Option<Timestamp>,
    /// Where it stands.
    pub(super) state: State,
    /// The same for a CRM with three states: `PENDING`, `COMPLETED`, `REJECTED`.
    #[schemars(extend("enum" = ["PENDING", "COMPLETED", "REJECTED"]))]
    pub(super) crm_state: &'static str,
    /// How often it was sent.
    pub(super) attempts: u32,
    /// When it was accepted.
    pub(super) created: Timestamp,
    /// When it last went out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sent: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) finished: Option<Timestamp>,
    /// It waits until this time for its next attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retry_at: Option<Timestamp>,
    /// The platform's own number for it.
    #[schemars(with = "Option<PlatformReference>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) platform_reference: Option<&'a str>,
    /// Why it did not work, last time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failure: Option<FailureView<'a>>,
    /// What the platform told. The answer to a `raw` message is shown to administrators only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) answer: Option<&'a Answer>,
    /// What went out and what came back, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) exchange: Option<ExchangeView<'a>>,
}

/// Why a request did not work.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "Failure")]
pub(super) struct FailureView<'a> {
    /// Short and stable: the platform's own code, or one of Headgate's.
    code: &'a str,
    /// What happened: the platform's own words where there are some.
    text: &'a str,
    /// Who must act.
    blame: Blame,
    /// Whether trying again can help.
    retry: RetryView,
    /// Whether the platform may have acted.
    sent: Sent,
    /// Which parts did not work, where a command has many and the platform did the others.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    parts: &'a [FailedPart],
}

/// Whether trying again can help.
#[derive(Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
enum RetryView {
    /// It would fail the same way.
    Never,
    /// It may work later.
    Later,
}

/// What went out and what came back.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "Exchange")]
pub(super) struct ExchangeView<'a> {
    /// As sent.
    request: Raw<'a>,
    /// As received.
    response: Raw<'a>,
}

/// Bytes: as text where they are printable, else in hexadecimal.
#[derive(Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Raw<'a> {
    /// Printable text.
    Text(&'a str),
    /// Hexadecimal digits.
    Hex(String),
}

impl<'a> Raw<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let printable = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
        match std::str::from_utf8(bytes) {
            Ok(text) if text.chars().all(printable) => Self::Text(text),
            _ => Self::Hex(to_hex(bytes)),
        }
    }
}

/// Who looks, and how closely.
#[derive(Clone, Copy, Debug)]
pub(super) struct Eyes {
    /// The role of who looks.
    pub(super) role: Role,
    /// Whether the exchange was asked for. The caller has checked that the role may see it.
    pub(super) exchange: bool,
}

impl Eyes {
    /// A look without the exchange.
    pub(super) const fn of(role: Role) -> Self {
        Self { role, exchange: false }
    }
}

/// What was asked, kept beside a request while its call waits, so that the answer needs no look into the store.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) provider: ProviderName,
    pub(super) subscription: Option<SubscriptionNumber>,
    pub(super) command: CommandKind,
    pub(super) priority: Priority,
    pub(super) process: Process,
    pub(super) source: Source,
    pub(super) reference: Option<Reference>,
    pub(super) not_before: Option<Timestamp>,
    pub(super) expires: Option<Timestamp>,
    pub(super) raw: Bytes,
}

/// A request to show.
#[derive(Debug)]
pub(super) enum Shown {
    /// One that was just accepted.
    Fresh { asked: Asked, id: RequestId, number: u64, state: State, finish: Option<Arc<Finish>> },
    /// One as the store holds it.
    Stored(Box<StoredRequest>),
}

impl Shown {
    /// Its id.
    pub(super) const fn id(&self) -> RequestId {
        match self {
            Self::Fresh { id, .. } => *id,
            Self::Stored(stored) => stored.id,
        }
    }

    /// Where it stands.
    pub(super) fn state(&self) -> State {
        match self {
            Self::Fresh { state, finish, .. } => finish.as_ref().map_or(*state, |finish| finish.state),
            Self::Stored(stored) => stored.state,
        }
    }

    /// As those eyes see it.
    pub(super) fn view(&self, eyes: Eyes) -> View<'_> {
        match self {
            Self::Fresh { asked, id, number, state, finish } => {
                View::fresh(asked, *id, *number, *state, finish.as_deref(), eyes)
            }
            Self::Stored(stored) => View::stored(stored, eyes),
        }
    }
}

impl<'a> View<'a> {
    /// A request as the store holds it.
    pub(super) fn stored(stored: &'a StoredRequest, eyes: Eyes) -> Self {
        Self {
            id: stored.id,
            number: stored.number,
            provider: stored.provider.as_str(),
            subscription: stored.subscription.as_ref().map(SubscriptionNumber::as_str),
            command: stored.command,
            arguments: Arguments::new(&stored.body),
            priority: stored.priority,
            process: stored.process,
            source: stored.source,
            reference: stored.reference.as_ref().map(Reference::as_str),
            not_before: stored.not_before,
            expires: stored.expires,
            state: stored.state,
            crm_state: stored.state.in_three(),
            attempts: stored.attempts,
            created: stored.created,
            sent: stored.sent_at,
            finished: stored.finished_at,
            retry_at: stored.retry_at,
            platform_reference: stored.platform_reference.as_ref().map(PlatformReference::as_str),
            failure: stored.failure.as_ref().map(FailureView::new),
            answer: visible(stored.answer.as_ref(), eyes),
            exchange: ExchangeView::new(stored.command, &stored.exchange, eyes),
        }
    }

    /// A request that was just accepted, and how it ended, if it has.
    fn fresh(
        asked: &'a Asked,
        id: RequestId,
        number: u64,
        state: State,
        finish: Option<&'a Finish>,
        eyes: Eyes,
    ) -> Self {
        let state = finish.map_or(state, |finish| finish.state);
        Self {
            id,
            number,
            provider: asked.provider.as_str(),
            subscription: asked.subscription.as_ref().map(SubscriptionNumber::as_str),
            command: asked.command,
            arguments: Arguments::new(&asked.raw),
            priority: asked.priority,
            process: asked.process,
            source: asked.source,
            reference: asked.reference.as_ref().map(Reference::as_str),
            not_before: asked.not_before,
            expires: asked.expires,
            state,
            crm_state: state.in_three(),
            attempts: finish.map_or_else(|| u32::from(state == State::Sent), |finish| finish.attempts),
            created: id.made_at(),
            sent: finish.and_then(|finish| finish.sent_at),
            finished: finish.map(|finish| finish.finished_at),
            retry_at: None,
            platform_reference: finish.and_then(|finish| finish.reference.as_ref()).map(PlatformReference::as_str),
            failure: finish.and_then(|finish| finish.failure.as_ref()).map(FailureView::new),
            answer: visible(finish.and_then(|finish| finish.answer.as_ref()), eyes),
            exchange: finish.and_then(|finish| ExchangeView::new(asked.command, &finish.exchange, eyes)),
        }
    }
}

impl<'a> FailureView<'a> {
    fn new(failure: &'a Failure) -> Self {
        Self {
            code: &failure.code,
            text: &failure.text,
            blame: failure.blame,
            retry: match failure.retry {
                Retry::Never => RetryView::Never,
                Retry::Later(_) => RetryView::Later,
            },
            sent: failure.sent,
            parts: &failure.parts,
        }
    }
}

impl<'a> ExchangeView<'a> {
    /// The bytes of these conversations hold PINs, passwords or tokens: nobody sees them. Those of a raw message may hold
    /// anything: administrators see them.
    fn new(command: CommandKind, exchange: &'a Exchange, eyes: Eyes) -> Option<Self> {
        let allowed = match command {
            CommandKind::SetPin
            | CommandKind::CreateSubscriber
            | CommandKind::UpdateSubscriber
            | CommandKind::Authenticate => false,
            CommandKind::Raw => eyes.role >= Role::Admin,
            _ => true,
        };
        (eyes.exchange && allowed)
            .then(|| Self { request: Raw::new(&exchange.request), response: Raw::new(&exchange.response) })
    }
}

fn visible(answer: Option<&Answer>, eyes: Eyes) -> Option<&Answer> {
    answer.filter(|answer| match answer {
        Answer::Raw(_) => eyes.role >= Role::Admin,
        // It lets its bearer in: whoever may ask for it may see it.
        Answer::Authenticated(_) => eyes.role >= Role::Crm,
        _ => true,
    })
}

/// A command's arguments: the members of a posted body that are not members of the view.
///
/// Read from the body's bytes rather than from its fields, so that what an older Headgate stored is shown as
/// it was.
#[derive(schemars::JsonSchema)]
pub(super) struct Arguments<'a>(#[schemars(with = "serde_json::Map<String, serde_json::Value>")] &'a [u8]);

/// A member's name.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Arguments<'a> {
    fn new(body: &'a Bytes) -> Self {
        Self(body)
    }
}

impl Serialize for Arguments<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let members: BTreeMap<Name<'_>, &RawValue> = serde_json::from_slice(self.0).unwrap_or_default();
        serializer.collect_map(members.iter().filter_map(|(name, value)| match &*name.0 {
            "provider" | "subscription" | "command" | "priority" | "process" | "reference" | "not_before"
            | "expires" => None,
            "pin" | "payload" | "password" => Some((&*name.0, Member::Masked)),
            "subscriber" => Some((&*name.0, Member::Within(value))),
            name => Some((name, Member::Shown(value))),
        }))
    }
}

/// A member's value.
enum Member<'a> {
    Masked,
    Shown(&'a RawValue),
    /// An object, some of whose members are masked.
    Within(&'a RawValue),
}

impl Serialize for Member<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Masked => serializer.serialize_str("***"),
            Self::Shown(value) => value.serialize(serializer),
            Self::Within(value) => {
                let members: BTreeMap<Name<'_>, &RawValue> = serde_json::from_str(value.get()).unwrap_or_default();
                serializer.collect_map(members.iter().map(|(name, value)| match &*name.0 {
                    "pin" | "password" => (&*name.0, Member::Masked),
                    name => (name, Member::Shown(value)),
                }))
            }
        }
    }
}
