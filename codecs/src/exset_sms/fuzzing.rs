//! Entry points for fuzz targets. Each takes any bytes, and panics only where a promise is broken.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use headgate_core::adapter::{Adapter, Done, Effect, Event, Input, Output, Submission, SubmissionId};
use headgate_core::body::RequestBody;
use headgate_core::failure::Sent;
use headgate_core::provider::ServiceMap;
use headgate_core::request::{Request, RequestId};
use headgate_core::table::{Column, Row, TableAnswer, TableCall, TableError, Value, ValueKind};
use headgate_core::text::PlatformReference;
use headgate_core::{Now, Tick};
use jiff::Timestamp;

use super::adapter::ExsetAdapter;
use super::dissect;
use super::plan::Plan;
use super::profile::Profile;
use super::settings::{Settings, Site};
use super::wire::Entry;

/// Profiles, written in TOML. One that compiles writes entries that it reads again.
pub fn profile(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(profile) = Profile::from_toml(text) else { return };
    for (command, form) in profile.commands() {
        let parameters = form.parameters.iter().map(|parameter| (*parameter, Value::text("7"))).collect();
        let entry = Entry { command, parameters };
        let Ok(row) = entry.write(&profile, &Value::text("k"), Timestamp::UNIX_EPOCH) else { continue };
        assert!(row.len() == profile.written.len(), "a row has a value for each column");
        // The parameters may be of other kinds than text; what is read need not be a command then.
        let _ = Entry::read(&profile, &profile.written, &row);
    }
}

/// Rows read back: as JSON lines, and as a platform's worker gets them.
pub fn rows(data: &[u8]) {
    let Ok(profile) = Profile::shipped() else { return };
    for dissection in dissect::explain(&profile, data) {
        let end = dissection.fields.iter().map(|field| field.offset + field.length).max();
        assert!(end.unwrap_or_default() <= data.len(), "a field lies outside of the bytes");
    }
    let mut script = Script { data };
    let columns = Arc::clone(&profile.written);
    let row: Row = columns.iter().map(|column| script.value(column)).collect();
    if let Ok(entry) = Entry::read(&profile, &columns, &row)
        && let Ok(written) = entry.write(&profile, &Value::text("k"), Timestamp::UNIX_EPOCH)
    {
        let again = Entry::read(&profile, &columns, &written);
        assert!(again.as_ref() == Ok(&entry), "an entry read back differently");
    }
}

/// An adapter with some requests, whose database answers whatever the bytes say. Every request must end at most once.
pub fn adapter(data: &[u8]) {
    let settings = Settings { answer_timeout: Duration::from_secs(30), inserts: 1, ..Settings::default() };
    let Ok(site) = Site::new(settings) else { return };
    let mut adapter = ExsetAdapter::new(Arc::new(Plan::new(site, ServiceMap::default())), 0);
    let mut script = Script { data };
    let mut now = Now { tick: Tick::default(), wall: Timestamp::UNIX_EPOCH };
    let mut open = BTreeSet::new();
    let mut keys: Vec<Value> = Vec::new();
    adapter.handle_input(now, Input::Start);
    let mut submitted = 0;
    while script.left() {
        if adapter.capacity() > 0
            && script.byte().is_multiple_of(4)
            && let Some(submission) = submission(submitted, &mut script)
        {
            submitted += 1;
            open.insert(submission.id);
            adapter.submit(now, submission);
        }
        match adapter.poll_output() {
            Output::Do(id, Effect::Table(call)) => {
                if let TableCall::Insert(insert) = &call {
                    keys.extend(insert.rows.iter().filter_map(|row| row.first().cloned()));
                }
                let done = Done::Table(script.answer(&call, &keys));
                adapter.handle_input(now, Input::Done(id, done));
            }
            Output::Do(id, _) => adapter.handle_input(now, Input::Done(id, Done::Recorded)),
            Output::Event(Event::Finished(id, _)) => assert!(open.remove(&id), "a request ended twice"),
            Output::Event(_) => {}
            Output::Wait(deadline) => {
                script.byte();
                let wait = deadline.map_or(Duration::from_secs(1), |deadline| deadline.at.since(now.tick));
                now = Now { tick: now.tick + wait, wall: now.wall_after(wait) };
                adapter.handle_input(now, Input::Deadline);
            }
        }
    }
}

const BODIES: [&str; 4] = [
    r#"{"provider":"p","command":"send_message","smartcard":"1","message":{"kind":"mail","text":"HELLO"}}"#,
    r#"{"provider":"p","command":"refresh_services","subscription":"S","smartcards":["1","2","3"]}"#,
    r#"{"provider":"p","command":"pair","smartcard":"1","stb":"B"}"#,
    r#"{"provider":"p","command":"test_connection"}"#,
];

fn submission(number: u64, script: &mut Script<'_>) -> Option<Submission> {
    let body: RequestBody = serde_json::from_str(BODIES.get(usize::from(script.byte() % 4))?).ok()?;
    let command = body.command().ok()?;
    let request = Request { number, ..Request::new(RequestId(Default::default()), &body, command) };
    let resume = match script.byte() % 8 {
        0 => PlatformReference::new("019c2f7e-8a00-7abc-9def-0123456a7000/1").ok(),
        1 => PlatformReference::new("019c2f7e-8a00-7abc-9def-0123456a8000/3").ok(),
        _ => None,
    };
    Some(Submission { id: SubmissionId(number), request: Arc::new(request), resume })
}

/// Bytes that decide what the database answers.
struct Script<'a> {
    data: &'a [u8],
}

impl Script<'_> {
    const fn left(&self) -> bool {
        !self.data.is_empty()
    }

    fn byte(&mut self) -> u8 {
        let (first, rest) = self.data.split_first().map_or((0, &[][..]), |(first, rest)| (*first, rest));
        self.data = rest;
        first
    }

    fn text(&mut self) -> String {
        let length = usize::from(self.byte() % 32);
        let (now, later) = self.data.split_at(length.min(self.data.len()));
        self.data = later;
        String::from_utf8_lossy(now).into_owned()
    }

    /// A value as a database gives it: of the column's kind, or nothing.
    fn value(&mut self, column: &Column) -> Value {
        const WORDS: [&str; 8] = ["NEW", "SENT", "OK", "ERROR", "E201", "MESSAGE", "PAIR", "mail"];
        match (self.byte() % 4, column.kind) {
            (0, _) => Value::Null,
            (1, ValueKind::Text) => Value::text(*WORDS.get(usize::from(self.byte() % 8)).unwrap_or(&"")),
            (_, ValueKind::Text) => Value::Text(self.text()),
            (_, ValueKind::Integer) => Value::Integer(i64::from(self.byte())),
            (_, ValueKind::Timestamp) => Value::Timestamp(Timestamp::UNIX_EPOCH),
            (_, ValueKind::Bytes) => Value::Bytes(self.text().into()),
            (_, ValueKind::Bool) => Value::Bool(self.byte() > 127),
        }
    }

    fn answer(&mut self, call: &TableCall, keys: &[Value]) -> Result<TableAnswer, TableError> {
        const CODES: [&str; 6] = [
            TableError::CONNECT_FAILED,
            TableError::CONNECTION_LOST,
            TableError::NO_ANSWER,
            TableError::REFUSED,
            TableError::CONFLICT,
            TableError::UNWRITABLE,
        ];
        let choice = self.byte();
        if let Some(code) = CODES.get(usize::from(choice % 16)) {
            let sent = if choice & 0x10 == 0 { Sent::No } else { Sent::Maybe };
            return Err(TableError { code, text: String::new(), sent });
        }
        Ok(match call {
            TableCall::Insert(_) => TableAnswer::Inserted { found: Vec::new() },
            TableCall::Update(_) => TableAnswer::Updated(0),
            TableCall::Watch { .. } => TableAnswer::Notified,
            TableCall::Select(select) => {
                let count = usize::from(self.byte() % 8);
                let row = |this: &mut Self| -> Row {
                    let mut row: Row = select.columns.iter().map(|column| this.value(column)).collect();
                    if let (Some(first), Some(key)) = (row.first_mut(), keys.get(usize::from(this.byte()))) {
                        *first = key.clone();
                    }
                    row
                };
                TableAnswer::Rows((0..count).map(|_| row(self)).collect())
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::profile::SHIPPED;

    proptest! {
        #[test]
        fn no_target_fails(data: Vec<u8>) {
            for target in [super::profile, super::rows, super::adapter] {
                target(&data);
            }
        }

        #[test]
        fn the_adapter_bears_long_runs(data in prop::collection::vec(any::<u8>(), 500..4000)) {
            super::adapter(&data);
        }

        #[test]
        fn a_profile_with_a_hole_is_borne(at in 0..SHIPPED.len(), length in 1..40_usize) {
            let bytes = SHIPPED.as_bytes();
            super::profile(&[&bytes[..at], &bytes[(at + length).min(bytes.len())..]].concat());
        }
    }
}
