//! SOAP calls and answers of the Service Delivery Platform \[S4, S6, S7, S8\].
//!
//! Names of operations and of elements are the source's; namespaces are settings.

use headgate_core::failure::Failure;
use headgate_core::http::{HttpAnswer, HttpCall};
use headgate_core::text::Secret;

use super::settings::SdpSettings;
use crate::http::answer;
use crate::http::soap::{self, SoapError};
use crate::xml::Element;
use crate::xml::write::{Unwritable, XmlWriter};

/// A call of an operation.
#[derive(Clone, PartialEq, Eq)]
pub enum Operation {
    /// An account with its one user.
    CreateAccount {
        /// `accountNumber`, `status` and the others, in order.
        account: Vec<(String, String)>,
        /// The user.
        user: Box<User>,
    },
    /// A smartcard is made known.
    CreateSmartCard {
        /// Its number.
        card: String,
    },
    /// A smartcard is forgotten; what was bought for it may go too.
    DeleteSmartCard {
        /// Its number.
        card: String,
    },
    /// An account is asked for.
    GetByAccountNumber {
        /// Its number.
        number: String,
    },
    /// A card is tied to a box.
    Pair {
        /// The box.
        device: String,
        /// The card's number.
        card: String,
    },
    /// A box's pairing ends.
    Unpair {
        /// The box.
        device: String,
    },
}

/// The user of a new account \[S6\].
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// What the user is called.
    pub name: String,
    /// What the user signs in with.
    pub login: String,
    /// The hashed password.
    pub password: Option<Secret>,
    /// Its salt.
    pub salt: Option<String>,
    /// The PIN.
    pub pin: Option<Secret>,
}

impl Operation {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::CreateAccount { .. } => "CreateAccount",
            Self::CreateSmartCard { .. } => "CreateSmartCard",
            Self::DeleteSmartCard { .. } => "DeleteSmartCard",
            Self::GetByAccountNumber { .. } => "getByAccountNumber",
            Self::Pair { .. } => "Pair",
            Self::Unpair { .. } => "Unpair",
        }
    }

    /// The call.
    ///
    /// # Errors
    /// [`Unwritable`] if a text can not stand in XML.
    pub fn call(&self, settings: &SdpSettings) -> Result<HttpCall, Unwritable> {
        let asks = matches!(self, Self::GetByAccountNumber { .. });
        let (path, prefix, namespace) = match asks {
            true => (&settings.account_service, "svc", &settings.namespaces.account_service),
            false => (&settings.sms_service, "sms", &settings.namespaces.sms),
        };
        let body = soap::write(&[(prefix, namespace)], |writer| {
            writer.element(&format!("{prefix}:{}", self.name()), &[], |writer| self.arguments(settings, writer));
        })?;
        let call = HttpCall::post(path.clone(), soap::CONTENT_TYPE, body).header("soapaction", "\"\"");
        Ok(HttpCall { harmless: asks, ..call })
    }

    fn arguments(&self, settings: &SdpSettings, writer: &mut XmlWriter) {
        let device_specification = |writer: &mut XmlWriter, device: &str| {
            writer.element("deviceSpecification", &[], |writer| writer.text_element(&settings.device_key, device));
        };
        let card_specification = |writer: &mut XmlWriter, card: &str| {
            writer.element("smartCardSpecification", &[], |writer| writer.text_element("smartCardId", card));
        };
        match self {
            Self::CreateAccount { account, user } => {
                writer.element("account", &[], |writer| {
                    account.iter().for_each(|(name, value)| writer.text_element(name, value));
                });
                writer.element("user", &[], |writer| user.write(writer));
            }
            Self::CreateSmartCard { card } => writer.element("smartCard", &[], |writer| {
                writer.text_element("smartCardId", card);
                writer.text_element("originKey", &settings.origin_key);
                writer.text_element("originId", &settings.origin_id.to_string());
                writer.text_element("casInstanceId", &settings.cas_instance_id);
            }),
            Self::DeleteSmartCard { card } => card_specification(writer, card),
            Self::GetByAccountNumber { number } => writer.text_element("accountNumber", number),
            Self::Pair { device, card } => {
                device_specification(writer, device);
                card_specification(writer, card);
            }
            Self::Unpair { device } => device_specification(writer, device),
        }
    }
}

impl User {
    fn write(&self, writer: &mut XmlWriter) {
        writer.empty("uid", &[]);
        writer.text_element("name", &self.name);
        writer.optional_element("password", self.password.as_ref().map(Secret::reveal));
        writer.optional_element("pin", self.pin.as_ref().map(Secret::reveal));
        writer.text_element("defaultUser", "true");
        writer.optional_element("hashSalt", self.salt.as_deref());
        writer.text_element("loginId", &self.login);
        writer.text_element("type", "SUP");
        writer.text_element("purchaseAbility", "ALLOWED");
    }
}

/// What a service answered.
#[derive(Clone, PartialEq, Eq)]
pub enum Reply {
    /// The body is empty: done.
    Nothing,
    /// One element.
    One(Element),
    /// No: a fault's code and words.
    No(Failure),
}

/// What a service answered. A fault is a no, whatever the status it comes with: which codes there are is unknown.
///
/// # Errors
/// Why the answer is none.
pub fn reply(answer: &HttpAnswer) -> Result<Reply, Failure> {
    match soap::read(&answer.body, answer.body.len()) {
        Ok(mut elements) if elements.len() == 1 && answer.is_success() => {
            elements.pop().map(Reply::One).ok_or_else(|| answer::unreadable(answer, "the Body is empty"))
        }
        Ok(_) if answer.is_success() => Err(answer::unreadable(answer, "the Body holds several elements")),
        Err(SoapError::EmptyBody) if answer.is_success() => Ok(Reply::Nothing),
        Err(SoapError::Fault(fault)) => Ok(Reply::No(Failure::refused(fault.code, fault.string))),
        _ if answer.status >= 500 => Err(answer::server_error(answer)),
        _ if matches!(answer.status, 401 | 403) => Err(answer::not_admitted(answer)),
        Err(error) => Err(answer::unreadable(answer, error)),
        Ok(_) => Err(answer::unreadable(answer, "it is an answer that comes with an error's status")),
    }
}

/// Whether a reply says "done": nothing, or an element with nothing in it.
#[must_use]
pub fn is_empty(reply: &Reply) -> bool {
    match reply {
        Reply::Nothing => true,
        Reply::One(element) => element.children.is_empty() && element.text.trim().is_empty(),
        Reply::No(_) => false,
    }
}

/// Whether a reply is the specification of a smartcard.
#[must_use]
pub fn is_card(settings: &SdpSettings, reply: &Reply) -> bool {
    let namespace = Some(settings.namespaces.dvc.as_str());
    matches!(reply, Reply::One(element) if element.is(namespace, "SmartCardSpecification"))
}

/// The account in a reply; nothing: there is none.
///
/// # Errors
/// What it is instead, in words.
pub fn account<'a>(settings: &SdpSettings, reply: &'a Reply) -> Result<Option<&'a Element>, String> {
    let element = match reply {
        Reply::One(element) => element,
        Reply::Nothing => return Ok(None),
        Reply::No(failure) => return Err(failure.text.clone()),
    };
    let namespaces = &settings.namespaces;
    let is_answer = element.is(Some(&namespaces.acc), "Account")
        || element.is(Some(&namespaces.account_service), "getByAccountNumberResponse");
    if !is_answer {
        return Err("the element in the Body is another one; check `sdp.namespaces`".into());
    }
    // The base service's answer is not shown: the account may stand in `return`, or by itself.
    let account = match (element.at_most_one("account")?, element.at_most_one("return")?) {
        (Some(account), _) | (None, Some(account)) => Some(account),
        (None, None) if element.children.is_empty() => None,
        (None, None) => Some(element),
    };
    let Some(account) = account.filter(|account| !account.children.is_empty()) else { return Ok(None) };
    account.one("accountNumber")?;
    Ok(Some(account))
}
