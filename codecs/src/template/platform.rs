//! A stand-in for the platform of a profile: reads calls by the profile's own templates, keeps what they do, and answers so
//! that the profile reads it. It shows that a profile is of one piece; it is not the vendor's platform.

mod read;
mod reply;
mod state;

use std::collections::BTreeSet;
use std::sync::Arc;

use headgate_core::Now;
use headgate_core::command::CommandKind;
use headgate_core::http::{HttpAnswer, HttpRequest};
use headgate_core::platform::{Fault, Holdings};
use headgate_core::text::Secret;

use self::read::Values;
use self::reply::Told;
pub use self::state::Trouble;
use self::state::{State, Target};
use super::draft::{Draft, Signer};
use super::profile::{Operation, Profile};
use super::values::{Context, Plain};
use crate::http::Backend;
use crate::registry::Stock;

/// Most sessions at once; the oldest ends.
const MOST_SESSIONS: usize = 100;

/// What a protocol's platform calls its troubles: code and words.
pub type Words = fn(Trouble) -> (&'static str, &'static str);

/// The names of troubles, for platforms without codes of their own.
#[must_use]
pub const fn plain_words(trouble: Trouble) -> (&'static str, &'static str) {
    let text = match trouble {
        Trouble::BadRequest => "the call is not understood",
        Trouble::Exists => "the account is there already",
        Trouble::NotAdmitted => "the caller is not known",
        Trouble::SessionLost => "the session is not known",
        Trouble::UnknownAccount => "there is no such account",
        Trouble::UnknownDevice => "there is no such device",
        Trouble::UnknownThing => "there is no such thing",
        Trouble::WrongPassword => "the password is wrong",
    };
    (trouble.name(), text)
}

/// A stand-in platform.
pub struct TemplatePlatform {
    profile: Profile,
    context: Context,
    signer: Arc<dyn Signer>,
    words: Words,
    state: State,
    sessions: BTreeSet<u64>,
    issued: u64,
    answered: u64,
}

impl TemplatePlatform {
    /// A platform for a profile. Accounts must be made before they are used, if the profile can make them.
    #[must_use]
    pub fn new(profile: Profile, context: Context, signer: Arc<dyn Signer>, words: Words, stock: &Stock) -> Self {
        let makes = |operation: &Operation| operation.command == Some(CommandKind::CreateSubscriber);
        let strict = profile.operations().any(makes);
        Self {
            context: Context { zone: profile.zone.clone(), ..context },
            state: State::new(stock, strict),
            profile,
            signer,
            words,
            sessions: BTreeSet::new(),
            issued: 0,
            answered: 0,
        }
    }

    /// The operation that a call is of, what it says, and whether its signature is right.
    fn recognise(&self, now: Now, request: &HttpRequest) -> Option<(usize, Values, bool)> {
        let received = Draft::received(request);
        self.profile.operations().enumerate().find_map(|(index, operation)| {
            let mut draft = received.clone();
            let signed = operation.sign.as_ref().is_none_or(|sign| self.signer.verify(sign, &mut draft, now));
            let values = read::read(operation, &draft, &self.context.zone)?;
            Some((index, values, signed))
        })
    }

    fn login(&mut self, values: &Values, refuse: Option<Fault>) -> Result<Told, Trouble> {
        let is_ours = |plain, expected: Option<&str>| values.one(plain).is_none_or(|given| Some(given) == expected);
        let password = self.context.password.as_ref().map(Secret::reveal);
        let admitted =
            is_ours(Plain::SettingsUser, self.context.user.as_deref()) && is_ours(Plain::SettingsPassword, password);
        if refuse.is_some() || !admitted {
            return Err(Trouble::NotAdmitted);
        }
        self.issued += 1;
        self.state.holdings.logins += 1;
        self.sessions.insert(self.issued);
        if self.sessions.len() > MOST_SESSIONS {
            self.sessions.pop_first();
        }
        Ok(Told { session: Some(session_name(self.issued)), ..Told::default() })
    }

    fn carry_out(&mut self, index: usize, values: &Values, refuse: Option<Fault>) -> Result<(Told, Target), Trouble> {
        let operation = self.profile.operation(index).ok_or(Trouble::BadRequest)?;
        let command = operation.command;
        if self.profile.login.is_some() {
            let known =
                values.one(Plain::Session).is_none_or(|name| self.sessions.iter().any(|id| session_name(*id) == name));
            if !known {
                return Err(Trouble::SessionLost);
            }
        }
        if refuse.is_some() {
            let devices = values.all(&[Plain::Smartcard, Plain::Smartcards, Plain::Device, Plain::Stb, Plain::Stbs]);
            return Err(if devices.is_empty() { Trouble::UnknownAccount } else { Trouble::UnknownDevice });
        }
        let makes = command == Some(CommandKind::CreateSubscriber);
        let mut target = self.state.target(values, makes)?;
        if let Some(command) = command {
            self.state.apply(command, values, &mut target)?;
        }
        self.answered += 1;
        let token = target.account.as_ref().map(|account| format!("token-{account}-{}", self.answered));
        Ok((Told { reference: format!("tx-{}", self.answered), token, session: None }, target))
    }
}

impl Backend for TemplatePlatform {
    fn answer(&mut self, now: Now, request: &HttpRequest, refuse: Option<Fault>) -> HttpAnswer {
        let Some((index, values, signed)) = self.recognise(now, request) else {
            let (code, text) = (self.words)(Trouble::BadRequest);
            return match self.profile.operations().next() {
                Some(operation) => {
                    reply::refusal(&operation.answer, self.profile.soap, Trouble::BadRequest, code, text)
                }
                None => HttpAnswer::new(404, "text/plain", text),
            };
        };
        let is_login = self.profile.login.is_some_and(|(login, _)| login == index);
        let result = match (signed, is_login) {
            (false, _) => Err(Trouble::NotAdmitted),
            (true, true) => self
                .login(&values, refuse)
                .map(|told| (told, Target { account: None, smartcards: Vec::new(), stbs: Vec::new() })),
            (true, false) => self.carry_out(index, &values, refuse),
        };
        let soap = self.profile.soap;
        let Some(operation) = self.profile.operation(index) else { return HttpAnswer::default() };
        let asks = operation.command.is_none_or(CommandKind::is_query);
        if !asks {
            self.state.holdings.applied += 1;
        }
        match result {
            Ok((told, target)) => reply::success(&operation.answer, soap, &told, &target, &self.state.holdings),
            Err(trouble) => {
                let (code, text) = (self.words)(trouble);
                reply::refusal(&operation.answer, soap, trouble, code, text)
            }
        }
    }

    fn is_login(&self, request: &HttpRequest) -> bool {
        let login = self.profile.login.and_then(|(index, _)| self.profile.operation(index));
        login.is_some_and(|operation| read::read(operation, &Draft::received(request), &self.context.zone).is_some())
    }

    fn lose_sessions(&mut self) {
        self.sessions.clear();
    }

    fn has_sessions(&self) -> bool {
        self.profile.login.is_some()
    }

    fn holdings(&self) -> &Holdings {
        &self.state.holdings
    }
}

fn session_name(id: u64) -> String {
    format!("session-{id:06}")
}
