//! `errors.txt`: which files were refused, and why.

use std::fmt;

use nom::bytes::complete::{tag, take_while1};
use nom::character::complete::{char, digit1, space0};
use nom::combinator::{all_consuming, map_opt, opt, recognize};
use nom::sequence::preceded;
use nom::{IResult, Parser};

use super::FileName;
use super::lines::{Line, Lines};

macro_rules! error_codes {
    ($($variant:ident $name:literal $meaning:literal,)*) => {
        /// Why a file was refused \[S:SGA\].
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ErrorCode {
            $(#[doc = concat!("`", $name, "`: ", $meaning, ".")] $variant,)*
            /// A code the fact sheet does not know, at most 32 characters of `A-Z0-9_`.
            Other(String),
        }

        impl ErrorCode {
            /// The known codes, in the fact sheet's order.
            pub const KNOWN: &'static [Self] = &[$(Self::$variant,)*];

            /// As the platform writes it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self { $(Self::$variant => $name,)* Self::Other(name) => name }
            }

            /// What it means, in the fact sheet's words.
            #[must_use]
            pub const fn meaning(&self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* Self::Other(_) => "a code the fact sheet does not know" }
            }

            fn from_name(name: &str) -> Self {
                match name { $($name => Self::$variant,)* _ => Self::Other(name.to_owned()) }
            }
        }
    };
}

error_codes! {
    CaMode "ERR_CAMODE" "request type not supported",
    TransNum "ERR_TRANSNUM" "line 2 differs from the number in the file name",
    Product "ERR_PRODUCT" "product not known to the SMS",
    Dates "ERR_DATES" "illegal subscription period",
    Priority "ERR_PRIORITY" "invalid priority",
    NumOfCards "ERR_NUMOFCARDS" "count differs from the ids listed",
    CardNum "ERR_CARDNUM" "card not registered to this SMS",
    EndReq "ERR_ENDREQ" "last line is not ZZZ",
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One refusal: two lines of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorEntry {
    /// Which file was refused.
    pub file: FileName,
    /// Why.
    pub code: ErrorCode,
    /// The line of the order file at fault, from one.
    pub line: Option<u32>,
}

/// Whether the last line may still be growing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// A last line without its end is passed over: the rest of it may come.
    MayGrow,
    /// A last line without its end is read: nothing more came for a while.
    Final,
}

/// What an `errors.txt` tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorsFile {
    /// The refusals in the order of their lines.
    pub entries: Vec<ErrorEntry>,
    /// Lines that belong to no refusal of an order file: number from one, and first byte from zero.
    pub strange: Vec<(u32, usize)>,
    /// Where a half-written end begins, in bytes from zero.
    pub incomplete: Option<usize>,
}

/// What one line can be.
enum Meaning {
    Name(FileName),
    Error(ErrorCode, Option<u32>),
    Empty,
    Strange,
}

impl ErrorsFile {
    /// Reads it line by line. It never fails: a line that means nothing is noted, and the next
    /// file name starts anew, so a stranger's line can not be taken for one of ours.
    #[must_use]
    pub fn decode(bytes: &[u8], tail: Tail) -> Self {
        let mut file = Self::default();
        let mut lines = Lines::new(bytes);
        let mut named: Option<(FileName, Line<'_>)> = None;
        while let Some(line) = lines.next() {
            if !line.ended && tail == Tail::MayGrow {
                file.incomplete = Some(named.take().map_or(line.offset, |(_, name)| name.offset));
                break;
            }
            match (meaning(line.text), named.take()) {
                (Meaning::Error(code, at), Some((name, _))) => {
                    file.entries.push(ErrorEntry { file: name, code, line: at });
                }
                (Meaning::Name(name), before) => {
                    file.strange.extend(before.map(|(_, line)| (line.number, line.offset)));
                    named = Some((name, line));
                }
                (Meaning::Empty, before) => named = before,
                (Meaning::Error(..) | Meaning::Strange, before) => {
                    file.strange.extend(before.map(|(_, line)| (line.number, line.offset)));
                    file.strange.push((line.number, line.offset));
                }
            }
        }
        if let Some((_, name)) = named {
            match tail {
                Tail::MayGrow => file.incomplete = Some(name.offset),
                Tail::Final => file.strange.push((name.number, name.offset)),
            }
        }
        file
    }

    /// Writes entries as line pairs, with CR LF \[S:SGA\].
    #[must_use]
    pub fn encode(entries: &[ErrorEntry]) -> Vec<u8> {
        let mut text = String::new();
        for entry in entries {
            text.push_str(&entry.to_string());
        }
        text.into_bytes()
    }
}

impl fmt::Display for ErrorEntry {
    /// The two lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\r\n{}", self.file, self.code)?;
        if let Some(line) = self.line {
            write!(f, ",{line}")?;
        }
        f.write_str("\r\n")
    }
}

fn meaning(line: &[u8]) -> Meaning {
    let line = line.trim_ascii();
    if line.is_empty() {
        return Meaning::Empty;
    }
    if let Ok((_, (code, at))) = all_consuming(error).parse_complete(line) {
        return Meaning::Error(code, at);
    }
    // The sources' parsers drop the last character of the name: a CR, or perhaps a mark \[I\].
    let name = line.strip_suffix(b",").or_else(|| line.strip_suffix(b":")).unwrap_or(line);
    match str::from_utf8(name).ok().and_then(FileName::parse) {
        Some(name) => Meaning::Name(name),
        None => Meaning::Strange,
    }
}

/// `ERR_CARDNUM,10`; the line number may be absent.
fn error(input: &[u8]) -> IResult<&[u8], (ErrorCode, Option<u32>)> {
    let word = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    let name = map_opt(recognize(preceded(tag(&b"ERR_"[..]), take_while1(word))), |name: &[u8]| {
        let name = str::from_utf8(name).ok()?;
        if name.len() <= 32 { Some(ErrorCode::from_name(name)) } else { None }
    });
    let line = map_opt(digit1, |digits: &[u8]| str::from_utf8(digits).ok()?.parse().ok());
    (name, opt(preceded((space0, char(','), space0), line))).parse(input)
}
