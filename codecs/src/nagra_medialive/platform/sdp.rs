//! The SOAP services of 2.x, and the sign-on of subscribers.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use headgate_core::http::{HttpAnswer, HttpRequest, Method};
use headgate_core::platform::{self, Holdings};
use serde_json::json;

use super::{answer, error};
use crate::http::form;
use crate::http::soap::{self, SoapError};
use crate::nagra_medialive::sdp::settings::SdpSettings;
use crate::nagra_medialive::settings::Settings;
use crate::registry::Stock;
use crate::xml::Element;
use crate::xml::write::{Unwritable, XmlWriter};

/// What the Service Delivery Platform keeps.
pub(super) struct Sdp {
    settings: Arc<Settings>,
    stock: Stock,
    accounts: BTreeMap<String, Account>,
    /// The platform's uid of each smartcard.
    cards: BTreeMap<String, u64>,
    /// The card in each box.
    boxes: BTreeMap<String, String>,
    uids: u64,
    tokens: u64,
}

struct Account {
    uid: u64,
    fields: Vec<(String, String)>,
    login: String,
    password: String,
    salt: String,
}

/// A fault's code and words.
type Fault = (&'static str, &'static str);

impl Sdp {
    pub(super) fn new(settings: Arc<Settings>, stock: &Stock) -> Self {
        Self {
            settings,
            stock: stock.clone(),
            accounts: BTreeMap::new(),
            cards: BTreeMap::new(),
            boxes: BTreeMap::new(),
            uids: 0,
            tokens: 0,
        }
    }

    /// Whether a path is one of its own.
    pub(super) fn has(&self, path: &str) -> bool {
        let SdpSettings { account_service, sms_service, signon_path, .. } = &self.settings.sdp;
        [account_service, sms_service, signon_path].into_iter().any(|own| own == path)
    }

    pub(super) fn answer(&mut self, request: &HttpRequest, refuse: bool, holdings: &mut Holdings) -> HttpAnswer {
        let settings = Arc::clone(&self.settings);
        if request.path() == settings.sdp.signon_path {
            return self.sign_on(request, refuse);
        }
        if request.method == Method::Get {
            let wsdl = "<definitions xmlns=\"http://schemas.xmlsoap.org/wsdl/\"/>";
            return if request.query() == "wsdl" { xml(200, wsdl) } else { error(404, "there is no such resource") };
        }
        let envelope = match soap::read(&request.body, request.body.len()) {
            _ if refuse => Err(("Client", "not known")),
            Ok(elements) => match elements.as_slice() {
                [operation] => self.operation(&settings.sdp, request.path(), operation, holdings),
                _ => Err(("Client", "one operation at a time")),
            },
            Err(SoapError::EmptyBody) => Err(("Client", "there is no operation")),
            Err(_) => Err(("Client", "the envelope can not be read")),
        };
        match envelope {
            Ok(Ok(envelope)) => xml(200, envelope),
            Ok(Err(_)) => fault("Server", "the answer can not be written"),
            Err((code, string)) => fault(code, string),
        }
    }

    fn operation(
        &mut self,
        settings: &SdpSettings,
        path: &str,
        operation: &Element,
        holdings: &mut Holdings,
    ) -> Result<Result<Bytes, Unwritable>, Fault> {
        let namespaces = &settings.namespaces;
        let namespace = if path == settings.account_service { &namespaces.account_service } else { &namespaces.sms };
        if operation.namespace.as_deref() != Some(namespace.as_str()) {
            return Err(("Client", "no operation of that namespace"));
        }
        if operation.name != "getByAccountNumber" {
            holdings.applied += 1;
        }
        let nothing = || soap::write(&[], |_| {});
        match (operation.name.as_str(), path == settings.account_service) {
            ("getByAccountNumber", true) => {
                let number = text(operation, &["accountNumber"])?;
                Ok(self.account_envelope(settings, self.accounts.get(&number)))
            }
            ("CreateAccount", false) => {
                let number = self.create_account(operation, holdings)?;
                Ok(self.account_envelope(settings, self.accounts.get(&number)))
            }
            ("CreateSmartCard", false) => {
                let (card, uid) = self.create_card(operation, holdings)?;
                Ok(soap::write(&[("dvc", &namespaces.dvc)], |writer| {
                    writer.element("dvc:SmartCardSpecification", &[], |writer| {
                        writer.text_element("smartCardId", &card);
                        writer.text_element("uid", &uid.to_string());
                    });
                }))
            }
            ("DeleteSmartCard", false) => {
                let card = text(operation, &["smartCardSpecification", "smartCardId"])?;
                self.cards.remove(&card).ok_or(("Client", "the smartcard is not known"))?;
                self.boxes.retain(|_, held| *held != card);
                holdings.cards.remove(&card);
                Ok(nothing())
            }
            ("Pair", false) => {
                let device = text(operation, &["deviceSpecification", &settings.device_key])?;
                let card = text(operation, &["smartCardSpecification", "smartCardId"])?;
                if !self.cards.contains_key(&card) {
                    return Err(("Client", "the smartcard is not known"));
                }
                self.unpair(&device, holdings);
                holdings.cards.entry(card.clone()).or_default().stbs.insert(device.clone());
                self.boxes.insert(device, card);
                Ok(nothing())
            }
            ("Unpair", false) => {
                let device = text(operation, &["deviceSpecification", &settings.device_key])?;
                self.unpair(&device, holdings);
                Ok(nothing())
            }
            _ => Err(("Client", "there is no such operation")),
        }
    }

    fn create_account(&mut self, operation: &Element, holdings: &mut Holdings) -> Result<String, Fault> {
        let number = text(operation, &["account", "accountNumber"])?;
        if number.is_empty() || number.chars().count() > 20 {
            return Err(("Client", "accountNumber must have 1 to 20 characters"));
        }
        if self.accounts.contains_key(&number) {
            return Err(("Client", "an account of that number exists"));
        }
        let login = text(operation, &["user", "loginId"])?;
        if self.accounts.values().any(|account| account.login == login) {
            return Err(("Client", "the loginId is taken"));
        }
        let fields = operation.child("account").into_iter().flat_map(|account| &account.children);
        let fields: Vec<_> = fields.map(|field| (field.name.to_string(), field.text.clone())).collect();
        let user = |name| text(operation, &["user", name]).unwrap_or_default();
        self.uids += 1;
        let shown = fields.iter().filter(|(name, _)| !["accountNumber", "status"].contains(&name.as_str()));
        holdings.accounts.insert(
            number.clone(),
            platform::Account {
                state: text(operation, &["account", "status"])?,
                pin: Some(user("pin")).filter(|pin| !pin.is_empty()),
                attributes: shown.cloned().collect(),
                ..platform::Account::default()
            },
        );
        let account = Account { uid: self.uids, fields, login, password: user("password"), salt: user("hashSalt") };
        self.accounts.insert(number.clone(), account);
        Ok(number)
    }

    fn create_card(&mut self, operation: &Element, holdings: &mut Holdings) -> Result<(String, u64), Fault> {
        let card = text(operation, &["smartCard", "smartCardId"])?;
        let origin = text(operation, &["smartCard", "originId"])?;
        if !origin.parse::<u64>().is_ok_and(|origin| origin >= 10_000) {
            return Err(("Client", "originIds below 10000 are reserved"));
        }
        for name in ["originKey", "casInstanceId"] {
            text(operation, &["smartCard", name])?;
        }
        if self.cards.contains_key(&card) {
            return Err(("Client", "a smartcard of that number exists"));
        }
        if !self.stock.cards.is_empty() && !self.stock.cards.contains(&card) {
            return Err(("Client", "the smartcard is not known"));
        }
        self.uids += 1;
        self.cards.insert(card.clone(), self.uids);
        holdings.cards.entry(card.clone()).or_default();
        Ok((card, self.uids))
    }

    fn unpair(&mut self, device: &str, holdings: &mut Holdings) {
        if let Some(card) = self.boxes.remove(device)
            && let Some(card) = holdings.cards.get_mut(&card)
        {
            card.stbs.remove(device);
        }
    }

    fn account_envelope(&self, settings: &SdpSettings, account: Option<&Account>) -> Result<Bytes, Unwritable> {
        soap::write(&[("acc", &settings.namespaces.acc)], |writer: &mut XmlWriter| {
            writer.element("acc:Account", &[], |writer| {
                let Some(account) = account else { return };
                writer.element("account", &[], |writer| {
                    writer.text_element("uid", &account.uid.to_string());
                    account.fields.iter().for_each(|(name, value)| writer.text_element(name, value));
                });
            });
        })
    }

    fn sign_on(&mut self, request: &HttpRequest, refuse: bool) -> HttpAnswer {
        let arguments = if request.method == Method::Get { request.query().as_bytes() } else { &request.body };
        let fields = form::parse(arguments);
        let argument =
            |name: &str| fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str());
        let (login, password) = (argument("arg0"), argument("arg1"));
        let hash = self.settings.sdp.password_hash;
        let good = self.accounts.values().find(|account| account.login == login).is_some_and(|account| {
            !account.password.is_empty() && hash.hash(password, &account.salt).reveal() == account.password
        });
        self.tokens += 1;
        if refuse || !good {
            return answer(200, &json!({ "result": "refused", "resultCode": "1", "requestId": self.tokens }));
        }
        let token = format!("signon-{}", self.tokens);
        answer(200, &json!({ "result": "ok", "resultCode": "0", "token": token, "requestId": self.tokens }))
    }
}

/// The text of an element within elements; it must be there.
fn text(element: &Element, path: &[&str]) -> Result<String, Fault> {
    let found = path.iter().try_fold(element, |element, name| element.one(name).ok());
    found.map(|element| element.text.trim().to_owned()).ok_or(("Client", "an argument is missing"))
}

fn xml(status: u16, body: impl Into<Bytes>) -> HttpAnswer {
    HttpAnswer::new(status, soap::CONTENT_TYPE, body)
}

fn fault(code: &str, string: &str) -> HttpAnswer {
    xml(500, soap::write_fault(&format!("soap:{code}"), string).unwrap_or_default())
}
