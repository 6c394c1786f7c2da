//! Plays the conversations in `transcripts/` against an adapter.
//!
//! | line | |
//! |---|---|
//! | `# ...` | a comment |
//! | `$ {...}` | a request is submitted; requests are numbered from 1 |
//! | `$ ... resume ...` | the same after a restart, with what was recorded for it |
//! | `@2s` | so much time passes |
//! | `< ...` | the oldest unanswered effect is answered |
//! | `> ...` | the adapter wants this; a file's lines follow, each after `|` |
//! | `! ...` | the adapter tells this |
//!
//! The test keeps the lines that go in, plays them, and compares the whole with the file.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use headgate_core::adapter::{
    Adapter, Done, Effect, EffectId, Event, FileAnswer, FileCall, FileError, FileErrorKind, Input, Output, Submission,
    SubmissionId,
};
use headgate_core::body::RequestBody;
use headgate_core::failure::Sent;
use headgate_core::outcome::Verdict;
use headgate_core::request::{Request, RequestId};
use headgate_core::text::PlatformReference;
use headgate_core::{Now, Tick};
use serde_json::json;

use super::adapter::{ConaxAdapter, world};
use super::plan::Products;
use super::settings::Site;

#[test]
fn transcripts_play_as_written() {
    for (name, text) in [
        ("accepted", include_str!("transcripts/accepted.txt")),
        ("bad_card", include_str!("transcripts/bad_card.txt")),
        ("status", include_str!("transcripts/status.txt")),
        ("restart", include_str!("transcripts/restart.txt")),
        ("not_taken", include_str!("transcripts/not_taken.txt")),
        ("link", include_str!("transcripts/link.txt")),
    ] {
        let played = Player::new().play(text);
        assert!(played == text, "{name} played differently:\n{played}");
    }
}

struct Player {
    adapter: ConaxAdapter,
    now: Now,
    unanswered: VecDeque<EffectId>,
    submitted: u64,
    played: String,
}

impl Player {
    fn new() -> Self {
        let site = Arc::new(Site::read(&json!({})).unwrap());
        let products = Arc::new(Products::new(&world::services()).unwrap());
        let now = Now { tick: Tick::default(), wall: "2026-11-24T12:00:00Z".parse().unwrap() };
        let mut adapter = ConaxAdapter::new(site, products, 122);
        adapter.handle_input(now, Input::Start);
        Self { adapter, now, unanswered: VecDeque::new(), submitted: 0, played: String::new() }
    }

    fn play(mut self, text: &str) -> String {
        for line in text.lines() {
            if line.starts_with(['>', '!', '|']) {
                continue;
            }
            writeln!(self.played, "{line}").unwrap();
            let (mark, rest) = line.split_at(1.min(line.len()));
            match mark {
                "$" => self.submit(rest.trim()),
                "@" => self.pass(rest),
                "<" => self.answer(rest.trim()),
                "#" | "" => continue,
                _ => panic!("{line}"),
            }
            self.drain();
        }
        self.played
    }

    fn submit(&mut self, text: &str) {
        let (body, resume) = text.split_once(" resume ").map_or((text, None), |(body, resume)| (body, Some(resume)));
        let body: RequestBody = serde_json::from_str(body).unwrap();
        self.submitted += 1;
        let command = body.command().unwrap();
        let request = Arc::new(Request {
            number: self.submitted,
            created: self.now.wall,
            ..Request::new(RequestId(Default::default()), &body, command)
        });
        let resume = resume.map(|text| PlatformReference::new(text).unwrap());
        self.adapter.submit(self.now, Submission { id: SubmissionId(self.submitted), request, resume });
    }

    fn pass(&mut self, text: &str) {
        let time: Duration = text.parse::<jiff::SignedDuration>().unwrap().unsigned_abs();
        self.now = Now { tick: self.now.tick + time, wall: self.now.wall_after(time) };
        self.adapter.handle_input(self.now, Input::Deadline);
    }

    fn answer(&mut self, text: &str) {
        let Some(id) = self.unanswered.pop_front() else {
            // Stands out in the comparison, beside what went before.
            self.played.push_str("nothing is unanswered\n");
            return;
        };
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let error = |kind, text: &str, sent| Done::File(Err(FileError { kind, text: text.to_owned(), sent }));
        let done = match word {
            "names" => Done::File(Ok(FileAnswer::Names(rest.split_whitespace().map(str::to_owned).collect()))),
            "contents" => {
                let contents: String = serde_json::from_str(rest).unwrap();
                Done::File(Ok(FileAnswer::Contents(contents.into())))
            }
            "done" => Done::File(Ok(FileAnswer::Done)),
            "recorded" => Done::Recorded,
            "absent" => error(FileErrorKind::NotFound, "no such file", Sent::No),
            "exists" => error(FileErrorKind::Exists, "file exists", Sent::No),
            "denied" => error(FileErrorKind::Denied, rest, Sent::No),
            "down" => error(FileErrorKind::Link, rest, Sent::No),
            "broken" => error(FileErrorKind::Link, rest, Sent::Maybe),
            _ => panic!("{text}"),
        };
        self.adapter.handle_input(self.now, Input::Done(id, done));
    }

    fn drain(&mut self) {
        loop {
            match self.adapter.poll_output() {
                Output::Do(id, effect) => {
                    self.unanswered.push_back(id);
                    self.effect(&effect);
                }
                Output::Event(event) => self.event(&event),
                Output::Wait(_) => return,
            }
        }
    }

    fn effect(&mut self, effect: &Effect) {
        let mut line = match effect {
            Effect::Record(references) => {
                let all: Vec<_> = references.iter().map(|(id, text)| format!("{}={}", id.0, text.as_str())).collect();
                format!("> record {}", all.join(" "))
            }
            Effect::File(FileCall::List { directory }) => format!("> list {directory}"),
            Effect::File(FileCall::Read { path, .. }) => format!("> read {path}"),
            Effect::File(FileCall::Delete { path }) => format!("> delete {path}"),
            Effect::File(FileCall::Put { path, temporary, contents }) => {
                let text = str::from_utf8(contents).unwrap();
                let lines: String = text.lines().map(|line| format!("\n| {line}")).collect();
                format!("> put {path} by {temporary}{lines}")
            }
            other => panic!("{other:?}"),
        };
        line.push('\n');
        self.played.push_str(&line);
    }

    fn event(&mut self, event: &Event) {
        let line = match event {
            Event::LinkUp(_) => "! up".to_owned(),
            Event::LinkDown(_, failure) => format!("! down: {failure}"),
            Event::Finished(id, outcome) => match &outcome.verdict {
                Verdict::Completed(None) => format!("! {} completed", id.0),
                Verdict::Completed(Some(answer)) => {
                    format!("! {} completed: {}", id.0, serde_json::to_string(answer).unwrap())
                }
                Verdict::Rejected(failure) => format!("! {} rejected: {failure}", id.0),
                Verdict::Failed(failure) => format!("! {} failed, sent {:?}: {failure}", id.0, failure.sent),
            },
            other => format!("! {other:?}"),
        };
        writeln!(self.played, "{line}").unwrap();
    }
}
