//! The complex types of OMI 3.6, fields in the order of the wire \[S:FIM\]; what only later versions have is marked.
//!
//! Names of elements within lists other than `devices`, `entitlements`, `pins` and `result` are formed like those \[I\].

use jiff::Timestamp;

use super::sets::{
    AudienceType, ContentMode, ContentType, DeviceType, DisplayMode, EntitledType, NetworkType, Quadrant, SiteType,
    TextAlign, ValueType, XAnchor, XOrigin, YAnchor, YOrigin,
};
use super::value::{Base64, Nillable, Opaque, record};

// ---- sessions and results

record! {
    /// Who signs on. `newPassword` is of later versions \[S:NODE1\].
    UserAttributes {
        one user_name: String = "userName",
        one password: String = "password",
        maybe new_password: String = "newPassword",
    }
}
record! {
    /// A session.
    SessionHandle { one handle: String = "handle", }
}
record! {
    /// How a call, or one item of it, ended. Code 0: done.
    ResultRecord {
        one id: String = "resultId",
        one code: i32 = "resultCode",
        one text: String = "resultText",
        many data: ResultData = "resultData",
    }
}
record! {
    /// What a result tells beside its text.
    ResultData { one id: String = "id", one data: Base64 = "data", }
}
record! {
    /// How the items of a list call ended.
    ResultList { many results: ResultRecord = "result", }
}

// ---- devices

record! {
    /// A device. Operators give `smsDeviceId` and `networkDeviceId` the same value \[S:CLI, NODE2, PY\].
    Device {
        one sms_device_id: String = "smsDeviceId",
        one sms_network_id: String = "smsNetworkId",
        one device_type: DeviceType = "deviceType",
        one network_device_id: String = "networkDeviceId",
        maybe sms_authenticator: Base64 = "smsAuthenticator",
    }
}
record! {
    /// Devices.
    DeviceList { many devices: Device = "devices", }
}
record! {
    /// One of a device's PINs. A number: leading zeros are not carried.
    DevicePin { one index: i32 = "index", one value: i32 = "value", }
}
record! {
    /// One to four PINs.
    DevicePinList { many pins: DevicePin = "pins", }
}
record! {
    /// Tokens for pay per view.
    DevicePurse { one tokens: i32 = "tokens", }
}
record! {
    /// A device's region.
    DeviceRegion { one region: String = "region", }
}
record! {
    /// A command in the platform's own bytes.
    DeviceCommand { one command: Base64 = "command", }
}
record! {
    /// A box, as one side of a pair.
    StbDevice { one id: String = "smsSTBId", }
}
record! {
    /// A smartcard, as one side of a pair.
    SmartCardDevice { one id: String = "smsSmartCardId", }
}
record! {
    /// A box and a smartcard that work together.
    DevicePair { one stb: StbDevice = "stbDevice", one smart_card: SmartCardDevice = "smartCardDevice", }
}

// ---- entitlements

record! {
    /// From when to when; both absent: without limit \[I:FIM\].
    TimePeriodRule { maybe start: Timestamp = "startTime", maybe end: Timestamp = "endTime", }
}
record! {
    /// Attributes of a package.
    PackageAttributes {
        maybe operator_id: String = "operatorId",
        maybe access_class: String = "extendedAccessClassId",
    }
}
record! {
    /// What is sold: CRM.COM's service is mapped to its id.
    Package {
        one id: String = "smsPackageId",
        maybe description: String = "description",
        maybe attributes: PackageAttributes = "packageAttributes",
        maybe parameters: Opaque = "packageParameters",
    }
}
record! {
    /// Packages.
    PackageList { many packages: Package = "packages", }
}
record! {
    /// Who holds an entitlement.
    EntitledEntity { one kind: EntitledType = "entityType", one id: String = "entityId", }
}
record! {
    /// Who holds entitlements.
    EntitledEntityList { many entities: EntitledEntity = "entitledEntities", }
}
record! {
    /// A package held by somebody for a period.
    Entitlement {
        one id: String = "smsEntitlementId",
        one package: Package = "package",
        one entity: EntitledEntity = "entitledEntity",
        one period: TimePeriodRule = "timePeriodRule",
    }
}
record! {
    /// Entitlements.
    EntitlementList { many entitlements: Entitlement = "entitlements", }
}

// ---- domains

record! {
    /// A subscriber's devices as one: `maxDevices` at most, at an address of 1 to 64.
    Domain {
        one id: String = "smsDomainId",
        one max_devices: i32 = "maxDevices",
        one period: TimePeriodRule = "timePeriodRule",
        maybe address: i32 = "domainAddress",
    }
}
record! {
    /// Domains.
    DomainList { many domains: Domain = "domains", }
}
record! {
    /// A device in a domain, for a period.
    DomainDevice { one device: Device = "device", one period: TimePeriodRule = "timePeriodRule", }
}
record! {
    /// Devices of a domain.
    DomainDeviceList { many devices: DomainDevice = "devices", }
}

// ---- messages

record! {
    /// Who sees a message.
    MessageEntity {
        one kind: AudienceType = "entityType",
        one id: String = "entityId",
        maybe network: String = "smsNetworkId",
    }
}
record! {
    /// Names a message. The sector is optional in later versions \[S:NODE2\].
    MessageHandle { maybe sector: i32 = "sector", one id: i32 = "messageId", }
}
record! {
    /// Priority and cycle are of later versions \[S:NODE2\].
    MessageAttributes {
        one mode: ContentMode = "contentMode",
        maybe priority: i32 = "priority",
        maybe cycle_duration: i32 = "cycleDuration",
    }
}
record! {
    /// The words of a message.
    MessageText { one text: String = "text", }
}
record! {
    /// Where and how a message is shown. Colours and transparency are 0 to 15.
    MessageDescriptor {
        one mode: DisplayMode = "displayMode",
        one duration: i32 = "displayDuration",
        one x_origin: XOrigin = "xOrigin",
        one x_position: i32 = "xPosition",
        one x_anchor: XAnchor = "xAnchor",
        one y_origin: YOrigin = "yOrigin",
        one y_position: i32 = "yPosition",
        one y_anchor: YAnchor = "yAnchor",
        one align: TextAlign = "textAlign",
        one background: i32 = "bgColor",
        one alpha: i32 = "alpha",
    }
}
record! {
    /// A message. The character set's name is of later versions \[S:NODE2\].
    OnScreenMessage {
        one handle: MessageHandle = "messageHandle",
        one attributes: MessageAttributes = "messageAttributes",
        many texts: MessageText = "messageText",
        maybe charset: String = "charsetName",
        many descriptors: Nillable<MessageDescriptor> = "messageDescriptor",
    }
}
record! {
    /// A text that is sent before it is shown.
    PreloadedMessage {
        one text_id: i32 = "textId",
        one sector: i32 = "sector",
        one attributes: MessageAttributes = "messageAttributes",
        one text: MessageText = "messageText",
    }
}
record! {
    /// Shows a preloaded text.
    PreloadedOnScreenMessage {
        one text_id: i32 = "textId",
        one duration: i32 = "displayDuration",
        one handle: MessageHandle = "messageHandle",
        one attributes: MessageAttributes = "messageAttributes",
        one quadrant: Quadrant = "messageQuadrant",
    }
}

// ---- content, networks, sites

record! {
    /// A value with its kind.
    ParameterValue { one value: String = "value", one kind: ValueType = "valueType", }
}
record! {
    /// A named value.
    Parameter { one key: String = "key", one value: ParameterValue = "value", }
}
record! {
    /// One or two texts that mark content. The only fingerprint that OMI has.
    FingerprintMessage { many texts: String = "text", }
}
record! {
    /// A programme. Rating levels are 1 to 255.
    Event {
        one id: String = "smsEventId",
        one content: String = "smsContentId",
        one network: String = "smsNetworkId",
        one exclusive: bool = "exclusive",
        one pre_start: i32 = "preStartDuration",
        one period: TimePeriodRule = "timePeriodRule",
        maybe rating: i32 = "ratingLevel",
        maybe fingerprint: FingerprintMessage = "fingerprintMessage",
        maybe parameters: Opaque = "eventParameters",
    }
}
record! {
    /// Programmes.
    EventList { many events: Event = "events", }
}
record! {
    /// A channel or a film.
    Content {
        one id: String = "smsContentId",
        maybe description: String = "description",
        maybe tag: String = "tag",
    }
}
record! {
    /// Channels and films.
    ContentList { many contents: Content = "contents", }
}
record! {
    /// A channel or a film on a network. What encryption needs is of another schema, kept as it is.
    NetworkContent {
        one network: String = "smsNetworkId",
        one content: String = "smsContentId",
        maybe network_content: String = "networkContentId",
        one kind: ContentType = "networkContentType",
        maybe rating: i32 = "ratingLevel",
        maybe fingerprint: FingerprintMessage = "fingerprintMessage",
        maybe encryption_attributes: Opaque = "encryptionAttributes",
        maybe encryption_parameters: Opaque = "encryptionParameters",
    }
}
record! {
    /// How the platform reaches a network. Times in units that no public source names.
    Connection {
        one uri: String = "uri",
        maybe user: String = "authId",
        maybe password: String = "authPassword",
        maybe timeout: i32 = "timeout",
        maybe retry_count: i32 = "retryCount",
        maybe retry_interval: i32 = "retryInterval",
        maybe keep_alive: bool = "keepAlive",
    }
}
record! {
    /// A network of the operator.
    Network {
        one id: String = "smsNetworkId",
        one kind: NetworkType = "networkType",
        maybe connection: Connection = "connection",
    }
}
record! {
    /// A retailer or a wholesaler.
    Site {
        one id: String = "smsSiteId",
        one kind: SiteType = "entityType",
        one name: String = "name",
        one description: String = "description",
        one site: String = "siteId",
        maybe password: String = "authPassword",
    }
}
record! {
    /// How many devices a licence allows.
    LicenseData {
        one lower: i32 = "lowerBounds",
        one upper: i32 = "upperBounds",
        one limit: i32 = "limit",
        one active: i32 = "activeCount",
    }
}

// ---- questions

record! {
    /// The devices after one that was seen.
    DeviceListQuery { one last_seen: String = "smsDeviceId", one count: i32 = "deviceCount", }
}
record! {
    /// The ids of a network's devices after one that was seen.
    NetworkDeviceIdQuery {
        one network: String = "smsNetworkId",
        one last_seen: String = "networkDeviceId",
        one count: i32 = "deviceCount",
        maybe filter: Opaque = "filter",
    }
}
record! {
    /// The entitlements after one that was seen.
    EntitlementListQuery {
        one last_seen: String = "smsEntitlementId",
        one kind: EntitledType = "entityType",
        one count: i32 = "entitlementCount",
    }
}
record! {
    /// What a device holds.
    DeviceEntitlementsQuery { one id: String = "smsDeviceId", }
}
record! {
    /// What a domain holds.
    DomainEntitlementsQuery { one id: String = "domainId", }
}
record! {
    /// What a retailer holds.
    RetailerEntitlementsQuery { one id: String = "retailerId", }
}
record! {
    /// The packages after one that was seen.
    PackageListQuery { one last_seen: String = "smsPackageId", one count: i32 = "packageCount", }
}
record! {
    /// A package.
    PackageQuery { one id: String = "smsPackageId", }
}
record! {
    /// A programme.
    EventQuery { one id: String = "smsEventId", }
}
record! {
    /// Which boxes a smartcard is paired with.
    SmartCardPairingQuery { one id: String = "smartCardDeviceId", }
}
record! {
    /// Which smartcards a box is paired with.
    StbPairingQuery { one id: String = "stbDeviceId", }
}
record! {
    /// A network.
    NetworkQuery { one id: String = "smsNetworkId", }
}
