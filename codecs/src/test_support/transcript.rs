//! Transcripts as golden files: what happened to an adapter, and what it made of it.
//!
//! One line each; the player feeds the inputs and writes the outputs again, and the two texts must be equal.
//! ```text
//! # a comment                          = 1 {"command":...}   a command is submitted
//! @ 1500                               milliseconds since the start; the deadline passes if it is due
//! + 0                                  the link is open
//! - 0 why                              the link is closed
//! < 0 bytes                            bytes come in; \xNN, \\ and \n as escapes
//! > 0 bytes                            bytes go out
//! ! what                               anything else the adapter puts out
//! ```

use std::fmt::Write;
use std::time::Duration;

use headgate_core::Deadline;
use headgate_core::adapter::{Adapter, Effect, Event, Input, LinkId, Output};

use super::pair::in_words;
use super::{later, start, submission};

/// Plays the inputs of a transcript; returns the transcript with the outputs that came.
pub(crate) fn play(adapter: &mut dyn Adapter, transcript: &str) -> String {
    let mut player = Player { adapter, text: String::new(), due: None };
    let mut now = start();
    for line in transcript.lines() {
        let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
        if matches!(mark, ">" | "!") {
            continue;
        }
        player.text.push_str(line);
        player.text.push('\n');
        let (first, second) = rest.split_once(' ').unwrap_or((rest, ""));
        let link = || LinkId(first.parse().unwrap());
        match mark {
            "" | "#" => continue,
            "@" => {
                now = later(start(), Duration::from_millis(first.parse().unwrap()));
                if first == "0" {
                    player.adapter.handle_input(now, Input::Start);
                } else if player.due.is_some_and(|due| due.at <= now.tick) {
                    player.adapter.handle_input(now, Input::Deadline);
                }
            }
            "+" => player.adapter.handle_input(now, Input::Connected(link())),
            "-" => player.adapter.handle_input(now, Input::Closed(link(), second)),
            "<" => player.adapter.handle_input(now, Input::Received(link(), &unescaped(second))),
            "=" => player.adapter.submit(now, submission(first.parse().unwrap(), second)),
            other => panic!("{other:?} marks no line of a transcript: {line}"),
        }
        player.drain();
    }
    player.text
}

struct Player<'a> {
    adapter: &'a mut dyn Adapter,
    text: String,
    due: Option<Deadline>,
}

impl Player<'_> {
    fn drain(&mut self) {
        loop {
            let line = match self.adapter.poll_output() {
                Output::Wait(due) => {
                    self.due = due;
                    return;
                }
                Output::Do(_, Effect::Send(link, bytes)) => format!("> {} {}", link.0, escaped(&bytes)),
                Output::Do(_, Effect::Connect(link)) => format!("! connect {}", link.0),
                Output::Do(_, Effect::Close(link)) => format!("! close {}", link.0),
                Output::Do(_, other) => format!("! {other:?}"),
                Output::Event(Event::LinkUp(link)) => format!("! up {}", link.0),
                Output::Event(Event::LinkDown(link, failure)) => format!("! down {} {failure}", link.0),
                Output::Event(Event::Finished(id, outcome)) => format!("! end {} {}", id.0, in_words(&outcome.verdict)),
                Output::Event(Event::SlowDown { pause, why }) => format!("! slow down for {pause:?}: {why}"),
                Output::Event(Event::Noise(noise)) => format!("! noise: {}", noise.text),
            };
            writeln!(self.text, "{line}").unwrap();
        }
    }
}

fn escaped(bytes: &[u8]) -> String {
    bytes.iter().enumerate().fold(String::new(), |mut text, (index, byte)| {
        match byte {
            // A space at the end of a line would not be seen.
            b' ' if index + 1 == bytes.len() => text.push_str("\\x20"),
            b'\\' => text.push_str("\\\\"),
            0x20..0x7f => text.push(char::from(*byte)),
            _ => write!(text, "\\x{byte:02x}").unwrap(),
        }
        text
    })
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let (byte, skip) = match rest.as_bytes()[at + 1] {
            b'x' => (u8::from_str_radix(&rest[at + 2..at + 4], 16).unwrap(), 4),
            b'n' => (b'\n', 2),
            other => (other, 2),
        };
        bytes.push(byte);
        rest = &rest[at + skip..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_both_ways() {
        let bytes = b"a\x00\\x\xff b";
        assert_eq!(unescaped(&escaped(bytes)), bytes);
    }
}
