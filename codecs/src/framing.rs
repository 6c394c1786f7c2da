//! Where a message ends in a stream of bytes: apart from what it says, and with a limit on its length.
//!
//! A stream protocol describes its frames with a [`Framing`], writes them with [`Framing::begin`] and
//! [`Framing::finish`], and cuts what it receives with an [`Inbox`].

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

/// How frames are told apart, and how long one may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Framing {
    /// What tells them apart.
    pub marking: Marking,
    /// Most bytes of a frame's content, without length prefix or delimiter.
    pub limit: usize,
}

/// What tells frames apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Marking {
    /// The length stands before the content, as a big-endian number of that many bytes (1 to 4).
    BinaryLength {
        /// How many bytes the length has.
        width: usize,
        /// Whether the length counts its own bytes too.
        counts_itself: bool,
    },
    /// The length stands before the content, as that many decimal digits (1 to 9).
    DecimalLength {
        /// How many digits the length has.
        width: usize,
        /// Whether the length counts its own digits too.
        counts_itself: bool,
    },
    /// These bytes end a frame and never stand within one; at least one byte.
    Delimiter(Box<[u8]>),
}

/// The stream can not be cut into frames any more: only closing it helps.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text} at byte {offset}")]
pub struct FramingLost {
    /// The first byte that does not fit, counted from the frame's first.
    pub offset: usize,
    /// What is wrong.
    pub text: String,
}

/// A content that can not be framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unframeable {
    /// It is longer than the limit or than its length field can say.
    #[error("the message has {length} bytes, more than the {limit} a frame may have")]
    TooLong {
        /// Its length, in bytes.
        length: usize,
        /// Most bytes a frame may have.
        limit: usize,
    },
    /// It contains the delimiter.
    #[error("the message contains the bytes that end a frame")]
    HoldsDelimiter,
}

/// Where one frame stands within bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The content.
    pub content: Range<usize>,
    /// Where the next frame starts.
    pub end: usize,
}

impl Framing {
    /// The frame that `bytes` starts with; nothing, if more bytes are needed to tell.
    ///
    /// # Errors
    /// [`FramingLost`] if no more bytes could make it a frame.
    pub fn cut(&self, bytes: &[u8]) -> Result<Option<Cut>, FramingLost> {
        match &self.marking {
            Marking::BinaryLength { width, counts_itself } => {
                let Some(prefix) = bytes.get(..*width) else { return Ok(None) };
                let said = prefix.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
                self.cut_counted(bytes, *width, said, *counts_itself)
            }
            Marking::DecimalLength { width, counts_itself } => {
                let prefix = bytes.get(..*width).unwrap_or(bytes);
                if let Some(offset) = prefix.iter().position(|byte| !byte.is_ascii_digit()) {
                    return Err(FramingLost { offset, text: "the length is not a decimal number".into() });
                }
                if prefix.len() < *width {
                    return Ok(None);
                }
                let said = prefix.iter().fold(0, |sum, byte| sum * 10 + usize::from(byte - b'0'));
                self.cut_counted(bytes, *width, said, *counts_itself)
            }
            Marking::Delimiter(delimiter) => match find(bytes, delimiter) {
                Some(at) if at <= self.limit => Ok(Some(Cut { content: 0..at, end: at + delimiter.len() })),
                None if bytes.len() < self.limit.saturating_add(delimiter.len()) => Ok(None),
                _ => {
                    let text = format!("no end of frame within {} bytes", self.limit);
                    Err(FramingLost { offset: self.limit, text })
                }
            },
        }
    }

    /// Starts a frame at the end of `out`; the content follows. Returns where the frame starts, for [`Framing::finish`].
    pub fn begin(&self, out: &mut BytesMut) -> usize {
        let start = out.len();
        out.put_bytes(0, self.prefix_width());
        start
    }

    /// Ends the frame that started at `start`: fills in its length or adds the delimiter.
    ///
    /// # Errors
    /// [`Unframeable`]; the frame is then taken off `out` again.
    pub fn finish(&self, out: &mut BytesMut, start: usize) -> Result<(), Unframeable> {
        let result = self.try_finish(out, start);
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    /// How many bytes stand before the content.
    #[must_use]
    pub const fn prefix_width(&self) -> usize {
        match self.marking {
            Marking::BinaryLength { width, .. } | Marking::DecimalLength { width, .. } => width,
            Marking::Delimiter(_) => 0,
        }
    }

    /// The longest content that this framing can carry, in bytes.
    #[must_use]
    pub fn longest(&self) -> usize {
        let (base, width, counts_itself) = match self.marking {
            Marking::BinaryLength { width, counts_itself } => (256_usize, width, counts_itself),
            Marking::DecimalLength { width, counts_itself } => (10, width, counts_itself),
            Marking::Delimiter(_) => return self.limit,
        };
        let sayable = u32::try_from(width).ok().and_then(|width| base.checked_pow(width)).map_or(usize::MAX, |n| n - 1);
        self.limit.min(sayable.saturating_sub(if counts_itself { width } else { 0 }))
    }

    fn cut_counted(
        &self,
        bytes: &[u8],
        width: usize,
        said: usize,
        counts_itself: bool,
    ) -> Result<Option<Cut>, FramingLost> {
        let length = if counts_itself { said.checked_sub(width) } else { Some(said) };
        let Some(length) = length else {
            return Err(FramingLost { offset: 0, text: format!("a length of {said} does not even hold itself") });
        };
        if length > self.limit {
            let text = format!("a frame of {length} bytes is longer than the limit of {}", self.limit);
            return Err(FramingLost { offset: 0, text });
        }
        let end = width + length;
        Ok((bytes.len() >= end).then_some(Cut { content: width..end, end }))
    }

    fn try_finish(&self, out: &mut BytesMut, start: usize) -> Result<(), Unframeable> {
        let content = start + self.prefix_width();
        let length = out.len().saturating_sub(content);
        if length > self.longest() {
            return Err(Unframeable::TooLong { length, limit: self.longest() });
        }
        let (base, width, counts_itself, zero) = match &self.marking {
            Marking::BinaryLength { width, counts_itself } => (256, *width, *counts_itself, 0),
            Marking::DecimalLength { width, counts_itself } => (10, *width, *counts_itself, b'0'),
            Marking::Delimiter(delimiter) => {
                if find(out.get(start..).unwrap_or_default(), delimiter).is_some() {
                    return Err(Unframeable::HoldsDelimiter);
                }
                out.put_slice(delimiter);
                return Ok(());
            }
        };
        let mut left = if counts_itself { length + width } else { length };
        for place in out.get_mut(start..content).unwrap_or_default().iter_mut().rev() {
            // The remainder is below the base, which is at most 256.
            *place = zero + u8::try_from(left % base).unwrap_or_default();
            left /= base;
        }
        Ok(())
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len().max(1)).position(|window| window == wanted)
}

/// Bytes received on one link and not yet understood.
#[derive(Debug)]
pub struct Inbox {
    buffer: BytesMut,
}

impl Default for Inbox {
    fn default() -> Self {
        // The buffer grows by what it started with, so a start of nothing would mean many small blocks.
        Self { buffer: BytesMut::with_capacity(8 * 1024) }
    }
}

impl Inbox {
    /// Adds what came in.
    pub fn push(&mut self, received: &[u8]) {
        self.buffer.extend_from_slice(received);
    }

    /// The next whole frame, taken out; nothing, if it is not whole yet. The frame shares the inbox's
    /// memory, so taking it copies nothing.
    ///
    /// # Errors
    /// [`FramingLost`]: take what came with [`Inbox::take_all`] and close the link.
    pub fn next_frame(&mut self, framing: &Framing) -> Result<Option<Frame>, FramingLost> {
        Ok(framing
            .cut(&self.buffer)?
            .map(|cut| Frame { whole: self.buffer.split_to(cut.end).freeze(), content: cut.content }))
    }

    /// Everything that is left, taken out.
    pub fn take_all(&mut self) -> Bytes {
        self.buffer.split().freeze()
    }
}

/// One frame as it was received.
#[derive(Clone, Debug)]
pub struct Frame {
    /// All of it, with length prefix or delimiter.
    pub whole: Bytes,
    content: Range<usize>,
}

impl Frame {
    /// The message in it.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        self.whole.get(self.content.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framings() -> Vec<(Framing, &'static [u8])> {
        let framing = |marking| Framing { marking, limit: 300 };
        vec![
            (framing(Marking::BinaryLength { width: 2, counts_itself: false }), b"\x00\x03abc"),
            (framing(Marking::BinaryLength { width: 4, counts_itself: true }), b"\x00\x00\x00\x07abc"),
            (framing(Marking::DecimalLength { width: 4, counts_itself: false }), b"0003abc"),
            (framing(Marking::DecimalLength { width: 3, counts_itself: true }), b"006abc"),
            (framing(Marking::Delimiter(b"\r\n".as_slice().into())), b"abc\r\n"),
        ]
    }

    fn frame(framing: &Framing, content: &[u8]) -> Result<BytesMut, Unframeable> {
        let mut out = BytesMut::new();
        let start = framing.begin(&mut out);
        out.put_slice(content);
        framing.finish(&mut out, start).map(|()| out)
    }

    #[test]
    fn frames_are_written_and_cut_alike() {
        for (framing, known) in framings() {
            assert_eq!(frame(&framing, b"abc").unwrap(), known);
            let mut inbox = Inbox::default();
            for byte in known.iter().chain(known) {
                inbox.push(&[*byte]);
            }
            for _ in 0..2 {
                let frame = inbox.next_frame(&framing).unwrap().unwrap();
                assert_eq!((frame.content(), &frame.whole[..]), (&b"abc"[..], known));
            }
            assert!(inbox.next_frame(&framing).unwrap().is_none());
        }
    }

    #[test]
    fn every_prefix_of_a_frame_is_incomplete() {
        for (framing, known) in framings() {
            for cut in 0..known.len() {
                assert_eq!(framing.cut(&known[..cut]), Ok(None), "{framing:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn the_limit_holds_both_ways() {
        for (framing, _) in framings() {
            assert!(frame(&framing, &[b'x'; 300]).is_ok());
            let mut out = BytesMut::from(&b"before"[..]);
            let start = framing.begin(&mut out);
            out.put_bytes(b'x', 301);
            assert!(matches!(framing.finish(&mut out, start), Err(Unframeable::TooLong { .. })));
            assert_eq!(out, &b"before"[..]);

            let longer = Framing { limit: 500, ..framing.clone() };
            assert!(framing.cut(&frame(&longer, &[b'x'; 303]).unwrap()).is_err());
        }
    }

    #[test]
    fn a_content_may_not_hold_the_delimiter() {
        let framing = Framing { marking: Marking::Delimiter(b"\n".as_slice().into()), limit: 10 };
        assert_eq!(frame(&framing, b"a\nb"), Err(Unframeable::HoldsDelimiter));
    }

    #[test]
    fn a_length_that_is_no_number_loses_the_framing() {
        let framing = Framing { marking: Marking::DecimalLength { width: 4, counts_itself: false }, limit: 10 };
        assert_eq!(framing.cut(b"00x").unwrap_err().offset, 2);
        let framing = Framing { marking: Marking::BinaryLength { width: 2, counts_itself: true }, limit: 10 };
        assert!(framing.cut(&[0, 1]).is_err());
    }
}
