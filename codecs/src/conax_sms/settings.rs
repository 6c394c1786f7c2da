//! What an operator can set in a provider's `settings` table.

use std::time::Duration;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::registry::{SettingsError, read_settings};

use super::wire::{CountWidths, LineEnd, NumberRules, Style, TransactionNumber};

/// Settings of a provider that speaks `conax-sms`. Every one has a default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where files lie, below the provider's home directory.
    pub directories: Directories,
    /// Most numbers of cards or boxes in one order file, 1 to 20000. Default 20000 \[S:C1\].
    #[schemars(range(min = 1, max = 20_000))]
    pub max_ids_per_file: usize,
    /// Most numbers of cards in one message file, 1 to 20000. Default 4000 \[S:SGA\].
    #[schemars(range(min = 1, max = 20_000))]
    pub max_ids_per_message_file: usize,
    /// How long requests of one kind are gathered before their file is written, 0s to 1h. Default 2s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub flush_interval: Duration,
    /// The same once an express request is among them: the whole file goes with it. 0s to 1h, not longer
    /// than `flush_interval`. Default 0s: at once.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub express_flush_interval: Duration,
    /// How long after a file was written the directories are looked at first, 10ms to 1h. Default 1s
    /// \[S:AB,AX\]. While nothing is answered, the interval doubles.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub poll_interval: Duration,
    /// How far that interval grows, `poll_interval` to 1h. Default 15s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub longest_poll_interval: Duration,
    /// How often the directories are looked at while nothing is under way, to know whether the server can be
    /// reached, 1s to 24h. Default 1m.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub idle_poll_interval: Duration,
    /// How long a file may lie unanswered, 1s to 720h. Then it is withdrawn and its requests end as
    /// unanswered. Default 1h.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub answer_timeout: Duration,
    /// How long an answer may stay half written, and a refusal unexplained, 1s to 24h. Default 1m.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub settle_timeout: Duration,
    /// How many digits the count of numbers has.
    pub count_widths: CountWidths,
    /// How a line ends. Default `lf`.
    pub line_end: LineEnd,
    /// Where a period ends that the request leaves open: at 23:59 on the last day of the month, so many
    /// months from now, 0 to 120. Default 1. A start left open is the first of this month, 00:00 \[S:AB,AX\].
    #[schemars(range(min = 0, max = 120))]
    pub add_end_months: u32,
    /// The zone of times in order files, as in `"Europe/Oslo"`. Default `"UTC"` \[S:SGA; AB uses local time\].
    /// Starts of messages are always UTC.
    pub time_zone: String,
    /// The transaction numbers this gateway uses. Give every client of one account its own range.
    pub numbers: NumberRange,
    /// What a file's name ends with while it is written, instead of `.emm`. A dot and 1 to 15 letters or
    /// digits. Default `".tmp"` \[S:AB,AX\].
    #[schemars(regex(pattern = r"^\.[A-Za-z0-9]{1,15}$"))]
    pub temporary_suffix: String,
    /// The character set of messages. Default `ascii`; which ones the platform shows is unknown.
    pub charset: Charset,
    /// Whether answers are deleted once they are read, which frees their numbers. Default true.
    pub clean_up: bool,
    /// What a card's 11 digits must begin with, 0 to 10 digits. Default: anything. One operator demands `01` \[S:SGA\].
    #[schemars(regex(pattern = "^[0-9]{0,10}$"))]
    pub card_prefix: String,
    /// What a set-top box's number must begin with, 0 to 10 digits. Default: anything. One operator demands `00` \[S:SGA\].
    #[schemars(regex(pattern = "^[0-9]{0,10}$"))]
    pub stb_prefix: String,
    /// Most files written and not yet answered, 1 to 10000. Default 200.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_files_in_flight: usize,
    /// Most requests gathered or under way, 1 to 1000000. Default 200000.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_submissions: usize,
    /// Most bytes of a status answer or of `errors.txt`, 1024 to 268435456. Default 67108864.
    #[schemars(range(min = 1024, max = 268_435_456))]
    pub answer_limit: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            directories: Directories::default(),
            max_ids_per_file: 20_000,
            max_ids_per_message_file: 4_000,
            flush_interval: Duration::from_secs(2),
            express_flush_interval: Duration::ZERO,
            poll_interval: Duration::from_secs(1),
            longest_poll_interval: Duration::from_secs(15),
            idle_poll_interval: Duration::from_mins(1),
            answer_timeout: Duration::from_hours(1),
            settle_timeout: Duration::from_mins(1),
            count_widths: CountWidths::default(),
            line_end: LineEnd::default(),
            add_end_months: 1,
            time_zone: "UTC".into(),
            numbers: NumberRange::default(),
            temporary_suffix: ".tmp".into(),
            charset: Charset::default(),
            clean_up: true,
            card_prefix: String::new(),
            stb_prefix: String::new(),
            max_files_in_flight: 200,
            max_submissions: 200_000,
            answer_limit: 64 * 1024 * 1024,
        }
    }
}

/// Where files lie, below the provider's home directory. No path begins or ends with `/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Directories {
    /// Where orders are written. Default `"autreq/req"` \[S:AB,AX,SGA\].
    pub req: String,
    /// Where accepted ones are moved to, and status answers lie. Default `"autreq/ok"`.
    pub ok: String,
    /// Where refused ones are moved to. Default `"autreq/err"`.
    pub err: String,
    /// The file that tells why. Default `"autreq/err/errors.txt"`.
    pub errors_file: String,
    /// A second place of that file, as in `"aut/err/errors.txt"` \[S:SGA\]. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_errors_file: Option<String>,
}

impl Default for Directories {
    fn default() -> Self {
        Self {
            req: "autreq/req".into(),
            ok: "autreq/ok".into(),
            err: "autreq/err".into(),
            errors_file: "autreq/err/errors.txt".into(),
            second_errors_file: None,
        }
    }
}

/// A range of transaction numbers, cycled through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NumberRange {
    /// The lowest, 1 to 999999. Default 1.
    #[schemars(range(min = 1, max = 999_999))]
    pub first: u32,
    /// The highest, `first` to 999999. Default 999999.
    #[schemars(range(min = 1, max = 999_999))]
    pub last: u32,
}

impl Default for NumberRange {
    fn default() -> Self {
        Self { first: 1, last: TransactionNumber::MAX }
    }
}

/// The character set of messages: which bytes their hexadecimal digits tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Charset {
    /// 7 bits; other characters are refused.
    #[default]
    Ascii,
    /// ISO 8859-1; characters beyond it are refused.
    Latin1,
    /// UTF-8.
    #[serde(rename = "utf-8")]
    Utf8,
}

impl Charset {
    /// The bytes of a text; none if a character is not in the set.
    #[must_use]
    pub fn encode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Ascii if text.is_ascii() => Some(text.as_bytes().to_vec()),
            Self::Ascii => None,
            Self::Latin1 => text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect(),
            Self::Utf8 => Some(text.as_bytes().to_vec()),
        }
    }

    /// The text of bytes, with marks where they are none.
    #[must_use]
    pub fn decode(self, bytes: &[u8]) -> String {
        match self {
            Self::Latin1 => bytes.iter().copied().map(char::from).collect(),
            Self::Ascii | Self::Utf8 => String::from_utf8_lossy(bytes).into_owned(),
        }
    }
}

/// Settings that were checked, and what follows from them.
#[derive(Clone, Debug)]
pub struct Site {
    /// The settings.
    pub settings: Settings,
    /// The zone of times in order files.
    pub zone: TimeZone,
    /// How serial numbers become numbers as sent.
    pub numbers: NumberRules,
    /// How files are written.
    pub style: Style,
}

impl Site {
    /// Reads and checks a provider's `settings` table.
    ///
    /// # Errors
    /// [`SettingsError`] with the path of the first one that can not be.
    pub fn read(settings: &Value) -> Result<Self, SettingsError> {
        if settings.is_null() {
            return Self::new(Settings::default());
        }
        Self::new(read_settings(settings)?)
    }

    /// Checks settings.
    ///
    /// # Errors
    /// [`SettingsError`] with the path of the first one that can not be.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let s = &settings;
        number("max_ids_per_file", s.max_ids_per_file, 1, 20_000)?;
        number("max_ids_per_message_file", s.max_ids_per_message_file, 1, 20_000)?;
        number("max_files_in_flight", s.max_files_in_flight, 1, 10_000)?;
        number("max_submissions", s.max_submissions, 1, 1_000_000)?;
        number("answer_limit", s.answer_limit, 1024, 256 * 1024 * 1024)?;
        number("add_end_months", s.add_end_months as usize, 0, 120)?;
        number("numbers.first", s.numbers.first as usize, 1, 999_999)?;
        number("numbers.last", s.numbers.last as usize, s.numbers.first as usize, 999_999)?;
        let widths = &s.count_widths;
        for (path, width) in [
            ("count_widths.ps", widths.ps),
            ("count_widths.cs", widths.cs),
            ("count_widths.sc", widths.sc),
            ("count_widths.vp", widths.vp),
            ("count_widths.unpair", widths.unpair),
            ("count_widths.message", widths.message),
        ] {
            number(path, usize::from(width), 5, 6)?;
        }
        let hour = Duration::from_hours(1);
        let second = Duration::from_secs(1);
        duration("flush_interval", s.flush_interval, Duration::ZERO, hour)?;
        duration("express_flush_interval", s.express_flush_interval, Duration::ZERO, s.flush_interval)?;
        duration("poll_interval", s.poll_interval, Duration::from_millis(10), hour)?;
        duration("longest_poll_interval", s.longest_poll_interval, s.poll_interval, hour)?;
        duration("idle_poll_interval", s.idle_poll_interval, second, hour * 24)?;
        duration("answer_timeout", s.answer_timeout, second, hour * 720)?;
        duration("settle_timeout", s.settle_timeout, second, hour * 24)?;
        paths(&s.directories)?;
        suffix(&s.temporary_suffix)?;
        prefix("card_prefix", &s.card_prefix)?;
        prefix("stb_prefix", &s.stb_prefix)?;
        let zone = zone(&s.time_zone)?;
        let numbers = NumberRules { card_prefix: s.card_prefix.clone(), stb_prefix: s.stb_prefix.clone() };
        let style = Style { line_end: s.line_end, widths: s.count_widths };
        Ok(Self { settings, zone, numbers, style })
    }
}

/// UTC needs no zone database; every other zone does.
fn zone(name: &str) -> Result<TimeZone, SettingsError> {
    if name == "UTC" {
        return Ok(TimeZone::UTC);
    }
    TimeZone::get(name).map_err(|_| {
        let text = "is not in this machine's time zone database (package tzdata); write a zone as in \"UTC\" or \"Europe/Oslo\"";
        SettingsError::new("time_zone", text)
    })
}

fn number(path: &str, value: usize, min: usize, max: usize) -> Result<(), SettingsError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(SettingsError::new(path, format!("is {value}; it must be {min} to {max}")))
}

fn duration(path: &str, value: Duration, min: Duration, max: Duration) -> Result<(), SettingsError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(SettingsError::new(path, format!("is {value:?}; it must be {min:?} to {max:?}")))
}

fn paths(directories: &Directories) -> Result<(), SettingsError> {
    let second = directories.second_errors_file.as_deref();
    let all = [
        ("directories.req", Some(directories.req.as_str())),
        ("directories.ok", Some(directories.ok.as_str())),
        ("directories.err", Some(directories.err.as_str())),
        ("directories.errors_file", Some(directories.errors_file.as_str())),
        ("directories.second_errors_file", second),
    ];
    let mut seen = Vec::new();
    for (name, path) in all.into_iter().filter_map(|(name, path)| path.map(|path| (name, path))) {
        let part = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains(char::is_control);
        if !path.split('/').all(part) {
            let text = "must be a path below the home directory, as in \"autreq/req\", without \"..\" and a \"/\" at either end";
            return Err(SettingsError::new(name, text));
        }
        if seen.contains(&path) {
            return Err(SettingsError::new(name, "must not be the same as another one"));
        }
        seen.push(path);
    }
    Ok(())
}

fn suffix(suffix: &str) -> Result<(), SettingsError> {
    let word = suffix.strip_prefix('.').unwrap_or_default();
    let fits = (1..=15).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_alphanumeric());
    if fits && !suffix.eq_ignore_ascii_case(".emm") {
        return Ok(());
    }
    let text = "must be a dot and 1 to 15 letters or digits, as in \".tmp\", and not \".emm\"";
    Err(SettingsError::new("temporary_suffix", text))
}

fn prefix(path: &str, prefix: &str) -> Result<(), SettingsError> {
    if prefix.len() <= 10 && prefix.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(());
    }
    Err(SettingsError::new(path, "must be at most 10 digits"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_setting_has_a_default() {
        assert_eq!(Site::read(&json!({})).unwrap().settings, Settings::default());
        assert_eq!(Site::read(&Value::Null).unwrap().settings, Settings::default());
    }

    #[test]
    fn settings_are_read_back_as_written() {
        let written = serde_json::to_value(Settings::default()).unwrap();
        assert_eq!(Site::read(&written).unwrap().settings, Settings::default());
    }

    #[test]
    fn a_mistake_is_named_by_its_path() {
        for (settings, path) in [
            (json!({"max_ids_per_file": 0}), "max_ids_per_file"),
            (json!({"max_ids_per_file": 20001}), "max_ids_per_file"),
            (json!({"max_ids_per_message_file": 20001}), "max_ids_per_message_file"),
            (json!({"count_widths": {"vp": 7}}), "count_widths.vp"),
            (json!({"numbers": {"first": 0}}), "numbers.first"),
            (json!({"numbers": {"first": 10, "last": 9}}), "numbers.last"),
            (json!({"flush_interval": "soon"}), "flush_interval"),
            (json!({"flush_interval": "2h"}), "flush_interval"),
            (json!({"flush_interval": "1s", "express_flush_interval": "2s"}), "express_flush_interval"),
            (json!({"poll_interval": "1ms"}), "poll_interval"),
            (json!({"longest_poll_interval": "10ms"}), "longest_poll_interval"),
            (json!({"answer_timeout": "0s"}), "answer_timeout"),
            (json!({"directories": {"req": "/autreq/req"}}), "directories.req"),
            (json!({"directories": {"ok": "autreq/req"}}), "directories.ok"),
            (json!({"directories": {"err": "../err"}}), "directories.err"),
            (json!({"directories": {"errors": "x"}}), "directories.errors"),
            (json!({"temporary_suffix": ".emm"}), "temporary_suffix"),
            (json!({"temporary_suffix": "tmp"}), "temporary_suffix"),
            (json!({"time_zone": "Mars/Base"}), "time_zone"),
            (json!({"card_prefix": "0x"}), "card_prefix"),
            (json!({"charset": "ebcdic"}), "charset"),
            (json!({"colour": "red"}), "colour"),
        ] {
            assert_eq!(Site::read(&settings).unwrap_err().path, path, "{settings}");
        }
    }

    #[test]
    fn character_sets_refuse_what_they_lack() {
        assert_eq!(Charset::Ascii.encode("é"), None);
        assert_eq!(Charset::Latin1.encode("é").as_deref(), Some(&[0xe9][..]));
        assert_eq!(Charset::Latin1.encode("€"), None);
        assert_eq!(Charset::Utf8.encode("é").as_deref(), Some("é".as_bytes()));
        assert_eq!(Charset::Latin1.decode(&[0xe9]), "é");
    }
}
