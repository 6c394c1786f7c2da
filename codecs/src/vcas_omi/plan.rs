//! Which calls carry a command.

use std::collections::VecDeque;

use headgate_core::Now;
use headgate_core::body::Refusal;
use headgate_core::command::{Audience, Command, Devices, Entitlement, Message, Selection, Services};
use headgate_core::request::Request;
use headgate_core::text::{CaId, Serial, ServiceCode};

use super::settings::FindDevice;
use super::speech::{ALWAYS, Holder, Speech, package_of};
use super::task::{Action, Block, Body, Item, Recourse, Search, Side, Task, ThenHeld, ThenPaired, blocks};
use super::wire::Call;
use super::wire::call::Part;
use super::wire::operations::{self, Operation};
use super::wire::sets::{AudienceType, EntitledType};
use super::wire::types::{
    Device, DevicePair, DomainDevice, MessageEntity, PackageList, SmartCardDevice, StbDevice, TimePeriodRule,
};

/// The task that carries a request.
pub(super) fn plan(speech: &Speech, now: Now, request: &Request) -> Result<Task, Refusal> {
    let planner = Planner { speech, now, request };
    let mut private = Vec::new();
    let queue = match &request.command {
        Command::ActivateServices(entitlement) => planner.activate(entitlement)?,
        Command::DeactivateServices(selection) => planner.deactivate(selection)?,
        Command::SetServices(entitlement) => planner.set(entitlement)?,
        Command::RefreshServices(devices) => planner.each(devices, &operations::REFRESH_DEVICE_ENTITLEMENTS, &[])?,
        Command::Suspend(Selection { devices, .. }) | Command::DisableDevice { devices, .. } => {
            planner.devices(devices, &operations::DISABLE_DEVICES, Recourse::None)?
        }
        Command::Resume(Selection { devices, .. }) | Command::EnableDevice(devices) => {
            planner.devices(devices, &operations::ENABLE_DEVICES, Recourse::None)?
        }
        Command::CreateSubscriber(_) => {
            planner.domain(&operations::ADD_DOMAINS, Recourse::Change(&operations::MODIFY_DOMAINS))?
        }
        Command::RemoveSubscriber => planner.domain(&operations::REMOVE_DOMAINS, Recourse::None)?,
        Command::AddDevice(devices) => planner.add(devices)?,
        Command::RemoveDevice(devices) => planner.remove(devices)?,
        Command::Pair(devices) => planner.pair(devices, true)?,
        Command::AddToPairing(devices) => planner.pair(devices, false)?,
        Command::Unpair(devices) => planner.unpair(devices)?,
        Command::SetPin { devices, pin } => {
            let pins = Part::DevicePinList(speech.pins(pin)?);
            private.extend(pin.reveal().parse::<i32>().map(|value| hidden(&value.to_string())));
            planner.each(devices, &operations::SET_DEVICE_PINS, &[pins])?
        }
        Command::ResetPin(devices) => planner.each(devices, &operations::RESET_DEVICE_PINS, &[])?,
        Command::SendMessage { devices, message } => planner.send(devices, message)?,
        Command::GetServices(devices) => {
            let holders = speech.holders(request, devices)?.into_iter();
            holders.map(|holder| Action::Held { holder, then: ThenHeld::Show }).collect()
        }
        Command::GetPairing(devices) => planner.pairings(devices)?,
        Command::GetDevice(devices) => planner.find(devices)?,
        Command::GetSubscriber => {
            let holder = Holder { kind: EntitledType::Domain, id: speech.account(request)? };
            [Action::Held { holder, then: ThenHeld::ShowAccount }].into()
        }
        Command::TestConnection => [Action::Networks].into(),
        Command::Raw(raw) => {
            let raw = speech.raw(&raw.payload)?;
            private.extend(raw.secrets().into_iter().map(hidden));
            [Action::Raw(raw)].into()
        }
        other => {
            let text = format!("this protocol has no words for {}", other.kind());
            return Err(Refusal::new("command", "unsupported_command", text));
        }
    };
    Ok(Task { private, ..Task::new(queue) })
}

type Queue = VecDeque<Action>;

struct Planner<'a> {
    speech: &'a Speech,
    now: Now,
    request: &'a Request,
}

impl Planner<'_> {
    fn activate(&self, entitlement: &Entitlement) -> Result<Queue, Refusal> {
        let holders = self.speech.holders(self.request, &entitlement.devices)?;
        let period = self.speech.period(self.now, entitlement.period);
        let mut queue = self.create(&entitlement.devices);
        let mut items = Vec::new();
        for holder in &holders {
            items.extend(self.entitlements(holder, holders.len(), &entitlement.services, &period)?);
        }
        let recourse = Recourse::Change(&operations::MODIFY_ENTITLEMENTS);
        queue.extend(self.blocks(&operations::ADD_ENTITLEMENTS, items, recourse));
        Ok(queue)
    }

    fn deactivate(&self, selection: &Selection) -> Result<Queue, Refusal> {
        let holders = self.speech.holders(self.request, &selection.devices)?;
        let services = match &selection.services {
            Services::All => {
                let all = |holder| Action::Held { holder, then: ThenHeld::RemoveAll };
                return Ok(holders.into_iter().map(all).collect());
            }
            Services::These(services) => services,
        };
        let mut items = Vec::new();
        for holder in &holders {
            // A removal has an empty period \[S:FIM\].
            items.extend(self.entitlements(holder, holders.len(), services, &ALWAYS)?);
        }
        Ok(self.blocks(&operations::REMOVE_ENTITLEMENTS, items, Recourse::LookWhetherGone).collect())
    }

    fn set(&self, entitlement: &Entitlement) -> Result<Queue, Refusal> {
        let holders = self.speech.holders(self.request, &entitlement.devices)?;
        let period = self.speech.period(self.now, entitlement.period);
        let mut queue = self.create(&entitlement.devices);
        let several = holders.len();
        for holder in holders {
            let wanted = self.entitlements(&holder, several, &entitlement.services, &period)?;
            queue.push_back(Action::Held { holder, then: ThenHeld::SetTo(wanted) });
        }
        Ok(queue)
    }

    /// Adds the devices just in case: what was there before is refused, and that does not matter.
    fn create(&self, devices: &Devices) -> Queue {
        if !self.speech.settings.create_devices {
            return Queue::new();
        }
        let items = self.speech.devices(devices).into_iter().map(device_item).collect();
        let blocks = self.blocks(&operations::ADD_DEVICES, items, Recourse::None);
        let just_in_case = |action| match action {
            Action::List(block) => Action::List(Block { counts: false, ..block }),
            other => other,
        };
        blocks.map(just_in_case).collect()
    }

    fn entitlements(
        &self,
        holder: &Holder,
        holders: usize,
        services: &[ServiceCode],
        period: &TimePeriodRule,
    ) -> Result<Vec<Item>, Refusal> {
        let item = |(index, service): (usize, &ServiceCode)| {
            let package = self.speech.package(index, service)?;
            let entitlement = Speech::entitlement(holder, &package, period.clone());
            let service = Serial::new(service.as_str()).unwrap_or_else(|_| holder.id.clone());
            // The least that tells it from the others.
            let part = match (holders, services.len()) {
                (1, _) => service,
                (_, 1) => holder.id.clone(),
                _ => Serial::new(&entitlement.id).unwrap_or_else(|_| holder.id.clone()),
            };
            Ok(entitlement_item(entitlement, part))
        };
        services.iter().enumerate().map(item).collect()
    }

    fn add(&self, devices: &Devices) -> Result<Queue, Refusal> {
        let mut queue =
            self.devices(devices, &operations::ADD_DEVICES, Recourse::Change(&operations::MODIFY_DEVICES))?;
        if self.speech.settings.accounts_are_domains {
            let recourse = Recourse::Change(&operations::MODIFY_DOMAIN_DEVICES);
            queue.extend(self.in_domain(devices, &operations::ADD_DOMAIN_DEVICES, recourse)?);
        }
        Ok(queue)
    }

    fn remove(&self, devices: &Devices) -> Result<Queue, Refusal> {
        let mut queue = Queue::new();
        if self.speech.settings.accounts_are_domains {
            queue.extend(self.in_domain(devices, &operations::REMOVE_DOMAIN_DEVICES, Recourse::None)?);
        }
        queue.extend(self.devices(devices, &operations::REMOVE_DEVICES, Recourse::None)?);
        Ok(queue)
    }

    /// Something with the devices, within the account's domain.
    fn in_domain(
        &self,
        devices: &Devices,
        operation: &'static Operation,
        recourse: Recourse,
    ) -> Result<Vec<Action>, Refusal> {
        let domain = Part::Domain(self.speech.domain(&self.speech.account(self.request)?));
        let item = |(part, device): (Serial, Device)| Item {
            id: device.sms_device_id.clone(),
            part,
            body: Body::DomainDevice(DomainDevice { device, period: ALWAYS }),
            earlier: None,
        };
        let items = self.speech.devices(devices).into_iter().map(item).collect();
        let within = |action| match action {
            Action::List(block) => Action::List(Block { before: Some(Box::new(domain.clone())), ..block }),
            other => other,
        };
        Ok(self.blocks(operation, items, recourse).map(within).collect())
    }

    fn domain(&self, operation: &'static Operation, recourse: Recourse) -> Result<Queue, Refusal> {
        let part = self.speech.account(self.request)?;
        let domain = self.speech.domain(&part);
        let item = Item { id: domain.id.clone(), part, body: Body::Domain(domain), earlier: None };
        Ok(self.blocks(operation, vec![item], recourse).collect())
    }

    /// A list call with the devices.
    fn devices(&self, devices: &Devices, operation: &'static Operation, recourse: Recourse) -> Result<Queue, Refusal> {
        let items = self.named(devices)?.into_iter().map(device_item).collect();
        Ok(self.blocks(operation, items, recourse).collect())
    }

    /// A call for each device.
    fn each(&self, devices: &Devices, operation: &'static Operation, more: &[Part]) -> Result<Queue, Refusal> {
        let call = |(part, device): (Serial, Device)| {
            let parts = [Part::Device(device)].into_iter().chain(more.iter().cloned()).collect();
            one(operation, parts, part)
        };
        Ok(self.named(devices)?.into_iter().map(call).collect())
    }

    /// Ends the pairs that either side has with others, and ties them.
    fn pair(&self, devices: &Devices, alone: bool) -> Result<Queue, Refusal> {
        let (Some(card), Some(stb)) = (devices.smartcards.first(), devices.stbs.first()) else {
            return Err(Refusal::new("stb", "missing_field", "name one smartcard and one box"));
        };
        let mut queue = Queue::new();
        if alone {
            let keep = |side, id: &Serial, other: &Serial| Action::Paired {
                side,
                id: id.clone(),
                then: ThenPaired::Keep(other.clone()),
            };
            queue.extend([keep(Side::SmartCard, card, stb), keep(Side::Stb, stb, card)]);
        }
        let call = |operation| Call { operation, parts: vec![Part::DevicePair(pair_of(card, stb))] };
        queue.push_back(Action::One {
            call: call(&operations::ADD_DEVICE_PAIR),
            part: card.clone(),
            recourse: Some(call(&operations::CHECK_DEVICE_PAIR)),
            earlier: None,
        });
        Ok(queue)
    }

    fn unpair(&self, devices: &Devices) -> Result<Queue, Refusal> {
        match (devices.smartcards.as_slice(), devices.stbs.as_slice()) {
            ([card], [stb]) => Ok([remove_pair(card, stb)].into()),
            (cards, []) if !cards.is_empty() => {
                let drop = |card: &Serial| {
                    let side = Part::SmartCardDevice(SmartCardDevice { id: card.as_str().to_owned() });
                    one(&operations::REMOVE_SMART_CARD_DEVICE_PAIRING, vec![side], card.clone())
                };
                Ok(cards.iter().map(drop).collect())
            }
            ([], stbs) if !stbs.is_empty() => {
                let drop = |stb: &Serial| {
                    let side = Part::StbDevice(StbDevice { id: stb.as_str().to_owned() });
                    one(&operations::REMOVE_STB_DEVICE_PAIRING, vec![side], stb.clone())
                };
                Ok(stbs.iter().map(drop).collect())
            }
            _ => {
                let text = "name smartcards, or boxes, or one of each to end that one pair";
                Err(Refusal::new("smartcards", "conflicting_fields", text))
            }
        }
    }

    fn pairings(&self, devices: &Devices) -> Result<Queue, Refusal> {
        self.named(devices)?;
        let show = |side| move |id: &Serial| Action::Paired { side, id: id.clone(), then: ThenPaired::Show };
        let cards = devices.smartcards.iter().map(show(Side::SmartCard));
        Ok(cards.chain(devices.stbs.iter().map(show(Side::Stb))).collect())
    }

    fn find(&self, devices: &Devices) -> Result<Queue, Refusal> {
        let wanted: Vec<_> = self.named(devices)?.into_iter().map(|(serial, _)| serial).collect();
        Ok(match self.speech.settings.find_device {
            FindDevice::DeviceList => {
                let count = self.speech.settings.page_size;
                [Action::FindDevices(Search { wanted, last_seen: String::new(), count, pages: 0 })].into()
            }
            FindDevice::Entitlements => {
                let held =
                    |id| Action::Held { holder: Holder { kind: EntitledType::Device, id }, then: ThenHeld::ShowDevice };
                wanted.into_iter().map(held).collect()
            }
        })
    }

    fn send(&self, devices: &Devices, message: &Message) -> Result<Queue, Refusal> {
        let shown = Part::OnScreenMessage(self.speech.message(self.request, message)?);
        let settings = &self.speech.settings;
        let entity = |kind, id: &str| {
            let network = Some(settings.network.clone());
            Part::MessageEntity(MessageEntity { kind, id: id.to_owned(), network })
        };
        let everybody = || entity(AudienceType::Global, &settings.osm.global_id);
        let part = |text: &str| {
            Serial::new(text).map_err(|error| Refusal::new("message/to", "out_of_range", error.to_string()))
        };
        let osm = &operations::GENERATE_OSM;
        Ok(match &message.audience {
            Audience::Devices => {
                let send = |(serial, _): (Serial, Device)| {
                    let to = entity(AudienceType::Device, serial.as_str());
                    one(osm, vec![to, shown.clone()], serial)
                };
                self.named(devices)?.into_iter().map(send).collect()
            }
            Audience::Subscriber => {
                let account = self.speech.account(self.request)?;
                [one(osm, vec![entity(AudienceType::Domain, account.as_str()), shown], account)].into()
            }
            Audience::HoldersOf(service) => {
                let package: CaId = self.speech.package(0, service)?;
                let packages = Part::PackageList(PackageList { packages: vec![package_of(&package)] });
                let parts = vec![everybody(), shown, packages];
                [one(&operations::GENERATE_PACKAGE_OSM, parts, part(service.as_str())?)].into()
            }
            Audience::Everybody => [one(osm, vec![everybody(), shown], part("everybody")?)].into(),
            Audience::Region(_) => {
                let text = "this provider can not reach them at once";
                return Err(Refusal::new("message/to", "unsupported_message", text));
            }
        })
    }

    /// The devices of a request that must name some.
    fn named(&self, devices: &Devices) -> Result<Vec<(Serial, Device)>, Refusal> {
        let devices = self.speech.devices(devices);
        match devices.is_empty() {
            true => Err(Refusal::new("smartcards", "missing_field", "name at least one smartcard or box")),
            false => Ok(devices),
        }
    }

    fn blocks(
        &self,
        operation: &'static Operation,
        items: Vec<Item>,
        recourse: Recourse,
    ) -> impl DoubleEndedIterator<Item = Action> + use<> {
        blocks(operation, items, recourse, self.speech.settings.block_size)
    }
}

/// Ends one pair.
pub(super) fn remove_pair(card: &Serial, stb: &Serial) -> Action {
    one(&operations::REMOVE_DEVICE_PAIR, vec![Part::DevicePair(pair_of(card, stb))], card.clone())
}

pub(super) fn entitlement_item(entitlement: super::wire::types::Entitlement, part: Serial) -> Item {
    Item { id: entitlement.id.clone(), part, body: Body::Entitlement(entitlement), earlier: None }
}

fn one(operation: &'static Operation, parts: Vec<Part>, part: Serial) -> Action {
    Action::One { call: Call { operation, parts }, part, recourse: None, earlier: None }
}

fn device_item((part, device): (Serial, Device)) -> Item {
    Item { id: device.sms_device_id.clone(), part, body: Body::Device(device), earlier: None }
}

fn pair_of(card: &Serial, stb: &Serial) -> DevicePair {
    DevicePair {
        stb: StbDevice { id: stb.as_str().to_owned() },
        smart_card: SmartCardDevice { id: card.as_str().to_owned() },
    }
}

/// What must not be recorded of a secret. One of digits is meant within its element only, so that other numbers stay
/// readable.
pub(super) fn hidden(secret: &str) -> String {
    match secret.bytes().all(|b| b.is_ascii_digit()) {
        true => format!(">{secret}<"),
        false => secret.to_owned(),
    }
}
