//! What a stand-in platform holds, and what its operations do to it.

use std::collections::{BTreeMap, BTreeSet};

use headgate_core::command::CommandKind;
use headgate_core::platform::{Account, Card, Holding, Holdings};

use super::read::Values;
use crate::registry::Stock;
use crate::template::values::Plain;

/// The first number that a platform gives to an account whose number nobody said.
const FIRST_ACCOUNT: u64 = 2001;

/// Why a platform says no. Each has a name, which is its code where the protocol has no codes of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// The call is none that it knows.
    BadRequest,
    /// The account is there already.
    Exists,
    /// The signature or the credentials are wrong.
    NotAdmitted,
    /// The session is not known.
    SessionLost,
    /// There is no such account.
    UnknownAccount,
    /// There is no such device.
    UnknownDevice,
    /// There is no such thing: a use, a service.
    UnknownThing,
    /// The subscriber's credentials are wrong.
    WrongPassword,
}

impl Trouble {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::Exists => "exists",
            Self::NotAdmitted => "not_admitted",
            Self::SessionLost => "session_lost",
            Self::UnknownAccount => "unknown_account",
            Self::UnknownDevice => "unknown_device",
            Self::UnknownThing => "unknown_thing",
            Self::WrongPassword => "wrong_password",
        }
    }
}

/// What a stand-in platform holds.
#[derive(Debug)]
pub(super) struct State {
    /// What it holds, to be shown.
    pub(super) holdings: Holdings,
    /// Cards it knows; empty: every one.
    known: BTreeSet<String>,
    products: BTreeSet<String>,
    passwords: BTreeMap<String, String>,
    /// Whether accounts must be made before they are used.
    strict_accounts: bool,
    next_account: u64,
}

/// Whom a call is about.
#[derive(Debug)]
pub(super) struct Target {
    /// The account.
    pub(super) account: Option<String>,
    /// Its devices.
    pub(super) smartcards: Vec<String>,
    /// Its boxes.
    pub(super) stbs: Vec<String>,
}

impl State {
    /// What it holds at the start. `strict_accounts`: an account must be made before it is used.
    #[must_use]
    pub(super) fn new(stock: &Stock, strict_accounts: bool) -> Self {
        let cards = stock.cards.iter().map(|card| (card.clone(), Card::default())).collect();
        Self {
            holdings: Holdings { cards, ..Holdings::default() },
            known: stock.cards.iter().cloned().collect(),
            products: stock.products.iter().cloned().collect(),
            passwords: BTreeMap::new(),
            strict_accounts,
            next_account: FIRST_ACCOUNT,
        }
    }

    /// Whom a call is about, as far as the platform knows them. `makes`: the call makes the account.
    ///
    /// # Errors
    /// What it does not know.
    pub(super) fn target(&mut self, values: &Values, makes: bool) -> Result<Target, Trouble> {
        let account = [Plain::Account, Plain::Subscription, Plain::Login, Plain::SubscriberLogin];
        let account = account.iter().find_map(|plain| values.one(*plain)).or_else(|| values.kept());
        let account = account.map(ToOwned::to_owned);
        let smartcards = values.all(&[Plain::Smartcards, Plain::Smartcard, Plain::Device]);
        let stbs = values.all(&[Plain::Stbs, Plain::Stb]);
        if let Some(number) = account.as_ref().filter(|_| !makes)
            && !self.holdings.accounts.contains_key(number)
        {
            if self.strict_accounts {
                return Err(Trouble::UnknownAccount);
            }
            self.holdings.accounts.insert(number.clone(), Account::default());
        }
        for card in &smartcards {
            if !self.known.is_empty() && !self.known.contains(card) {
                return Err(Trouble::UnknownDevice);
            }
            self.holdings.cards.entry(card.clone()).or_default();
        }
        Ok(Target { account, smartcards, stbs })
    }

    /// Does what the command says.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn apply(&mut self, command: CommandKind, values: &Values, target: &mut Target) -> Result<(), Trouble> {
        use CommandKind as C;
        let ids = values.all(&[Plain::CaIds, Plain::CaId]);
        if ids.iter().any(|id| !self.products.is_empty() && !self.products.contains(id)) {
            return Err(Trouble::UnknownThing);
        }
        match command {
            C::ActivateServices => self.activate(values, target, &ids),
            C::SetServices => {
                self.services(target, BTreeMap::clear);
                self.activate(values, target, &ids);
            }
            C::DeactivateServices => {
                self.services(target, |held| held.retain(|id, _| !ids.is_empty() && !ids.contains(id)));
            }
            C::Suspend | C::Resume => {
                let suspended = command == C::Suspend;
                self.services(target, |held| {
                    for (_, holding) in held.iter_mut().filter(|(id, _)| ids.is_empty() || ids.contains(id)) {
                        holding.suspended = suspended;
                    }
                });
            }
            C::RefreshServices => self.cards(target, |card| card.refreshes += 1),
            C::CreateSubscriber => self.create(values, target)?,
            C::UpdateSubscriber => self.update(values, target),
            C::RemoveSubscriber => {
                let number = target.account.as_deref().ok_or(Trouble::UnknownAccount)?;
                self.holdings.accounts.remove(number);
                self.passwords.remove(number);
            }
            C::AddDevice => {
                let devices: Vec<_> = target.smartcards.iter().chain(&target.stbs).cloned().collect();
                self.account(target, |account| account.devices.extend(devices));
            }
            C::RemoveDevice => {
                let devices: Vec<_> = target.smartcards.iter().chain(&target.stbs).cloned().collect();
                let mut missing = false;
                self.account(target, |account| {
                    for device in &devices {
                        missing |= !account.devices.remove(device);
                    }
                });
                if missing {
                    return Err(Trouble::UnknownDevice);
                }
                self.services(
                    &Target { account: None, smartcards: target.smartcards.clone(), stbs: Vec::new() },
                    BTreeMap::clear,
                );
            }
            C::SwapDevice => self.swap(values, target)?,
            C::EnableDevice => self.cards(target, |card| card.disabled = None),
            C::DisableDevice => {
                let reason = values.one(Plain::Reason).unwrap_or("disabled").to_owned();
                self.cards(target, |card| card.disabled = Some(reason.clone()));
            }
            C::Pair | C::AddToPairing => {
                let stbs = target.stbs.clone();
                self.cards(target, |card| {
                    if command == C::Pair {
                        card.stbs.clear();
                    }
                    card.stbs.extend(stbs.iter().cloned());
                });
            }
            C::Unpair => {
                let stbs = target.stbs.clone();
                self.cards(target, |card| card.stbs.retain(|stb| !stbs.is_empty() && !stbs.contains(stb)));
            }
            C::SetPin => self.pin(target, values.one(Plain::Pin).map(ToOwned::to_owned)),
            C::ResetPin => self.pin(target, Some("default".to_owned())),
            C::ClearPin => self.pin(target, None),
            C::SendMessage => self.message(values, target),
            C::Fingerprint => self.cards(target, |card| card.fingerprints += 1),
            C::RemoveSessions => self.account(target, |account| account.sessions_removed += 1),
            C::AddUsage => {
                let usage = values.one(Plain::Usage).unwrap_or_default().to_owned();
                let id = ids.first().cloned().unwrap_or_default();
                self.account(target, |account| {
                    account.usages.insert(usage, id);
                });
            }
            C::CancelUsage => {
                let usage = values.one(Plain::Usage).unwrap_or_default();
                let mut found = false;
                self.account(target, |account| found = account.usages.remove(usage).is_some());
                if !found {
                    return Err(Trouble::UnknownThing);
                }
            }
            C::Authenticate => {
                let known = target.account.as_ref().and_then(|number| self.passwords.get(number));
                let given = values.one(Plain::Password);
                if known.zip(given).is_some_and(|(known, given)| known != given) {
                    return Err(Trouble::WrongPassword);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn create(&mut self, values: &Values, target: &mut Target) -> Result<(), Trouble> {
        let number = target.account.clone().unwrap_or_else(|| {
            let number = self.next_account;
            self.next_account += 1;
            number.to_string()
        });
        if self.holdings.accounts.contains_key(&number) {
            return Err(Trouble::Exists);
        }
        target.account = Some(number.clone());
        self.holdings.accounts.insert(number, Account::default());
        self.update(values, target);
        let devices: Vec<_> = target.smartcards.iter().chain(&target.stbs).cloned().collect();
        self.account(target, |account| account.devices.extend(devices));
        Ok(())
    }

    fn update(&mut self, values: &Values, target: &Target) {
        let Some(number) = &target.account else { return };
        if let Some(password) = values.one(Plain::SubscriberPassword) {
            self.passwords.insert(number.clone(), password.to_owned());
        }
        let account = self.holdings.accounts.entry(number.clone()).or_default();
        account.attributes.extend(values.of_subscriber());
        if let Some(pin) = values.one(Plain::SubscriberPin) {
            account.pin = Some(pin.to_owned());
        }
    }

    fn swap(&mut self, values: &Values, target: &Target) -> Result<(), Trouble> {
        let pairs = [(Plain::Smartcard, Plain::NewSmartcard), (Plain::Stb, Plain::NewStb)];
        for (old, new) in pairs {
            let (Some(old), Some(new)) = (values.one(old), values.one(new)) else { continue };
            if new_is_card(&self.known, new) && !self.known.is_empty() && !self.known.contains(new) {
                return Err(Trouble::UnknownDevice);
            }
            if let Some(card) = self.holdings.cards.remove(old) {
                self.holdings.cards.insert(new.to_owned(), card);
                self.holdings.cards.insert(old.to_owned(), Card::default());
            }
            self.account(target, |account| {
                account.devices.remove(old);
                account.devices.insert(new.to_owned());
            });
        }
        Ok(())
    }

    fn activate(&mut self, values: &Values, target: &Target, ids: &[String]) {
        let holding = Holding { start: values.time(Plain::Start), end: values.time(Plain::End), suspended: false };
        self.services(target, |held| held.extend(ids.iter().map(|id| (id.clone(), holding.clone()))));
    }

    /// What the cards hold; where there is none, the account.
    fn services(&mut self, target: &Target, mut change: impl FnMut(&mut BTreeMap<String, Holding>)) {
        if target.smartcards.is_empty() {
            self.account(target, |account| change(&mut account.services));
        } else {
            self.cards(target, |card| change(&mut card.services));
        }
    }

    fn pin(&mut self, target: &Target, pin: Option<String>) {
        if target.smartcards.is_empty() {
            self.account(target, |account| account.pin = pin);
        } else {
            self.cards(target, |card| card.pin.clone_from(&pin));
        }
    }

    fn message(&mut self, values: &Values, target: &Target) {
        let text = values.one(Plain::Text).unwrap_or_default().to_owned();
        if !target.smartcards.is_empty() {
            self.cards(target, |card| card.messages.push(text.clone()));
        } else if target.account.is_some() {
            self.account(target, |account| account.messages.push(text));
        } else {
            self.holdings.broadcasts.push(text);
        }
    }

    fn cards(&mut self, target: &Target, mut change: impl FnMut(&mut Card)) {
        for number in &target.smartcards {
            change(self.holdings.cards.entry(number.clone()).or_default());
        }
    }

    fn account(&mut self, target: &Target, change: impl FnOnce(&mut Account)) {
        if let Some(number) = &target.account {
            change(self.holdings.accounts.entry(number.clone()).or_default());
        }
    }
}

/// Whether a new device is a card, where the platform knows its cards.
fn new_is_card(known: &BTreeSet<String>, new: &str) -> bool {
    known.contains(new) || known.iter().next().is_some_and(|card| card.len() == new.len())
}
