//! Bytes into lines: bounded in length, and in how long one may take.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use tokio::time::{Instant, timeout_at};

use super::Limits;

/// Reads lines from a stream of bytes.
#[derive(Debug)]
pub(super) struct Lines<S> {
    source: S,
    buffer: BytesMut,
    /// How much of the buffer holds no line feed.
    searched: usize,
    /// The number of the line that is being read, less one.
    number: u64,
    /// Whether the line being read is over the limit already and passed over.
    skipping: bool,
    ended: bool,
    /// When the line being read began.
    began: Instant,
    heard: Instant,
    /// A line that was given back.
    again: Option<Line>,
    limits: Limits,
}

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Its number, counted from one, and what it says, without its end; not blank.
    Text(u64, Bytes),
    /// Its number. It was longer than the limit, and is passed over.
    TooLong(u64),
}

/// Why there is no line.
#[derive(Debug)]
pub(super) enum LineError {
    /// Nothing came for that long.
    Slow(Duration),
    /// The connection broke.
    Broken(std::io::Error),
}

impl<S: Stream<Item = std::io::Result<Bytes>> + Unpin> Lines<S> {
    /// Lines of at most `limits.body` bytes.
    pub(super) fn new(source: S, limits: &Limits) -> Self {
        Self {
            source,
            buffer: BytesMut::new(),
            searched: 0,
            number: 0,
            skipping: false,
            ended: false,
            began: Instant::now(),
            heard: Instant::now(),
            again: None,
            limits: *limits,
        }
    }

    /// The number of the line that is being read.
    pub(super) const fn number(&self) -> u64 {
        self.number + 1
    }

    /// Lets the client's time start anew: it waited for us.
    pub(super) fn touch(&mut self) {
        self.heard = Instant::now();
    }

    /// Gives a line back: [`Lines::next`] returns it again.
    pub(super) fn give_back(&mut self, line: Line) {
        self.again = Some(line);
    }

    /// The next line; nothing, at the end. May be dropped and called again without losing anything.
    ///
    /// Within a line, and before the first, the client has `read_timeout` for its next bytes, and `idle` for all of
    /// the line. Between lines it has
    /// `idle` if `quiet`, that is if it waits for nothing from us; else it has all the time.
    ///
    /// # Errors
    /// [`LineError`]: then there are no more lines.
    pub(super) async fn next(&mut self, quiet: bool) -> Result<Option<Line>, LineError> {
        loop {
            if let Some(line) = self.again.take().or_else(|| self.buffered()) {
                return Ok(Some(line));
            }
            if self.ended {
                return Ok(None);
            }
            let more = match self.deadline(quiet) {
                None => self.source.next().await,
                Some((until, limit)) => {
                    timeout_at(until, self.source.next()).await.map_err(|_| LineError::Slow(limit))?
                }
            };
            match more {
                None => self.ended = true,
                Some(Ok(bytes)) => {
                    self.heard = Instant::now();
                    if self.buffer.is_empty() && !self.skipping {
                        self.began = self.heard;
                    }
                    self.buffer.extend_from_slice(&bytes);
                }
                Some(Err(error)) => return Err(LineError::Broken(error)),
            }
        }
    }

    fn deadline(&self, quiet: bool) -> Option<(Instant, Duration)> {
        let between = self.buffer.is_empty() && !self.skipping && self.number > 0;
        match (between, quiet) {
            (false, _) => Some(self.limits.deadline(self.began, self.heard)),
            (true, true) => Some((self.heard + self.limits.idle, self.limits.idle)),
            (true, false) => None,
        }
    }

    /// A line that is in the buffer. The last one needs no line feed.
    fn buffered(&mut self) -> Option<Line> {
        loop {
            let fresh = self.buffer.get(self.searched..).unwrap_or_default();
            let Some(found) = fresh.iter().position(|byte| *byte == b'\n') else {
                self.searched = self.buffer.len();
                if self.searched > self.limits.body {
                    self.skipping = true;
                }
                if self.skipping {
                    self.buffer.clear();
                    self.searched = 0;
                }
                if !self.ended || (self.buffer.is_empty() && !self.skipping) {
                    return None;
                }
                let rest = self.buffer.split();
                if let Some(line) = self.finish(rest) {
                    return Some(line);
                }
                continue;
            };
            let mut line = self.buffer.split_to(self.searched + found + 1);
            line.truncate(line.len() - 1);
            if let Some(line) = self.finish(line) {
                return Some(line);
            }
        }
    }

    /// Ends a line: counts it, and tells what it is unless it is blank.
    fn finish(&mut self, mut line: BytesMut) -> Option<Line> {
        self.searched = 0;
        self.number += 1;
        self.began = self.heard;
        if std::mem::take(&mut self.skipping) || line.len() > self.limits.body {
            return Some(Line::TooLong(self.number));
        }
        let trimmed = line.trim_ascii_end().len();
        line.truncate(trimmed);
        let blank = line.len() - line.trim_ascii_start().len();
        line.advance(blank);
        (!line.is_empty()).then(|| Line::Text(self.number, line.freeze()))
    }
}
