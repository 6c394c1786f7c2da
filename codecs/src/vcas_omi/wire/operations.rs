//! The table of all 88 operations of OMI 3.6 \[S:FIM\].

use super::call::Kind;

/// A port of the platform, with a path of its own \[S:FIM\].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// `AdminMgmtService`
    Admin,
    /// `ConfigurationMgmtService`
    Configuration,
    /// `ContentMgmtService`
    Content,
    /// `DeviceMgmtService`
    Device,
    /// `DomainMgmtService`
    Domain,
    /// `EntitlementMgmtService`
    Entitlement,
    /// `MessagingService`
    Messaging,
}

impl Service {
    /// Its name, the last part of its path.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "AdminMgmtService",
            Self::Configuration => "ConfigurationMgmtService",
            Self::Content => "ContentMgmtService",
            Self::Device => "DeviceMgmtService",
            Self::Domain => "DomainMgmtService",
            Self::Entitlement => "EntitlementMgmtService",
            Self::Messaging => "MessagingService",
        }
    }
}

/// What an operation is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A session handle and a result.
    Session,
    /// One result.
    Result,
    /// A result for every item.
    List,
    /// A result and what was asked for.
    Query,
}

/// One operation.
#[derive(Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its name: that of the body's element, and the end of the SOAP action.
    pub name: &'static str,
    /// Where it goes.
    pub service: Service,
    /// Its parts in order, before the session's handle.
    pub parts: &'static [(&'static str, Kind)],
    /// What it is answered with.
    pub form: Form,
    /// Whether a public source names its parts and what is in them. If not, they are formed like others \[I\].
    pub sourced: bool,
    /// Whether it came with 3.6.
    pub new_in_3_6: bool,
    /// Whether it changes nothing.
    pub reads: bool,
}

impl Operation {
    const fn guessed(mut self) -> Self {
        self.sourced = false;
        self
    }

    const fn new_in_3_6(mut self) -> Self {
        self.new_in_3_6 = true;
        self
    }

    const fn reads(mut self) -> Self {
        self.reads = true;
        self
    }
}

/// The operation of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Operation> {
    OPERATIONS.iter().copied().find(|operation| operation.name == name)
}

type Parts = &'static [(&'static str, Kind)];

const fn operation(name: &'static str, service: Service, parts: Parts, form: Form) -> Operation {
    Operation { name, service, parts, form, sourced: true, new_in_3_6: false, reads: false }
}

const fn list(name: &'static str, service: Service, parts: Parts) -> Operation {
    operation(name, service, parts, Form::List)
}

const fn one(name: &'static str, service: Service, parts: Parts) -> Operation {
    operation(name, service, parts, Form::Result)
}

/// The part of most questions has no name in a public source.
const fn query(name: &'static str, service: Service, parts: Parts) -> Operation {
    operation(name, service, parts, Form::Query).reads().guessed()
}

const DEVICE: (&str, Kind) = ("device", Kind::Device);
const DEVICES: (&str, Kind) = ("deviceList", Kind::DeviceList);
const PAIR: (&str, Kind) = ("devicePair", Kind::DevicePair);
const ENTITLEMENTS: (&str, Kind) = ("entitlementList", Kind::EntitlementList);
const PACKAGES: (&str, Kind) = ("packageList", Kind::PackageList);
const EVENTS: (&str, Kind) = ("eventList", Kind::EventList);
const DOMAIN: (&str, Kind) = ("domain", Kind::Domain);
const DOMAINS: (&str, Kind) = ("domainList", Kind::DomainList);
const DOMAIN_DEVICES: (&str, Kind) = ("deviceList", Kind::DomainDeviceList);
const AUDIENCE: (&str, Kind) = ("messageEntity", Kind::MessageEntity);
const MESSAGE: (&str, Kind) = ("message", Kind::OnScreenMessage);
const PRELOADED: (&str, Kind) = ("message", Kind::PreloadedOnScreenMessage);
const CONTENTS: (&str, Kind) = ("contentList", Kind::ContentList);
const NETWORK_CONTENT: (&str, Kind) = ("networkContent", Kind::NetworkContent);
const NETWORK: (&str, Kind) = ("network", Kind::Network);
const SITE: (&str, Kind) = ("site", Kind::Site);

use Service::{Admin, Configuration, Content, Device, Domain, Entitlement, Messaging};

macro_rules! operations {
    ($($constant:ident = $operation:expr;)*) => {
        $(#[doc = concat!("`", stringify!($constant), "`")]
        pub static $constant: Operation = $operation;)*

        /// Every operation, by service.
        pub static OPERATIONS: &[&Operation] = &[$(&$constant,)*];
    };
}

operations! {
    SIGN_ON = operation("signOn", Admin, &[("userAttributes", Kind::UserAttributes)], Form::Session);
    SIGN_OFF = one("signOff", Admin, &[]);
    // Devices
    ADD_DEVICES = list("addDevices", Device, &[DEVICES]);
    MODIFY_DEVICES = list("modifyDevices", Device, &[DEVICES]);
    REMOVE_DEVICES = list("removeDevices", Device, &[DEVICES]);
    ENABLE_DEVICES = list("enableDevices", Device, &[DEVICES]);
    DISABLE_DEVICES = list("disableDevices", Device, &[DEVICES]);
    CLEAR_DEVICES = list("clearDevices", Device, &[DEVICES]);
    REFRESH_DEVICE_KEYS = one("refreshDeviceKeys", Device, &[DEVICE]);
    REFRESH_DEVICE_ENTITLEMENTS = one("refreshDeviceEntitlements", Device, &[DEVICE]).new_in_3_6();
    RESET_DEVICE_PINS = one("resetDevicePins", Device, &[DEVICE]);
    SET_DEVICE_PINS = one("setDevicePins", Device, &[DEVICE, ("devicePinList", Kind::DevicePinList)]);
    SET_DEVICE_REGION = one("setDeviceRegion", Device, &[DEVICE, ("deviceRegion", Kind::DeviceRegion)]);
    SET_DEVICE_PURSE = one("setDevicePurse", Device, &[DEVICE, ("devicePurse", Kind::DevicePurse)]);
    JOIN_DEVICES = one("joinDevices", Device, &[("masterDevice", Kind::Device), ("slaveDeviceList", Kind::DeviceList)]);
    UNJOIN_DEVICES = list("unjoinDevices", Device, &[DEVICES]);
    ADD_DEVICE_PAIR = one("addDevicePair", Device, &[PAIR]);
    REMOVE_DEVICE_PAIR = one("removeDevicePair", Device, &[PAIR]);
    CHECK_DEVICE_PAIR = one("checkDevicePair", Device, &[PAIR]).reads();
    REMOVE_SMART_CARD_DEVICE_PAIRING = one("removeSmartCardDevicePairing", Device, &[("smartCardDevice", Kind::SmartCardDevice)]);
    REMOVE_STB_DEVICE_PAIRING = one("removeSTBDevicePairing", Device, &[("stbDevice", Kind::StbDevice)]);
    GET_SMART_CARD_PAIRING = operation("getSmartCardPairing", Device, &[("query", Kind::SmartCardPairingQuery)], Form::Query).reads();
    GET_STB_PAIRING = operation("getSTBPairing", Device, &[("query", Kind::StbPairingQuery)], Form::Query).reads();
    VERIFY_DEVICE = one("verifyDevice", Device, &[DEVICE]).reads().new_in_3_6();
    GET_DEVICE_LIST = query("getDeviceList", Device, &[("query", Kind::DeviceListQuery)]);
    GET_NETWORK_DEVICE_ID_LIST = query("getNetworkDeviceIdList", Device, &[("query", Kind::NetworkDeviceIdQuery)]);
    // Entitlements
    ADD_PACKAGES = list("addPackages", Entitlement, &[PACKAGES]).guessed();
    MODIFY_PACKAGES = list("modifyPackages", Entitlement, &[PACKAGES]).guessed();
    REMOVE_PACKAGES = list("removePackages", Entitlement, &[PACKAGES]).guessed();
    ADD_EVENTS_TO_PACKAGE = list("addEventsToPackage", Entitlement, &[("package", Kind::Package), EVENTS]).guessed();
    REMOVE_EVENTS_FROM_PACKAGE = list("removeEventsFromPackage", Entitlement, &[("package", Kind::Package), EVENTS]).guessed();
    ADD_ENTITLEMENTS = list("addEntitlements", Entitlement, &[ENTITLEMENTS]);
    MODIFY_ENTITLEMENTS = list("modifyEntitlements", Entitlement, &[ENTITLEMENTS]);
    REMOVE_ENTITLEMENTS = list("removeEntitlements", Entitlement, &[ENTITLEMENTS]);
    REMOVE_ALL_ENTITLEMENTS = list("removeAllEntitlements", Entitlement, &[("entitledEntityList", Kind::EntitledEntityList)]).guessed();
    STOP_PRE_ENTITLEMENTS = one("stopPreEntitlements", Entitlement, &[("entitledEntity", Kind::EntitledEntity)]);
    GET_ENTITLEMENT_LIST = query("getEntitlementList", Entitlement, &[("query", Kind::EntitlementListQuery)]);
    GET_DEVICE_ENTITLEMENTS = query("getDeviceEntitlements", Entitlement, &[("query", Kind::DeviceEntitlementsQuery)]);
    GET_DOMAIN_ENTITLEMENTS = query("getDomainEntitlements", Entitlement, &[("query", Kind::DomainEntitlementsQuery)]);
    GET_RETAILER_ENTITLEMENTS = query("getRetailerEntitlements", Entitlement, &[("query", Kind::RetailerEntitlementsQuery)]);
    GET_PACKAGE_LIST = query("getPackageList", Entitlement, &[("query", Kind::PackageListQuery)]);
    GET_PACKAGE_EVENTS = query("getPackageEvents", Entitlement, &[("query", Kind::PackageQuery)]);
    GET_EVENT_PACKAGES = query("getEventPackages", Entitlement, &[("query", Kind::EventQuery)]);
    // Domains
    ADD_DOMAINS = list("addDomains", Domain, &[DOMAINS]).guessed();
    MODIFY_DOMAINS = list("modifyDomains", Domain, &[DOMAINS]).guessed();
    REMOVE_DOMAINS = list("removeDomains", Domain, &[DOMAINS]).guessed();
    ADD_DOMAIN_DEVICES = list("addDomainDevices", Domain, &[DOMAIN, DOMAIN_DEVICES]).guessed();
    MODIFY_DOMAIN_DEVICES = list("modifyDomainDevices", Domain, &[DOMAIN, DOMAIN_DEVICES]).guessed();
    REMOVE_DOMAIN_DEVICES = list("removeDomainDevices", Domain, &[DOMAIN, DOMAIN_DEVICES]).guessed();
    GET_DOMAIN_LIST = query("getDomainList", Domain, &[("query", Kind::Opaque)]);
    GET_DOMAIN_DEVICE_LIST = query("getDomainDeviceList", Domain, &[("query", Kind::Opaque)]);
    GET_DEVICE_DOMAIN_LIST = query("getDeviceDomainList", Domain, &[("query", Kind::Opaque)]);
    // Messages
    GENERATE_OSM = one("generateOSM", Messaging, &[AUDIENCE, MESSAGE]);
    DIAGNOSE_OSM = one("diagnoseOSM", Messaging, &[AUDIENCE, MESSAGE, PACKAGES]).guessed();
    GENERATE_PACKAGE_OSM = one("generatePackageOSM", Messaging, &[AUDIENCE, MESSAGE, PACKAGES]).guessed();
    DELETE_OSM = one("deleteOSM", Messaging, &[AUDIENCE, ("message", Kind::MessageHandle)]);
    GENERATE_DEVICE_COMMAND = one("generateDeviceCommand", Messaging, &[AUDIENCE, ("deviceCommand", Kind::DeviceCommand)]).guessed();
    PRELOAD_MESSAGE = one("preloadMessage", Messaging, &[AUDIENCE, ("message", Kind::PreloadedMessage)]).guessed();
    REMOVE_PRELOADED_MESSAGE = one("removePreloadedMessage", Messaging, &[AUDIENCE, ("message", Kind::PreloadedMessage)]).guessed();
    GENERATE_PRELOADED_OSM = one("generatePreloadedOSM", Messaging, &[AUDIENCE, PRELOADED]).guessed();
    GENERATE_PRELOADED_PACKAGE_OSM = one("generatePreloadedPackageOSM", Messaging, &[AUDIENCE, PRELOADED, PACKAGES]).guessed();
    // Content
    ADD_CONTENT = list("addContent", Content, &[CONTENTS]).guessed();
    REMOVE_CONTENT = list("removeContent", Content, &[CONTENTS]).guessed();
    ADD_EVENTS = list("addEvents", Content, &[EVENTS]).guessed();
    REMOVE_EVENTS = list("removeEvents", Content, &[EVENTS]).guessed();
    ADD_CONTENT_TO_NETWORK = one("addContentToNetwork", Content, &[NETWORK_CONTENT]).guessed();
    MODIFY_CONTENT_ON_NETWORK = one("modifyContentOnNetwork", Content, &[NETWORK_CONTENT]).guessed();
    REMOVE_CONTENT_FROM_NETWORK = one("removeContentFromNetwork", Content, &[NETWORK_CONTENT]).guessed();
    GET_CONTENT_LIST = query("getContentList", Content, &[("query", Kind::Opaque)]);
    GET_CONTENT_EVENTS = query("getContentEvents", Content, &[("query", Kind::Opaque)]);
    GET_CONTENT_ON_NETWORK = query("getContentOnNetwork", Content, &[("query", Kind::Opaque)]);
    GET_NETWORK_CONTENT_ENCRYPTION_STATUS = query("getNetworkContentEncryptionStatus", Content, &[("query", Kind::Opaque)]);
    GET_NETWORK_CONTENT_TYPE_ENCRYPTION_STATUS = query("getNetworkContentTypeEncryptionStatus", Content, &[("query", Kind::Opaque)]);
    GET_NETWORK_CONTENT_ID_LIST = query("getNetworkContentIdList", Content, &[("query", Kind::Opaque)]);
    // Networks, licences, sites
    ADD_NETWORK = one("addNetwork", Configuration, &[NETWORK]).guessed();
    MODIFY_NETWORK = one("modifyNetwork", Configuration, &[NETWORK]).guessed();
    REMOVE_NETWORK = one("removeNetwork", Configuration, &[NETWORK]).guessed();
    GET_NETWORK_LIST = operation("getNetworkList", Configuration, &[], Form::Query).reads();
    GET_NETWORK_DEVICE_LIST = query("getNetworkDeviceList", Configuration, &[("query", Kind::Opaque)]);
    GET_NETWORK_CONTENT_LIST = query("getNetworkContentList", Configuration, &[("query", Kind::Opaque)]);
    GET_LICENSE_GROUPS = query("getLicenseGroups", Configuration, &[("query", Kind::NetworkQuery)]);
    GET_DEVICE_TYPE_LICENSE_DATA = query("getDeviceTypeLicenseData", Configuration, &[("query", Kind::NetworkQuery)]);
    GET_GROUP_LICENSE_DATA = query("getGroupLicenseData", Configuration, &[("query", Kind::NetworkQuery)]);
    ADD_SITE = one("addSite", Configuration, &[SITE]).guessed();
    MODIFY_SITE = one("modifySite", Configuration, &[SITE]).guessed();
    REMOVE_SITE = one("removeSite", Configuration, &[SITE]).guessed();
    GET_SITE = query("getSite", Configuration, &[("query", Kind::Opaque)]);
    GET_SITE_LIST = query("getSiteList", Configuration, &[("query", Kind::Opaque)]);
}
