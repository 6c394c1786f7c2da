//! Plays the conversations in `transcripts/` against an adapter.
//!
//! | line | |
//! |---|---|
//! | `# ...` | a comment |
//! | `$ {...}` | a request is submitted; requests are numbered from 1 |
//! | `$ ... resume ...` | the same after a restart, with what was recorded for it |
//! | `@2s` | so much time passes |
//! | `< ...` | the oldest unanswered effect is answered; rows as JSON |
//! | `> ...` | the adapter wants this; the rows that it puts in follow, each after `|` |
//! | `! ...` | the adapter tells this |
//!
//! The test keeps the lines that go in, plays them, and compares the whole with the file.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use headgate_core::adapter::{Adapter, Done, Effect, EffectId, Event, Input, Output, Submission};
use headgate_core::failure::Sent;
use headgate_core::outcome::Verdict;
use headgate_core::table::{Column, Row, Select, TableAnswer, TableCall, TableError};
use headgate_core::text::PlatformReference;
use serde_json::json;

use super::adapter::ExsetAdapter;
use super::plan::Plan;
use super::rows;
use super::settings::Site;
use crate::test_support::{later, provider, start, submission};

#[test]
fn transcripts_play_as_written() {
    for (name, text) in [
        ("accepted", include_str!("transcripts/accepted.txt")),
        ("refused", include_str!("transcripts/refused.txt")),
        ("broken_commit", include_str!("transcripts/broken_commit.txt")),
        ("restart", include_str!("transcripts/restart.txt")),
    ] {
        let played = Player::new().play(text);
        assert!(played == text, "{name} played differently:\n{played}");
    }
}

struct Player {
    adapter: ExsetAdapter,
    now: headgate_core::Now,
    unanswered: VecDeque<(EffectId, Arc<[Column]>)>,
    submitted: u64,
    played: String,
}

impl Player {
    fn new() -> Self {
        // Numbers read better than UUIDs.
        let profile =
            super::profile::SHIPPED.replace("strategy = \"uuid\"", "strategy = \"sequence\"\nprefix = \"HG\"");
        let profile: serde_json::Value = toml::from_str(&profile).unwrap();
        let site = Site::read(&json!({ "profile": profile })).unwrap();
        let services = provider(&[("GOLD", "41"), ("SPORT", "42")]).services;
        let mut adapter = ExsetAdapter::new(Arc::new(Plan::new(site, services)), 0);
        adapter.handle_input(start(), Input::Start);
        Self { adapter, now: start(), unanswered: VecDeque::new(), submitted: 0, played: String::new() }
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
        self.submitted += 1;
        let resume = resume.map(|text| PlatformReference::new(text).unwrap());
        self.adapter.submit(self.now, Submission { resume, ..submission(self.submitted, body) });
    }

    fn pass(&mut self, text: &str) {
        let time: Duration = text.parse::<jiff::SignedDuration>().unwrap().unsigned_abs();
        self.now = later(self.now, time);
        self.adapter.handle_input(self.now, Input::Deadline);
    }

    fn answer(&mut self, text: &str) {
        let Some((id, columns)) = self.unanswered.pop_front() else {
            // Stands out in the comparison, beside what went before.
            self.played.push_str("nothing is unanswered\n");
            return;
        };
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let error = |code, sent| Done::Table(Err(TableError { code, text: rest.to_owned(), sent }));
        let done = match word {
            "recorded" => Done::Recorded,
            "inserted" => Done::Table(Ok(TableAnswer::Inserted { found: Vec::new() })),
            "rows" => Done::Table(Ok(TableAnswer::Rows(read(&columns, rest)))),
            "lost" => error(TableError::CONNECTION_LOST, Sent::Maybe),
            "down" => error(TableError::CONNECT_FAILED, Sent::No),
            "unwritable" => error(TableError::UNWRITABLE, Sent::No),
            _ => panic!("{text}"),
        };
        self.adapter.handle_input(self.now, Input::Done(id, done));
    }

    fn drain(&mut self) {
        loop {
            match self.adapter.poll_output() {
                Output::Do(id, effect) => {
                    let columns = match &effect {
                        Effect::Table(TableCall::Select(Select { columns, .. })) => Arc::clone(columns),
                        _ => Arc::from([]),
                    };
                    self.unanswered.push_back((id, columns));
                    self.effect(&effect);
                }
                Output::Event(event) => self.event(&event),
                Output::Wait(_) => return,
            }
        }
    }

    fn effect(&mut self, effect: &Effect) {
        let line = match effect {
            Effect::Record(references) => {
                let all: Vec<_> = references.iter().map(|(id, text)| format!("{}={}", id.0, text.as_str())).collect();
                format!("> record {}", all.join(" "))
            }
            Effect::Table(TableCall::Insert(insert)) => {
                let line = |row: &Row| String::from_utf8(rows::line(&insert.columns, row)).unwrap();
                let rows: String = insert.rows.iter().map(|row| format!("\n| {}", line(row).trim_end())).collect();
                format!("> insert{}{rows}", if insert.again { " again" } else { "" })
            }
            Effect::Table(TableCall::Select(select)) => {
                let condition = |condition: &headgate_core::table::Condition| {
                    let word = if condition.among { "in" } else { "not in" };
                    let values: Vec<_> = condition.values.iter().map(crate::sql::shown).collect();
                    format!(" {} {word} {}", condition.column.name, values.join(" "))
                };
                format!("> select{}", select.conditions.iter().map(condition).collect::<String>())
            }
            other => panic!("{other:?}"),
        };
        writeln!(self.played, "{line}").unwrap();
    }

    fn event(&mut self, event: &Event) {
        let line = match event {
            Event::LinkUp(_) => "! up".to_owned(),
            Event::LinkDown(_, failure) => format!("! down: {failure}"),
            Event::Finished(id, outcome) => match &outcome.verdict {
                Verdict::Completed(_) => format!("! {} completed", id.0),
                Verdict::Rejected(failure) => format!("! {} rejected: {failure}", id.0),
                Verdict::Failed(failure) => format!("! {} failed, sent {:?}: {failure}", id.0, failure.sent),
            },
            other => format!("! {other:?}"),
        };
        writeln!(self.played, "{line}").unwrap();
    }
}

/// Rows from a list of JSON objects.
fn read(columns: &[Column], text: &str) -> Vec<Row> {
    let objects: Vec<serde_json::Value> = serde_json::from_str(text).unwrap();
    let row = |object: &serde_json::Value| -> Row {
        let value = |column: &Column| {
            let json = object.get(column.name.as_str()).unwrap_or(&serde_json::Value::Null);
            rows::value(column.kind, json).unwrap()
        };
        columns.iter().map(value).collect()
    };
    objects.iter().map(row).collect()
}
