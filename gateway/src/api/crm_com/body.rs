//! What a call's parameters make: the body of a request, as `POST /v1/requests` takes it.

use std::collections::BTreeSet;

use headgate_codecs::crm_com::envelope::{Identifier, Invalid, Parameters, text_of};
use headgate_core::command::CommandKind;
use headgate_core::text::ProviderName;
use serde_json::{Map, Value, json};

use super::calls::{Parameter, Takes};
use crate::config::{CrmComFace, InstalledItems};

/// What a device is named by.
const DEVICE_KEYS: [&str; 3] = ["id", "serial_number", "alternative_code"];

/// What a call asks for.
pub(super) struct Asked {
    /// The body of a request.
    pub(super) body: Value,
    /// Whether the caller wants to wait for the outcome.
    pub(super) waits: bool,
}

/// Reads what a call takes, and refuses what it does not.
///
/// # Errors
/// [`Invalid`] with the parameter at fault.
pub(super) fn asked(
    face: &CrmComFace,
    provider: &ProviderName,
    command: CommandKind,
    takes: &[Takes],
    parameters: &Parameters,
) -> Result<Asked, Invalid> {
    let mut known = BTreeSet::from(["token", "fields_set"]);
    let mut reader = Reader { face, parameters, command, body: Map::new(), waits: false };
    for one in takes {
        match one {
            Takes::Ignores(name) => drop(known.insert(name)),
            Takes::May(parameter) => {
                known.insert(parameter.name());
                reader.take(*parameter)?;
            }
            Takes::Needs(parameter) => {
                known.insert(parameter.name());
                if !reader.take(*parameter)? {
                    return Err(Invalid::new(parameter.name(), "is mandatory"));
                }
            }
            Takes::OneOf(several) => {
                known.extend(several.iter().map(|parameter| parameter.name()));
                let mut taken = 0;
                for parameter in *several {
                    taken += usize::from(reader.take(*parameter)?);
                }
                let pins = several.iter().all(|one| matches!(one, Parameter::Pin(_) | Parameter::ResetPin));
                if taken == 0 || (pins && taken > 1) {
                    let names: Vec<_> = several.iter().map(|parameter| parameter.name()).collect();
                    let how_many = if pins { "exactly" } else { "at least" };
                    return Err(Invalid::new(names.join(", "), format!("must be {how_many} one")));
                }
            }
        }
    }
    if let Some(stranger) = parameters.names().find(|name| !known.contains(name)) {
        return Err(Invalid::new(stranger, "is no parameter of this call"));
    }
    Ok(reader.finish(provider))
}

struct Reader<'a> {
    face: &'a CrmComFace,
    parameters: &'a Parameters,
    command: CommandKind,
    body: Map<String, Value>,
    waits: bool,
}

impl Reader<'_> {
    /// Takes a parameter over; says whether it is there.
    fn take(&mut self, parameter: Parameter) -> Result<bool, Invalid> {
        let name = parameter.name();
        if self.parameters.value(name).is_none() {
            return Ok(false);
        }
        match parameter {
            Parameter::Subscription => {
                let number = self.named(name, &["id", "number"], "number")?;
                self.body.insert("subscription".into(), json!(number));
            }
            Parameter::Owner => {
                self.parameters.identifier(name, &["id", "number"])?;
            }
            Parameter::Smartcard => self.device(name, "smartcards")?,
            Parameter::Stb => self.device(name, "stbs")?,
            Parameter::Item => {
                let list = match self.face.installed_items {
                    InstalledItems::Smartcard => "smartcards",
                    InstalledItems::Stb => "stbs",
                };
                self.device(name, list)?;
            }
            Parameter::Smartcards => self.devices(name, "smartcard_ca_id", "smartcards")?,
            Parameter::Stbs => self.devices(name, "stb_ca_id", "stbs")?,
            Parameter::Service => {
                let code = self.named(name, &["id", "code", "alternative_code"], "code")?;
                self.body.insert("services".into(), json!([code]));
            }
            Parameter::Services => self.services(name)?,
            Parameter::Pin(_) => {
                let pin = self.parameters.text(name)?;
                self.body.insert("pin".into(), json!(pin));
            }
            Parameter::ResetPin => {
                // False says nothing.
                if self.parameters.flag(name)? != Some(true) {
                    return Ok(false);
                }
                self.command = CommandKind::ResetPin;
            }
            Parameter::AccessToken => self.access_token(name)?,
            Parameter::Immediately => self.waits = self.parameters.flag(name)?.unwrap_or(false),
            Parameter::Scheduled | Parameter::Start => {
                let text = self.parameters.text(name)?.unwrap_or_default();
                let time = self.face.utc_offset.read(&text);
                let time = time.ok_or_else(|| Invalid::new(name, "must be a time, as in 2026-01-31T12:00:00"))?;
                self.body.insert("not_before".into(), json!(time));
            }
            Parameter::Priority => {
                let priority = match self.parameters.text(name)?.as_deref() {
                    None | Some("REGULAR") => "regular",
                    Some("EXPRESS") => "express",
                    Some(_) => return Err(Invalid::new(name, "must be REGULAR or EXPRESS")),
                };
                self.body.insert("priority".into(), json!(priority));
            }
        }
        Ok(true)
    }

    fn finish(mut self, provider: &ProviderName) -> Asked {
        // Without a box, a card is to be paired with none.
        if self.command == CommandKind::Pair && !self.body.contains_key("stbs") {
            self.command = CommandKind::Unpair;
        }
        if self.face.wait_for_run && !self.waits {
            self.body.insert("process".into(), json!("with_run"));
        }
        self.body.insert("provider".into(), json!(provider));
        self.body.insert("command".into(), json!(self.command));
        Asked { body: Value::Object(self.body), waits: self.waits }
    }

    /// The value of an identifier by the one key that Headgate knows.
    fn named(&self, name: &str, keys: &[&str], ours: &str) -> Result<String, Invalid> {
        let identifier = self.parameters.identifier(name, keys)?;
        by_key(name, identifier.ok_or_else(|| Invalid::new(name, "is mandatory"))?, ours)
    }

    fn device(&mut self, name: &str, list: &str) -> Result<(), Invalid> {
        let serial = self.named(name, &DEVICE_KEYS, "serial_number")?;
        self.body.insert(list.to_owned(), json!([serial]));
        Ok(())
    }

    /// A list of devices, each by its CA ID or its serial number: to Headgate they are the same.
    fn devices(&mut self, name: &str, ca_id: &str, list: &str) -> Result<(), Invalid> {
        let mut serials = Vec::new();
        for (index, item) in self.parameters.list(name)?.iter().enumerate() {
            let place = format!("{name}/{index}");
            let serial = match item.get(ca_id).and_then(text_of) {
                Some(serial) => serial,
                None => by_key(&place, Identifier::read(&place, item, &DEVICE_KEYS)?, "serial_number")?,
            };
            serials.push(serial);
        }
        if serials.is_empty() {
            return Err(Invalid::new(name, "must not be empty"));
        }
        self.body.insert(list.to_owned(), json!(serials));
        Ok(())
    }

    fn services(&mut self, name: &str) -> Result<(), Invalid> {
        let mut codes = Vec::new();
        for (index, item) in self.parameters.list(name)?.iter().enumerate() {
            let place = format!("{name}/{index}/service_identifier");
            let identifier = item.get("service_identifier").unwrap_or(&Value::Null);
            let identifier = Identifier::read(&place, identifier, &["id", "code", "alternative_code"])?;
            codes.push(by_key(&place, identifier, "code")?);
        }
        if codes.is_empty() {
            return Err(Invalid::new(name, "must not be empty"));
        }
        self.body.insert("services".into(), json!(codes));
        Ok(())
    }

    fn access_token(&mut self, name: &str) -> Result<(), Invalid> {
        let member = |key: &str| self.parameters.value(name)?.get(key).and_then(text_of);
        match (member("identifier"), member("pass_code")) {
            (Some(login), Some(password)) => {
                self.body.insert("login".into(), json!(login));
                self.body.insert("password".into(), json!(password));
                Ok(())
            }
            _ => Err(Invalid::new(
                name,
                "must have identifier and pass_code; an authentication_code is not known to Headgate",
            )),
        }
    }
}

/// The value of an identifier, which must be by `ours`: what else a CRM knows something by, Headgate does not.
fn by_key(name: &str, identifier: Identifier, ours: &str) -> Result<String, Invalid> {
    if identifier.key == ours {
        return Ok(identifier.value);
    }
    Err(Invalid::new(name, format!("must be by {ours}: Headgate does not know the CRM's {}", identifier.key)))
}
