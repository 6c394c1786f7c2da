//! The wire against the sheet's own examples, round trips, and answers that are hostile.

use bytes::Bytes;

use super::call::{Part, SESSION};
use super::operations;
use super::reply::{match_items, records, texts};
use super::sets::{ContentMode, DeviceType, DisplayMode, EntitledType, TextAlign, XAnchor, XOrigin, YAnchor, YOrigin};
use super::types::*;
use super::value::{Base64, Nillable};
use super::*;
use crate::http::soap;
use crate::xml::parse;

const LIMIT: usize = 1 << 20;

/// The envelope of the sheet's examples, whose prefixes are not ours.
fn envelope(body: &str) -> String {
    format!(
        r#"<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:omi="{OMI}" xmlns:t="{TYPES}"><e:Body>{body}</e:Body></e:Envelope>"#
    )
}

fn device() -> Device {
    Device {
        sms_device_id: "CARD0001".into(),
        sms_network_id: "DVB-1".into(),
        device_type: DeviceType::StbDvbSc,
        network_device_id: "CARD0001".into(),
        sms_authenticator: None,
    }
}

fn period(start: &str, end: &str) -> TimePeriodRule {
    TimePeriodRule { start: Some(start.parse().unwrap()), end: Some(end.parse().unwrap()) }
}

fn message() -> OnScreenMessage {
    OnScreenMessage {
        handle: MessageHandle { sector: Some(1), id: 42 },
        attributes: MessageAttributes { mode: ContentMode::Pos, priority: None, cycle_duration: None },
        texts: vec![MessageText { text: "Please call 123".into() }],
        charset: None,
        descriptors: vec![Nillable(Some(MessageDescriptor {
            mode: DisplayMode::RmImmed,
            duration: 30,
            x_origin: XOrigin::Left,
            x_position: 0,
            x_anchor: XAnchor::Center,
            y_origin: YOrigin::Top,
            y_position: 0,
            y_anchor: YAnchor::Center,
            align: TextAlign::Center,
            background: 0,
            alpha: 0,
        }))],
    }
}

/// The sheet's five examples, and what they are.
fn examples() -> Vec<(&'static str, Call, Option<&'static str>)> {
    let entitlement = Entitlement {
        id: "CARD0001-SPORT".into(),
        package: Package { id: "SPORT".into(), description: None, attributes: None, parameters: None },
        entity: EntitledEntity { kind: EntitledType::Device, id: "CARD0001".into() },
        period: period("2025-01-01T00:00:00Z", "2025-02-01T00:00:00Z"),
    };
    let user = UserAttributes { user_name: "gateway".into(), password: "secret".into(), new_password: None };
    let pins = DevicePinList { pins: vec![DevicePin { index: 0, value: 4321 }] };
    let entity =
        MessageEntity { kind: sets::AudienceType::Device, id: "CARD0001".into(), network: Some("DVB-1".into()) };
    vec![
        (
            "<omi:signOn><userAttributes><t:userName>gateway</t:userName><t:password>secret</t:password></userAttributes></omi:signOn>",
            Call { operation: &operations::SIGN_ON, parts: vec![Part::UserAttributes(user)] },
            None,
        ),
        (
            "<omi:addDevices><deviceList><t:devices><t:smsDeviceId>CARD0001</t:smsDeviceId><t:smsNetworkId>DVB-1</t:smsNetworkId>\
             <t:deviceType>STB_DVB_SC</t:deviceType><t:networkDeviceId>CARD0001</t:networkDeviceId></t:devices></deviceList>\
             <sessionHandle><t:handle>H-123</t:handle></sessionHandle></omi:addDevices>",
            Call {
                operation: &operations::ADD_DEVICES,
                parts: vec![Part::DeviceList(DeviceList { devices: vec![device()] })],
            },
            Some("H-123"),
        ),
        (
            "<omi:addEntitlements><entitlementList><t:entitlements><t:smsEntitlementId>CARD0001-SPORT</t:smsEntitlementId>\
             <t:package><t:smsPackageId>SPORT</t:smsPackageId></t:package>\
             <t:entitledEntity><t:entityType>DEVICE</t:entityType><t:entityId>CARD0001</t:entityId></t:entitledEntity>\
             <t:timePeriodRule><t:startTime>2025-01-01T00:00:00Z</t:startTime><t:endTime>2025-02-01T00:00:00Z</t:endTime></t:timePeriodRule>\
             </t:entitlements></entitlementList><sessionHandle><t:handle>H-123</t:handle></sessionHandle></omi:addEntitlements>",
            Call {
                operation: &operations::ADD_ENTITLEMENTS,
                parts: vec![Part::EntitlementList(EntitlementList { entitlements: vec![entitlement] })],
            },
            Some("H-123"),
        ),
        (
            "<omi:setDevicePins><device><t:smsDeviceId>CARD0001</t:smsDeviceId><t:smsNetworkId>DVB-1</t:smsNetworkId>\
             <t:deviceType>STB_DVB_SC</t:deviceType><t:networkDeviceId>CARD0001</t:networkDeviceId></device>\
             <devicePinList><t:pins><t:index>0</t:index><t:value>4321</t:value></t:pins></devicePinList>\
             <sessionHandle><t:handle>H-123</t:handle></sessionHandle></omi:setDevicePins>",
            Call {
                operation: &operations::SET_DEVICE_PINS,
                parts: vec![Part::Device(device()), Part::DevicePinList(pins)],
            },
            Some("H-123"),
        ),
        (
            "<omi:generateOSM><messageEntity><t:entityType>DEVICE</t:entityType><t:entityId>CARD0001</t:entityId>\
             <t:smsNetworkId>DVB-1</t:smsNetworkId></messageEntity>\
             <message><t:messageHandle><t:sector>1</t:sector><t:messageId>42</t:messageId></t:messageHandle>\
             <t:messageAttributes><t:contentMode>POS</t:contentMode></t:messageAttributes>\
             <t:messageText><t:text>Please call 123</t:text></t:messageText>\
             <t:messageDescriptor><t:displayMode>RM_IMMED</t:displayMode><t:displayDuration>30</t:displayDuration>\
             <t:xOrigin>ORIGL</t:xOrigin><t:xPosition>0</t:xPosition><t:xAnchor>CENTER</t:xAnchor>\
             <t:yOrigin>ORIGTOP</t:yOrigin><t:yPosition>0</t:yPosition><t:yAnchor>CENTER</t:yAnchor>\
             <t:textAlign>CENTER</t:textAlign><t:bgColor>0</t:bgColor><t:alpha>0</t:alpha></t:messageDescriptor></message>\
             <sessionHandle><t:handle>H-123</t:handle></sessionHandle></omi:generateOSM>",
            Call {
                operation: &operations::GENERATE_OSM,
                parts: vec![Part::MessageEntity(entity), Part::OnScreenMessage(message())],
            },
            Some("H-123"),
        ),
    ]
}

fn read(document: &[u8], strictness: Strictness) -> Result<(Call, Option<String>), Misfit> {
    Call::read(&soap::read(document, LIMIT).unwrap()[0], &QueryParts::new(), strictness)
}

#[test]
fn the_sheets_examples_are_read_and_written() {
    for (text, call, session) in examples() {
        let (read, handle) = read(envelope(text).as_bytes(), Strictness::Strict).unwrap();
        assert!(read == call, "{}", call.operation.name);
        assert_eq!(handle.as_deref(), session);
        let written = call.write(session, &QueryParts::new()).unwrap();
        let written = String::from_utf8(written.to_vec()).unwrap();
        let inner = written.split_once("<soap:Body>").unwrap().1.strip_suffix("</soap:Body></soap:Envelope>").unwrap();
        assert_eq!(inner, text);
    }
}

#[test]
fn the_table_has_every_operation_once_and_few_that_read() {
    let names: std::collections::BTreeSet<_> = OPERATIONS.iter().map(|operation| operation.name).collect();
    assert_eq!((names.len(), OPERATIONS.len()), (88, 88));
    let of = |service| OPERATIONS.iter().filter(|operation| operation.service == service).count();
    let counts = [
        Service::Admin,
        Service::Device,
        Service::Entitlement,
        Service::Domain,
        Service::Messaging,
        Service::Content,
        Service::Configuration,
    ];
    assert_eq!(counts.map(of), [2, 24, 17, 9, 9, 13, 14]);
    for operation in OPERATIONS {
        assert_eq!(operation.reads, ["get", "check", "verify"].iter().any(|verb| operation.name.starts_with(verb)));
        assert_eq!(operation.form == Form::Query, operation.name.starts_with("get"), "{}", operation.name);
        assert_eq!(find(operation.name), Some(*operation));
    }
}

#[test]
fn order_and_namespaces_matter_where_we_are_strict() {
    let pins = |inner: &str| envelope(&format!("<omi:setDeviceRegion>{inner}</omi:setDeviceRegion>"));
    let device = "<device><t:smsDeviceId>C</t:smsDeviceId><t:smsNetworkId>N</t:smsNetworkId>\
        <t:deviceType>STB_DVB_SC</t:deviceType><t:networkDeviceId>C</t:networkDeviceId></device>";
    let region = "<deviceRegion><t:region>R</t:region></deviceRegion>";
    let strict = |inner: &str| read(pins(inner).as_bytes(), Strictness::Strict).map(drop).unwrap_err().0;
    assert!(read(pins(&format!("{device}{region}")).as_bytes(), Strictness::Strict).is_ok());
    for (inner, words) in [
        (format!("{region}{device}"), "<setDeviceRegion> has no <device> where it belongs"),
        (device.to_owned(), "has no <deviceRegion>"),
        (format!("{device}{region}{region}"), "has <deviceRegion> where it does not belong"),
        (format!("{device}<t:deviceRegion/>"), "has no <deviceRegion>"),
        (format!("{device}<deviceRegion><region>R</region></deviceRegion>"), "<deviceRegion> has no <region>"),
        (
            format!("{device}<deviceRegion><t:region>R</t:region><region/></deviceRegion>"),
            "<deviceRegion> has <region> outside of the namespace of OMI's types",
        ),
        (format!("{device}{region}<t:sessionHandle/>"), "<sessionHandle> in a namespace, though parts are in none"),
        (device.replace("STB_DVB_SC", "STB_NEW") + region, "<deviceType> must be one of LEGACY, STB_IPTV, DESKTOP_PC"),
        (format!("{device}<deviceRegion><t:region><b/></t:region></deviceRegion>"), "must hold a text and no elements"),
    ] {
        let told = strict(&inner);
        assert!(told.contains(words), "{told}");
    }
    // What a platform says may be of a later version.
    let later = device.replace("STB_DVB_SC", "STB_NEW").replace("</device>", "<t:new>1</t:new></device>") + region;
    let (call, _) = read(pins(&later).as_bytes(), Strictness::Lenient).unwrap();
    let Part::Device(device) = &call.parts[0] else { panic!("a device") };
    assert_eq!(device.device_type, DeviceType::Other("STB_NEW".into()));
}

#[test]
fn names_of_questions_can_be_set() {
    let call = Call {
        operation: &operations::GET_DEVICE_LIST,
        parts: vec![Part::DeviceListQuery(DeviceListQuery { last_seen: String::new(), count: 10 })],
    };
    let names = QueryParts::from([("getDeviceList".to_owned(), "deviceQuery".to_owned())]);
    let written = call.write(None, &names).unwrap();
    assert!(String::from_utf8_lossy(&written).contains("<deviceQuery><t:smsDeviceId></t:smsDeviceId>"));
    let body = soap::read(&written, LIMIT).unwrap();
    assert!(Call::read(&body[0], &names, Strictness::Strict).unwrap().0 == call);
    assert!(Call::read(&body[0], &QueryParts::new(), Strictness::Strict).is_err());
}

#[test]
fn single_values_are_exact() {
    let element = |text: &str| parse(format!("<a>{text}</a>").as_bytes(), LIMIT).unwrap();
    let strict = Strictness::Strict;
    assert_eq!(i32::read(&element(" -7 "), strict), Ok(-7));
    assert!(i32::read(&element("2147483648"), strict).is_err());
    assert_eq!((bool::read(&element("1"), strict), bool::read(&element("false"), strict)), (Ok(true), Ok(false)));
    assert!(bool::read(&element("yes"), strict).is_err());
    let time = |text: &str| jiff::Timestamp::read(&element(text), strict).map(|time| time.to_string());
    assert_eq!(time("2025-01-01T02:00:00+02:00"), Ok("2025-01-01T00:00:00Z".into()));
    assert_eq!(time("2025-01-01T00:00:00.5"), Ok("2025-01-01T00:00:00.5Z".into()));
    assert!(time("yesterday").is_err());
    let base64 = |text: &str| Base64::read(&element(text), strict).map(|base64| base64.0);
    assert_eq!(base64("QUJD\n RA=="), Ok("QUJDRA==".into()));
    for wrong in ["QUJ", "QU=D", "Q===", "Q*JD"] {
        assert!(base64(wrong).is_err(), "{wrong}");
    }
    let nil = parse(b"<a xmlns:x='http://www.w3.org/2001/XMLSchema-instance' x:nil='true'/>", LIMIT).unwrap();
    assert!(Nillable::<MessageDescriptor>::read(&nil, strict).is_ok_and(|nil| nil.0.is_none()));
    assert!(Nillable::<MessageDescriptor>::read(&element(""), strict).is_err());
}

#[test]
fn raw_messages_are_checked_against_the_table() {
    let raw = |payload: &str| RawCall::read(payload.as_bytes(), LIMIT, &QueryParts::new());
    let told = |payload: &str| raw(payload).map(|raw| raw.operation.name).unwrap_err().0;
    let operation = |name: &str, inner: &str| format!("<o:{name} xmlns:o='{OMI}' xmlns:t='{TYPES}'>{inner}</o:{name}>");
    for (payload, words) in [
        ("<a>".to_owned(), "no XML of one element"),
        ("<addDevices/>".to_owned(), "not in the namespace http://www.verimatrix.com/omi"),
        (operation("addDevice", ""), "OMI has no operation <addDevice>"),
        (operation("signOn", ""), "not for you"),
        (operation("signOff", ""), "not for you"),
        (operation("getNetworkList", "<sessionHandle/>"), "must not hold <sessionHandle>"),
        (operation("addNetwork", "<t:network/>"), "parts are in none"),
        (operation("addDevices", "<devices/>"), "<addDevices> has no <deviceList>"),
        (operation("setDevicePins", "<device/>"), "<device> has no <smsDeviceId>"),
    ] {
        let told = told(&payload);
        assert!(told.contains(words), "{told}");
    }
    // What no public source names is taken as it is, prefixes and all.
    let site = operation("addSite", "<x><t:authPassword>geheim</t:authPassword><t:n a='1'>é&lt;</t:n></x>");
    let raw = raw(&site).unwrap();
    assert_eq!(raw.secrets(), ["geheim"]);
    let written = raw.write(Some("H")).unwrap();
    let body = soap::read(&written, LIMIT).unwrap();
    assert_eq!(texts(&body[0], "n"), ["é<"]);
    assert!(body[0].children[0].is(None, "x") && body[0].children[1].is(None, SESSION));
}

fn result(id: &str, code: i32) -> ResultRecord {
    ResultRecord { id: id.into(), code, text: format!("text {code}"), data: Vec::new() }
}

#[test]
fn results_are_matched_by_id_and_then_by_place() {
    let matched = |ids: &[&str], results: &[ResultRecord]| {
        let words = match_items(ids, results).into_iter().map(|item| match item {
            ItemResult::Done => "done".to_owned(),
            ItemResult::Refused(code, text) => {
                assert_eq!(text, format!("text {code}"));
                code.to_string()
            }
            ItemResult::Unsaid => "unsaid".to_owned(),
        });
        words.collect::<Vec<_>>().join(" ")
    };
    let all = |list: &[(&str, i32)]| list.iter().map(|(id, code)| result(id, *code)).collect::<Vec<_>>();
    assert_eq!(matched(&["a", "b", "c"], &all(&[("c", 3), ("a", 0), ("b", 2)])), "done 2 3");
    assert_eq!(matched(&["a", "b"], &all(&[("", 0), ("", 2)])), "done 2");
    assert_eq!(matched(&["a", "b"], &all(&[("1", 1), ("2", 0)])), "1 done");
    // One is told by its id, the other by what is left.
    assert_eq!(matched(&["a", "b"], &all(&[("b", 5), ("?", 0)])), "unsaid 5");
    assert_eq!(matched(&["a", "b"], &all(&[("?", 4), ("b", 0)])), "4 done");
    assert_eq!(matched(&["a", "b"], &all(&[("a", 0)])), "done unsaid");
    assert_eq!(matched(&["a", "b"], &all(&[])), "unsaid unsaid");
    // One refusal of nobody's is of all; one success of nobody's is of none.
    assert_eq!(matched(&["a", "b"], &all(&[("", 9)])), "9 9");
    assert_eq!(matched(&["a", "b"], &all(&[("", 0)])), "unsaid unsaid");
    assert_eq!(matched(&["a"], &all(&[("other", 9)])), "9");
    assert_eq!(matched(&["a", "a"], &all(&[("a", 0), ("a", 1)])), "done 1");
    assert_eq!(matched(&[], &all(&[("a", 1)])), "");
}

#[test]
fn answers_are_read_whatever_their_prefixes() {
    let body = |inner: &str| {
        format!(
            "<S:Envelope xmlns:S='{}'><S:Body><ns2:addDevicesResponse xmlns:ns2='{OMI}' xmlns:ns1='{TYPES}'>{inner}\
             </ns2:addDevicesResponse></S:Body></S:Envelope>",
            soap::ENVELOPE
        )
    };
    let list = "<resultList><ns1:result><ns1:resultId>CARD0001</ns1:resultId><ns1:resultCode>0</ns1:resultCode>\
        <ns1:resultText>fine</ns1:resultText><ns1:later/></ns1:result></resultList>";
    let read = |inner: &str| Reply::read(&operations::ADD_DEVICES, body(inner).as_bytes(), LIMIT);
    let Ok(Reply::List(results)) = read(list) else { panic!("a list") };
    assert!(results == [ResultRecord { text: "fine".into(), ..result("CARD0001", 0) }]);
    let error = |inner: &str| read(inner).map(|_| ()).unwrap_err().to_string();
    assert_eq!(error(""), "<addDevicesResponse> has no <resultList> where it belongs");
    assert_eq!(error(&format!("{list}{list}")), "<addDevicesResponse> has several <resultList>");
    assert_eq!(
        error(
            &list
                .replace("ns1:", "ns2:")
                .replace("<ns2:result>", "<ns1:result>")
                .replace("</ns2:result>", "</ns1:result>")
        ),
        "<result> has no <resultId> where it belongs"
    );
    assert!(error(&list.replace(">0<", "><")).contains("<resultCode> must hold a whole number"));
    let other = body(list).replace("addDevicesResponse", "removeDevicesResponse");
    let error = Reply::read(&operations::ADD_DEVICES, other.as_bytes(), LIMIT).map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "the body is not one <addDevicesResponse> of OMI");
}

#[test]
fn hostile_answers_are_errors_that_tell_nothing_of_the_content() {
    let good = Reply::List(vec![result("CARD0001", 0)]).write(&operations::ADD_DEVICES).unwrap();
    let text = String::from_utf8(good.to_vec()).unwrap();
    let deep = format!("{}{}", "<a>".repeat(10_000), "</a>".repeat(10_000));
    let bomb = format!("<!DOCTYPE a [<!ENTITY b 'CARD0001'><!ENTITY c '&b;&b;'>]>{}", text.replace("CARD0001", "&c;"));
    let mut broken: Vec<Bytes> = vec![
        "<html><body><h1>502 CARD0001</h1></body></html>".into(),
        deep.into(),
        bomb.into(),
        text.replace(OMI, "urn:other").into(),
        text.replace(TYPES, "urn:other").into(),
        text.replace("resultList", "CARD0001").into(),
        text.replace("CARD0001", "&unknown;").into(),
        [good.as_ref(), b"CARD0001"].concat().into(),
        text.replace("CARD0001", "\u{0}").into(),
        vec![0xff, 0xfe, b'<'].into(),
        Bytes::new(),
    ];
    let mut invalid = good.to_vec();
    let at = text.find("CARD0001").unwrap();
    invalid[at] = 0xff;
    broken.push(invalid.into());
    broken.extend((0..good.len()).map(|end| good.slice(..end)));
    for bytes in broken {
        match Reply::read(&operations::ADD_DEVICES, &bytes, LIMIT) {
            // Results of another namespace are none, so that nothing is told of the item. A NUL is read as a text.
            Ok(Reply::List(results)) => {
                let odd = results.is_empty() || results[0].id.contains('\u{0}');
                assert!(odd, "{:?}", String::from_utf8_lossy(&bytes));
            }
            Ok(_) => panic!("{:?}", String::from_utf8_lossy(&bytes)),
            Err(error) => assert!(!error.to_string().contains("CARD0001"), "{error}"),
        }
    }
    assert!(Reply::read(&operations::ADD_DEVICES, &good, good.len() - 1).is_err());
}

#[test]
fn found_records_are_gathered_at_any_depth() {
    let found = parse(
        format!(
            "<q xmlns:t='{TYPES}'><t:entitlements><t:entitlement><t:smsEntitlementId>1</t:smsEntitlementId><t:package>\
             <t:smsPackageId>P</t:smsPackageId></t:package><t:entitledEntity><t:entityType>DEVICE</t:entityType>\
             <t:entityId>C</t:entityId></t:entitledEntity><t:timePeriodRule/></t:entitlement><t:events/></t:entitlements></q>"
        )
        .as_bytes(),
        LIMIT,
    )
    .unwrap();
    let held: Vec<Entitlement> = records(&found, "smsEntitlementId").unwrap();
    assert_eq!((held.len(), held[0].package.id.as_str()), (1, "P"));
    assert!(records::<Device>(&found, "smsEntitlementId").is_err());
    assert_eq!(texts(&found, "entityId"), ["C"]);
}
