//! What must hold at the end of a world: the rules of the design's section 5.

use std::collections::{BTreeMap, BTreeSet};

use headgate_core::command::{Command, MessageKind, Services};
use headgate_core::platform::Card;
use headgate_core::request::{LaneKey, Request, State};
use headgate_core::text::ServiceCode;

use super::store::Row;
use super::world::World;

/// How many requests ended how: shows that a run tried what it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// By final state.
    pub states: BTreeMap<State, usize>,
    /// Lanes whose platform state was compared.
    pub compared: usize,
}

impl Tally {
    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        for (state, count) in &other.states {
            *self.states.entry(*state).or_default() += count;
        }
        self.compared += other.compared;
    }
}

/// Checks the rules.
///
/// # Errors
/// The one that was broken.
pub fn check(world: &World<'_>) -> Result<Tally, String> {
    acknowledged_means_ended(world)?;
    unsafe_is_not_repeated(world)?;
    messages_once(world)?;
    let compared = platform_holds_what_was_asked(world)?;
    let mut tally = Tally { compared, ..Tally::default() };
    for row in world.store().rows().values() {
        *tally.states.entry(row.state).or_default() += 1;
    }
    Ok(tally)
}

/// Every acknowledged request is in the store, ended once, and what was told is what is stored.
fn acknowledged_means_ended(world: &World<'_>) -> Result<(), String> {
    let rows = world.store().rows();
    for id in world.acknowledged() {
        let row = rows.get(id).ok_or_else(|| format!("request {id} was acknowledged and lost"))?;
        if !row.state.is_final() {
            return Err(format!("request {} was acknowledged and is still {}", row.request.number, row.state));
        }
    }
    for (id, told) in world.told() {
        let Some(row) = rows.get(id) else { continue };
        if !row.request.command.kind().is_query() && row.state != told.state {
            return Err(format!("request {} ended as {}, but {} was told", row.request.number, row.state, told.state));
        }
    }
    Ok(())
}

/// What is not safe to repeat is never sent again when nobody knows if it arrived, unless the adapter finds that out
/// before it sends.
fn unsafe_is_not_repeated(world: &World<'_>) -> Result<(), String> {
    let capabilities = world.rules().capabilities();
    let safe = |row: &Row| capabilities.resumes || capabilities.safe_to_repeat(&row.request.command);
    match world.store().rows().values().find(|row| row.repeated_in_doubt && !safe(row)) {
        None => Ok(()),
        Some(row) => {
            let (number, kind) = (row.request.number, row.request.command.kind());
            Err(format!("request {number}, a {kind}, was repeated although the attempt before may have arrived"))
        }
    }
}

/// A message is not safe to repeat: it was shown once if it completed, at most once otherwise, and never if it
/// certainly was not sent.
fn messages_once(world: &World<'_>) -> Result<(), String> {
    let cards = &world.holdings().cards;
    for row in world.store().rows().values() {
        let Command::SendMessage { message, devices } = &row.request.command else { continue };
        let MessageKind::Bark { .. } = message.kind else { continue };
        let Some(card) = devices.first().and_then(|serial| card_of(cards, serial.as_str())) else {
            if row.state == State::Completed {
                return Err(format!("message {} completed on a card the platform does not know", row.request.number));
            }
            continue;
        };
        let shown = card.messages.iter().filter(|text| **text == message.text).count();
        let allowed = match row.state {
            State::Completed => 1..=1,
            State::Cancelled | State::Expired => 0..=0,
            _ => 0..=1,
        };
        if !allowed.contains(&shown) {
            return Err(format!("message {} is {} and was shown {shown} times", row.request.number, row.state));
        }
    }
    Ok(())
}

/// Where every request of a subscription is known to have been done or not, the platform holds what
/// carrying out the done ones in order gives.
fn platform_holds_what_was_asked(world: &World<'_>) -> Result<usize, String> {
    let mut lanes: BTreeMap<LaneKey, Vec<&Row>> = BTreeMap::new();
    for row in world.store().rows().values() {
        if let Some(lane) = row.request.lane() {
            lanes.entry(lane).or_default().push(row);
        }
    }
    let mut compared = 0;
    for rows in lanes.values_mut() {
        rows.sort_by_key(|row| row.request.number);
        if rows.iter().any(|row| is_uncertain(row)) {
            continue;
        }
        let Some(serial) = rows.iter().find_map(|row| smartcard(&row.request)) else { continue };
        let mut expected = Expected::default();
        for row in rows.iter().filter(|row| row.state == State::Completed) {
            expected.apply(world, &row.request.command);
        }
        let empty = Card::default();
        let card = card_of(&world.holdings().cards, serial).unwrap_or(&empty);
        expected.compare(card).map_err(|difference| {
            let history: Vec<_> = rows
                .iter()
                .map(|row| format!("{} {} {}", row.request.number, row.request.command.kind(), row.state))
                .collect();
            format!("{difference}; the requests were {history:?}")
        })?;
        compared += 1;
    }
    Ok(compared)
}

/// Whether nobody can say what a request did: it may have been sent, or parts of it may have been done.
fn is_uncertain(row: &Row) -> bool {
    match row.state {
        State::Completed => false,
        State::Cancelled => row.repeated_in_doubt,
        State::Rejected => {
            // An attempt before the one that was refused may have been carried out.
            row.repeated_in_doubt
                || row.request.command.services().len() > 1
                || matches!(row.request.command, Command::SetServices(_))
        }
        _ => row.attempts > 0,
    }
}

fn smartcard(request: &Request) -> Option<&str> {
    request.command.devices()?.smartcards.first().map(|serial| serial.as_str())
}

/// The platform's card for a serial number; a platform may leave out a check digit.
fn card_of<'a>(cards: &'a BTreeMap<String, Card>, serial: &str) -> Option<&'a Card> {
    cards
        .get(serial)
        .or_else(|| cards.iter().find(|(number, _)| serial.starts_with(number.as_str())).map(|(_, card)| card))
}

#[derive(Debug, Default)]
struct Expected {
    services: BTreeMap<String, bool>,
    paired: Option<String>,
    disabled: bool,
    pin: Option<String>,
}

impl Expected {
    fn apply(&mut self, world: &World<'_>, command: &Command) {
        let ca_id = |code: &ServiceCode| {
            world.provider().services.ca_id(code).map(|id| id.as_str().to_owned()).unwrap_or_default()
        };
        match command {
            Command::ActivateServices(entitlement) => {
                self.services.extend(entitlement.services.iter().map(|code| (ca_id(code), false)));
            }
            Command::SetServices(entitlement) => {
                self.services = entitlement.services.iter().map(|code| (ca_id(code), false)).collect();
            }
            Command::DeactivateServices(selection) => match &selection.services {
                Services::All => self.services.clear(),
                Services::These(codes) => {
                    for code in codes {
                        self.services.remove(&ca_id(code));
                    }
                }
            },
            Command::Suspend(selection) => self.suspend(selection.services.listed().iter().map(ca_id), true),
            Command::Resume(selection) => self.suspend(selection.services.listed().iter().map(ca_id), false),
            Command::Pair(devices) => self.paired = devices.stbs.first().map(|stb| stb.as_str().to_owned()),
            Command::Unpair(_) => self.paired = None,
            Command::DisableDevice { .. } => self.disabled = true,
            Command::EnableDevice(_) => self.disabled = false,
            Command::SetPin { pin, .. } => self.pin = Some(pin.reveal().to_owned()),
            Command::ResetPin(_) => self.pin = Some("default".into()),
            Command::ClearPin(_) => self.pin = None,
            _ => {}
        }
    }

    fn suspend(&mut self, ca_ids: impl Iterator<Item = String>, to: bool) {
        for ca_id in ca_ids {
            if let Some(suspended) = self.services.get_mut(&ca_id) {
                *suspended = to;
            }
        }
    }

    fn compare(&self, card: &Card) -> Result<(), String> {
        let held: BTreeMap<_, _> =
            card.services.iter().map(|(ca_id, holding)| (normal(ca_id), holding.suspended)).collect();
        let wanted: BTreeMap<_, _> =
            self.services.iter().map(|(ca_id, suspended)| (normal(ca_id), *suspended)).collect();
        if held != wanted {
            return Err(format!("the platform holds services {held:?}, wanted are {wanted:?}"));
        }
        let stbs: BTreeSet<_> = self.paired.iter().cloned().collect();
        if card.stbs != stbs {
            return Err(format!("the platform holds pairings {:?}, wanted are {stbs:?}", card.stbs));
        }
        if card.disabled.is_some() != self.disabled {
            return Err(format!("the platform has the card disabled: {:?}, wanted: {}", card.disabled, self.disabled));
        }
        if card.pin != self.pin {
            return Err(format!("the platform holds PIN {:?}, wanted is {:?}", card.pin, self.pin));
        }
        Ok(())
    }
}

/// A platform may pad an id with zeros.
fn normal(ca_id: &str) -> &str {
    ca_id.trim_start_matches('0')
}
