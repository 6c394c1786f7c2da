//! `headgate send`: many requests from a file, and one table of what became of them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use clap::Args;
use futures_util::StreamExt;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use super::client::{Target, problem_text};
use super::failure::Failure;
use super::output::{self, Listing};
use super::providers::text;

/// Lines that wait to go out; the gateway's own window is the one that counts.
const AHEAD: usize = 64;

/// How many problems are shown line by line; the others are counted.
const SHOWN: usize = 20;

/// Send requests, one JSON object a line, and wait for their outcomes.
///
/// Exit status: 0 all completed, 1 some did not, 2 they could not be sent.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  headgate send requests.ndjson
  headgate send requests.ndjson --output outcomes.ndjson
  headgate send requests.ndjson --idempotency-key 2026-02-run   may be sent again: nothing happens twice
  generate | headgate send - --wait 0                           only until they are accepted

A line: {\"provider\":\"alpha\",\"command\":\"activate_services\",\"smartcard\":\"01450012345\",\"services\":[\"BASIC\"]}")]
pub(super) struct Send {
    #[command(flatten)]
    target: Target,
    /// The file; - for standard input.
    #[arg(default_value = "-", value_name = "FILE")]
    file: PathBuf,
    /// Most lines sent and not yet answered.
    #[arg(long, default_value = "1024", value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: u16,
    /// How long to wait for each outcome, in seconds; 0 waits only for the acceptance.
    #[arg(long, default_value = "300", value_name = "SECONDS", value_parser = clap::value_parser!(u16).range(0..=300))]
    wait: u16,
    /// Makes every line recognisable: sent again with the same key, a line has no second effect.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Write every answer, one JSON object a line, to this file.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
}

impl Send {
    /// Sends a file to the gateway at `url`, everything else as it is by default.
    pub(super) fn of(url: &str, file: PathBuf) -> Self {
        Self {
            target: Target::at(url),
            file,
            concurrency: 1024,
            wait: 300,
            idempotency_key: None,
            output: None,
            json: false,
        }
    }

    pub(super) async fn run(self) -> Result<u8, Failure> {
        let summary = self.deliver().await?;
        self.report(&summary);
        match summary.broken_off() {
            Some(failure) => Err(failure),
            None => Ok(u8::from(!summary.all_good())),
        }
    }

    /// Sends everything and waits for the outcomes.
    pub(super) async fn deliver(&self) -> Result<Summary, Failure> {
        let mut sink = self.output.as_deref().map(create).transpose()?;
        let (input, total) = self.open().await?;
        let mut client = self.target.connect().await?;
        let prefer = if self.wait == 0 { "respond-async".to_owned() } else { format!("wait={}", self.wait) };
        let mut headers = vec![("prefer", prefer.as_str())];
        headers.extend(self.idempotency_key.as_deref().map(|key| ("idempotency-key", key)));

        let window = Arc::new(Semaphore::new(usize::from(self.concurrency)));
        let open = Arc::new(Mutex::new(Outstanding::default()));
        let (lines, body) = mpsc::channel(AHEAD);
        let reading = tokio::spawn(read(input, Arc::clone(&window), Arc::clone(&open), lines));
        let body = StreamBody::new(ReceiverStream::new(body).map(|line| line.map(Frame::data))).boxed_unsync();
        let response = client.stream("/v1/requests", &headers, body).await?;

        let bar = bar(total);
        let mut summary = Summary::default();
        let mut answers = Lines::default();
        let mut body = response.into_body();
        let mut broke = None;
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => answers.extend(frame.data_ref().map(Bytes::as_ref).unwrap_or_default()),
                Err(error) => {
                    broke = Some(error.to_string());
                    break;
                }
            }
            while let Some(line) = answers.next() {
                if let Some(sink) = &mut sink {
                    write_line(sink, &line, self.output.as_deref())?;
                }
                let answer: Value = serde_json::from_slice(&line).unwrap_or_default();
                let number = answer.get("line").and_then(Value::as_u64).unwrap_or_default();
                if outstanding(&open).lines.remove(&number) {
                    window.add_permits(1);
                    bar.inc(1);
                }
                summary.add(number, &answer, self.wait == 0);
            }
        }
        bar.finish_and_clear();
        if let Some(sink) = &mut sink {
            sink.flush().map_err(|error| Failure::new(format!("the answers could not be written: {error}")))?;
        }
        reading.abort();
        let read_error = outstanding(&open).error.take();
        summary.unanswered = outstanding(&open).lines.iter().copied().collect();
        summary.broken = match read_error {
            Some(error) => Some(format!("{} could not be read to its end: {error}", self.file.display())),
            None => broke.map(|why| format!("the gateway ended the conversation: {why}")),
        };
        Ok(summary)
    }

    /// The input, and how many lines it has where that can be known.
    async fn open(&self) -> Result<(Box<dyn AsyncRead + std::marker::Send + Unpin>, Option<u64>), Failure> {
        if self.file == Path::new("-") {
            return Ok((Box::new(tokio::io::stdin()), None));
        }
        let wrong = |error: io::Error| {
            Failure::new(format!("{} can not be read: {error}", self.file.display()))
                .help("name a file with one JSON object a line, or - for standard input")
        };
        let total = if io::stderr().is_terminal() { Some(count(&self.file).map_err(wrong)?) } else { None };
        let file = tokio::fs::File::open(&self.file).await.map_err(wrong)?;
        Ok((Box::new(file), total))
    }

    /// Tells what became of the requests.
    pub(super) fn report(&self, summary: &Summary) {
        if self.json {
            output::json(&summary.to_json());
            return;
        }
        let mut listing = Listing::new(&["provider", "command", "outcome", "requests"]);
        for ((provider, command, outcome), count) in &summary.counts {
            listing.row([provider, command, outcome, &count.to_string()]);
        }
        listing.print("No request was answered.");
        for (number, why) in &summary.problems {
            output::note(format_args!("line {number}: {why}"));
        }
        let hidden = summary.not_good - summary.problems.len() as u64;
        if hidden > 0 {
            output::note(format_args!("... and {hidden} more; --output FILE keeps every answer"));
        }
    }
}

/// Lines that were sent and not answered.
#[derive(Debug, Default)]
struct Outstanding {
    lines: BTreeSet<u64>,
    /// Why the input ended early.
    error: Option<String>,
}

fn outstanding(open: &Mutex<Outstanding>) -> std::sync::MutexGuard<'_, Outstanding> {
    // Nothing panics while it is held; and if something did, its numbers would still be right.
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hands over lines while the window is open. Blank lines are handed over too: they keep the numbers right.
async fn read(
    input: Box<dyn AsyncRead + std::marker::Send + Unpin>,
    window: Arc<Semaphore>,
    open: Arc<Mutex<Outstanding>>,
    lines: mpsc::Sender<io::Result<Bytes>>,
) {
    let mut input = BufReader::with_capacity(1 << 16, input);
    for number in 1.. {
        let mut line = Vec::new();
        match input.read_until(b'\n', &mut line).await {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                outstanding(&open).error = Some(error.to_string());
                return;
            }
        }
        if !line.ends_with(b"\n") {
            line.push(b'\n');
        }
        if !line.trim_ascii().is_empty() {
            let Ok(permit) = window.acquire().await else { return };
            permit.forget();
            outstanding(&open).lines.insert(number);
        }
        if lines.send(Ok(line.into())).await.is_err() {
            return;
        }
    }
}

/// What became of the requests.
#[derive(Debug, Default)]
pub(super) struct Summary {
    /// By provider, command and outcome.
    counts: BTreeMap<(String, String, String), u64>,
    /// What did not go well first, by the number of its line.
    problems: BTreeMap<u64, String>,
    not_good: u64,
    unanswered: Vec<u64>,
    /// Why the conversation ended before its end.
    broken: Option<String>,
}

impl Summary {
    /// Counts an answer. With `accepted`, being accepted is good enough.
    fn add(&mut self, number: u64, answer: &Value, accepted: bool) {
        let (key, good, why) = match answer.get("request") {
            Some(request) => {
                let state = text(request, "state");
                let good = state == "completed" || (accepted && matches!(state.as_str(), "waiting" | "sent"));
                let why = match request.get("failure") {
                    Some(failure) => format!("{state}: {} ({})", text(failure, "text"), text(failure, "code")),
                    None => format!("still {state}"),
                };
                ((text(request, "provider"), text(request, "command"), state), good, why)
            }
            None => {
                let problem = answer.get("problem").unwrap_or(answer);
                let why = problem_text(problem).unwrap_or_else(|| "an answer that can not be read".to_owned());
                (("-".to_owned(), "-".to_owned(), "not accepted".to_owned()), false, why)
            }
        };
        *self.counts.entry(key).or_default() += 1;
        if !good {
            self.not_good += 1;
            if self.problems.len() < SHOWN {
                self.problems.insert(number, why);
            }
        }
    }

    const fn all_good(&self) -> bool {
        self.not_good == 0
    }

    /// How many requests did not complete, those that were not accepted included.
    pub(super) const fn not_completed(&self) -> u64 {
        self.not_good
    }

    /// Why nobody can say what became of some lines.
    fn broken_off(&self) -> Option<Failure> {
        let count = self.unanswered.len();
        if self.broken.is_none() && count == 0 {
            return None;
        }
        let why = self.broken.as_deref().unwrap_or("the gateway ended the conversation");
        let first = self.unanswered.iter().take(10).map(u64::to_string).collect::<Vec<_>>().join(", ");
        let more = if count > 10 { ", ..." } else { "" };
        let failure = Failure::new(format!("{why}; {count} lines have no answer ({first}{more})"));
        Some(failure.help(
            "some of them may have been accepted: send the file again with the same --idempotency-key, or look with `headgate requests`",
        ))
    }

    fn to_json(&self) -> Value {
        let counts: Vec<Value> = self
            .counts
            .iter()
            .map(|((provider, command, outcome), count)| {
                json!({ "provider": provider, "command": command, "outcome": outcome, "requests": count })
            })
            .collect();
        let problems: Vec<_> = self.problems.iter().map(|(number, why)| format!("line {number}: {why}")).collect();
        json!({
            "outcomes": counts, "not_completed": self.not_good, "problems": problems, "unanswered": self.unanswered,
        })
    }
}

/// Cuts a stream of bytes into lines.
#[derive(Debug, Default)]
struct Lines {
    buffer: Vec<u8>,
}

impl Lines {
    fn extend(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    fn next(&mut self) -> Option<Vec<u8>> {
        let end = self.buffer.iter().position(|byte| *byte == b'\n')?;
        let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
        line.pop();
        Some(line)
    }
}

fn count(file: &Path) -> io::Result<u64> {
    let mut reader = io::BufReader::with_capacity(1 << 16, std::fs::File::open(file)?);
    let mut lines = 0;
    loop {
        let bytes = io::BufRead::fill_buf(&mut reader)?;
        if bytes.is_empty() {
            return Ok(lines);
        }
        lines += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        let length = bytes.len();
        io::BufRead::consume(&mut reader, length);
    }
}

fn bar(total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), "{bar:40} {pos}/{len} {rate} {eta}"),
        None => (ProgressBar::new_spinner(), "{spinner} {pos} {rate}"),
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        // What can not be drawn is not missed.
        let _ = write!(out, "{:.0}/s", state.per_sec());
    };
    bar.with_style(style.with_key("rate", rate))
}

fn create(path: &Path) -> Result<io::BufWriter<std::fs::File>, Failure> {
    let file = std::fs::File::create(path);
    file.map(io::BufWriter::new)
        .map_err(|error| Failure::new(format!("{} can not be written: {error}", path.display())))
}

fn write_line(sink: &mut impl Write, line: &[u8], path: Option<&Path>) -> Result<(), Failure> {
    let name = path.map(|path| path.display().to_string()).unwrap_or_default();
    sink.write_all(line).and_then(|()| sink.write_all(b"\n")).map_err(|error| {
        Failure::new(format!("{name} could not be written: {error}"))
            .help("free some space; answers that are missing are in `headgate requests`")
    })
}
