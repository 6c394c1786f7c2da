//! One connection: a request out, its answer in, again and again.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use headgate_core::request::State;
use hyper::Uri;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout_at;

use super::report::Tally;
use crate::cli::client::{Stream, Target};
use crate::cli::failure::Failure;

/// How long after the end of a round an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// The largest answer, in bytes.
const ANSWER_LIMIT: usize = 1 << 20;

/// Connections lost one after the other before a worker gives up.
const LOSSES: u32 = 5;

/// Which answers count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aim {
    /// Answers from this instant on.
    pub(super) from: Instant,
    /// Answers until this instant; then no more are asked for.
    pub(super) until: Instant,
}

/// The bytes of a request, with gaps for the number.
#[derive(Debug)]
pub(super) struct Template {
    /// The head up to the value of `Content-Length`.
    head: String,
    /// The body's parts between the gaps.
    parts: Vec<String>,
    next: Cell<u64>,
}

impl Template {
    /// A POST of `request` to `url`, or to `path` there if it names none.
    pub(super) fn new(
        url: &str,
        path: &str,
        bearer: Option<&str>,
        prefer: &str,
        request: &str,
        from: u64,
    ) -> Result<Self, Failure> {
        let uri: Uri = url.parse().map_err(|_| Failure::new(format!("{url:?} is not a URL")))?;
        let host = uri.authority().map(ToString::to_string).unwrap_or_default();
        let path = match uri.path_and_query().map(|path| path.as_str()) {
            None | Some("/" | "") => path,
            Some(path) => path,
        };
        let bearer = bearer.map(|bearer| format!("authorization: {bearer}\r\n")).unwrap_or_default();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\n{bearer}prefer: {prefer}\r\ncontent-type: application/json\r\ncontent-length: "
        );
        Ok(Self { head, parts: request.split("%n").map(str::to_owned).collect(), next: Cell::new(from) })
    }

    /// Writes the next request into `out`.
    fn fill(&self, out: &mut Vec<u8>) {
        let number = self.next.replace(self.next.get() + 1).to_string();
        let length = self.parts.iter().map(String::len).sum::<usize>() + (self.parts.len() - 1) * number.len();
        out.clear();
        out.extend_from_slice(self.head.as_bytes());
        out.extend_from_slice(length.to_string().as_bytes());
        out.extend_from_slice(b"\r\n\r\n");
        for (place, part) in self.parts.iter().enumerate() {
            if place > 0 {
                out.extend_from_slice(number.as_bytes());
            }
            out.extend_from_slice(part.as_bytes());
        }
    }
}

/// Sends and reads until the round is over. Every worker counts into the same tally: they share a thread.
pub(super) async fn run(
    stream: Box<dyn Stream>,
    target: Target,
    template: Rc<Template>,
    aim: Aim,
    tally: Rc<RefCell<Tally>>,
) {
    // One timer for the whole round. What is still under way at its end is nobody's failure.
    let _ = timeout_at((aim.until + PATIENCE).into(), exchanges(stream, &target, &template, aim, &tally)).await;
}

async fn exchanges(stream: Box<dyn Stream>, target: &Target, template: &Template, aim: Aim, tally: &RefCell<Tally>) {
    let mut connection = Connection { stream, input: Vec::with_capacity(4096) };
    let (mut output, mut losses) = (Vec::with_capacity(1024), 0);
    let mut started = Instant::now();
    while started < aim.until && losses < LOSSES {
        template.fill(&mut output);
        let exchanged = connection.exchange(&output).await;
        let now = Instant::now();
        let time = now - std::mem::replace(&mut started, now);
        match exchanged {
            Ok(answer) => {
                if now >= aim.from && now < aim.until {
                    tally.borrow_mut().add(answer.status, answer.state, time);
                }
                losses = 0;
                if answer.keeps {
                    continue;
                }
            }
            Err(error) => {
                losses += 1;
                tally.borrow_mut().failed(error);
            }
        }
        match target.dial().await {
            Ok((_, stream)) => connection = Connection { stream, input: Vec::with_capacity(4096) },
            Err(failure) => {
                tally.borrow_mut().failed(failure.text().to_owned());
                return;
            }
        }
        started = Instant::now();
    }
}

/// What came back.
struct Answer {
    status: u16,
    /// The request's state, where the answer is a request.
    state: Option<State>,
    /// Whether the connection stays open.
    keeps: bool,
}

struct Connection {
    stream: Box<dyn Stream>,
    input: Vec<u8>,
}

impl Connection {
    async fn exchange(&mut self, output: &[u8]) -> Result<Answer, String> {
        self.stream.write_all(output).await.map_err(|error| error.to_string())?;
        self.stream.flush().await.map_err(|error| error.to_string())?;
        self.input.clear();
        loop {
            if let Some((answer, length)) = read_answer(&self.input)? {
                if self.input.len() > length {
                    return Err("more came than was asked for".into());
                }
                return Ok(answer);
            }
            if self.input.len() > ANSWER_LIMIT {
                return Err(format!("an answer is longer than {ANSWER_LIMIT} bytes"));
            }
            match self.stream.read_buf(&mut self.input).await {
                Ok(0) => return Err("the connection was closed in the middle of an exchange".into()),
                Ok(_) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

/// Reads an answer with a `Content-Length`, once it is there, and how many bytes it has.
fn read_answer(input: &[u8]) -> Result<Option<(Answer, usize)>, String> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let head = match response.parse(input).map_err(|error| format!("an answer is not HTTP: {error}"))? {
        httparse::Status::Complete(head) => head,
        httparse::Status::Partial => return Ok(None),
    };
    let header = |name: &str| {
        let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| std::str::from_utf8(header.value).ok())
    };
    let length: usize = header("content-length")
        .and_then(|length| length.trim().parse().ok())
        .ok_or("an answer has no Content-Length, which this generator needs")?;
    let Some(body) = input.get(head..head.saturating_add(length)) else { return Ok(None) };
    let keeps = !header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    let answer = Answer { status: response.code.unwrap_or_default(), state: state(body), keeps };
    Ok(Some((answer, head + length)))
}

/// The `state` member, without reading the whole object.
fn state(body: &[u8]) -> Option<State> {
    const MEMBER: &[u8] = b"\"state\":\"";
    let at = body.windows(MEMBER.len()).position(|window| window == MEMBER)?;
    let rest = body.get(at + MEMBER.len()..)?;
    let end = rest.iter().position(|byte| *byte == b'"')?;
    State::from_name(std::str::from_utf8(rest.get(..end)?).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_has_its_own_number_and_the_right_length() {
        let template = Template::new("http://h:1", "/p", Some("Bearer k"), "wait=60", r#"{"a":"%n-%n"}"#, 9).unwrap();
        let mut out = Vec::new();
        template.fill(&mut out);
        assert!(String::from_utf8_lossy(&out).ends_with("content-length: 11\r\n\r\n{\"a\":\"9-9\"}"));
        template.fill(&mut out);
        let text = String::from_utf8_lossy(&out);
        assert!(text.ends_with("content-length: 13\r\n\r\n{\"a\":\"10-10\"}"), "{text}");
        assert!(text.starts_with("POST /p HTTP/1.1\r\nhost: h:1\r\nauthorization: Bearer k\r\n"), "{text}");
    }

    #[test]
    fn an_answer_is_read_when_it_is_whole() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{\"state\":\"completed\"}";
        for length in 0..whole.len() {
            assert!(read_answer(&whole[..length]).unwrap().is_none(), "{length}");
        }
        let (answer, length) = read_answer(whole).unwrap().unwrap();
        assert_eq!((answer.status, answer.state, answer.keeps), (200, Some(State::Completed), true));
        assert_eq!(length, whole.len());
        assert!(read_answer(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(read_answer(b"SSH-2.0-x\r\n").is_err());
    }
}
