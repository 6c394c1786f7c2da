//! The reference recorded for a request before its files are written: all that is needed to take it up again.
//!
//! ```text
//! 202611010000-202712312359/3of40/000123,+,.,!ERR_DATES
//! |                         |     |
//! period, or "-"            |     the parts that follow those: the number of the file it is in,
//!                           |     "+" accepted, "." not yet in a file, "!" refused, the first with its code,
//!                                 "?" given up without an answer
//!                           so many parts of so many are accepted
//! ```
//!
//! The parts themselves are not told: they follow from the command, the mapping and the period.

use headgate_core::text::PlatformReference;

use super::super::wire::{ErrorCode, OrderTime, Period, TransactionNumber};

/// Most parts of one request that are under way at once, so that a reference stays within its 256 characters.
pub(super) const WINDOW: usize = 28;

/// Where one part of a request stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    /// In no file.
    Open,
    /// In the file of that number.
    In(TransactionNumber),
    /// The platform accepted it.
    Accepted,
    /// The platform refused it.
    Refused(ErrorCode),
    /// It was written, and its answer is not waited for any more.
    Lost,
}

/// What a reference tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// The period of its orders, where they have one.
    pub(super) period: Option<Period>,
    /// So many parts are accepted, from the first on.
    pub(super) done: usize,
    /// So many parts there are.
    pub(super) total: usize,
    /// Where those after the done ones stand, at most [`WINDOW`].
    pub(super) window: Vec<Stand>,
}

impl Record {
    pub(super) fn encode(&self) -> Option<PlatformReference> {
        let mut text = self.period.map_or_else(|| "-".to_owned(), |period| period.to_string());
        text.push_str(&format!("/{}of{}/", self.done, self.total));
        let mut told = false;
        for (index, stand) in self.window.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            match stand {
                Stand::Open => text.push('.'),
                Stand::In(number) => text.push_str(&number.to_string()),
                Stand::Accepted => text.push('+'),
                Stand::Lost => text.push('?'),
                // One code is all that the outcome needs, and all that fits; a stranger's could be long.
                Stand::Refused(code) if !told && !matches!(code, ErrorCode::Other(_)) => {
                    told = true;
                    text.push_str(&format!("!{code}"));
                }
                Stand::Refused(_) => text.push('!'),
            }
        }
        PlatformReference::new(&text).ok()
    }

    pub(super) fn decode(reference: &PlatformReference) -> Option<Self> {
        let mut pieces = reference.as_str().split('/');
        let (period, counts, window) = (pieces.next()?, pieces.next()?, pieces.next()?);
        let period = match period {
            "-" => None,
            period => {
                let (start, end) = period.split_once('-')?;
                Some(Period { start: OrderTime::parse(start.as_bytes())?, end: OrderTime::parse(end.as_bytes())? })
            }
        };
        let (done, total) = counts.split_once("of")?;
        let (done, total) = (done.parse::<usize>().ok()?, total.parse::<usize>().ok()?);
        let window = match window {
            "" => Vec::new(),
            window => window.split(',').map(stand).collect::<Option<Vec<_>>>()?,
        };
        let fits = pieces.next().is_none() && done.checked_add(window.len())? <= total && window.len() <= WINDOW;
        if fits { Some(Self { period, done, total, window }) } else { None }
    }
}

fn stand(text: &str) -> Option<Stand> {
    match text {
        "." => Some(Stand::Open),
        "+" => Some(Stand::Accepted),
        "?" => Some(Stand::Lost),
        "!" => Some(Stand::Refused(ErrorCode::Other("ERR_UNKNOWN".into()))),
        text => match text.strip_prefix('!') {
            Some(code) => ErrorCode::KNOWN.iter().find(|known| known.as_str() == code).cloned().map(Stand::Refused),
            None => TransactionNumber::parse(text.as_bytes()).map(Stand::In),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_reads_back_and_fits_at_its_longest() {
        let time = |text: &str| OrderTime::parse(text.as_bytes()).unwrap();
        let period = Some(Period { start: time("202611010000"), end: time("202712312359") });
        let number = TransactionNumber::new(999_999).unwrap();
        let long = Record { period, done: 99_999, total: 100_000_000, window: vec![Stand::In(number); WINDOW] };
        let mixed =
            vec![Stand::In(number), Stand::Accepted, Stand::Open, Stand::Lost, Stand::Refused(ErrorCode::Dates)];
        let mixed = Record { period: None, done: 3, total: 40, window: mixed };
        for record in [long, mixed] {
            assert_eq!(Record::decode(&record.encode().unwrap()), Some(record));
        }
        for text in ["", "-/1of0/", "-/0of1/x", "-/0of1/.,.", "x/0of1/.", "-/0of1/./", "-/0of1/!ERR_X"] {
            assert_eq!(PlatformReference::new(text).ok().and_then(|text| Record::decode(&text)), None, "{text}");
        }
    }
}
