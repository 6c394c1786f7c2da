//! The simulated platform, asked without an adapter.

use headgate_core::Tick;
use headgate_core::http::Method;

use super::super::wire::reply::{records, texts};
use super::super::wire::sets::{DeviceType, EntitledType, NetworkType, Quadrant, SiteType};
use super::super::wire::types::{
    Content, Device, DeviceList, DeviceListQuery, DevicePurse, DeviceRegion, EntitlementListQuery, Event, EventList,
    MessageAttributes, MessageEntity, MessageHandle, MessageText, Network, NetworkContent, NetworkQuery, Package,
    PackageList, PackageListQuery, PackageQuery, PreloadedMessage, PreloadedOnScreenMessage, Site, TimePeriodRule,
};
use super::super::wire::{OPERATIONS, QueryParts, find, sets, types};
use super::*;

struct Peer {
    backend: OmiBackend,
    now: Now,
}

impl Peer {
    fn new() -> Self {
        let stock = Stock { cards: vec!["C1".into(), "C2".into()], products: vec!["P1".into()] };
        let mut backend = OmiBackend::new(Settings::default(), &stock);
        let now = Now { tick: Tick::default(), wall: jiff::Timestamp::UNIX_EPOCH };
        backend.open_session(now, "H");
        Self { backend, now }
    }

    fn request(&self, operation: &Operation, body: Bytes) -> HttpRequest {
        let target = format!("/services/{}", operation.service.name());
        HttpRequest { method: Method::Post, target, headers: Vec::new(), body }
    }

    fn ask(&mut self, name: &str, parts: Vec<Part>) -> Reply {
        let operation = find(name).unwrap();
        let body = Call { operation, parts }.write(Some("H"), &QueryParts::new()).unwrap();
        let answer = self.backend.answer(self.now, &self.request(operation, body), None);
        Reply::read(operation, &answer.body, 1 << 20)
            .unwrap_or_else(|error| panic!("{name}: {error}: {}", String::from_utf8_lossy(&answer.body)))
    }

    /// The codes of an answer, one after the other.
    fn codes(&mut self, name: &str, parts: Vec<Part>) -> Vec<i32> {
        match self.ask(name, parts) {
            Reply::Result(result) | Reply::Query(result, _) | Reply::Session(_, result) => vec![result.code],
            Reply::List(results) => results.iter().map(|result| result.code).collect(),
        }
    }

    fn fault(&mut self, request: &HttpRequest) -> String {
        let answer = self.backend.answer(self.now, request, None);
        assert_eq!(answer.status, 500);
        soap::read(&answer.body, 1 << 20).unwrap_err().to_string()
    }
}

fn device(id: &str) -> Device {
    Device {
        sms_device_id: id.into(),
        sms_network_id: "dvb-network".into(),
        device_type: DeviceType::StbDvbSc,
        network_device_id: id.into(),
        sms_authenticator: None,
    }
}

fn to(kind: sets::AudienceType, id: &str) -> Part {
    Part::MessageEntity(MessageEntity { kind, id: id.into(), network: None })
}

const ALWAYS: TimePeriodRule = TimePeriodRule { start: None, end: None };

#[test]
fn calls_at_the_wrong_place_are_faults() {
    let mut peer = Peer::new();
    let operation = find("resetDevicePins").unwrap();
    let call = Call { operation, parts: vec![Part::Device(device("C1"))] };
    let good = peer.request(operation, call.write(Some("H"), &QueryParts::new()).unwrap());
    for (request, words) in [
        (
            HttpRequest { target: "/services/AdminMgmtService".into(), ..good.clone() },
            "is not here but at DeviceMgmtService",
        ),
        (HttpRequest { headers: vec![("soapaction".into(), "\"urn:x\"".into())], ..good.clone() }, "different things"),
        (HttpRequest { body: Bytes::from_static(b"<html/>"), ..good.clone() }, "not a SOAP 1.1 envelope"),
        (HttpRequest { body: Bytes::from_static(b"{}"), ..good.clone() }, "(Client)"),
    ] {
        let told = peer.fault(&request);
        assert!(told.contains(words), "{told}");
    }
    assert_eq!(peer.backend.answer(peer.now, &HttpRequest { method: Method::Get, ..good }, None).status, 405);
    assert_eq!(peer.backend.holdings().applied, 0);
}

#[test]
fn every_operation_needs_a_session_and_says_so_in_its_own_form() {
    let mut peer = Peer::new();
    for operation in OPERATIONS.iter().filter(|operation| operation.form != Form::Session) {
        // Whatever the parts are, nobody looks at them before the session.
        let raw = format!(
            "<s:Envelope xmlns:s='{}'><s:Body><o:{} xmlns:o='{OMI}'/></s:Body></s:Envelope>",
            soap::ENVELOPE,
            operation.name
        );
        if operation.parts.is_empty() {
            let answer = peer.backend.answer(peer.now, &peer.request(operation, raw.into_bytes().into()), None);
            let (Reply::Result(result) | Reply::Query(result, _)) =
                Reply::read(operation, &answer.body, 1 << 20).unwrap()
            else {
                panic!("{}", operation.name)
            };
            assert_eq!((result.code, result.text.as_str()), (NO_SESSION, "invalid session"));
        } else {
            let told = peer.fault(&peer.request(operation, raw.into_bytes().into()));
            assert!(told.contains("where it belongs"), "{told}");
        }
    }
}

#[test]
fn devices_are_listed_page_by_page() {
    let mut peer = Peer::new();
    let devices = (0..7).map(|number| device(&format!("D{number}"))).collect();
    assert_eq!(peer.codes("addDevices", vec![Part::DeviceList(DeviceList { devices })]), [DONE; 7]);
    let mut seen = Vec::new();
    let mut last_seen = String::new();
    loop {
        let query = DeviceListQuery { last_seen: last_seen.clone(), count: 4 };
        let Reply::Query(result, found) = peer.ask("getDeviceList", vec![Part::DeviceListQuery(query)]) else {
            panic!("a query's answer")
        };
        assert_eq!(result.code, DONE);
        let page: Vec<Device> = records(&found, "networkDeviceId").unwrap();
        seen.extend(page.iter().map(|device| device.sms_device_id.clone()));
        if page.len() < 4 {
            break;
        }
        last_seen.clone_from(&page.last().unwrap().sms_device_id);
    }
    assert_eq!(seen, ["C1", "C2", "D0", "D1", "D2", "D3", "D4", "D5", "D6"]);
}

#[test]
fn what_belongs_to_a_device_goes_with_it() {
    let mut peer = Peer::new();
    let one = |id: &str| vec![Part::Device(device(id))];
    assert_eq!(
        peer.codes(
            "setDeviceRegion",
            vec![Part::Device(device("C1")), Part::DeviceRegion(DeviceRegion { region: "N".into() })]
        ),
        [DONE]
    );
    assert_eq!(
        peer.codes("setDevicePurse", vec![Part::Device(device("X")), Part::DevicePurse(DevicePurse { tokens: 5 })]),
        [UNKNOWN_DEVICE]
    );
    let slaves =
        |id: &str| vec![Part::Device(device("C1")), Part::DeviceList(DeviceList { devices: vec![device(id)] })];
    assert_eq!(peer.codes("joinDevices", slaves("C2")), [DONE]);
    assert_eq!(peer.codes("joinDevices", slaves("X")), [UNKNOWN_DEVICE]);
    assert_eq!(peer.codes("verifyDevice", one("C1")), [DONE]);
    let list = |id: &str| vec![Part::DeviceList(DeviceList { devices: vec![device(id), device("X")] })];
    assert_eq!(peer.codes("removeDevices", list("C1")), [DONE, UNKNOWN_DEVICE]);
    assert_eq!(peer.codes("verifyDevice", one("C1")), [UNKNOWN_DEVICE]);
    assert_eq!(peer.backend.holdings().cards.keys().collect::<Vec<_>>(), ["C2"]);
}

#[test]
fn messages_are_shown_preloaded_and_deleted() {
    use sets::{AudienceType, ContentMode};
    let mut peer = Peer::new();
    let handle = || MessageHandle { sector: Some(1), id: 7 };
    let attributes = || MessageAttributes { mode: ContentMode::Pos, priority: None, cycle_duration: None };
    let preload =
        PreloadedMessage { text_id: 3, sector: 1, attributes: attributes(), text: MessageText { text: "Hi".into() } };
    let show = PreloadedOnScreenMessage {
        text_id: 3,
        duration: 5,
        handle: handle(),
        attributes: attributes(),
        quadrant: Quadrant::North,
    };
    let everybody = || to(AudienceType::Global, "GLOBAL");
    let card = || to(AudienceType::Device, "C1");
    let shown = vec![card(), Part::PreloadedOnScreenMessage(show)];
    assert_eq!(peer.codes("generatePreloadedOSM", shown.clone()), [codes::NOT_THERE]);
    assert_eq!(peer.codes("preloadMessage", vec![everybody(), Part::PreloadedMessage(preload)]), [DONE]);
    assert_eq!(peer.codes("generatePreloadedOSM", shown), [DONE]);
    assert_eq!(peer.backend.holdings().cards["C1"].messages, ["Hi"]);
    let delete = |whom| vec![whom, Part::MessageHandle(handle())];
    assert_eq!(peer.codes("deleteOSM", delete(everybody())), [codes::NOT_THERE]);
    assert_eq!(peer.codes("deleteOSM", delete(card())), [DONE]);
    assert_eq!(peer.codes("deleteOSM", delete(card())), [codes::NOT_THERE]);
    assert!(peer.backend.holdings().cards["C1"].messages.is_empty());
    let command = types::DeviceCommand { command: super::super::wire::value::Base64("AAEC".into()) };
    assert_eq!(peer.codes("generateDeviceCommand", vec![card(), Part::DeviceCommand(command)]), [DONE]);
    assert_eq!(peer.backend.state.commands.len(), 1);
}

#[test]
fn the_catalogue_is_kept() {
    let mut peer = Peer::new();
    let package = |id: &str| Package { id: id.into(), description: None, attributes: None, parameters: None };
    let packages = |id: &str| vec![Part::PackageList(PackageList { packages: vec![package(id)] })];
    assert_eq!(peer.codes("addPackages", packages("P2")), [DONE]);
    assert_eq!(peer.codes("addPackages", packages("P2")), [codes::EXISTS]);
    let content = Content { id: "N1".into(), description: None, tag: None };
    assert_eq!(
        peer.codes("addContent", vec![Part::ContentList(types::ContentList { contents: vec![content] })]),
        [DONE]
    );
    let event = Event {
        id: "E1".into(),
        content: "N1".into(),
        network: "dvb-network".into(),
        exclusive: false,
        pre_start: 0,
        period: ALWAYS,
        rating: None,
        fingerprint: None,
        parameters: None,
    };
    let events = || Part::EventList(EventList { events: vec![event.clone()] });
    assert_eq!(peer.codes("addEvents", vec![events()]), [DONE]);
    assert_eq!(peer.codes("addEventsToPackage", vec![Part::Package(package("P2")), events()]), [DONE]);
    let Reply::Query(_, found) =
        peer.ask("getPackageEvents", vec![Part::PackageQuery(PackageQuery { id: "P2".into() })])
    else {
        panic!("a query's answer")
    };
    assert_eq!(texts(&found, "smsEventId"), ["E1"]);
    assert_eq!(peer.codes("removePackages", packages("P2")), [DONE]);
    assert_eq!(peer.codes("removePackages", packages("P2")), [codes::NOT_THERE]);

    let network = Network { id: "N".into(), kind: NetworkType::Ott, connection: None };
    assert_eq!(peer.codes("addNetwork", vec![Part::Network(network)]), [DONE]);
    let Reply::Query(_, found) = peer.ask("getNetworkList", Vec::new()) else { panic!("a query's answer") };
    assert_eq!(texts(&found, "smsNetworkId"), ["N", "dvb-network"]);
    let on = |network: &str| NetworkContent {
        network: network.into(),
        content: "N1".into(),
        network_content: None,
        kind: sets::ContentType::Dtv,
        rating: None,
        fingerprint: None,
        encryption_attributes: None,
        encryption_parameters: None,
    };
    assert_eq!(peer.codes("addContentToNetwork", vec![Part::NetworkContent(on("N"))]), [DONE]);
    assert_eq!(peer.codes("addContentToNetwork", vec![Part::NetworkContent(on("M"))]), [codes::UNKNOWN_NETWORK]);
    let Reply::Query(_, found) =
        peer.ask("getGroupLicenseData", vec![Part::NetworkQuery(NetworkQuery { id: "dvb-network".into() })])
    else {
        panic!("a query's answer")
    };
    assert_eq!(texts(&found, "activeCount"), ["2"]);
    let site = Site {
        id: "S".into(),
        kind: SiteType::Retailer,
        name: "n".into(),
        description: "d".into(),
        site: "s".into(),
        password: None,
    };
    assert_eq!(peer.codes("addSite", vec![Part::Site(site.clone())]), [DONE]);
    assert_eq!(peer.codes("removeSite", vec![Part::Site(site)]), [DONE]);
    let page = PackageListQuery { last_seen: String::new(), count: 10 };
    let Reply::Query(_, found) = peer.ask("getPackageList", vec![Part::PackageListQuery(page)]) else {
        panic!("a query's answer")
    };
    assert_eq!(texts(&found, "smsPackageId"), ["P1"]);
    let page = EntitlementListQuery { last_seen: String::new(), kind: EntitledType::Device, count: 10 };
    assert_eq!(peer.codes("getEntitlementList", vec![Part::EntitlementListQuery(page)]), [DONE]);
}
