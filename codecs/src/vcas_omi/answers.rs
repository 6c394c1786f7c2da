//! What an answer says of the action that asked: what is done, what was refused, what comes next.

use std::collections::BTreeMap;

use headgate_core::failure::{Blame, Failure};
use headgate_core::outcome::{HeldService, HeldServices, KnownDevice, KnownSubscriber, Pairing};
use headgate_core::text::{AccountNumber, CaId, PersonalText, Serial};

use super::plan::{entitlement_item, remove_pair};
use super::speech::{ALWAYS, Holder, Speech};
use super::task::{Action, Block, Body, Item, Recourse, Refused, Search, Side, Task, ThenHeld, ThenPaired, blocks};
use super::wire::operations::{self, Operation};
use super::wire::reply::{DONE, match_items, records, texts};
use super::wire::sets::EntitledType;
use super::wire::types::{Device, Entitlement, Package, ResultRecord};
use super::wire::{ItemResult, Misfit, Reply};
use crate::http::Step;
use crate::xml::Element;

/// Most pages of the list of devices that one request goes through.
const MOST_PAGES: usize = 100_000;

/// Takes an answer to `action`, which is out of the queue, and moves the task on.
pub(super) fn take(speech: &Speech, task: &mut Task, action: Action, reply: Reply) -> Step {
    match taken(speech, task, action, reply) {
        Err(misfit) => Step::failed(not_understood(&misfit)),
        Ok(()) if task.queue.is_empty() => Step::End(task.tally.verdict().into()),
        Ok(()) => Step::Next,
    }
}

fn taken(speech: &Speech, task: &mut Task, action: Action, reply: Reply) -> Result<(), Misfit> {
    match (action, reply) {
        (Action::List(block), Reply::List(results)) => list(speech, task, block, &results),
        (Action::One { call, part, recourse, earlier }, Reply::Result(result)) => {
            match refusal(&result) {
                None => task.tally.done(1),
                Some(why) if is_fine(speech, call.operation, why.code) => task.tally.done(1),
                Some(why) => match recourse {
                    Some(call) => {
                        let again = Action::One { call, part, recourse: None, earlier: Some(why) };
                        task.queue.push_front(again);
                    }
                    None => task.tally.refused(part, earlier.unwrap_or(why)),
                },
            }
            Ok(())
        }
        (Action::Held { holder, then }, Reply::Query(result, found)) => {
            held(speech, task, holder, then, refusal(&result), &found)
        }
        (Action::Paired { side, id, then }, Reply::Query(result, found)) => {
            paired(task, side, id, then, refusal(&result), &found)
        }
        (Action::Networks, Reply::Query(result, found)) => {
            networks(speech, task, refusal(&result), &found);
            Ok(())
        }
        (Action::FindDevices(search), Reply::Query(result, found)) => devices(task, search, refusal(&result), &found),
        // Its caller reads the codes.
        (Action::Raw(_), _) => Ok(()),
        _ => Err(Misfit("the answer is to another question".into())),
    }
}

fn list(speech: &Speech, task: &mut Task, block: Block, results: &[ResultRecord]) -> Result<(), Misfit> {
    let Block { operation, before, items, recourse, counts } = block;
    let ids: Vec<_> = items.iter().map(|item| item.id.as_str()).collect();
    let told: Vec<_> = match_items(&ids, results)
        .into_iter()
        .map(|result| match result {
            ItemResult::Done => Ok(None),
            ItemResult::Refused(code, _) if is_fine(speech, operation, code) => Ok(None),
            ItemResult::Refused(code, text) => Ok(Some(Refused { code, text: text.to_owned() })),
            ItemResult::Unsaid => {
                Err(Misfit(format!("{} results do not tell what became of {} items", results.len(), ids.len())))
            }
        })
        .collect::<Result<_, _>>()?;
    let mut refused = Vec::new();
    for (item, why) in items.into_iter().zip(told) {
        match why {
            _ if !counts => {}
            None => task.tally.done(1),
            Some(why) => {
                let earlier = Some(item.earlier.unwrap_or(why));
                refused.push(Item { earlier, ..item });
            }
        }
    }
    match recourse {
        _ if refused.is_empty() => {}
        Recourse::None => refuse_all(task, refused),
        Recourse::Change(other) => {
            let block = Block { operation: other, before, items: refused, recourse: Recourse::None, counts };
            task.queue.push_front(Action::List(block));
        }
        Recourse::LookWhetherGone => {
            let mut by_holder: BTreeMap<Serial, Vec<Item>> = BTreeMap::new();
            let mut kind = EntitledType::Device;
            for item in refused {
                let Body::Entitlement(entitlement) = &item.body else { continue };
                kind = entitlement.entity.kind.clone();
                let id = Serial::new(&entitlement.entity.id).unwrap_or_else(|_| item.part.clone());
                by_holder.entry(id).or_default().push(item);
            }
            let look = by_holder.into_iter().map(|(id, items)| Action::Held {
                holder: Holder { kind: kind.clone(), id },
                then: ThenHeld::Gone(items),
            });
            task.first(look);
        }
    }
    Ok(())
}

fn held(
    speech: &Speech,
    task: &mut Task,
    holder: Holder,
    then: ThenHeld,
    refused: Option<Refused>,
    found: &Element,
) -> Result<(), Misfit> {
    if let Some(why) = refused {
        match then {
            ThenHeld::Gone(items) => refuse_all(task, items),
            _ => task.tally.refused(holder.id, why),
        }
        return Ok(());
    }
    let entitlements: Vec<Entitlement> = records(found, "smsEntitlementId")?;
    match then {
        ThenHeld::Show => {
            let device = holder.kind == EntitledType::Device;
            let account = AccountNumber::new(holder.id.as_str()).ok().filter(|_| !device);
            let services = services(speech, &entitlements);
            task.tally.services.push(HeldServices { smartcard: Some(holder.id).filter(|_| device), account, services });
        }
        ThenHeld::ShowAccount => {
            let account = AccountNumber::new(holder.id.as_str())
                .map_err(|error| Misfit(format!("the account's number {error}")))?;
            task.tally.subscriber = Some(KnownSubscriber {
                account,
                state: None,
                devices: texts(found, "smsDeviceId").into_iter().filter_map(|id| Serial::new(id).ok()).collect(),
                services: services(speech, &entitlements),
                attributes: BTreeMap::new(),
            });
        }
        ThenHeld::ShowDevice => {
            let devices: Vec<Device> = records(found, "networkDeviceId")?;
            match devices.first() {
                Some(device) => task.tally.devices.push(known(device, &holder.id)),
                None => return Err(Misfit("there is no device in it: set find_device = \"device_list\"".into())),
            }
        }
        ThenHeld::RemoveAll => {
            let removal = |entitlement| removal(speech, &holder.id, entitlement);
            let items = entitlements.into_iter().map(removal).collect();
            let size = speech.settings.block_size;
            task.first(blocks(&operations::REMOVE_ENTITLEMENTS, items, Recourse::None, size));
        }
        ThenHeld::SetTo(wanted) => set(speech, task, &holder.id, wanted, entitlements),
        ThenHeld::Gone(items) => {
            let (there, gone): (Vec<_>, Vec<_>) =
                items.into_iter().partition(|item| entitlements.iter().any(|held| held.id == item.id));
            task.tally.done(gone.len());
            refuse_all(task, there);
        }
    }
    Ok(())
}

/// Removes what is held and not wanted, changes what is held for another period, adds what is not held.
fn set(speech: &Speech, task: &mut Task, holder: &Serial, wanted: Vec<Item>, held: Vec<Entitlement>) {
    let mut held: BTreeMap<String, Vec<Entitlement>> =
        held.into_iter().fold(BTreeMap::new(), |mut by_package, entitlement| {
            by_package.entry(entitlement.package.id.clone()).or_default().push(entitlement);
            by_package
        });
    let (mut add, mut change) = (Vec::new(), Vec::new());
    for item in wanted {
        let Body::Entitlement(entitlement) = &item.body else { continue };
        let mut same = held.remove(&entitlement.package.id).unwrap_or_default().into_iter();
        match same.next() {
            None => add.push(item),
            // Somebody else may have named it otherwise.
            Some(mine) if mine.period != entitlement.period => {
                let changed = Entitlement { id: mine.id, ..entitlement.clone() };
                change.push(entitlement_item(changed, item.part));
            }
            Some(_) => task.tally.done(1),
        }
        // More of the same package are not wanted.
        held.entry(String::new()).or_default().extend(same);
    }
    let remove = held.into_values().flatten().map(|entitlement| removal(speech, holder, entitlement)).collect();
    let size = speech.settings.block_size;
    let remove = blocks(&operations::REMOVE_ENTITLEMENTS, remove, Recourse::LookWhetherGone, size);
    let change = blocks(&operations::MODIFY_ENTITLEMENTS, change, Recourse::None, size);
    let recourse = Recourse::Change(&operations::MODIFY_ENTITLEMENTS);
    let add = blocks(&operations::ADD_ENTITLEMENTS, add, recourse, size);
    task.first(remove.chain(change).chain(add));
}

fn paired(
    task: &mut Task,
    side: Side,
    id: Serial,
    then: ThenPaired,
    refused: Option<Refused>,
    found: &Element,
) -> Result<(), Misfit> {
    let name = match side {
        Side::SmartCard => "smsSTBId",
        Side::Stb => "smsSmartCardId",
    };
    let others = texts(found, name)
        .into_iter()
        .map(|other| Serial::new(other).map_err(|error| Misfit(format!("a device's number {error}"))));
    let others: Vec<_> = others.collect::<Result<_, _>>()?;
    match (then, refused) {
        (ThenPaired::Show, Some(why)) => task.tally.refused(id, why),
        (ThenPaired::Show, None) => {
            let pairs: Vec<_> = match side {
                Side::SmartCard => vec![(id, others)],
                Side::Stb => others.into_iter().map(|card| (card, vec![id.clone()])).collect(),
            };
            for (smartcard, stbs) in pairs {
                let key = smartcard.as_str().to_owned();
                let pairing = task.tally.pairings.entry(key).or_insert_with(|| Pairing { smartcard, stbs: Vec::new() });
                let new: Vec<_> = stbs.into_iter().filter(|stb| !pairing.stbs.contains(stb)).collect();
                pairing.stbs.extend(new);
            }
        }
        // Not paired at all, it may be: the pairing that follows decides.
        (ThenPaired::Keep(_), Some(_)) => {}
        (ThenPaired::Keep(keep), None) => {
            let ends = others.into_iter().filter(|other| *other != keep).map(|other| match side {
                Side::SmartCard => remove_pair(&id, &other),
                Side::Stb => remove_pair(&other, &id),
            });
            task.first(ends.collect::<Vec<_>>().into_iter());
        }
    }
    Ok(())
}

fn networks(speech: &Speech, task: &mut Task, refused: Option<Refused>, found: &Element) {
    let listed = texts(found, "smsNetworkId");
    let ours = speech.settings.network.as_str();
    match refused {
        Some(why) => task.tally.refuse_all(why.code.to_string(), why.text),
        None if !listed.is_empty() && !listed.contains(&ours) => {
            task.tally.refuse_all("unknown_network", "the platform lists networks, but not that of the settings");
        }
        None => task.tally.done(1),
    }
}

fn devices(task: &mut Task, search: Search, refused: Option<Refused>, found: &Element) -> Result<(), Misfit> {
    let Search { mut wanted, last_seen, count, pages } = search;
    if let Some(why) = refused {
        wanted.into_iter().for_each(|serial| task.tally.refused(serial, why.clone()));
        return Ok(());
    }
    let page: Vec<Device> = records(found, "networkDeviceId")?;
    for device in &page {
        if let Some(at) = wanted.iter().position(|serial| serial.as_str() == device.sms_device_id) {
            let serial = wanted.remove(at);
            task.tally.devices.push(known(device, &serial));
        }
    }
    // A short page is the last \[S:FIM\].
    let full = usize::try_from(count).is_ok_and(|count| page.len() >= count);
    match page.last() {
        _ if wanted.is_empty() => {}
        Some(last) if full => {
            if last.sms_device_id == last_seen || pages >= MOST_PAGES {
                return Err(Misfit("the list of devices has no end".into()));
            }
            let last_seen = last.sms_device_id.clone();
            let search = Search { wanted, last_seen, count, pages: pages + 1 };
            task.queue.push_front(Action::FindDevices(search));
        }
        _ => {
            for serial in wanted {
                task.tally.refuse(serial, "unknown_device", "the platform lists no such device");
            }
        }
    }
    Ok(())
}

/// Why an answer could be read, but not understood.
fn not_understood(misfit: &Misfit) -> Failure {
    let text = format!("the answer can not be read: {misfit}");
    Failure { blame: Blame::Platform, ..Failure::unanswered("answer_unreadable", text) }
}

fn refusal(result: &ResultRecord) -> Option<Refused> {
    (result.code != DONE).then(|| Refused { code: result.code, text: result.text.clone() })
}

/// Whether a refusal of this operation is as good as success: what is to be removed is not there.
pub(super) fn is_fine(speech: &Speech, operation: &Operation, code: i32) -> bool {
    operation.name.starts_with("remove") && speech.settings.absent_codes.contains(&code)
}

fn refuse_all(task: &mut Task, items: Vec<Item>) {
    for Item { part, earlier, .. } in items {
        if let Some(why) = earlier {
            task.tally.refused(part, why);
        }
    }
}

/// An entitlement to be removed: its period is empty \[S:FIM\].
fn removal(speech: &Speech, holder: &Serial, entitlement: Entitlement) -> Item {
    let package = Package { description: None, attributes: None, parameters: None, ..entitlement.package };
    let code = CaId::new(&package.id).ok().and_then(|id| speech.services.code(&id).cloned());
    let service = code.as_ref().map_or(package.id.as_str(), |code| code.as_str());
    let part = Serial::new(service).unwrap_or_else(|_| holder.clone());
    entitlement_item(Entitlement { package, period: ALWAYS, ..entitlement }, part)
}

fn services(speech: &Speech, entitlements: &[Entitlement]) -> Vec<HeldService> {
    let held = |entitlement: &Entitlement| {
        let ca_id = CaId::new(&entitlement.package.id).ok()?;
        Some(HeldService {
            code: speech.services.code(&ca_id).cloned(),
            ca_id,
            start: entitlement.period.start,
            end: entitlement.period.end,
            suspended: false,
        })
    };
    entitlements.iter().filter_map(held).collect()
}

fn known(device: &Device, serial: &Serial) -> KnownDevice {
    let told = [
        ("deviceType", device.device_type.as_str()),
        ("networkDeviceId", &device.network_device_id),
        ("smsNetworkId", &device.sms_network_id),
    ];
    let attributes =
        told.into_iter().filter_map(|(name, value)| Some((name.to_owned(), PersonalText::new(value).ok()?)));
    KnownDevice {
        serial: serial.clone(),
        enabled: None,
        account: None,
        paired: Vec::new(),
        attributes: attributes.collect(),
    }
}
