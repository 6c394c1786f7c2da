//! What a request of the CRM becomes: commands for a provider of Headgate, one after the other.
//!
//! Which command each type stands for is inferred from its name \[I\], as in [`crate::generic_provider::types`]; where
//! the members stand that CRM.COM does not publish is a setting.

use std::collections::BTreeMap;

use headgate_core::body::RequestBody;
use headgate_core::command::CommandKind;
use headgate_core::request::Body;
use headgate_core::text::{ProviderName, Reference};
use serde_json::{Map, Value, json};

use super::settings::{PullMembers, PullSettings, ServicesOn};
use super::wire::Pending;
use crate::crm_com::envelope::text_of;
use crate::registry::SettingsError;

/// One request of Headgate that carries out a request of the CRM, or a part of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The request.
    pub body: RequestBody,
    /// Its JSON.
    pub json: Body,
    /// What a repeat is recognised by: the same for the same part of the same request of the CRM, always.
    pub key: String,
    /// The request's reference: the pull's name and the CRM's number. With the command it names the part, too.
    pub reference: Reference,
}

/// Why a request of the CRM can not be carried out: it is rejected with this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// Short and stable.
    pub code: &'static str,
    /// What is missing, for people. No subscriber data.
    pub text: String,
}

/// The types of CRM.COM, and what they become \[S:GR; I\].
#[must_use]
pub fn default_types() -> BTreeMap<String, Vec<CommandKind>> {
    use CommandKind as Kind;
    let types: [(&str, &[Kind]); 11] = [
        ("ACTIVATE_SERVICE", &[Kind::ActivateServices]),
        ("ACTIVATE_SUBSCRIBER", &[Kind::ActivateServices]),
        ("ADD_INSTALLED_ITEM", &[Kind::AddDevice]),
        ("ADD_UDR", &[Kind::AddUsage]),
        ("BECOME_SUBSCRIBER", &[Kind::CreateSubscriber, Kind::AddDevice, Kind::ActivateServices]),
        ("CANCEL_UDR", &[Kind::CancelUsage]),
        ("DEACTIVATE_SERVICE", &[Kind::DeactivateServices]),
        ("DEACTIVATE_SUBSCRIBER", &[Kind::DeactivateServices]),
        ("REMOVE_INSTALLED_ITEM", &[Kind::RemoveDevice]),
        ("UPDATE_ADDRESS", &[Kind::UpdateSubscriber]),
        ("UPDATE_SUBSCRIBER", &[Kind::UpdateSubscriber]),
    ];
    types.into_iter().map(|(name, steps)| (name.to_owned(), steps.to_vec())).collect()
}

/// Checks the tables of the settings.
///
/// # Errors
/// [`SettingsError`] with the path of the first mistake.
pub fn check(settings: &PullSettings) -> Result<(), SettingsError> {
    for (name, steps) in &settings.types {
        for (index, step) in steps.iter().enumerate() {
            if needs(*step).is_none() {
                let text = format!("{} can not be made of a request of the CRM", step.name());
                return Err(SettingsError::new(format!("types.{name}[{index}]"), text));
            }
            if steps.iter().filter(|other| *other == step).count() > 1 {
                return Err(SettingsError::new(format!("types.{name}[{index}]"), "stands here twice"));
            }
        }
    }
    let fields: &[&str] =
        &["first_name", "last_name", "login", "password", "pin", "email", "phone", "language", "region"];
    let address: &[&str] = &["address.street", "address.postal_code", "address.city", "address.country"];
    for name in settings.members.subscriber.keys() {
        let known = fields.contains(&name.as_str()) || address.contains(&name.as_str());
        if !known && !name.starts_with("attributes.") {
            let text =
                format!("is no field; there are {}, {} and attributes.NAME", fields.join(", "), address.join(", "));
            return Err(SettingsError::new(format!("members.subscriber.{name}"), text));
        }
    }
    Ok(())
}

/// The parts of a request of the CRM; none: nothing is to be done.
///
/// # Errors
/// [`Unfit`], if something is missing or can not be.
pub fn parts(
    pull: &str,
    settings: &PullSettings,
    provider: &ProviderName,
    pending: &Pending,
) -> Result<Vec<Part>, Unfit> {
    let steps = settings.steps(&pending.kind).ok_or_else(|| Unfit {
        code: "unknown_type",
        text: format!("the request type {:?} stands for no command; see `types`", shortened(&pending.kind)),
    })?;
    let reader = Reader { settings, members: &settings.members, pending };
    let mut parts = Vec::new();
    for step in &steps {
        let bodies = match reader.bodies(*step) {
            // A set that is empty leaves nothing to do for its step, where there are others.
            Err(Unfit { code: "missing_member", .. }) if steps.len() > 1 => continue,
            bodies => bodies?,
        };
        for (index, mut body) in bodies.into_iter().enumerate() {
            let place = if index == 0 { String::new() } else { format!("#{}", index + 1) };
            let name = format!("{pull}:{}{place}", pending.number);
            let reference =
                Reference::new(&name).map_err(|error| Unfit { code: "bad_number", text: error.to_string() })?;
            body.insert("provider".into(), json!(provider));
            body.insert("command".into(), json!(step));
            body.insert("reference".into(), json!(name));
            if let Some(subscription) = &pending.subscription {
                body.insert("subscription".into(), json!(subscription));
            }
            let known = pending.subscription.as_ref();
            if let Some(account) = pending.account.as_ref().filter(|account| Some(*account) != known) {
                body.insert("account".into(), json!(account));
            }
            parts.push(part(pull, *step, reference, Value::Object(body))?);
        }
    }
    if parts.is_empty() && !steps.is_empty() {
        return Err(missing("its sets"));
    }
    Ok(parts)
}

fn part(pull: &str, step: CommandKind, reference: Reference, json: Value) -> Result<Part, Unfit> {
    let text = Body(json.to_string().into());
    let body: RequestBody = serde_path_to_error::deserialize(&json).map_err(|error| {
        let text = format!("{}: has a form or a length that can not be", error.path());
        Unfit { code: "bad_member", text }
    })?;
    // Keys of the API have a number in the second place.
    let key = format!("{pull}\n{}\n{}", step.name(), reference.as_str());
    Ok(Part { body, json: text, key, reference })
}

/// What a command takes of a request: services, devices, the subscriber; nothing if it can not be made of one.
const fn needs(step: CommandKind) -> Option<Needs> {
    Some(match step {
        CommandKind::ActivateServices
        | CommandKind::DeactivateServices
        | CommandKind::SetServices
        | CommandKind::Suspend
        | CommandKind::Resume => Needs::Services,
        CommandKind::AddUsage | CommandKind::CancelUsage => Needs::Usage,
        CommandKind::AddDevice
        | CommandKind::RemoveDevice
        | CommandKind::EnableDevice
        | CommandKind::Pair
        | CommandKind::AddToPairing
        | CommandKind::Unpair
        | CommandKind::RefreshServices => Needs::Devices,
        CommandKind::CreateSubscriber | CommandKind::UpdateSubscriber => Needs::Subscriber,
        CommandKind::RemoveSubscriber => Needs::Nothing,
        _ => return None,
    })
}

#[derive(Clone, Copy)]
enum Needs {
    Services,
    Usage,
    Devices,
    Subscriber,
    Nothing,
}

/// Reads the members of one request.
struct Reader<'a> {
    settings: &'a PullSettings,
    members: &'a PullMembers,
    pending: &'a Pending,
}

/// A service: its code, and what requests are grouped by, since it holds for all services of one request.
struct Service {
    code: String,
    /// `smartcards`, `stbs`, `start`, `end`.
    shared: Map<String, Value>,
    usage: Option<String>,
}

impl Reader<'_> {
    /// The bodies that a step takes, without what every body has.
    fn bodies(&self, step: CommandKind) -> Result<Vec<Map<String, Value>>, Unfit> {
        match needs(step) {
            Some(Needs::Services) => self.services_bodies(step),
            Some(Needs::Usage) => self.usages(step),
            Some(Needs::Devices) => {
                let devices = self.devices(self.items())?;
                if devices.is_empty() { Err(missing("installed_item")) } else { Ok(vec![devices]) }
            }
            Some(Needs::Subscriber) => Ok(vec![self.subscriber()?]),
            Some(Needs::Nothing) => Ok(vec![Map::new()]),
            None => Err(Unfit { code: "unknown_type", text: format!("{} can not be made of it", step.name()) }),
        }
    }

    /// One body for all services that are alike in devices and period.
    fn services_bodies(&self, step: CommandKind) -> Result<Vec<Map<String, Value>>, Unfit> {
        let timed = matches!(step, CommandKind::ActivateServices | CommandKind::SetServices);
        let mut bodies: Vec<(Map<String, Value>, Vec<String>)> = Vec::new();
        for service in self.services()? {
            let mut shared = service.shared;
            if !timed {
                shared.remove("start");
                shared.remove("end");
            }
            match bodies.iter_mut().find(|(known, _)| *known == shared) {
                Some((_, codes)) => codes.push(service.code),
                None => bodies.push((shared, vec![service.code])),
            }
        }
        if bodies.is_empty() {
            // The whole subscription goes off: that needs no list.
            if self.pending.kind == "DEACTIVATE_SUBSCRIBER" && !timed {
                let mut body = self.beside(Map::new())?;
                body.insert("services".into(), json!("all"));
                return Ok(vec![body]);
            }
            return Err(missing("service"));
        }
        let with_codes = |(mut body, codes): (Map<String, Value>, Vec<String>)| {
            body.insert("services".into(), json!(codes));
            body
        };
        Ok(bodies.into_iter().map(with_codes).collect())
    }

    /// One body for each use.
    fn usages(&self, step: CommandKind) -> Result<Vec<Map<String, Value>>, Unfit> {
        let services = self.services()?;
        if services.is_empty() {
            return Err(missing("service"));
        }
        let body = |service: Service| {
            let usage = service.usage.ok_or_else(|| missing(&format!("service.{}", self.members.usage)))?;
            let mut body = Map::new();
            if step == CommandKind::AddUsage {
                body = service.shared;
                body.insert("services".into(), json!([service.code]));
            }
            body.insert("usage".into(), json!(usage));
            Ok(body)
        };
        services.into_iter().map(body).collect()
    }

    fn services(&self) -> Result<Vec<Service>, Unfit> {
        self.objects(&["service", "provisioning_service"], &["services_set", "provisioning_services_set"])
            .into_iter()
            .map(|service| self.service(service))
            .collect()
    }

    fn service(&self, service: &Value) -> Result<Service, Unfit> {
        let PullMembers { service_code, service_start, service_end, service_devices, usage, .. } = self.members;
        let code = text_at(service, service_code).ok_or_else(|| missing(&format!("service.{service_code}")))?;
        let mut shared = Map::new();
        for (name, path) in [("start", service_start), ("end", service_end)] {
            if let Some(text) = text_at(service, path) {
                let time = self.settings.utc_offset.read(&text).ok_or_else(|| Unfit {
                    code: "bad_member",
                    text: format!("service.{path}: is no time; it should look like 2026-01-31T12:00:00"),
                })?;
                shared.insert(name.into(), json!(time));
            }
        }
        if self.settings.services_on == ServicesOn::Devices {
            let own = at(service, service_devices).and_then(Value::as_array).map(|list| list.iter().collect());
            let devices = self.devices(own.unwrap_or_default())?;
            shared =
                if devices.is_empty() { self.beside(shared)? } else { shared.into_iter().chain(devices).collect() };
        }
        Ok(Service { code, shared, usage: text_at(service, usage) })
    }

    /// `body` with the devices that stand beside the services, where services are switched on devices.
    fn beside(&self, mut body: Map<String, Value>) -> Result<Map<String, Value>, Unfit> {
        if self.settings.services_on == ServicesOn::Devices {
            body.extend(self.devices(self.items())?);
        }
        Ok(body)
    }

    fn items(&self) -> Vec<&Value> {
        self.objects(
            &["installed_item", "provisioning_installed_item"],
            &["installed_items_set", "provisioning_installed_items_set"],
        )
    }

    /// `smartcards` and `stbs`, where there are any.
    fn devices(&self, items: Vec<&Value>) -> Result<Map<String, Value>, Unfit> {
        let PullMembers { device_serial, device_type, stb_types, .. } = self.members;
        let (mut smartcards, mut stbs) = (Vec::new(), Vec::new());
        for item in items {
            let serial =
                text_at(item, device_serial).ok_or_else(|| missing(&format!("installed_item.{device_serial}")))?;
            let is_stb = text_at(item, device_type).is_some_and(|kind| stb_types.contains(&kind));
            if is_stb { stbs.push(serial) } else { smartcards.push(serial) }
        }
        let lists = [("smartcards", smartcards), ("stbs", stbs)].into_iter().filter(|(_, list)| !list.is_empty());
        Ok(lists.map(|(name, list)| (name.to_owned(), json!(list))).collect())
    }

    fn subscriber(&self) -> Result<Map<String, Value>, Unfit> {
        let mut subscriber = Map::new();
        let request = Value::Object(self.pending.members.clone());
        for (field, path) in &self.members.subscriber {
            let Some(text) = text_at(&request, path) else { continue };
            match field.split_once('.') {
                Some((table, field)) => {
                    let table = subscriber.entry(table).or_insert_with(|| json!({}));
                    if let Some(table) = table.as_object_mut() {
                        table.insert(field.to_owned(), json!(text));
                    }
                }
                None => {
                    subscriber.insert(field.clone(), json!(text));
                }
            }
        }
        let mut body = Map::new();
        body.insert("subscriber".into(), Value::Object(subscriber));
        Ok(body)
    }

    /// The one object of a request, or the objects of its set. An earlier draft of CRM.COM's used the longer names.
    fn objects(&self, one: &[&str], many: &[&str]) -> Vec<&Value> {
        let member = |name: &&str| self.pending.members.get(*name).filter(|value| !value.is_null());
        if let Some(value) = one.iter().find_map(member) {
            return vec![value];
        }
        many.iter().find_map(member).and_then(Value::as_array).map(|list| list.iter().collect()).unwrap_or_default()
    }
}

fn missing(member: &str) -> Unfit {
    Unfit { code: "missing_member", text: format!("{member}: is not there, but the command needs it; see `members`") }
}

fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |value, name| value.get(name)).filter(|value| !value.is_null())
}

fn text_at(value: &Value, path: &str) -> Option<String> {
    at(value, path).and_then(text_of).filter(|text| !text.is_empty())
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}
