//! A file as lines, each with its number and its place.

use nom::bytes::streaming::take_till;
use nom::character::streaming::char;
use nom::sequence::terminated;
use nom::{IResult, Parser};

use super::DecodeError;

/// One line, without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// From one.
    pub(crate) number: u32,
    /// Its first byte, from zero.
    pub(crate) offset: usize,
    /// What it holds; a CR before the LF belongs to the line's end.
    pub(crate) text: &'a [u8],
    /// Whether its end was there.
    pub(crate) ended: bool,
}

/// Hands out lines, one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Lines<'a> {
    rest: &'a [u8],
    offset: usize,
    number: u32,
}

impl<'a> Lines<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, offset: 0, number: 0 }
    }

    /// The next line; none at the end. Only the last one can lack its end.
    pub(crate) fn next(&mut self) -> Option<Line<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        self.number = self.number.saturating_add(1);
        let offset = self.offset;
        let whole: IResult<&[u8], &[u8]> = terminated(take_till(|b| b == b'\n'), char('\n')).parse(self.rest);
        let (rest, text, ended) = match whole {
            Ok((rest, text)) => (rest, text.strip_suffix(b"\r").unwrap_or(text), true),
            Err(_) => (Default::default(), self.rest, false),
        };
        self.offset += self.rest.len() - rest.len();
        self.rest = rest;
        Some(Line { number: self.number, offset, text, ended })
    }

    /// The next line, if it is whole.
    ///
    /// # Errors
    /// Incomplete if it is not; malformed if it is longer than `limit` bytes.
    pub(crate) fn whole(&mut self, limit: usize) -> Result<Line<'a>, DecodeError> {
        let end = self.offset + self.rest.len();
        let line = self.next().ok_or(DecodeError::Incomplete { offset: end })?;
        if line.text.len() > limit {
            return Err(line.malformed(format!("a line of at most {limit} bytes was expected"), None));
        }
        if line.ended { Ok(line) } else { Err(DecodeError::Incomplete { offset: end }) }
    }

    /// What was not handed out yet, and where it begins.
    pub(crate) const fn rest(&self) -> (&'a [u8], usize) {
        (self.rest, self.offset)
    }
}

impl Line<'_> {
    pub(crate) fn malformed(&self, what: impl Into<String>, code: Option<super::ErrorCode>) -> DecodeError {
        DecodeError::Malformed { line: self.number, offset: self.offset, what: what.into(), code }
    }
}
