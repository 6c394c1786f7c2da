//! The way in of every request, however it came: read, checked, accepted, waited for.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use bytes::{Bytes, BytesMut};
use headgate_core::body::RequestBody;
use headgate_core::command::CommandKind;
use headgate_core::request::{Idempotency, RequestId, Source};
use http_body_util::BodyExt;
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, timeout, timeout_at};

use super::Api;
use super::auth::Caller;
use super::front::Front;
use super::idempotency::{Flight, same_body};
use super::order::Turn;
use super::problem::{Kind, Problem};
use super::view::{Asked, Shown};
use crate::config::Role;
use crate::gateway::{AcceptError, Accepted, Origin};
use crate::store::StoredRequest;

/// The longest wait that `Prefer: wait` gets.
pub(super) const WAIT_LIMIT: Duration = Duration::from_secs(300);

/// How long the rest of a body that is refused is read and thrown away.
const LINGER: Duration = Duration::from_secs(1);

/// What a caller would like, from the `Prefer` header (RFC 7240).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Preference {
    /// How long the call may take; at most [`WAIT_LIMIT`].
    pub(super) wait: Option<Duration>,
    /// Whether the call should rather not wait at all.
    pub(super) respond_async: bool,
}

impl Preference {
    /// Reads every `Prefer` header. As the RFC demands, what is not understood is passed over, and of several
    /// `wait`s the first counts.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut preference = Self::default();
        let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
        for token in values.flat_map(|value| value.split(',')).map(str::trim) {
            // A preference may have parameters behind a semicolon; ours have none.
            let token = token.split(';').next().unwrap_or_default().trim_end();
            if token.eq_ignore_ascii_case("respond-async") {
                preference.respond_async = true;
            } else if let Some((name, seconds)) = token.split_once('=')
                && name.trim_end().eq_ignore_ascii_case("wait")
                && let Ok(seconds) = seconds.trim_matches([' ', '"']).parse()
            {
                preference.wait.get_or_insert_with(|| Duration::from_secs(seconds).min(WAIT_LIMIT));
            }
        }
        preference
    }

    /// `Preference-Applied`, if a wait was asked for.
    pub(super) fn applied(self) -> Option<String> {
        self.wait.map(|wait| format!("wait={}", wait.as_secs()))
    }

    /// The wait of a call that waits unless it is told otherwise.
    pub(super) fn wait_or(self, default: Duration) -> Option<Duration> {
        self.wait.or_else(|| (!self.respond_async).then_some(default))
    }
}

/// A request as it came: read, not yet accepted.
#[derive(Debug)]
pub(super) struct Inbound {
    /// What it says.
    pub(super) body: RequestBody,
    /// The JSON it was read from.
    pub(super) raw: Bytes,
}

impl Inbound {
    /// Reads one JSON object.
    ///
    /// # Errors
    /// A problem that names the line, the column and the field at fault.
    pub(super) fn read(raw: Bytes) -> Result<Self, Problem> {
        Ok(Self { body: read_json(&raw)?, raw })
    }
}

/// A request that is accepted, and how a call about it is answered.
#[derive(Debug)]
pub(super) struct Answer {
    /// The request.
    pub(super) shown: Shown,
    /// 200 if the outcome was waited for and has come; else 202.
    pub(super) status: StatusCode,
    /// Whether it was accepted by an earlier call with the same idempotency key.
    pub(super) replayed: bool,
}

impl<F: Front> Api<F> {
    /// Accepts a request and waits for its outcome up to `wait`.
    ///
    /// # Errors
    /// A problem, if it was not accepted.
    pub(super) async fn take(
        &self,
        caller: &Caller,
        source: Source,
        inbound: Inbound,
        key: Option<Idempotency>,
        mut turn: Turn,
        wait: Option<Duration>,
    ) -> Result<Answer, Problem> {
        if inbound.body.command == CommandKind::Raw {
            caller.needs(Role::Admin)?;
        }
        turn.come().await;
        let until = wait.map(|wait| Instant::now() + wait);
        let Some(key) = key else {
            let (asked, accepted) = self.accept(source, inbound, None).await?;
            turn.pass();
            return Ok(outcome(asked, accepted, until).await);
        };

        let flight = self.in_flight.enter(&key.key)?;
        if let Some(id) = self.earlier(&key).await? {
            turn.pass();
            return self.replay(id, until, flight).await;
        }
        match self.accept(source, inbound, Some(key.clone())).await {
            Ok((asked, accepted)) => {
                turn.pass();
                Ok(outcome(asked, accepted, until).await)
            }
            // A call that broke off was accepted after all, between the look and the attempt.
            Err(taken @ AcceptError::KeyTaken) => match self.earlier(&key).await? {
                Some(id) => self.replay(id, until, flight).await,
                None => Err(taken.into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    async fn accept(
        &self,
        source: Source,
        inbound: Inbound,
        idempotency: Option<Idempotency>,
    ) -> Result<(Asked, Accepted), AcceptError> {
        let Inbound { body, raw } = inbound;
        let asked = Asked {
            provider: body.provider.clone(),
            subscription: body.subscription.clone(),
            command: body.command,
            priority: body.priority,
            process: body.process,
            source,
            reference: body.reference.clone(),
            not_before: body.not_before,
            expires: body.expires,
            raw: raw.clone(),
        };
        let accepted = self.front.accept(body, raw, Origin { source, idempotency }).await?;
        Ok((asked, accepted))
    }

    /// The request that was accepted with this key before.
    async fn earlier(&self, key: &Idempotency) -> Result<Option<RequestId>, Problem> {
        let Some((id, digest)) = self.front.store().by_key(&key.key).await? else { return Ok(None) };
        same_body(digest, key.digest)?;
        Ok(Some(id))
    }

    async fn replay(&self, id: RequestId, until: Option<Instant>, _: Flight<'_>) -> Result<Answer, Problem> {
        let stored = self.settled(id, until).await?;
        let status = status(until.is_some() && stored.state.is_final());
        Ok(Answer { shown: Shown::Stored(Box::new(stored)), status, replayed: true })
    }

    /// A stored request, once it has ended or the time is up.
    async fn settled(&self, id: RequestId, until: Option<Instant>) -> Result<StoredRequest, Problem> {
        // Subscribed before the first look: a change after it is not missed.
        let mut changes = self.front.store().subscribe();
        loop {
            let stored = self.stored(id).await?;
            let Some(until) = until.filter(|until| *until > Instant::now()) else { return Ok(stored) };
            if stored.state.is_final() {
                return Ok(stored);
            }
            loop {
                match timeout_at(until, changes.recv()).await {
                    Ok(Ok(change)) if change.id != id => {}
                    Ok(Ok(_) | Err(RecvError::Lagged(_))) | Err(_) => break,
                    Ok(Err(RecvError::Closed)) => return Ok(stored),
                }
            }
        }
    }

    /// A request from the store.
    ///
    /// # Errors
    /// A problem, if there is none of that id.
    pub(super) async fn stored(&self, id: RequestId) -> Result<StoredRequest, Problem> {
        self.front.store().request(id).await?.ok_or_else(|| Problem::not_found("request"))
    }

    /// The whole of a body.
    ///
    /// # Errors
    /// A problem, if it is too long, stops coming, or breaks off.
    pub(super) async fn read_body(&self, mut body: Body) -> Result<Bytes, Problem> {
        use axum::body::HttpBody;

        let limit = self.limits.body;
        if body.size_hint().lower() > limit as u64 {
            discard(body).await;
            return Err(Problem::too_large(limit));
        }
        // Copied out of the connection's read buffer, which is many times larger than a request and would live as
        // long as the request waits.
        let mut whole = BytesMut::with_capacity(usize::try_from(body.size_hint().lower()).unwrap_or_default());
        let began = Instant::now();
        loop {
            let (until, patience) = self.limits.deadline(began, Instant::now());
            let frame = match timeout_at(until, body.frame()).await {
                Err(_) => return Err(Problem::too_slow(patience)),
                Ok(None) => return Ok(whole.freeze()),
                Ok(Some(Err(error))) => {
                    return Err(Problem::new(Kind::Malformed, "broken_body", format!("the body broke off: {error}")));
                }
                Ok(Some(Ok(frame))) => frame,
            };
            let Ok(data) = frame.into_data() else { continue };
            if whole.len() + data.len() > limit {
                discard(body).await;
                return Err(Problem::too_large(limit));
            }
            whole.extend_from_slice(&data);
        }
    }
}

/// Reads on for a while: closing on a client that is still sending would reset the connection, and the client
/// would never see the answer.
async fn discard(mut body: Body) {
    let rest = async { while let Some(Ok(_)) = body.frame().await {} };
    // Whether it ended or not, the answer is given now.
    let _ = timeout(LINGER, rest).await;
}

async fn outcome(asked: Asked, accepted: Accepted, until: Option<Instant>) -> Answer {
    let Accepted { id, number, state, finish } = accepted;
    let finish = match until {
        // Neither a wait that is over nor a gateway that stops is an error: the request is in the store.
        Some(until) => timeout_at(until, finish).await.ok().and_then(Result::ok),
        None => None,
    };
    let status = status(finish.is_some());
    Answer { shown: Shown::Fresh { asked, id, number, state, finish }, status, replayed: false }
}

const fn status(waited_for: bool) -> StatusCode {
    if waited_for { StatusCode::OK } else { StatusCode::ACCEPTED }
}

/// Reads JSON in one pass; only if that fails, in a second one that finds the place of the fault.
///
/// # Errors
/// A problem that names the line, the column and the field at fault.
pub(super) fn read_json<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(json).map_err(|error| locate::<T>(json, &error))
}

fn locate<'a, T: Deserialize<'a>>(json: &'a [u8], error: &serde_json::Error) -> Problem {
    let (line, column) = (error.line(), error.column());
    let words = error.to_string();
    let words = words.rsplit_once(" at line ").map_or(&*words, |(words, _)| words);
    if !error.is_data() {
        let detail = format!("line {line}, column {column}: {words}");
        return Problem::new(Kind::Malformed, "malformed_json", detail);
    }
    let detail = format!("line {line}, column {column}: {}", without_value(words));
    let problem = Problem::new(Kind::Malformed, "invalid_field", detail);
    let path = serde_path_to_error::deserialize::<_, T>(&mut serde_json::Deserializer::from_slice(json))
        .err()
        .map(|error| error.path().to_string().replace(['.', '['], "/").replace(']', ""))
        .filter(|path| path != "/");
    // The path of a missing field is that of the object around it; serde names the field in its words.
    let named = words.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
    match (path, named) {
        (None, None) => problem,
        (Some(path), None) => problem.field(path),
        (None, Some(name)) => problem.field(name.to_owned()),
        (Some(path), Some(name)) => problem.field(format!("{path}/{name}")),
    }
}

/// Serde's words without the value they cite, which could be a PIN.
fn without_value(words: &str) -> String {
    match words.rsplit_once(", expected ") {
        Some((start, expected)) if start.starts_with("invalid ") || start.starts_with("unknown variant ") => {
            format!("must be {expected}")
        }
        _ => words.to_owned(),
    }
}
