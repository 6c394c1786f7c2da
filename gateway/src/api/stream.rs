//! NDJSON over TCP, with or without TLS: the same lines as over HTTP, without the HTTP.
//!
//! Where API keys are configured, the first line is `{"key":"..."}`; it is answered by `{"line":1,"status":200}`, or by a
//! problem and the end of the connection. Then each line is a request.

use bytes::Bytes;
use futures_util::Stream;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::io::ReaderStream;

use super::Api;
use super::auth::Caller;
use super::front::Front;
use super::intake::{WAIT_LIMIT, read_json};
use super::lines::{Line, Lines};
use super::ndjson::{Talk, line, next_chunk};
use super::problem::{Kind, Problem};
use crate::config::Role;

/// How much is read from a socket at once, in bytes.
const READ_SIZE: usize = 16 * 1024;

/// Answers that may wait for the client to read them.
const OUTBOX: usize = 256;

/// Serves one connection to its end.
pub(super) async fn serve<F: Front>(api: &Api<F>, io: impl AsyncRead + AsyncWrite) {
    let (reader, mut writer) = tokio::io::split(io);
    let mut reader = std::pin::pin!(ReaderStream::with_capacity(reader, READ_SIZE));
    let mut lines = Lines::new(&mut reader, &api.limits);
    let (out, mut answers) = mpsc::channel(OUTBOX);
    let talk = async move {
        let (welcome, caller) = match admit(api, &mut lines).await {
            Ok((Greeting::Key, caller)) => (Some(Welcome { line: 1, status: 200, problem: None }), Some(caller)),
            Ok((Greeting::None, caller)) => (None, Some(caller)),
            Err(problem) => {
                let status = problem.status().as_u16();
                (Some(Welcome { line: 1, status, problem: Some(problem) }), None)
            }
        };
        if let Some(welcome) = welcome {
            // An error means that the client is gone, which the talk notices itself.
            let _ = out.send(line(&welcome)).await;
        }
        if let Some(caller) = caller {
            Talk { api, caller: &caller, scope: None, wait: Some(WAIT_LIMIT) }.run(&mut lines, &out).await;
        }
    };
    let write = async {
        while let Some(chunk) = next_chunk(&mut answers).await {
            let send = async {
                writer.write_all(&chunk).await?;
                writer.flush().await
            };
            if !matches!(timeout(api.limits.idle, send).await, Ok(Ok(()))) {
                break;
            }
        }
        // Tells the talk that nobody listens any more.
        drop(answers);
        let _ = timeout(api.limits.read_timeout, writer.shutdown()).await;
    };
    tokio::join!(talk, write);
}

/// The first line, where it is a key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyLine {
    key: String,
}

/// The answer to it.
#[derive(Serialize)]
struct Welcome {
    line: u64,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
}

/// What the first line was.
enum Greeting {
    Key,
    None,
}

/// Who is at the other end. Without configured keys a first line that is no key is left to be read as a request.
async fn admit<F: Front, S>(api: &Api<F>, lines: &mut Lines<S>) -> Result<(Greeting, Caller), Problem>
where
    S: Stream<Item = std::io::Result<Bytes>> + Unpin,
{
    let first = tokio::select! {
        first = lines.next(true) => first?,
        () = api.stop.cancelled() => None,
    };
    let keys = api.keys.borrow().clone();
    let text = match &first {
        Some(Line::Text(_, text)) => text.clone(),
        Some(Line::TooLong(_)) | None => Bytes::new(),
    };
    match (read_json::<KeyLine>(&text), keys.without_key()) {
        (Ok(line), _) => {
            let caller = keys.holder(line.key.as_bytes())?;
            caller.needs(Role::Crm)?;
            Ok((Greeting::Key, caller))
        }
        (Err(_), Ok(anybody)) => {
            if let Some(first) = first {
                lines.give_back(first);
            }
            Ok((Greeting::None, anybody))
        }
        (Err(_), Err(_)) => {
            Err(Problem::new(Kind::Unauthorised, "unauthorised", "the first line must be {\"key\":\"KEY\"}"))
        }
    }
}
