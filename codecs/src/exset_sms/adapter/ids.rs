//! The ids of entries: made here where the profile says so, and recorded so that they can be found again.
//!
//! The entries of one request have ids that follow each other, so the first one and their count tell them all:
//! ```text
//! 019c2f7e-8a00-7abc-9def-0123456a7000/3      three entries, UUIDs
//! 1768478400000000/1                          one entry, a number
//! ```

use headgate_core::table::{Value, ValueKind};
use headgate_core::text::PlatformReference;
use jiff::Timestamp;
use uuid::Uuid;

use super::super::plan::MOST_ENTRIES;
use super::super::profile::{Profile, Strategy};

/// The last bits of a UUID, which count the entries of one request.
const INDEX_BITS: u32 = 12;

const _: () = assert!(MOST_ENTRIES <= 1 << INDEX_BITS);

/// The ids of one request's entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ids {
    /// UUIDs whose last bits count.
    Uuids(u128),
    /// Numbers from this one on.
    Numbers(i64),
}

/// Makes ids. No two calls give the same, unless the clock was set back meanwhile.
#[derive(Debug)]
pub(super) struct IdMaker {
    uuids: bool,
    state: u64,
    /// The millisecond of the last UUID, and a count within it.
    last_moment: u64,
    last_number: i64,
}

impl IdMaker {
    /// A maker for this profile; `seed` varies the UUIDs between starts.
    pub(super) fn new(profile: &Profile, seed: u64) -> Self {
        let text = profile.key.column.kind == ValueKind::Text;
        let uuids = match profile.strategy {
            Strategy::Uuid => true,
            Strategy::Sequence => false,
            Strategy::Database => text,
        };
        Self { uuids, state: seed, last_moment: 0, last_number: 0 }
    }

    /// Ids for `count` entries of the request `salt`, made at `wall`.
    pub(super) fn make(&mut self, wall: Timestamp, salt: u128, count: usize) -> Ids {
        if self.uuids {
            return Ids::Uuids(self.uuid(wall, salt));
        }
        let count = i64::try_from(count).unwrap_or(i64::MAX).max(1);
        let first = wall.as_microsecond().max(self.last_number.saturating_add(1));
        self.last_number = first.saturating_add(count - 1);
        Ids::Numbers(first)
    }

    /// A UUID of version 7: milliseconds and a count, so that ids grow; bits that differ; zeros for the index.
    fn uuid(&mut self, wall: Timestamp, salt: u128) -> u128 {
        let millis = u64::try_from(wall.as_millisecond()).unwrap_or_default();
        self.last_moment = (millis << 12).max(self.last_moment + 1);
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let [high, low] = [(salt >> 64) as u64, salt as u64];
        let bits = u128::from(mixed(mixed(self.state ^ high).wrapping_add(low)) >> 14);
        let (millis, count) = (u128::from(self.last_moment >> 12), u128::from(self.last_moment & 0xfff));
        (millis & ((1 << 48) - 1)) << 80 | 0x7 << 76 | count << 64 | 0b10 << 62 | bits << INDEX_BITS
    }
}

/// The finish of SplitMix64: every bit of the input sways every bit of the output.
const fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

impl Ids {
    /// The id of an entry, as its column has it.
    pub(super) fn key(self, profile: &Profile, index: usize) -> Value {
        match (self, profile.key.column.kind) {
            (Self::Numbers(_), ValueKind::Integer) => Value::Integer(self.number(index)),
            _ => Value::Text(self.text(profile, index)),
        }
    }

    /// What is recorded for `count` entries.
    pub(super) fn record(self, profile: &Profile, count: usize) -> Option<PlatformReference> {
        PlatformReference::new(&format!("{}/{count}", self.text(profile, 0))).ok()
    }

    /// What was recorded: the ids, and how many they are.
    pub(super) fn recorded(profile: &Profile, reference: &PlatformReference) -> Option<(Self, usize)> {
        let (first, count) = reference.as_str().rsplit_once('/')?;
        let count = count.parse().ok().filter(|count| (1..=MOST_ENTRIES).contains(count))?;
        let ids = if IdMaker::new(profile, 0).uuids {
            Self::Uuids(Uuid::try_parse(first).ok()?.as_u128())
        } else {
            let digits = first.strip_prefix(&profile.prefix)?;
            Self::Numbers(digits.parse().ok().filter(|number| *number >= 0)?)
        };
        Some((ids, count))
    }

    fn text(self, profile: &Profile, index: usize) -> String {
        match self {
            Self::Uuids(first) => Uuid::from_u128(first | index as u128).to_string(),
            Self::Numbers(_) if profile.key.column.kind == ValueKind::Integer => self.number(index).to_string(),
            Self::Numbers(_) => format!("{}{:016}", profile.prefix, self.number(index)),
        }
    }

    fn number(self, index: usize) -> i64 {
        match self {
            Self::Numbers(first) => first.saturating_add(i64::try_from(index).unwrap_or(i64::MAX)),
            Self::Uuids(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn profile(id: &str) -> Profile {
        let [before, rest] = super::super::super::profile::SHIPPED.split_once("[id]").map(<[_; 2]>::from).unwrap();
        let (_, after) = rest.split_once("# [S] that there is a state").unwrap();
        Profile::from_toml(&format!("{before}[id]\n{id}\n#{after}")).unwrap()
    }

    fn wall() -> Timestamp {
        "2026-01-15T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn ids_differ_grow_with_time_and_read_back() {
        for strategy in ["strategy = \"uuid\"", "strategy = \"sequence\"\nprefix = \"HG-\""] {
            let profile = profile(&format!("column = \"entry_id\"\n{strategy}"));
            let mut maker = IdMaker::new(&profile, 7);
            let mut all: BTreeSet<Value> = BTreeSet::new();
            for _ in 0..1_000 {
                let ids = maker.make(wall(), 5, 3);
                let reference = ids.record(&profile, 3).unwrap();
                assert_eq!(Ids::recorded(&profile, &reference), Some((ids, 3)));
                let keys = [0, 1, 2].map(|index| ids.key(&profile, index));
                assert!(keys.is_sorted() && all.last() < keys.first());
                all.extend(keys);
            }
            assert_eq!(all.len(), 3_000);
            let later = maker.make("2026-01-15T12:00:10Z".parse().unwrap(), 5, 1).key(&profile, 0);
            assert!(all.last().unwrap() < &later);
            let Value::Text(text) = later else { panic!("text") };
            assert!(text.len() <= 36, "{text}");
        }
    }

    #[test]
    fn what_was_not_recorded_by_this_profile_is_not_taken_up() {
        let profile = profile("column = \"entry_id\"\nstrategy = \"uuid\"");
        for text in
            ["", "x/1", "019c2f7e-8a00-7abc-9def-0123456a7000", "019c2f7e-8a00-7abc-9def-0123456a7000/0", "17/1"]
        {
            assert_eq!(
                PlatformReference::new(text).ok().and_then(|text| Ids::recorded(&profile, &text)),
                None,
                "{text}"
            );
        }
    }
}
