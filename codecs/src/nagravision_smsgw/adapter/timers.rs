//! What the passing of time does: answers that are due, links that are silent, links to open again.

use std::sync::Arc;

use headgate_core::Now;
use headgate_core::failure::Failure;

use super::super::profile::CommandName;
use super::super::speech::{Content, Part};
use super::super::wire::Values;
use super::links::{LinkState, MOST_GIVEN_UP};
use super::{Flight, Purpose, SmsGateway};

impl SmsGateway {
    pub(super) fn deadline_passed(&mut self, now: Now) {
        for slot in 0..self.links.len() {
            let Some(link) = self.links.get(slot) else { return };
            if matches!(link.state, LinkState::Down(at) if at <= now.tick) {
                self.connect(slot);
                continue;
            }
            self.give_up_due(now, slot);
            self.check_if_silent(now, slot);
        }
    }

    /// Takes answered messages off the front of the link's order.
    pub(super) fn forget_answered(&mut self, slot: usize) {
        let Some(link) = self.links.get_mut(slot) else { return };
        while let Some((deadline, number)) = link.order.front() {
            let live = |flight: &Flight| {
                flight.slot == slot && flight.deadline == *deadline && flight.purpose != Purpose::GivenUp
            };
            if self.flights.get(number).is_some_and(live) {
                break;
            }
            link.order.pop_front();
        }
    }

    /// Ends the wait for answers that are due.
    fn give_up_due(&mut self, now: Now, slot: usize) {
        while let Some(link) = self.links.get_mut(slot) {
            let Some((deadline, number)) = link.order.front().copied().filter(|(due, _)| *due <= now.tick) else {
                break;
            };
            link.order.pop_front();
            let live = |flight: &&mut Flight| flight.slot == slot && flight.deadline == deadline;
            let Some(flight) = self.flights.get_mut(&number).filter(live) else { continue };
            match flight.purpose {
                Purpose::Part { job, .. } => {
                    flight.purpose = Purpose::GivenUp;
                    link.in_flight = link.in_flight.saturating_sub(1);
                    link.doubted = true;
                    let too_many = link.give_up(number);
                    self.end_part_unanswered(job);
                    if too_many {
                        let text = "the platform has left a whole window of messages unanswered";
                        return self.lose(now, slot, Failure::unanswered("platform_silent", text), true);
                    }
                }
                Purpose::Check => {
                    let text = "the connection test was not answered";
                    return self.lose(now, slot, Failure::unanswered("link_silent", text), true);
                }
                Purpose::Opening => {
                    let text = "the session's opening was not answered";
                    return self.lose(now, slot, Failure::unanswered("session_silent", text), true);
                }
                Purpose::GivenUp => {}
            }
        }
        self.forget_late(slot);
        self.forget_answered(slot);
        self.write_waiting(now, slot);
    }

    /// Takes numbers that were answered late off the list of those given up, when they are the most of it.
    fn forget_late(&mut self, slot: usize) {
        let Some(link) = self.links.get_mut(slot) else { return };
        if link.given_up.len() > MOST_GIVEN_UP + 2 * link.given_up_count {
            let given_up = |flight: &Flight| flight.slot == slot && flight.purpose == Purpose::GivenUp;
            link.given_up.retain(|number| self.flights.get(number).is_some_and(given_up));
        }
    }

    fn check_if_silent(&mut self, now: Now, slot: usize) {
        let speech = Arc::clone(&self.speech);
        let Some(link) = self.links.get_mut(slot) else { return };
        let silent = now.tick >= link.heard + link.check_after;
        if link.state != LinkState::Up || link.checking || !(silent || std::mem::take(&mut link.doubted)) {
            return;
        }
        match speech.profile().command(CommandName::ConnectionTest) {
            Some(form) => {
                link.checking = true;
                let part = Part { content: Content::Command(form, Values::default()), card: "" };
                self.write_own(now, slot, &part, Purpose::Check);
            }
            // Nothing to check with: ask again after as long.
            None => link.heard = now.tick,
        }
    }
}
