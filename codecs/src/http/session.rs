//! The one session that all calls of an adapter share: opened once, renewed once when it is lost, never in a storm.

use std::collections::VecDeque;
use std::time::Duration;

use headgate_core::adapter::EffectId;
use headgate_core::{Now, Tick};

use super::dialogue::{LoginRules, OpenedSession};
use crate::backoff::{Backoff, Jitter};

/// The session, and when it may be opened.
#[derive(Debug)]
pub(super) struct Sessions<S> {
    rules: LoginRules,
    state: State<S>,
    generation: Generation,
    /// When logins began, no older than the budget's stretch of time.
    logins: VecDeque<Tick>,
    backoff: Backoff,
    jitter: Jitter,
}

#[derive(Debug)]
enum State<S> {
    /// There is none, and none before that time.
    Absent { not_before: Tick },
    /// A login is under way; the session that it renews, if it does.
    Opening { effect: EffectId, previous: Option<S> },
    /// There is one.
    Open { session: S, renew_at: Option<Tick>, used: Tick },
}

/// Tells one session from the next, so that a call that went out with a lost one does not end its successor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Generation(u64);

impl<S> Sessions<S> {
    pub(super) fn new(rules: LoginRules, seed: u64) -> Self {
        Self {
            rules,
            state: State::Absent { not_before: Tick::default() },
            generation: Generation::default(),
            logins: VecDeque::new(),
            backoff: Backoff::new(rules.first_wait, rules.longest_wait),
            jitter: Jitter::new(seed),
        }
    }

    /// The session, if it is there and need not be renewed.
    pub(super) fn current(&mut self, now: Tick) -> Option<(&S, Generation)> {
        match &mut self.state {
            State::Open { session, renew_at, used } if renew_at.is_none_or(|at| now < at) => {
                *used = now;
                Some((session, self.generation))
            }
            _ => None,
        }
    }

    /// The session, whether or not it should be renewed.
    pub(super) const fn held(&self) -> Option<&S> {
        match &self.state {
            State::Open { session, .. } | State::Opening { previous: Some(session), .. } => Some(session),
            _ => None,
        }
    }

    /// Whether there is one.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// Whether a login should begin now.
    pub(super) fn wants_login(&self, now: Tick) -> bool {
        match &self.state {
            State::Absent { not_before } => *not_before <= now && self.budget_free_at(now).is_none(),
            State::Open { renew_at, .. } => renew_at.is_some_and(|at| at <= now) && self.budget_free_at(now).is_none(),
            State::Opening { .. } => false,
        }
    }

    /// A login begins.
    pub(super) fn opening(&mut self, now: Tick, effect: EffectId) {
        self.logins.push_back(now);
        if let Some((most, per)) = self.rules.budget {
            while self.logins.len() > most || self.logins.front().is_some_and(|at| now.since(*at) >= per) {
                self.logins.pop_front();
            }
        } else {
            self.logins.clear();
        }
        let before = std::mem::replace(&mut self.state, State::Absent { not_before: now });
        let previous = match before {
            State::Open { session, .. } => Some(session),
            _ => None,
        };
        self.state = State::Opening { effect, previous };
    }

    /// Whether that effect is the login under way.
    pub(super) fn is_login(&self, id: EffectId) -> bool {
        matches!(&self.state, State::Opening { effect, .. } if *effect == id)
    }

    /// The login gave a session.
    pub(super) fn opened(&mut self, now: Tick, opened: OpenedSession<S>) {
        self.generation.0 += 1;
        self.backoff.reset();
        let renew_at = opened.renew_after.map(|after| now + after);
        self.state = State::Open { session: opened.session, renew_at, used: now };
    }

    /// The login gave nothing. A renewal that failed is followed by a login from nothing at once.
    /// Returns whether it was such a renewal.
    pub(super) fn refused(&mut self, now: Tick) -> bool {
        let renewal = matches!(self.state, State::Opening { previous: Some(_), .. });
        let wait = if renewal { Duration::ZERO } else { self.backoff.wait(&mut self.jitter) };
        self.state = State::Absent { not_before: now + wait };
        renewal
    }

    /// A platform said of a call of that generation that its session is lost. The first that says so ends the session.
    pub(super) fn lost(&mut self, now: Tick, generation: Generation) {
        if generation == self.generation && self.is_open() {
            self.state = State::Absent { not_before: now };
        }
    }

    /// Takes the session away, to end it.
    pub(super) fn take(&mut self) -> Option<S> {
        let before = std::mem::replace(&mut self.state, State::Absent { not_before: Tick::default() });
        match before {
            State::Open { session, .. } => Some(session),
            other => {
                self.state = other;
                None
            }
        }
    }

    /// When an idle session wants to be kept alive.
    pub(super) fn keep_alive_at(&self) -> Option<Tick> {
        match (&self.state, self.rules.keep_alive) {
            (State::Open { used, .. }, Some(after)) => Some(*used + after),
            _ => None,
        }
    }

    /// When a login may begin that may not begin now.
    pub(super) fn login_at(&self, now: Now) -> Option<Tick> {
        match &self.state {
            State::Absent { not_before } => {
                Some(self.budget_free_at(now.tick).map_or(*not_before, |free| free.max(*not_before)))
            }
            State::Open { renew_at: Some(at), .. } if *at <= now.tick => self.budget_free_at(now.tick),
            _ => None,
        }
    }

    /// When the budget allows a login again; nothing: it does now.
    fn budget_free_at(&self, now: Tick) -> Option<Tick> {
        let (most, per) = self.rules.budget?;
        let recent = self.logins.iter().filter(|at| now.since(**at) < per).count();
        (recent >= most).then(|| self.logins.iter().rev().nth(most.saturating_sub(1)).map_or(now, |at| *at + per))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Tick {
        Tick::new(Duration::from_secs(seconds))
    }

    fn opened() -> OpenedSession<&'static str> {
        OpenedSession { session: "s", renew_after: None }
    }

    #[test]
    fn only_the_first_loss_of_a_session_ends_it() {
        let mut sessions = Sessions::new(LoginRules::default(), 1);
        assert!(sessions.wants_login(at(1)));
        sessions.opening(at(1), EffectId(1));
        assert!(!sessions.wants_login(at(1)));
        sessions.opened(at(1), opened());
        let (_, first) = sessions.current(at(2)).unwrap();
        sessions.lost(at(3), first);
        assert!(!sessions.is_open() && sessions.wants_login(at(3)));
        sessions.opening(at(3), EffectId(2));
        sessions.opened(at(3), opened());
        sessions.lost(at(4), first);
        assert!(sessions.is_open(), "a late answer to a call of the first session does not end the second");
    }

    #[test]
    fn the_budget_of_logins_holds_in_every_stretch_of_time() {
        let budget = Some((2, Duration::from_secs(100)));
        let mut sessions = Sessions::new(LoginRules { budget, ..LoginRules::default() }, 1);
        for (login, second) in [(1, 0), (2, 60)] {
            assert!(sessions.wants_login(at(second)));
            sessions.opening(at(second), EffectId(login));
            sessions.opened(at(second), opened());
            let (_, generation) = sessions.current(at(second)).unwrap();
            sessions.lost(at(second), generation);
        }
        let now = Now { tick: at(61), wall: jiff::Timestamp::UNIX_EPOCH };
        assert!(!sessions.wants_login(at(61)));
        assert_eq!(sessions.login_at(now), Some(at(100)));
        assert!(!sessions.wants_login(at(99)) && sessions.wants_login(at(100)));
        sessions.opening(at(100), EffectId(3));
        sessions.refused(at(100));
        assert!(!sessions.wants_login(at(159)) && sessions.wants_login(at(160)));
    }

    #[test]
    fn a_renewal_that_fails_is_followed_by_a_login_from_nothing() {
        let mut sessions = Sessions::new(LoginRules::default(), 1);
        sessions.opening(at(0), EffectId(1));
        sessions.opened(at(0), OpenedSession { session: "s", renew_after: Some(Duration::from_secs(10)) });
        assert!(sessions.current(at(9)).is_some() && !sessions.wants_login(at(9)));
        assert!(sessions.current(at(10)).is_none() && sessions.wants_login(at(10)));
        sessions.opening(at(10), EffectId(2));
        assert_eq!(sessions.held(), Some(&"s"));
        assert!(sessions.refused(at(10)));
        assert!(sessions.held().is_none() && sessions.wants_login(at(10)));
        sessions.opening(at(10), EffectId(3));
        assert!(!sessions.refused(at(10)));
        assert!(!sessions.wants_login(at(10)));
    }
}
