//! The payload of a message order: tag, length, value, in hexadecimal digits \[S:SGA\].

use std::fmt;

use jiff::civil::DateTime;

/// Most bytes of a payload \[I: from CRM.COM's limits of 141 (mail) and 129 (bark)\].
pub const PAYLOAD_LIMIT: usize = 150;

mod tag {
    pub(super) const TEXT: u8 = 0x01;
    pub(super) const CLASS: u8 = 0x02;
    pub(super) const START: u8 = 0x03;
    pub(super) const DISPLAY: u8 = 0x04;
    pub(super) const COUNT: u8 = 0x05;
    pub(super) const INTERVAL: u8 = 0x06;
}

/// The class byte every source sends; its meaning is unknown \[S:SGA; meaning I\].
pub const CLASS: u8 = 0xff;

/// A message for the screen.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Message {
    /// The words, in the platform's character set. Subscriber data: `Debug` shows only their length.
    pub text: Vec<u8>,
    /// `FF` in every source.
    pub class: u8,
    /// For how long it is shown, in seconds \[I\]; zero: a mail \[S:SGA\].
    pub display_seconds: u16,
    /// When it is shown; absent: at once.
    pub start: Option<PackedTime>,
    /// How often; absent: once.
    pub repeat: Option<Repeat>,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("text", &format_args!("<{} bytes>", self.text.len()))
            .field("class", &format_args!("{:#04x}", self.class))
            .field("display_seconds", &self.display_seconds)
            .field("start", &self.start)
            .field("repeat", &self.repeat)
            .finish()
    }
}

/// How often a message is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Repeat {
    /// How many times.
    pub count: u8,
    /// How far apart, in units of 10 seconds \[I\].
    pub interval: u8,
}

/// A time in four bytes: `ddd DDDDD | yyyy MMMM | 000 hhhhh | 00 mmmmmm`, where `ddd` counts decades
/// since 1990 and `yyyy` is the year within its decade \[S:SGA; first two bytes also S:OS\]. UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PackedTime(DateTime);

impl PackedTime {
    /// The years it can tell.
    pub const YEARS: std::ops::RangeInclusive<i16> = 1990..=2069;

    /// The same to the minute, seconds dropped; none outside of [`PackedTime::YEARS`].
    #[must_use]
    pub fn new(time: DateTime) -> Option<Self> {
        if !Self::YEARS.contains(&time.year()) {
            return None;
        }
        DateTime::new(time.year(), time.month(), time.day(), time.hour(), time.minute(), 0, 0).ok().map(Self)
    }

    /// The time, UTC.
    #[must_use]
    pub const fn time(self) -> DateTime {
        self.0
    }

    /// Its four bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 4] {
        let time = self.0;
        let small = |value: i8| value.unsigned_abs();
        let since = time.year().saturating_sub(*Self::YEARS.start()).unsigned_abs();
        let decade = u8::try_from(since / 10).unwrap_or(7);
        let year = u8::try_from(since % 10).unwrap_or(9);
        [decade << 5 | small(time.day()), year << 4 | small(time.month()), small(time.hour()), small(time.minute())]
    }

    /// Reads four bytes; none if bits are set that must not be, or no such time exists.
    #[must_use]
    pub fn from_bytes([first, second, hour, minute]: [u8; 4]) -> Option<Self> {
        if second >> 4 > 9 {
            return None;
        }
        let year = i16::from(first >> 5) * 10 + i16::from(second >> 4) + Self::YEARS.start();
        let part = |value: u8| i8::try_from(value).ok();
        DateTime::new(year, part(second & 0x0f)?, part(first & 0x1f)?, part(hour)?, part(minute)?, 0, 0).ok().map(Self)
    }
}

/// Why a payload was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlvError {
    /// It ends within a field, or before tag 04.
    #[error("it ends too early, at byte {offset}")]
    Incomplete {
        /// Where it ends, in bytes of the payload from zero.
        offset: usize,
    },
    /// No further byte helps.
    #[error("byte {offset}: {what}")]
    Malformed {
        /// In bytes of the payload, from zero.
        offset: usize,
        /// What was expected.
        what: String,
    },
}

/// One field as it lies in a payload, for explaining it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlvField<'a> {
    /// Its tag.
    pub tag: u8,
    /// Where its tag is, in bytes of the payload from zero.
    pub offset: usize,
    /// Its value.
    pub value: &'a [u8],
}

impl Message {
    /// Its bytes, in the order of the sources: 01 02 04 \[03\] \[05 06\]. None if the text is longer than a
    /// length byte tells or the whole longer than [`PAYLOAD_LIMIT`].
    #[must_use]
    pub fn encode(&self) -> Option<Vec<u8>> {
        let length = u8::try_from(self.text.len()).ok()?;
        let mut bytes = vec![tag::TEXT, length];
        bytes.extend_from_slice(&self.text);
        bytes.extend_from_slice(&[tag::CLASS, 1, self.class]);
        let [high, low] = self.display_seconds.to_be_bytes();
        bytes.extend_from_slice(&[tag::DISPLAY, 2, high, low]);
        if let Some(start) = self.start {
            bytes.extend_from_slice(&[tag::START, 4]);
            bytes.extend_from_slice(&start.to_bytes());
        }
        if let Some(repeat) = self.repeat {
            bytes.extend_from_slice(&[tag::COUNT, 1, repeat.count, tag::INTERVAL, 1, repeat.interval]);
        }
        if bytes.len() <= PAYLOAD_LIMIT { Some(bytes) } else { None }
    }

    /// Reads a whole payload.
    ///
    /// # Errors
    /// [`TlvError`] with the place. A payload that ends after tag 04, or after 03, is whole: the rest is optional.
    pub fn decode(bytes: &[u8]) -> Result<Self, TlvError> {
        if bytes.len() > PAYLOAD_LIMIT {
            return Err(malformed(PAYLOAD_LIMIT, format!("at most {PAYLOAD_LIMIT} bytes were expected")));
        }
        let mut fields = Fields { bytes, offset: 0 };
        let text = fields.variable(tag::TEXT)?.to_vec();
        let [class] = fields.fixed(tag::CLASS)?;
        let display_seconds = u16::from_be_bytes(fields.fixed(tag::DISPLAY)?);
        let start = match fields.peek() {
            Some(tag::START) => {
                let at = fields.offset;
                let time = PackedTime::from_bytes(fields.fixed(tag::START)?);
                Some(time.ok_or_else(|| malformed(at, "a time that exists was expected".into()))?)
            }
            _ => None,
        };
        let repeat = match fields.peek() {
            Some(tag::COUNT) => {
                let [count] = fields.fixed(tag::COUNT)?;
                let [interval] = fields.fixed(tag::INTERVAL)?;
                Some(Repeat { count, interval })
            }
            _ => None,
        };
        match fields.peek() {
            None => Ok(Self { text, class, display_seconds, start, repeat }),
            Some(_) => Err(malformed(fields.offset, "the end of the payload was expected".into())),
        }
    }

    /// The fields of a payload as far as they are whole, whatever their tags.
    #[must_use]
    pub fn fields(bytes: &[u8]) -> Vec<TlvField<'_>> {
        let mut fields = Fields { bytes, offset: 0 };
        let mut all = Vec::new();
        while let Some(tag) = fields.peek() {
            let offset = fields.offset;
            match fields.variable(tag) {
                Ok(value) => all.push(TlvField { tag, offset, value }),
                Err(_) => break,
            }
        }
        all
    }
}

fn malformed(offset: usize, what: String) -> TlvError {
    TlvError::Malformed { offset, what }
}

/// Takes one field after the other.
struct Fields<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Fields<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.offset).copied()
    }

    fn variable(&mut self, wanted: u8) -> Result<&'a [u8], TlvError> {
        let incomplete = TlvError::Incomplete { offset: self.bytes.len() };
        match self.peek() {
            None => return Err(incomplete),
            Some(found) if found != wanted => {
                return Err(malformed(self.offset, format!("tag {wanted:02x} was expected, found {found:02x}")));
            }
            Some(_) => {}
        }
        let length = *self.bytes.get(self.offset + 1).ok_or_else(|| incomplete.clone())?;
        let start = self.offset + 2;
        let end = start + usize::from(length);
        let value = self.bytes.get(start..end).ok_or(incomplete)?;
        self.offset = end;
        Ok(value)
    }

    fn fixed<const N: usize>(&mut self, wanted: u8) -> Result<[u8; N], TlvError> {
        let at = self.offset;
        let length = self.bytes.get(at + 1).copied();
        if self.peek() == Some(wanted) && length.is_some_and(|length| usize::from(length) != N) {
            return Err(malformed(at + 1, format!("tag {wanted:02x} must have length {N}")));
        }
        let value = self.variable(wanted)?;
        value.try_into().map_err(|_| malformed(at, format!("tag {wanted:02x} must have length {N}")))
    }
}
