//! What is sold, where it is shown and by whom: packages, content, events, networks and sites of the simulated platform.

use std::collections::{BTreeMap, BTreeSet};

use super::super::wire::Call;
use super::super::wire::call::Part;
use super::super::wire::operations::Operation;
use super::super::wire::types::{Content, Event, LicenseData, Network, NetworkContent, Package, Site};
use super::codes::{BAD_VALUE, DONE, EXISTS, NOT_THERE, UNKNOWN_NETWORK, UNKNOWN_PACKAGE};
use super::state::{Said, State, found};

/// How many devices a licence of the simulated platform allows.
const LICENSED: i32 = 1_000_000;

/// Everything that is not about a subscriber.
pub(super) struct Catalogue {
    pub(super) packages: BTreeMap<String, Package>,
    /// Packages that are not there are known too.
    every_package: bool,
    /// The events of packages.
    package_events: BTreeMap<String, BTreeSet<String>>,
    contents: BTreeMap<String, Content>,
    events: BTreeMap<String, Event>,
    networks: BTreeMap<String, Network>,
    /// By network and content.
    network_contents: BTreeMap<String, NetworkContent>,
    sites: BTreeMap<String, Site>,
}

impl Catalogue {
    pub(super) fn new(network: Network, products: &[String]) -> Self {
        let package = |id: &String| Package { id: id.clone(), description: None, attributes: None, parameters: None };
        Self {
            packages: products.iter().map(|id| (id.clone(), package(id))).collect(),
            every_package: products.is_empty(),
            package_events: BTreeMap::new(),
            contents: BTreeMap::new(),
            events: BTreeMap::new(),
            networks: BTreeMap::from([(network.id.clone(), network)]),
            network_contents: BTreeMap::new(),
            sites: BTreeMap::new(),
        }
    }

    pub(super) fn knows_package(&self, id: &str) -> bool {
        !id.is_empty() && (self.every_package || self.packages.contains_key(id))
    }

    pub(super) fn knows_network(&self, id: &str) -> bool {
        self.networks.contains_key(id)
    }
}

impl State {
    /// Carries out what is left: the administration of the catalogue.
    pub(super) fn administer(&mut self, call: Call) -> Said {
        let operation = call.operation;
        let change = Change::of(operation);
        let catalogue = &mut self.catalogue;
        match call.parts.as_slice() {
            [Part::PackageList(list)] => each(&list.packages, |package| {
                (package.id.clone(), keep(&mut catalogue.packages, change, &package.id, package))
            }),
            [Part::ContentList(list)] => each(&list.contents, |content| {
                (content.id.clone(), keep(&mut catalogue.contents, change, &content.id, content))
            }),
            [Part::EventList(list)] => {
                each(&list.events, |event| (event.id.clone(), keep(&mut catalogue.events, change, &event.id, event)))
            }
            [Part::Package(package), Part::EventList(list)] => {
                let known = catalogue.knows_package(&package.id);
                let events = catalogue.package_events.entry(package.id.clone()).or_default();
                each(&list.events, |event| {
                    let code = match change {
                        _ if !known => UNKNOWN_PACKAGE,
                        Change::Remove if !events.remove(&event.id) => NOT_THERE,
                        Change::Add if !events.insert(event.id.clone()) => EXISTS,
                        _ => DONE,
                    };
                    (event.id.clone(), code)
                })
            }
            [Part::NetworkContent(content)] => {
                let key = format!("{}/{}", content.network, content.content);
                Said::One(match catalogue.knows_network(&content.network) {
                    true => keep(&mut catalogue.network_contents, change, &key, content),
                    false => UNKNOWN_NETWORK,
                })
            }
            [Part::Network(network)] => Said::One(keep(&mut catalogue.networks, change, &network.id, network)),
            [Part::Site(site)] => Said::One(keep(&mut catalogue.sites, change, &site.id, site)),
            [Part::PackageQuery(query)] => {
                let ids = catalogue.package_events.get(&query.id).into_iter().flatten();
                found("events", ids.filter_map(|id| catalogue.events.get(id).cloned()).collect())
            }
            [Part::EventQuery(query)] => {
                let with = catalogue.package_events.iter().filter(|(_, events)| events.contains(&query.id));
                found("packages", with.filter_map(|(id, _)| catalogue.packages.get(id).cloned()).collect())
            }
            [Part::NetworkQuery(query)] => {
                if !catalogue.knows_network(&query.id) {
                    return Said::Found(UNKNOWN_NETWORK, Box::new(|_| {}));
                }
                let active = self.devices.values().filter(|device| device.sms_network_id == query.id).count();
                let active = i32::try_from(active).unwrap_or(i32::MAX);
                found("licenseData", vec![LicenseData { lower: 0, upper: LICENSED, limit: LICENSED, active }])
            }
            // Questions whose form is not public: the whole of what they are about.
            [] | [Part::Opaque(_)] => self.list_all(operation.name),
            _ => Said::One(BAD_VALUE),
        }
    }

    fn list_all(&self, operation: &str) -> Said {
        let catalogue = &self.catalogue;
        match operation {
            "getNetworkList" => found("networks", catalogue.networks.values().cloned().collect()),
            "getContentList" => found("contents", catalogue.contents.values().cloned().collect()),
            "getContentEvents" => found("events", catalogue.events.values().cloned().collect()),
            "getSite" | "getSiteList" => found("sites", catalogue.sites.values().cloned().collect()),
            "getDomainList" | "getDeviceDomainList" => found("domains", self.domains.values().cloned().collect()),
            "getDomainDeviceList" | "getNetworkDeviceList" => {
                found("devices", self.devices.values().cloned().collect())
            }
            _ => found("networkContents", catalogue.network_contents.values().cloned().collect()),
        }
    }
}

/// What an operation does with an entry.
#[derive(Clone, Copy)]
enum Change {
    Add,
    Modify,
    Remove,
}

impl Change {
    fn of(operation: &Operation) -> Self {
        match operation.name {
            name if name.starts_with("add") => Self::Add,
            name if name.starts_with("remove") => Self::Remove,
            _ => Self::Modify,
        }
    }
}

fn each<T>(items: &[T], code: impl FnMut(&T) -> (String, i32)) -> Said {
    Said::Each(items.iter().map(code).collect())
}

fn keep<T: Clone>(entries: &mut BTreeMap<String, T>, change: Change, id: &str, entry: &T) -> i32 {
    match (change, entries.contains_key(id)) {
        _ if id.is_empty() => return BAD_VALUE,
        (Change::Add, true) => return EXISTS,
        (Change::Modify | Change::Remove, false) => return NOT_THERE,
        (Change::Add | Change::Modify, _) => entries.insert(id.to_owned(), entry.clone()),
        (Change::Remove, true) => entries.remove(id),
    };
    DONE
}
