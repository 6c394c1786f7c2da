//! Headgate's words in OMI's types: what may be said, and how devices, entitlements and messages are written.

use headgate_core::Now;
use headgate_core::adapter::Rules;
use headgate_core::body::Refusal;
use headgate_core::capabilities::Capabilities;
use headgate_core::command::{Command, Devices, Message, MessageKind, Period};
use headgate_core::provider::ServiceMap;
use headgate_core::request::Request;
use headgate_core::text::{CaId, Secret, Serial, ServiceCode};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::capabilities::capabilities;
use super::plan;
use super::settings::{Settings, Version};
use super::wire::RawCall;
use super::wire::sets::{DeviceType, EntitledType};
use super::wire::types::{
    Device, DevicePin, DevicePinList, Domain, EntitledEntity, Entitlement, MessageAttributes, MessageDescriptor,
    MessageHandle, MessageText, OnScreenMessage, Package, TimePeriodRule,
};
use super::wire::value::Nillable;
use crate::xml::write::check;

/// Most bytes of a `raw` message.
pub(super) const RAW_LIMIT: usize = 1 << 20;

/// A period without limits \[I:FIM\].
pub(super) const ALWAYS: TimePeriodRule = TimePeriodRule { start: None, end: None };

/// What one provider may say.
pub struct Speech {
    /// The operator's settings.
    pub settings: Settings,
    /// The CRM's services.
    pub services: ServiceMap,
    capabilities: Capabilities,
}

/// Who holds entitlements: a device or a domain.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) kind: EntitledType,
    pub(super) id: Serial,
}

impl Speech {
    /// What these settings let us say.
    #[must_use]
    pub fn new(settings: Settings, services: ServiceMap) -> Self {
        Self { capabilities: capabilities(&settings), settings, services }
    }

    /// Every device that is named, smartcards first.
    pub(super) fn devices(&self, devices: &Devices) -> Vec<(Serial, Device)> {
        let of = |serials: &[Serial], kind: &DeviceType| -> Vec<_> {
            serials.iter().map(|serial| (serial.clone(), self.device(serial, kind))).collect()
        };
        let mut all = of(&devices.smartcards, &self.settings.smartcard_type);
        all.extend(of(&devices.stbs, &self.settings.stb_type));
        all
    }

    /// Both ids are the serial number, as public clients have it \[S:CLI, NODE2, PY\].
    fn device(&self, serial: &Serial, kind: &DeviceType) -> Device {
        Device {
            sms_device_id: serial.as_str().to_owned(),
            sms_network_id: self.settings.network.clone(),
            device_type: kind.clone(),
            network_device_id: serial.as_str().to_owned(),
            sms_authenticator: None,
        }
    }

    /// Who holds the services of a request: the devices it names, or else its account's domain.
    pub(super) fn holders(&self, request: &Request, devices: &Devices) -> Result<Vec<Holder>, Refusal> {
        let named = devices.smartcards.iter().chain(&devices.stbs);
        let holders: Vec<_> = named.map(|id| Holder { kind: EntitledType::Device, id: id.clone() }).collect();
        match holders.is_empty() {
            false => Ok(holders),
            true if self.settings.accounts_are_domains => {
                Ok(vec![Holder { kind: EntitledType::Domain, id: self.account(request)? }])
            }
            true => Err(Refusal::new("smartcards", "missing_field", "name at least one smartcard or box")),
        }
    }

    /// The account's domain.
    pub(super) fn account(&self, request: &Request) -> Result<Serial, Refusal> {
        let number = request.account_number();
        let missing = || Refusal::new("subscription", "missing_field", "name the subscription, or its account");
        number.and_then(|number| Serial::new(number).ok()).ok_or_else(missing)
    }

    pub(super) fn domain(&self, id: &Serial) -> Domain {
        let max_devices = self.settings.domain_devices;
        Domain { id: id.as_str().to_owned(), max_devices, period: ALWAYS, address: None }
    }

    /// An entitlement whose id is made of its holder and its package, so that a repeat names the same one \[S:FIM\].
    pub(super) fn entitlement(holder: &Holder, package: &CaId, period: TimePeriodRule) -> Entitlement {
        Entitlement {
            id: format!("{}-{}", holder.id.as_str(), package.as_str()),
            package: package_of(package),
            entity: EntitledEntity { kind: holder.kind.clone(), id: holder.id.as_str().to_owned() },
            period,
        }
    }

    pub(super) fn period(&self, now: Now, period: Period) -> TimePeriodRule {
        let months = self.settings.default_period_months;
        let default = || (months > 0).then(|| later(period.start.unwrap_or(now.wall), months)).flatten();
        TimePeriodRule { start: period.start, end: period.end.or_else(default) }
    }

    /// The platform's id of a service.
    pub(super) fn package(&self, index: usize, service: &ServiceCode) -> Result<CaId, Refusal> {
        let unknown = || Refusal::new(format!("services/{index}"), "unknown_service", "has no CA ID at this provider");
        self.services.ca_id(service).cloned().ok_or_else(unknown)
    }

    /// A PIN is a number: `0042` goes as 42 \[S:FIM\].
    pub(super) fn pins(&self, pin: &Secret) -> Result<DevicePinList, Refusal> {
        let value = pin.reveal().parse().map_err(|_| {
            Refusal::new("pin", "out_of_range", "this platform takes a PIN as a number of up to 9 digits")
        })?;
        Ok(DevicePinList { pins: vec![DevicePin { index: self.settings.pin_index, value }] })
    }

    /// A message, numbered by the request that carries it.
    pub(super) fn message(&self, request: &Request, message: &Message) -> Result<OnScreenMessage, Refusal> {
        let osm = &self.settings.osm;
        let later = self.settings.version == Version::Later;
        if message.start.is_some() {
            return Err(Refusal::new("message/start", "unsupported_message", "this platform shows messages at once"));
        }
        let (duration, cycle) = match message.kind {
            MessageKind::Bark { duration } => (duration, None),
            MessageKind::RepeatingBark { duration, count, interval } if later => {
                (duration, Some(interval.saturating_mul(u32::from(count))))
            }
            MessageKind::Mail | MessageKind::RepeatingBark { .. } => {
                let text = "this provider can not show this kind of message";
                return Err(Refusal::new("message/kind", "unsupported_message", text));
            }
        };
        let seconds = |duration: std::time::Duration| i32::try_from(duration.as_secs()).unwrap_or(i32::MAX);
        Ok(OnScreenMessage {
            handle: MessageHandle {
                sector: Some(osm.sector),
                id: message_id(request.number, osm.first_message, osm.last_message),
            },
            attributes: MessageAttributes {
                mode: osm.content_mode.clone(),
                priority: osm.priority,
                cycle_duration: cycle.map(seconds),
            },
            texts: vec![MessageText { text: message.text.clone() }],
            charset: osm.charset_name.clone(),
            descriptors: vec![Nillable(Some(MessageDescriptor {
                mode: osm.display_mode.clone(),
                duration: seconds(duration),
                x_origin: osm.x_origin.clone(),
                x_position: osm.x_position,
                x_anchor: osm.x_anchor.clone(),
                y_origin: osm.y_origin.clone(),
                y_position: osm.y_position,
                y_anchor: osm.y_anchor.clone(),
                align: osm.text_align.clone(),
                background: osm.bg_color,
                alpha: osm.alpha,
            }))],
        })
    }

    /// A `raw` message, checked against the table of operations.
    pub(super) fn raw(&self, payload: &[u8]) -> Result<RawCall, Refusal> {
        let refusal = |text: String| Refusal::new("payload", "bad_payload", text);
        let call = RawCall::read(payload, RAW_LIMIT, &self.settings.query_parts).map_err(|misfit| refusal(misfit.0))?;
        match call.operation.new_in_3_6 && self.settings.version < Version::V3_6 {
            true => Err(refusal(format!("version 3.5 has no operation <{}>", call.operation.name))),
            false => Ok(call),
        }
    }
}

impl Rules for Speech {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn check(&self, request: &Request) -> Result<(), Refusal> {
        if let Some(devices) = request.command.devices() {
            for (field, serials) in [("smartcards", &devices.smartcards), ("stbs", &devices.stbs)] {
                for (index, serial) in serials.iter().enumerate() {
                    writable(|| format!("{field}/{index}"), serial.as_str())?;
                }
            }
        }
        writable(|| "account".to_owned(), request.account_number().unwrap_or_default())?;
        if let Command::SendMessage { message, .. } = &request.command {
            writable(|| "message/text".to_owned(), &message.text)?;
        }
        // The plan of a request depends on the clock only in its times.
        let now = Now { tick: headgate_core::Tick::default(), wall: request.created };
        plan::plan(self, now, request).map(drop)
    }
}

/// Refuses a text that XML can not carry.
fn writable(field: impl Fn() -> String, text: &str) -> Result<(), Refusal> {
    check(text).map_err(|error| Refusal::new(field(), "bad_character", error.to_string()))
}

pub(super) fn package_of(id: &CaId) -> Package {
    Package { id: id.as_str().to_owned(), description: None, attributes: None, parameters: None }
}

fn later(at: Timestamp, months: i32) -> Option<Timestamp> {
    at.to_zoned(TimeZone::UTC).checked_add(months.months()).ok().map(|zoned| zoned.timestamp())
}

/// The numbers `first` to `last`, again and again: a repeat of a request has the same.
fn message_id(number: u64, first: i32, last: i32) -> i32 {
    let span = i64::from(last) - i64::from(first) + 1;
    let step = i64::try_from(number % u64::try_from(span).unwrap_or(1)).unwrap_or(0);
    i32::try_from(i64::from(first) + step).unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_messages_stay_in_their_range() {
        assert_eq!([0, 1, 2, 3].map(|number| message_id(number, 7, 9)), [7, 8, 9, 7]);
        assert_eq!(message_id(u64::MAX, 0, i32::MAX), i32::MAX);
        assert_eq!(message_id(5, 3, 3), 3);
    }

    #[test]
    fn months_are_counted_by_the_calendar() {
        let end = later("2025-01-31T12:00:00Z".parse().unwrap(), 1).unwrap();
        assert_eq!(end.to_string(), "2025-02-28T12:00:00Z");
    }
}
