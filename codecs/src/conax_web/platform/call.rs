//! Calls, as the platform reads them.

use std::collections::BTreeSet;

use headgate_core::http::{HttpAnswer, HttpRequest};
use headgate_core::text::Secret;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::reply::fault;
use crate::conax_card;
use crate::http::soap;
use crate::xml::Element;

/// The namespace of the one service whose namespace is known \[S:SC\].
const MESSAGING: &str = "http://www.conax.com/cas/xsd/user-text-messaging/v1";

/// Most bytes of a call.
const LIMIT: usize = 4 << 20;

/// Most cards of one call \[S:SC\].
const MOST_CARDS: usize = 500;

/// Most bytes of a mail and of a bark \[S:W3\].
const LONGEST_MAIL: usize = 141;
const LONGEST_BARK: usize = 129;

/// What a call wants.
pub(super) enum Call {
    Message {
        cards: Vec<String>,
        text: String,
    },
    Add {
        cards: Vec<String>,
        services: Vec<String>,
        start: Option<Timestamp>,
        end: Option<Timestamp>,
    },
    Cancel {
        cards: Vec<String>,
        services: Vec<String>,
    },
    Active {
        card: String,
    },
    Pair {
        cards: Vec<String>,
        modules: BTreeSet<String>,
    },
    AddToPairing {
        cards: Vec<String>,
        modules: BTreeSet<String>,
    },
    PairingOfCard {
        card: String,
    },
    PairingOfModule {
        module: String,
    },
    Fingerprint {
        card: String,
    },
    /// Without a PIN: to the default value.
    Pin {
        card: String,
        pin: Option<Secret>,
    },
}

/// A call that could be read.
pub(super) struct Asked {
    /// The name of its operation.
    pub(super) operation: String,
    /// The namespace that it was in.
    pub(super) namespace: Option<String>,
    /// What it wants, or which of its elements is not valid.
    pub(super) call: Result<Call, &'static str>,
}

/// Why a call could not be read.
pub(super) enum Unreadable {
    /// It is no SOAP message in UTF-8.
    Stream,
    /// There is no such operation at that path.
    Operation,
    /// There is no such path.
    Path,
}

impl Unreadable {
    pub(super) fn answer(&self) -> HttpAnswer {
        match self {
            // As one client saw it \[S:SC\].
            Self::Stream => fault("soap:Server", "Couldn't parse stream."),
            Self::Operation => fault("soap:Client", "There is no such operation"),
            Self::Path => HttpAnswer::new(404, "text/plain", ""),
        }
    }
}

impl Call {
    pub(super) fn read(request: &HttpRequest) -> Result<Asked, Unreadable> {
        if declares_another_encoding(&request.body) {
            return Err(Unreadable::Stream);
        }
        let body = soap::read(&request.body, LIMIT).map_err(|_| Unreadable::Stream)?;
        let [root] = body.as_slice() else { return Err(Unreadable::Stream) };
        let name = root.name.as_str();
        // What is known of names is checked, whatever the prefixes.
        if name == "SendBarkMessageToClients" && root.namespace.as_deref() != Some(MESSAGING) {
            return Err(Unreadable::Operation);
        }
        let inner = root.child(&format!("{name}Request")).ok_or(Unreadable::Operation)?;
        let call = match request.path() {
            "/ca-server/webservices/caclient/user-text-messaging" => messaging(name, inner),
            "/ca-server/webservices/client/authorization" => authorisation(name, inner),
            "/ca-server/stand-in/pairing" => pairing(name, inner),
            "/ca-server/stand-in/fingerprint" => fingerprint(name, inner),
            "/ca-server/stand-in/ca-pin" => pin(name, inner),
            _ => return Err(Unreadable::Path),
        };
        let call = call.ok_or(Unreadable::Operation)?;
        Ok(Asked { operation: name.to_owned(), namespace: root.namespace.as_deref().map(str::to_owned), call })
    }

    /// Whether it changes something.
    pub(super) const fn changes(&self) -> bool {
        !matches!(self, Self::Active { .. } | Self::PairingOfCard { .. } | Self::PairingOfModule { .. })
    }

    /// The cards that it names.
    pub(super) fn cards(&self) -> &[String] {
        match self {
            Self::Message { cards, .. }
            | Self::Add { cards, .. }
            | Self::Cancel { cards, .. }
            | Self::Pair { cards, .. }
            | Self::AddToPairing { cards, .. } => cards,
            Self::Active { card }
            | Self::PairingOfCard { card }
            | Self::Fingerprint { card }
            | Self::Pin { card, .. } => std::slice::from_ref(card),
            Self::PairingOfModule { .. } => &[],
        }
    }
}

/// Whether the XML declaration names another encoding than the one that every byte is read in. One client learnt by a
/// fault not to write `utf-16` there \[S:SC\].
fn declares_another_encoding(body: &[u8]) -> bool {
    let head = body.get(..body.len().min(200)).unwrap_or_default();
    let head = String::from_utf8_lossy(head);
    let declaration = head.strip_prefix("<?xml").and_then(|rest| rest.split("?>").next());
    let Some((_, named)) = declaration.and_then(|text| text.split_once("encoding")) else { return false };
    let named = named.trim_start_matches(|c: char| c.is_whitespace() || c == '=');
    !named.trim_start_matches(['"', '\'']).to_ascii_lowercase().starts_with("utf-8")
}

fn messaging(name: &str, inner: &Element) -> Option<Result<Call, &'static str>> {
    let (longest, shown, repeated) = match name {
        "SendBarkMessageToClients" => (LONGEST_BARK, true, false),
        "SendMailMessageToClients" => (LONGEST_MAIL, false, false),
        "SendRepeatingBarkMessageToClients" => (LONGEST_BARK, true, true),
        _ => return None,
    };
    Some((|| {
        let cards = cards(inner)?;
        let text = inner.child("Message").map(|message| message.text.clone()).unwrap_or_default();
        if text.is_empty() || text.len() > longest {
            return Err("Message");
        }
        number(inner, "SequenceNumber", 0)?;
        if shown {
            number(inner, "DisplayDurationInSeconds", 1)?;
        }
        if repeated {
            number(inner, "RepetitionCount", 1)?;
            number(inner, "RepetitionIntervalInSeconds", 10)?;
        }
        time(inner, "StartIndicationTime")?;
        Ok(Call::Message { cards, text })
    })())
}

fn authorisation(name: &str, inner: &Element) -> Option<Result<Call, &'static str>> {
    let services = || match texts(inner, "ServiceId") {
        ids if ids.is_empty() || !ids.iter().all(|id| is_number(id)) => Err("ServiceId"),
        ids => Ok(ids),
    };
    Some(match name {
        "AddSubscriptions" => (|| {
            let (start, end) = (time(inner, "StartTime")?, time(inner, "EndTime")?);
            if start.zip(end).is_some_and(|(start, end)| end <= start) {
                return Err("EndTime");
            }
            Ok(Call::Add { cards: cards(inner)?, services: services()?, start, end })
        })(),
        "CancelSubscriptions" => (|| Ok(Call::Cancel { cards: cards(inner)?, services: services()? }))(),
        "GetActiveSubscriptions" => card(inner).map(|card| Call::Active { card }),
        _ => return None,
    })
}

fn pairing(name: &str, inner: &Element) -> Option<Result<Call, &'static str>> {
    let modules = || match texts(inner, "PairingModuleId") {
        ids if ids.is_empty() || ids.iter().any(String::is_empty) => Err("PairingModuleId"),
        ids => Ok(ids.into_iter().collect::<BTreeSet<_>>()),
    };
    Some(match name {
        "CreatePairing" => (|| Ok(Call::Pair { cards: cards(inner)?, modules: modules()? }))(),
        "AddToExistingPairing" => (|| Ok(Call::AddToPairing { cards: cards(inner)?, modules: modules()? }))(),
        "GetPairingStatusForCard" => card(inner).map(|card| Call::PairingOfCard { card }),
        "GetPairingStatusForPairingModule" => modules()
            .and_then(|ids| ids.into_iter().next().ok_or("PairingModuleId"))
            .map(|module| Call::PairingOfModule { module }),
        _ => return None,
    })
}

fn fingerprint(name: &str, inner: &Element) -> Option<Result<Call, &'static str>> {
    let call = || {
        number(inner, "DisplayDurationInSeconds", 1)?;
        Ok(Call::Fingerprint { card: card(inner)? })
    };
    (name == "DisplayFingerprint").then(call)
}

fn pin(name: &str, inner: &Element) -> Option<Result<Call, &'static str>> {
    Some(match name {
        "UpdateCaPinToDefaultValue" => card(inner).map(|card| Call::Pin { card, pin: None }),
        "UpdateCaPinToGivenValue" => (|| {
            let pin = texts(inner, "Pin").pop().filter(|pin| is_number(pin)).ok_or("Pin")?;
            Ok(Call::Pin { card: card(inner)?, pin: Some(Secret::new(pin)) })
        })(),
        _ => return None,
    })
}

/// The cards of a call, in `CaClientIds`.
fn cards(inner: &Element) -> Result<Vec<String>, &'static str> {
    let cards = texts(inner, "CaClientId");
    let fits = (1..=MOST_CARDS).contains(&cards.len()) && cards.iter().all(|card| is_card(card));
    if fits { Ok(cards) } else { Err("CaClientIds") }
}

/// The one card of a call.
fn card(inner: &Element) -> Result<String, &'static str> {
    match cards(inner)?.as_slice() {
        [card] => Ok(card.clone()),
        _ => Err("CaClientId"),
    }
}

fn is_card(text: &str) -> bool {
    text.len() == conax_card::DIGITS && conax_card::as_sent(text).is_some()
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn number(inner: &Element, name: &'static str, least: i32) -> Result<i32, &'static str> {
    let text = inner.child(name).map(|element| element.text.trim()).unwrap_or_default();
    text.parse().ok().filter(|number| *number >= least).ok_or(name)
}

/// A time as one client wrote it, without a zone; read as UTC. Absent: at once.
fn time(inner: &Element, name: &'static str) -> Result<Option<Timestamp>, &'static str> {
    let Some(element) = inner.child(name) else { return Ok(None) };
    let time: DateTime = element.text.trim().parse().map_err(|_| name)?;
    time.to_zoned(TimeZone::UTC).map(|time| Some(time.timestamp())).map_err(|_| name)
}

/// The texts of all elements of that name, at whatever depth.
fn texts(element: &Element, name: &str) -> Vec<String> {
    let own = (element.name == name).then(|| element.text.trim().to_owned());
    own.into_iter().chain(element.children.iter().flat_map(|child| texts(child, name))).collect()
}
