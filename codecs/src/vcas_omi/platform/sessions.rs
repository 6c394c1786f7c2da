//! The simulated platform's sessions.

use std::collections::BTreeMap;
use std::time::Duration;

use headgate_core::Tick;

/// After how long without a call a session ends. The vendor's time is not public.
const IDLE: Duration = Duration::from_mins(15);

/// Most sessions at once; one more ends the one that was idle longest.
const MOST: usize = 16;

/// Which sessions there are, and when each was used last.
#[derive(Debug, Default)]
pub(super) struct Sessions(BTreeMap<String, Tick>);

impl Sessions {
    pub(super) fn open(&mut self, now: Tick, handle: String) {
        self.expire(now);
        if self.0.len() >= MOST
            && let Some(idlest) = self.0.iter().min_by_key(|(_, used)| **used).map(|(handle, _)| handle.clone())
        {
            self.0.remove(&idlest);
        }
        self.0.insert(handle, now);
    }

    /// Whether there is one of that handle; it is used now.
    pub(super) fn use_one(&mut self, now: Tick, handle: Option<&str>) -> bool {
        self.expire(now);
        match handle.and_then(|handle| self.0.get_mut(handle)) {
            Some(used) => {
                *used = now;
                true
            }
            None => false,
        }
    }

    pub(super) fn close(&mut self, handle: Option<&str>) {
        self.0.remove(handle.unwrap_or_default());
    }

    fn expire(&mut self, now: Tick) {
        self.0.retain(|_, used| now.since(*used) < IDLE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_sessions_end_and_used_ones_do_not() {
        let at = |minutes| Tick::new(Duration::from_mins(minutes));
        let mut sessions = Sessions::default();
        sessions.open(at(0), "a".into());
        sessions.open(at(0), "b".into());
        assert!(sessions.use_one(at(14), Some("a")));
        assert!(sessions.use_one(at(28), Some("a")) && !sessions.use_one(at(28), Some("b")));
        assert!(!sessions.use_one(at(43), Some("a")) && !sessions.use_one(at(43), None));
    }

    #[test]
    fn the_idlest_session_makes_room() {
        let mut sessions = Sessions::default();
        for number in 0..=MOST {
            sessions.open(Tick::new(Duration::from_secs(number as u64)), number.to_string());
        }
        let now = Tick::new(Duration::from_secs(100));
        assert!(!sessions.use_one(now, Some("0")) && sessions.use_one(now, Some("1")));
    }
}
