//! Requests line by line (NDJSON), over HTTP and over TCP: one JSON object a line in, one answer a line out.
//!
//! Answers come in the order in which requests end, each with the number of its line, counted from one; empty
//! lines count and are passed over. Requests of one subscription or device are accepted in the order of their lines. A line that can not be
//! read or is refused is answered with a problem, and the others go on. At most [`IN_FLIGHT`] lines are in
//! work at once; then no more are read, so a slow platform slows its sender and nothing piles up.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, Stream};
use futures_util::{StreamExt, TryStreamExt};
use headgate_core::request::Source;
use serde::Serialize;
use tokio::sync::mpsc;

use super::auth::Caller;
use super::front::Front;
use super::idempotency::{self, Scope};
use super::intake::{Answer, Inbound, Preference, WAIT_LIMIT};
use super::lines::{Line, LineError, Lines};
use super::order::{Lanes, Turn};
use super::problem::{Kind, Problem};
use super::view::{Eyes, View};
use super::{Api, Shared};
use crate::config::Role;

/// Most lines of one stream in work at once.
pub(super) const IN_FLIGHT: usize = 1_024;

/// Answers that may wait for the client to read them.
const OUTBOX: usize = 256;

/// The answer to one line of a stream, or to one item of an array.
#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Reply<'a> {
    /// The number of the line in a stream, counted from one.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    /// The place of the item in an array, counted from zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<u64>,
    /// The HTTP status that the request would have had alone.
    status: u16,
    /// Whether it was accepted earlier, with the same idempotency key.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replayed: bool,
    /// The request, if it was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<View<'a>>,
    /// Why it was not.
    #[schemars(with = "Option<super::problem::Document<'static>>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a Problem>,
}

impl<'a> Reply<'a> {
    /// The answer to an item of an array.
    pub(super) fn of_item(item: u64, answer: &'a Result<Answer, Problem>, role: Role) -> Self {
        Self { item: Some(item), ..Self::new(answer, role) }
    }

    fn of_line(line: u64, answer: &'a Result<Answer, Problem>, role: Role) -> Self {
        Self { line: Some(line), ..Self::new(answer, role) }
    }

    fn new(answer: &'a Result<Answer, Problem>, role: Role) -> Self {
        let (status, replayed, request, problem) = match answer {
            Ok(answer) => (answer.status, answer.replayed, Some(answer.shown.view(Eyes::of(role))), None),
            Err(problem) => (problem.status(), false, None, Some(problem)),
        };
        Self { line: None, item: None, status: status.as_u16(), replayed, request, problem }
    }
}

/// Answers a `POST` of lines with lines, while they come.
pub(super) fn respond<F: Front>(
    api: Shared<F>,
    caller: Caller,
    scope: Option<Scope>,
    preference: Preference,
    body: Body,
) -> Response {
    let (out, answers) = mpsc::channel(OUTBOX);
    let task = async move {
        let bytes = body.into_data_stream().map_err(std::io::Error::other);
        let talk = Talk { api: &api, caller: &caller, scope, wait: preference.wait_or(WAIT_LIMIT) };
        talk.run(&mut Lines::new(bytes, &api.limits), &out).await;
    };
    tokio::spawn(task);
    let chunks = futures_util::stream::unfold(answers, |mut answers| async {
        let chunk = next_chunk(&mut answers).await?;
        Some((Ok::<_, std::convert::Infallible>(chunk), answers))
    });
    ([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(chunks)).into_response()
}

/// Every answer that is ready, in one piece; nothing, once there will be no more.
pub(super) async fn next_chunk(answers: &mut mpsc::Receiver<Vec<u8>>) -> Option<Bytes> {
    let mut chunk = answers.recv().await?;
    while let Ok(answer) = answers.try_recv() {
        chunk.extend_from_slice(&answer);
    }
    Some(chunk.into())
}

/// One stream of lines and what holds for all of them.
pub(super) struct Talk<'a, F> {
    pub(super) api: &'a Api<F>,
    pub(super) caller: &'a Caller,
    /// The idempotency key of the stream; each line has its own below it.
    pub(super) scope: Option<Scope>,
    /// How long each line waits for its outcome before it is answered as it stands.
    pub(super) wait: Option<Duration>,
}

/// The client does not read its answers.
struct Gone;

impl<F: Front> Talk<'_, F> {
    /// Reads lines until there are no more, the client stops reading, or the gateway stops; answers all it read.
    pub(super) async fn run<S>(&self, lines: &mut Lines<S>, out: &mpsc::Sender<Vec<u8>>)
    where
        S: Stream<Item = std::io::Result<Bytes>> + Unpin,
    {
        let mut lanes = Lanes::default();
        let mut pending = FuturesUnordered::new();
        let mut reading = true;
        while reading || !pending.is_empty() {
            let in_work = pending.len();
            let written = tokio::select! {
                biased;
                Some((number, answer)) = pending.next() => {
                    lines.touch();
                    self.write(number, &answer, out).await
                }
                line = lines.next(in_work == 0), if reading && in_work < IN_FLIGHT => match line {
                    Ok(None) => { reading = false; Ok(()) }
                    Ok(Some(Line::Text(number, text))) => {
                        pending.push(self.take(number, text, &mut lanes));
                        Ok(())
                    }
                    Ok(Some(Line::TooLong(number))) => {
                        self.write(number, &Err(Problem::too_large(self.api.limits.body)), out).await
                    }
                    Err(error) => {
                        reading = false;
                        self.write(lines.number(), &Err(error.into()), out).await
                    }
                },
                () = self.api.stop.cancelled(), if reading => { reading = false; Ok(()) }
                () = out.closed() => Err(Gone),
            };
            if written.is_err() {
                return;
            }
        }
    }

    /// Its turn is taken at once, so that turns follow the lines; the rest happens when the future runs.
    fn take(
        &self,
        number: u64,
        text: Bytes,
        lanes: &mut Lanes,
    ) -> impl Future<Output = (u64, Result<Answer, Problem>)> + use<'_, F> {
        let key = self.scope.as_ref().map(|scope| scope.item(number, idempotency::digest(&text)));
        let inbound = Inbound::read(text);
        let turn = inbound.as_ref().map_or_else(|_| Turn::default(), |inbound| lanes.turn(&inbound.body));
        async move {
            let answer = match inbound {
                Ok(inbound) => self.api.take(self.caller, Source::Api, inbound, key, turn, self.wait).await,
                Err(problem) => Err(problem),
            };
            (number, answer)
        }
    }

    async fn write(
        &self,
        number: u64,
        answer: &Result<Answer, Problem>,
        out: &mpsc::Sender<Vec<u8>>,
    ) -> Result<(), Gone> {
        let json = line(&Reply::of_line(number, answer, self.caller.role));
        out.send_timeout(json, self.api.limits.idle).await.map_err(|_| Gone)
    }
}

/// One line of JSON.
pub(super) fn line(value: &impl Serialize) -> Vec<u8> {
    let mut json = serde_json::to_vec(value).unwrap_or_default();
    json.push(b'\n');
    json
}

impl From<LineError> for Problem {
    fn from(error: LineError) -> Self {
        match error {
            LineError::Slow(limit) => Self::too_slow(limit),
            LineError::Broken(error) => {
                Self::new(Kind::Malformed, "broken_body", format!("the stream broke off: {error}"))
            }
        }
    }
}
