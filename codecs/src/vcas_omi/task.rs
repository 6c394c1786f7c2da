//! Where a request stands between its calls: a queue of actions, and what became of those before.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};

use headgate_core::failure::{FailedPart, Failure};
use headgate_core::outcome::{Answer, HeldServices, KnownDevice, KnownSubscriber, Pairing, RawAnswer, Verdict};
use headgate_core::text::Serial;

use super::speech::Holder;
use super::wire::call::Part;
use super::wire::operations::{self, Operation};
use super::wire::sets::EntitledType;
use super::wire::types::{
    Device, DeviceEntitlementsQuery, DeviceList, DeviceListQuery, Domain, DomainDevice, DomainDeviceList,
    DomainEntitlementsQuery, DomainList, Entitlement, EntitlementList, SmartCardPairingQuery, StbPairingQuery,
};
use super::wire::{Call, RawCall, Reply};

/// A request between its calls.
pub struct Task {
    /// What is still to be done; an answer may put more before it.
    pub(super) queue: VecDeque<Action>,
    pub(super) tally: Tally,
    /// Whether it was sent again with another session, since a code seemed to say that the first was lost.
    pub(super) renewed: bool,
    /// Texts that must not be recorded, as the wire carries them.
    pub(super) private: Vec<String>,
}

/// What one call does.
pub(super) enum Action {
    /// Something with each of some items.
    List(Block),
    /// Something with one thing.
    One { call: Call, part: Serial, recourse: Option<Call>, earlier: Option<Refused> },
    /// Reads what somebody holds.
    Held { holder: Holder, then: ThenHeld },
    /// Reads what a smartcard or a box is paired with.
    Paired { side: Side, id: Serial, then: ThenPaired },
    /// Reads the networks: whether the platform hears us and knows ours.
    Networks,
    /// Goes through the list of all devices.
    FindDevices(Search),
    /// What a CRM wrote.
    Raw(RawCall),
    /// Reads the networks to see whether the session lives, since all of `refused` was refused with this code.
    Probe { refused: Box<Self>, reply: Box<Reply>, why: Refused },
}

/// A search through the list of all devices, page by page.
pub(super) struct Search {
    /// What was not found yet.
    pub(super) wanted: Vec<Serial>,
    /// The last device of the page before; empty: the first page comes.
    pub(super) last_seen: String,
    /// How many devices a page has.
    pub(super) count: i32,
    /// How many pages there were.
    pub(super) pages: usize,
}

/// The items of one list call.
pub(super) struct Block {
    pub(super) operation: &'static Operation,
    /// The part before the list, where there is one.
    pub(super) before: Option<Box<Part>>,
    pub(super) items: Vec<Item>,
    pub(super) recourse: Recourse,
    /// Whether a refusal matters: what was done just in case may have been done before.
    pub(super) counts: bool,
}

/// What to do about items that were refused: no public source tells which codes mean that it is so already \[I\].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Recourse {
    /// Nothing.
    None,
    /// Try to change them: if that works, they were there.
    Change(&'static Operation),
    /// Look whether they are there: if not, they are gone.
    LookWhetherGone,
}

/// One item of a list call.
pub(super) struct Item {
    /// What its result is told by.
    pub(super) id: String,
    /// What it is called in a failure.
    pub(super) part: Serial,
    pub(super) body: Body,
    /// Why an earlier call refused it.
    pub(super) earlier: Option<Refused>,
}

/// What an item is.
pub(super) enum Body {
    Device(Device),
    Entitlement(Entitlement),
    Domain(Domain),
    DomainDevice(DomainDevice),
}

/// The platform's code and words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) code: i32,
    pub(super) text: String,
}

/// What is done with what somebody holds.
pub(super) enum ThenHeld {
    /// It is the answer.
    Show,
    /// It is a part of the answer on an account.
    ShowAccount,
    /// The device in it is the answer.
    ShowDevice,
    /// All of it is removed.
    RemoveAll,
    /// It is made to be exactly these.
    SetTo(Vec<Item>),
    /// Those of these that are not in it are gone.
    Gone(Vec<Item>),
}

/// A side of a pair.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    SmartCard,
    Stb,
}

/// What is done with what something is paired with.
pub(super) enum ThenPaired {
    /// It is the answer.
    Show,
    /// All pairs end but the one with this.
    Keep(Serial),
}

impl Action {
    pub(super) fn operation(&self) -> &'static Operation {
        match self {
            Self::List(block) => block.operation,
            Self::One { call, .. } => call.operation,
            Self::Held { holder, .. } if holder.kind == EntitledType::Domain => &operations::GET_DOMAIN_ENTITLEMENTS,
            Self::Held { .. } => &operations::GET_DEVICE_ENTITLEMENTS,
            Self::Paired { side: Side::SmartCard, .. } => &operations::GET_SMART_CARD_PAIRING,
            Self::Paired { side: Side::Stb, .. } => &operations::GET_STB_PAIRING,
            Self::Networks | Self::Probe { .. } => &operations::GET_NETWORK_LIST,
            Self::FindDevices(_) => &operations::GET_DEVICE_LIST,
            Self::Raw(raw) => raw.operation,
        }
    }

    /// The parts of its call, but for `raw`.
    pub(super) fn parts(&self) -> Vec<Part> {
        match self {
            Self::List(block) => block.before.as_deref().cloned().into_iter().chain([list(&block.items)]).collect(),
            Self::One { call, .. } => call.parts.clone(),
            Self::Held { holder, .. } => {
                let id = holder.id.as_str().to_owned();
                vec![match holder.kind {
                    EntitledType::Domain => Part::DomainEntitlementsQuery(DomainEntitlementsQuery { id }),
                    _ => Part::DeviceEntitlementsQuery(DeviceEntitlementsQuery { id }),
                }]
            }
            Self::Paired { side, id, .. } => {
                let id = id.as_str().to_owned();
                vec![match side {
                    Side::SmartCard => Part::SmartCardPairingQuery(SmartCardPairingQuery { id }),
                    Side::Stb => Part::StbPairingQuery(StbPairingQuery { id }),
                }]
            }
            Self::FindDevices(Search { last_seen, count, .. }) => {
                vec![Part::DeviceListQuery(DeviceListQuery { last_seen: last_seen.clone(), count: *count })]
            }
            Self::Networks | Self::Probe { .. } | Self::Raw(_) => Vec::new(),
        }
    }
}

/// The list that carries items; all are of one kind.
fn list(items: &[Item]) -> Part {
    let mut devices = Vec::new();
    let mut entitlements = Vec::new();
    let mut domains = Vec::new();
    let mut domain_devices = Vec::new();
    for item in items {
        match &item.body {
            Body::Device(device) => devices.push(device.clone()),
            Body::Entitlement(entitlement) => entitlements.push(entitlement.clone()),
            Body::Domain(domain) => domains.push(domain.clone()),
            Body::DomainDevice(device) => domain_devices.push(device.clone()),
        }
    }
    match items.first().map(|item| &item.body) {
        Some(Body::Entitlement(_)) => Part::EntitlementList(EntitlementList { entitlements }),
        Some(Body::Domain(_)) => Part::DomainList(DomainList { domains }),
        Some(Body::DomainDevice(_)) => Part::DomainDeviceList(DomainDeviceList { devices: domain_devices }),
        Some(Body::Device(_)) | None => Part::DeviceList(DeviceList { devices }),
    }
}

/// Items in blocks of at most `size`, each a call.
pub(super) fn blocks(
    operation: &'static Operation,
    items: Vec<Item>,
    recourse: Recourse,
    size: usize,
) -> impl DoubleEndedIterator<Item = Action> {
    let mut blocks = Vec::new();
    let mut items = items.into_iter();
    loop {
        let items: Vec<_> = items.by_ref().take(size.max(1)).collect();
        if items.is_empty() {
            return blocks.into_iter();
        }
        blocks.push(Action::List(Block { operation, before: None, items, recourse, counts: true }));
    }
}

impl Task {
    /// A task that does these, one after the other.
    pub(super) fn new(queue: impl IntoIterator<Item = Action>) -> Self {
        Self { queue: queue.into_iter().collect(), tally: Tally::default(), renewed: false, private: Vec::new() }
    }

    /// Puts actions before all others, in their order.
    pub(super) fn first(&mut self, actions: impl DoubleEndedIterator<Item = Action>) {
        for action in actions.rev() {
            self.queue.push_front(action);
        }
    }
}

/// What became of the parts of a request, and what was found.
#[derive(Default)]
pub(super) struct Tally {
    done: usize,
    refused: Vec<FailedPart>,
    refused_whole: Option<Failure>,
    pub(super) services: Vec<HeldServices>,
    pub(super) devices: Vec<KnownDevice>,
    pub(super) pairings: BTreeMap<String, Pairing>,
    pub(super) subscriber: Option<KnownSubscriber>,
    pub(super) raw: Option<RawAnswer>,
}

impl Tally {
    /// So many parts are done.
    pub(super) const fn done(&mut self, parts: usize) {
        self.done += parts;
    }

    /// The whole was refused, which has no parts.
    pub(super) fn refuse_all(&mut self, code: impl Into<Cow<'static, str>>, text: impl Into<String>) {
        self.refused_whole = Some(Failure::refused(code, text));
    }

    pub(super) fn refused(&mut self, part: Serial, why: Refused) {
        self.refuse(part, why.code.to_string(), why.text);
    }

    pub(super) fn refuse(&mut self, part: Serial, code: impl Into<Cow<'static, str>>, text: impl Into<String>) {
        self.refused.push(FailedPart { part, code: code.into(), text: text.into() });
    }

    /// How the request ends.
    pub(super) fn verdict(&mut self) -> Verdict {
        if let Some(failure) = self.refused_whole.take() {
            return Verdict::Rejected(failure);
        }
        let refused = std::mem::take(&mut self.refused);
        match refused.first() {
            None => Verdict::Completed(self.answer()),
            Some(first) if self.done == 0 => {
                Verdict::Rejected(Failure::refused(first.code.clone(), first.text.clone()))
            }
            Some(_) => {
                let of = self.done + refused.len();
                Verdict::Rejected(Failure::partial(refused, of))
            }
        }
    }

    fn answer(&mut self) -> Option<Answer> {
        if let Some(raw) = self.raw.take() {
            return Some(Answer::Raw(raw));
        }
        if let Some(subscriber) = self.subscriber.take() {
            return Some(Answer::Subscriber(subscriber));
        }
        if !self.services.is_empty() {
            return Some(Answer::Services(std::mem::take(&mut self.services)));
        }
        if !self.devices.is_empty() {
            return Some(Answer::Devices(std::mem::take(&mut self.devices)));
        }
        let pairings = std::mem::take(&mut self.pairings);
        (!pairings.is_empty()).then(|| Answer::Pairings(pairings.into_values().collect()))
    }
}
