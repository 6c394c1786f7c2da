//! What a platform's answers mean, by the profile: success or not, and what they tell.

use std::collections::BTreeMap;
use std::time::Duration;

use headgate_core::failure::Failure;
use headgate_core::http::HttpAnswer;
use headgate_core::outcome::{
    Answer, Authenticated, HeldService, HeldServices, KnownDevice, KnownSubscriber, Pairing, RawAnswer,
};
use headgate_core::text::{AccountNumber, CaId, PersonalText, PlatformReference, Secret, Serial};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::table::{
    AnswerTable, AuthenticatedExtract, DevicesExtract, ErrorTable, ExtractTable, FormatTable, Meaning, PairingsExtract,
    ServicesExtract, SubscriberExtract, TestTable, TimesTable,
};
use super::tree::{Path, Strict, Tree};
use super::values::Scope;
use crate::http::answer::{not_admitted, server_error, unreadable};
use crate::registry::SettingsError;
use crate::xml::{self, Element};

/// Most bytes of an XML answer that is read.
const LIMIT: usize = 64 << 20;

/// Most characters of a platform's words that are kept.
const WORDS: usize = 500;

/// How an operation's answers are read.
#[derive(Clone, Debug)]
pub struct AnswerForm {
    pub(super) format: FormatTable,
    pub(super) status: Vec<u16>,
    pub(super) success: Option<Test>,
    pub(super) error_code: Vec<Path>,
    pub(super) error_text: Vec<Path>,
    errors: BTreeMap<String, ErrorTable>,
    pub(super) extract: Extract,
}

/// A condition on an answer.
#[derive(Clone, Debug)]
pub(super) struct Test {
    pub(super) at: Path,
    pub(super) is: Vec<String>,
}

/// What an answer tells, with its paths read.
#[derive(Clone, Debug)]
pub(super) struct Extract {
    pub(super) reference: Option<Path>,
    pub(super) session: Option<Path>,
    pub(super) keep: BTreeMap<String, Path>,
    raw: bool,
    pub(super) services: Option<Services>,
    pub(super) pairings: Option<Pairings>,
    pub(super) devices: Option<Devices>,
    pub(super) subscriber: Option<Subscriber>,
    pub(super) authenticated: Option<(Option<Path>, Option<Path>)>,
}

#[derive(Clone, Debug)]
pub(super) struct Services {
    pub(super) each: Path,
    pub(super) ca_id: Path,
    pub(super) smartcard: Option<Path>,
    pub(super) start: Option<Path>,
    pub(super) end: Option<Path>,
    pub(super) suspended: Option<Test>,
    pub(super) times: TimesTable,
}

#[derive(Clone, Debug)]
pub(super) struct Pairings {
    pub(super) each: Path,
    pub(super) smartcard: Option<Path>,
    pub(super) stbs: Path,
}

#[derive(Clone, Debug)]
pub(super) struct Devices {
    pub(super) each: Path,
    pub(super) serial: Path,
    pub(super) enabled: Option<Test>,
    pub(super) account: Option<Path>,
    pub(super) paired: Option<Path>,
    pub(super) attributes: BTreeMap<String, Path>,
}

#[derive(Clone, Debug)]
pub(super) struct Subscriber {
    pub(super) account: Option<Path>,
    pub(super) state: Option<Path>,
    pub(super) devices: Option<Path>,
    pub(super) services: Option<Services>,
    pub(super) attributes: BTreeMap<String, Path>,
}

/// What a successful answer told.
#[derive(Debug, Default)]
pub struct Told {
    /// The platform's own number.
    pub reference: Option<PlatformReference>,
    /// What the login gave.
    pub session: Option<Secret>,
    /// Values for the operations that follow.
    pub kept: BTreeMap<String, String>,
    /// What the CRM asked.
    pub answer: Option<Answer>,
}

/// What an answer means.
#[derive(Debug)]
pub enum Reading {
    /// It was done.
    Done(Told),
    /// The platform said no; or something like it, by the failure's retry and blame.
    Not(Meaning, Failure),
}

/// Reads paths and names the place of a mistake.
struct Reader<'a> {
    path: &'a str,
}

impl AnswerForm {
    /// Reads how answers are read: what the operation says before what the profile says. `paths` are where the mistakes
    /// are: of the operation's table and of the profile's.
    pub(super) fn compile(
        own: &AnswerTable,
        shared: &AnswerTable,
        errors: [&BTreeMap<String, ErrorTable>; 2],
        extract: &ExtractTable,
        paths: [&str; 2],
    ) -> Result<Self, SettingsError> {
        let [operation, profile] = paths;
        let pick = |is_own: bool| if is_own { (own, operation) } else { (shared, profile) };
        let (table, path) = pick(own.success.is_some());
        let path = format!("{path}.answer.");
        let success = Reader { path: &path }.test("success", table.success.as_ref())?;
        let (table, path) = pick(!own.error_code.is_empty());
        let error_code = Reader { path: &format!("{path}.answer.") }.list("error_code", &table.error_code)?;
        let (table, path) = pick(!own.error_text.is_empty());
        let error_text = Reader { path: &format!("{path}.answer.") }.list("error_text", &table.error_text)?;
        let format = own.format.or(shared.format).unwrap_or(FormatTable::Json);
        let extract = Reader { path: &format!("{operation}.extract.") }.extract(extract)?;
        if format == FormatTable::None && (success.is_some() || extract.reads()) {
            let text = "`format = \"none\"` reads nothing, and something of the answer is asked for";
            return Err(SettingsError::new(format!("{operation}.answer.format"), text));
        }
        let [own_errors, shared_errors] = errors;
        let errors =
            shared_errors.iter().chain(own_errors).map(|(code, error)| (code.clone(), error.clone())).collect();
        let status = if own.status.is_empty() { shared.status.clone() } else { own.status.clone() };
        Ok(Self { format, status, success, error_code, error_text, errors, extract })
    }

    /// What an answer means for a call about `scope`.
    #[must_use]
    pub fn read(&self, answer: &HttpAnswer, scope: &Scope<'_>) -> Reading {
        let expected = if self.status.is_empty() { answer.is_success() } else { self.status.contains(&answer.status) };
        let body = Body::parse(self.format, answer);
        match body {
            Ok(body) if expected => self.read_success(answer, body.tree(), scope),
            Ok(body) => self.read_failure(answer, body.tree()),
            Err(failure) if expected => Reading::Not(Meaning::Unclear, failure),
            Err(_) => self.read_failure(answer, None),
        }
    }

    /// The names of what it keeps for the operations that follow.
    pub(super) fn keeps(&self) -> impl Iterator<Item = &str> {
        self.extract.keep.keys().map(String::as_str)
    }

    fn read_success(&self, answer: &HttpAnswer, tree: Option<Tree<'_>>, scope: &Scope<'_>) -> Reading {
        let Some(test) = &self.success else { return self.told(answer, tree, scope) };
        let Some(tree) = tree else {
            return Reading::Not(Meaning::Unclear, unreadable(answer, "it is empty"));
        };
        if test.holds(tree) {
            return self.told(answer, Some(tree), scope);
        }
        match self.code(tree) {
            Some(code) => self.refusal(answer, code, Some(tree), scope),
            None => match test.at.text(tree).filter(|_| !test.is.is_empty()) {
                Some(code) => self.refusal(answer, words(&code), Some(tree), scope),
                None => Reading::Not(Meaning::Unclear, unreadable(answer, "it tells neither success nor an error")),
            },
        }
    }

    fn read_failure(&self, answer: &HttpAnswer, tree: Option<Tree<'_>>) -> Reading {
        let status = format!("http_{}", answer.status);
        let code = tree.and_then(|tree| self.code(tree));
        if code.is_none() && !self.errors.contains_key(&status) {
            match answer.status {
                401 | 403 => return Reading::Not(Meaning::NotAdmitted, not_admitted(answer)),
                500.. => return Reading::Not(Meaning::Unclear, server_error(answer)),
                400..=499 => {}
                _ => return Reading::Not(Meaning::Unclear, unreadable(answer, "its status is not expected")),
            }
        }
        self.refused(answer, code.unwrap_or(status), tree)
    }

    /// A refusal, or, if its code says that nothing is left to do, a success.
    fn refusal(&self, answer: &HttpAnswer, code: String, tree: Option<Tree<'_>>, scope: &Scope<'_>) -> Reading {
        match self.refused(answer, code, tree) {
            Reading::Not(Meaning::RepeatIsFine, _) => self.told(answer, tree, scope),
            other => other,
        }
    }

    fn refused(&self, answer: &HttpAnswer, code: String, tree: Option<Tree<'_>>) -> Reading {
        let text = tree.and_then(|tree| self.error_text.iter().find_map(|path| path.text(tree)));
        let text =
            text.filter(|text| !text.is_empty()).map_or_else(|| "the platform said no".to_owned(), |text| words(&text));
        let rule = self.errors.get(&code);
        let meaning = rule.map_or(Meaning::Rejected, |rule| rule.meaning);
        let refused = Failure::refused(code, text);
        let failure = match meaning {
            Meaning::Rejected | Meaning::RepeatIsFine => refused,
            Meaning::NotAdmitted | Meaning::SessionLost => {
                Failure { code: refused.code, text: refused.text, ..not_admitted(answer) }
            }
            Meaning::RetryLater => Failure {
                retry: headgate_core::failure::Retry::Later(rule.and_then(|rule| rule.after)),
                sent: headgate_core::failure::Sent::No,
                ..refused
            },
            Meaning::Unclear => Failure { code: refused.code, text: refused.text, ..server_error(answer) },
        };
        Reading::Not(meaning, failure)
    }

    fn code(&self, tree: Tree<'_>) -> Option<String> {
        let (path, code) = self.error_code.iter().find_map(|path| Some((path, path.text(tree)?)))?;
        // The code of a SOAP fault is a qualified name, and its prefix says nothing.
        let code = if path.leads_to("faultcode") { code.rsplit(':').next().unwrap_or_default() } else { &code };
        (!code.is_empty()).then(|| words(code))
    }

    fn told(&self, answer: &HttpAnswer, tree: Option<Tree<'_>>, scope: &Scope<'_>) -> Reading {
        let extract = &self.extract;
        if extract.raw {
            let answer = Some(Answer::Raw(RawAnswer(answer.body.clone())));
            return Reading::Done(Told { answer, ..Told::default() });
        }
        let Some(tree) = tree else {
            return match extract.reads() {
                true => Reading::Not(Meaning::Unclear, unreadable(answer, "it is empty")),
                false => Reading::Done(Told::default()),
            };
        };
        match extract.tell(tree, scope) {
            Ok(told) => Reading::Done(told),
            Err(why) => Reading::Not(Meaning::Unclear, unreadable(answer, why)),
        }
    }
}

/// An answer's body, read.
enum Body {
    Empty,
    Json(serde_json::Value),
    Xml(Box<Element>),
}

impl Body {
    fn parse(format: FormatTable, answer: &HttpAnswer) -> Result<Self, Failure> {
        if answer.body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::Empty);
        }
        match format {
            FormatTable::None => Ok(Self::Empty),
            FormatTable::Json => crate::http::answer::json::<Strict>(answer).map(|Strict(value)| Self::Json(value)),
            FormatTable::Xml => match xml::parse(&answer.body, LIMIT) {
                Ok(root) => Ok(Self::Xml(Box::new(root))),
                Err(error) => Err(unreadable(answer, error)),
            },
        }
    }

    const fn tree(&self) -> Option<Tree<'_>> {
        match self {
            Self::Empty => None,
            Self::Json(value) => Some(Tree::Json(value)),
            Self::Xml(root) => Some(Tree::Xml(root)),
        }
    }
}

impl Test {
    fn holds(&self, tree: Tree<'_>) -> bool {
        let mut places = self.at.all(tree).into_iter();
        if self.is.is_empty() {
            places.any(Tree::is_something)
        } else {
            places.find_map(Tree::text).is_some_and(|text| self.is.contains(&text))
        }
    }
}

impl Extract {
    /// Whether it needs a body.
    fn reads(&self) -> bool {
        self.session.is_some()
            || !self.keep.is_empty()
            || self.services.is_some()
            || self.pairings.is_some()
            || self.devices.is_some()
            || self.subscriber.is_some()
    }

    fn tell(&self, tree: Tree<'_>, scope: &Scope<'_>) -> Result<Told, String> {
        let reference = self.reference.as_ref().and_then(|path| path.text(tree));
        let mut kept = BTreeMap::new();
        for (name, path) in &self.keep {
            let value = path.text(tree).ok_or_else(|| format!("it does not tell {name}"))?;
            kept.insert(name.clone(), value);
        }
        let session = match &self.session {
            None => None,
            Some(path) => Some(path.text(tree).filter(|text| !text.is_empty()).ok_or("it tells no session")?),
        };
        Ok(Told {
            reference: reference.and_then(|text| PlatformReference::new(&text).ok()),
            session: session.map(Secret::new),
            kept,
            answer: self.answer(tree, scope)?,
        })
    }

    fn answer(&self, tree: Tree<'_>, scope: &Scope<'_>) -> Result<Option<Answer>, String> {
        if let Some(services) = &self.services {
            return services.held(tree, scope).map(Answer::Services).map(Some);
        }
        if let Some(pairings) = &self.pairings {
            return pairings.read(tree, scope).map(Answer::Pairings).map(Some);
        }
        if let Some(devices) = &self.devices {
            return devices.read(tree).map(Answer::Devices).map(Some);
        }
        if let Some(subscriber) = &self.subscriber {
            return subscriber.read(tree, scope).map(Answer::Subscriber).map(Some);
        }
        if let Some((account, token)) = &self.authenticated {
            let account = match account {
                Some(path) => path.text(tree),
                None => scope.request.account_number().map(ToOwned::to_owned),
            };
            let token = token.as_ref().and_then(|path| path.text(tree)).map(Secret::new);
            let account = account.and_then(|account| AccountNumber::new(&account).ok());
            return Ok(Some(Answer::Authenticated(Authenticated { account, token })));
        }
        Ok(None)
    }
}

impl Services {
    /// By smartcard where the answer or the request tells one, else by account.
    fn held(&self, tree: Tree<'_>, scope: &Scope<'_>) -> Result<Vec<HeldServices>, String> {
        let mut by_card: BTreeMap<Option<Serial>, Vec<HeldService>> = BTreeMap::new();
        if self.smartcard.is_none() || scope.smartcards.len() == 1 {
            by_card.insert(scope.smartcards.first().cloned(), Vec::new());
        }
        for place in self.each.all(tree) {
            let card = match &self.smartcard {
                Some(path) => Some(serial(&path.text(place).ok_or("a service tells no smartcard")?)?),
                None => scope.smartcards.first().cloned(),
            };
            by_card.entry(card).or_default().push(self.one(place, scope)?);
        }
        let account = |card: &Option<Serial>| match card {
            Some(_) => None,
            None => scope.request.account_number().and_then(|account| AccountNumber::new(account).ok()),
        };
        let held = by_card.into_iter().map(|(smartcard, services)| HeldServices {
            account: account(&smartcard),
            smartcard,
            services,
        });
        Ok(held.collect())
    }

    fn one(&self, place: Tree<'_>, scope: &Scope<'_>) -> Result<HeldService, String> {
        let ca_id = self.ca_id.text(place).and_then(|id| CaId::new(&id).ok()).ok_or("a service tells no id")?;
        let time = |path: &Option<Path>| match path.as_ref().and_then(|path| path.text(place)) {
            None => Ok(None),
            Some(text) if text.is_empty() => Ok(None),
            Some(text) => self.times.read(&text, &scope.context.zone).map(Some).ok_or("a time can not be read"),
        };
        Ok(HeldService {
            code: scope.map.code(&ca_id).cloned(),
            start: time(&self.start)?,
            end: time(&self.end)?,
            suspended: self.suspended.as_ref().is_some_and(|test| test.holds(place)),
            ca_id,
        })
    }
}

impl Pairings {
    fn read(&self, tree: Tree<'_>, scope: &Scope<'_>) -> Result<Vec<Pairing>, String> {
        let pairings = self.each.all(tree).into_iter().map(|place| {
            let smartcard = match &self.smartcard {
                Some(path) => serial(&path.text(place).ok_or("a pairing tells no smartcard")?)?,
                None => scope.smartcards.first().cloned().ok_or("a pairing tells no smartcard")?,
            };
            let stbs = self.stbs.texts(place).iter().map(|text| serial(text)).collect::<Result<_, _>>()?;
            Ok(Pairing { smartcard, stbs })
        });
        pairings.collect()
    }
}

impl Devices {
    fn read(&self, tree: Tree<'_>) -> Result<Vec<KnownDevice>, String> {
        let devices = self.each.all(tree).into_iter().map(|place| {
            let paired = self.paired.as_ref().map(|path| path.texts(place)).unwrap_or_default();
            let account = self.account.as_ref().and_then(|path| path.text(place));
            Ok(KnownDevice {
                serial: serial(&self.serial.text(place).ok_or("a device tells no serial number")?)?,
                enabled: self.enabled.as_ref().map(|test| test.holds(place)),
                account: account.and_then(|account| AccountNumber::new(&account).ok()),
                paired: paired.iter().map(|text| serial(text)).collect::<Result<_, _>>()?,
                attributes: attributes(&self.attributes, place),
            })
        });
        devices.collect()
    }
}

impl Subscriber {
    fn read(&self, tree: Tree<'_>, scope: &Scope<'_>) -> Result<KnownSubscriber, String> {
        let account = match &self.account {
            Some(path) => path.text(tree),
            None => scope.request.account_number().map(ToOwned::to_owned),
        };
        let account = account.and_then(|account| AccountNumber::new(&account).ok()).ok_or("it tells no account")?;
        let devices = self.devices.as_ref().map(|path| path.texts(tree)).unwrap_or_default();
        let services = match &self.services {
            None => Vec::new(),
            Some(services) => {
                services.each.all(tree).into_iter().map(|place| services.one(place, scope)).collect::<Result<_, _>>()?
            }
        };
        Ok(KnownSubscriber {
            account,
            state: self.state.as_ref().and_then(|path| path.text(tree)).map(|text| words(&text)),
            devices: devices.iter().map(|text| serial(text)).collect::<Result<_, _>>()?,
            services,
            attributes: attributes(&self.attributes, tree),
        })
    }
}

impl TimesTable {
    /// A time as an answer writes it.
    pub(super) fn read(self, text: &str, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Epoch => Timestamp::from_second(text.parse().ok()?).ok(),
            Self::EpochMs => Timestamp::from_millisecond(text.parse().ok()?).ok(),
            Self::Rfc3339 => text.parse().ok().or_else(|| {
                let local: DateTime = text.parse().ok()?;
                zone.to_timestamp(local).ok()
            }),
        }
    }
}

impl Reader<'_> {
    fn one(&self, name: &str, text: &str) -> Result<Path, SettingsError> {
        Path::parse(text).map_err(|why| SettingsError::new(format!("{}{name}", self.path), why))
    }

    fn optional(&self, name: &str, text: Option<&String>) -> Result<Option<Path>, SettingsError> {
        text.map(|text| self.one(name, text)).transpose()
    }

    fn list(&self, name: &str, texts: &[String]) -> Result<Vec<Path>, SettingsError> {
        texts.iter().enumerate().map(|(index, text)| self.one(&format!("{name}[{index}]"), text)).collect()
    }

    fn named(&self, name: &str, texts: &BTreeMap<String, String>) -> Result<BTreeMap<String, Path>, SettingsError> {
        texts.iter().map(|(key, text)| Ok((key.clone(), self.one(&format!("{name}.{key}"), text)?))).collect()
    }

    fn test(&self, name: &str, test: Option<&TestTable>) -> Result<Option<Test>, SettingsError> {
        let read = |test: &TestTable| Ok(Test { at: self.one(&format!("{name}.at"), &test.at)?, is: test.is.clone() });
        test.map(read).transpose()
    }

    fn extract(&self, table: &ExtractTable) -> Result<Extract, SettingsError> {
        let ExtractTable { reference, session, keep, raw, services, pairings, devices, subscriber, authenticated } =
            table;
        let answers = [
            *raw,
            services.is_some(),
            pairings.is_some(),
            devices.is_some(),
            subscriber.is_some(),
            authenticated.is_some(),
        ];
        if answers.iter().filter(|given| **given).count() > 1 {
            let text = "an answer is one of raw, services, pairings, devices, subscriber, authenticated";
            return Err(SettingsError::new(self.path.trim_end_matches('.'), text));
        }
        let authenticated = match authenticated {
            None => None,
            Some(AuthenticatedExtract { account, token }) => Some((
                self.optional("authenticated.account", account.as_ref())?,
                self.optional("authenticated.token", token.as_ref())?,
            )),
        };
        Ok(Extract {
            reference: self.optional("reference", reference.as_ref())?,
            session: self.optional("session", session.as_ref())?,
            keep: self.named("keep", keep)?,
            raw: *raw,
            services: services.as_ref().map(|table| self.services("services", table)).transpose()?,
            pairings: pairings.as_ref().map(|table| self.pairings(table)).transpose()?,
            devices: devices.as_ref().map(|table| self.devices(table)).transpose()?,
            subscriber: subscriber.as_ref().map(|table| self.subscriber(table)).transpose()?,
            authenticated,
        })
    }

    fn services(&self, name: &str, table: &ServicesExtract) -> Result<Services, SettingsError> {
        let below = |member: &str| format!("{name}.{member}");
        Ok(Services {
            each: self.one(&below("each"), &table.each)?,
            ca_id: self.one(&below("ca_id"), &table.ca_id)?,
            smartcard: self.optional(&below("smartcard"), table.smartcard.as_ref())?,
            start: self.optional(&below("start"), table.start.as_ref())?,
            end: self.optional(&below("end"), table.end.as_ref())?,
            suspended: self.test(&below("suspended"), table.suspended.as_ref())?,
            times: table.times,
        })
    }

    fn pairings(&self, table: &PairingsExtract) -> Result<Pairings, SettingsError> {
        Ok(Pairings {
            each: self.one("pairings.each", &table.each)?,
            smartcard: self.optional("pairings.smartcard", table.smartcard.as_ref())?,
            stbs: self.one("pairings.stbs", &table.stbs)?,
        })
    }

    fn devices(&self, table: &DevicesExtract) -> Result<Devices, SettingsError> {
        Ok(Devices {
            each: self.one("devices.each", &table.each)?,
            serial: self.one("devices.serial", &table.serial)?,
            enabled: self.test("devices.enabled", table.enabled.as_ref())?,
            account: self.optional("devices.account", table.account.as_ref())?,
            paired: self.optional("devices.paired", table.paired.as_ref())?,
            attributes: self.named("devices.attributes", &table.attributes)?,
        })
    }

    fn subscriber(&self, table: &SubscriberExtract) -> Result<Subscriber, SettingsError> {
        Ok(Subscriber {
            account: self.optional("subscriber.account", table.account.as_ref())?,
            state: self.optional("subscriber.state", table.state.as_ref())?,
            devices: self.optional("subscriber.devices", table.devices.as_ref())?,
            services: table.services.as_ref().map(|table| self.services("subscriber.services", table)).transpose()?,
            attributes: self.named("subscriber.attributes", &table.attributes)?,
        })
    }
}

fn serial(text: &str) -> Result<Serial, String> {
    Serial::new(text).map_err(|_| "a serial number is empty or too long".to_owned())
}

fn attributes(paths: &BTreeMap<String, Path>, place: Tree<'_>) -> BTreeMap<String, PersonalText> {
    let told = paths.iter().filter_map(|(name, path)| {
        let text = PersonalText::new(&path.text(place)?).ok()?;
        Some((name.clone(), text))
    });
    told.collect()
}

/// A platform's words, not longer than anybody reads, on one line.
fn words(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(WORDS).collect()
}

/// The longest pause that a profile may ask for.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_hours(24);
