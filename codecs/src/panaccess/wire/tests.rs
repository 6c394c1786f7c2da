//! The sheet's examples as known answers, and every operation there and back in both languages.

use headgate_core::http::{HttpAnswer, HttpCall, HttpRequest};
use jiff::tz::TimeZone;

use super::json::Lists;
use super::records::{CardInfo, CardOrder, SubscriberOrder};
use super::value::{List, Record, Value, Wire};
use super::*;

fn json(lists: Lists) -> Binding {
    Binding::Json(json::Dialect { zone: TimeZone::UTC, lists })
}

fn soap() -> Binding {
    Binding::Soap(soap::Dialect { version: "4.0".into(), unstable: false })
}

fn time(text: &str) -> jiff::Timestamp {
    text.parse().unwrap()
}

/// The form of a call, decoded, as the sheet writes it.
fn form(call: &HttpCall) -> String {
    let fields = crate::http::form::parse(&call.body);
    let fields: Vec<_> = fields.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{} {} {}", call.method, call.target, fields.join("&"))
}

fn received(call: HttpCall) -> HttpRequest {
    let headers = call.headers.into_iter().map(|(name, value)| (name.into_owned(), value)).collect();
    HttpRequest { method: call.method, target: call.target, headers, body: call.body }
}

fn flexible_order() -> Operation {
    Operation::AddFlexibleOrderToSubscriber {
        product_id: 11,
        subscriber_code: "S-1".into(),
        activation_time: time("2026-01-01T00:00:00Z"),
        expiry_time: time("2027-01-01T00:00:00Z"),
        only_specified_smartcards: true,
        smartcards: Some(vec!["0123456789".into()]),
        optional_packages: None,
    }
}

#[test]
fn forms_are_written_as_in_the_sheet() {
    let write =
        |lists, operation: &Operation| form(&json(lists).write_call(&Call::new(operation, "9f2c"), false).unwrap());
    assert_eq!(
        write(Lists::Plain, &flexible_order()),
        "POST /?f=addFlexibleOrderToSubscriber&requestMode=function sessionId=9f2c&productId=11&subscriberCode=S-1\
         &activationTime=2026-01-01 00:00:00&expiryTime=2027-01-01 00:00:00&onlySpecifiedSmartcards=true\
         &smartcards[]=0123456789"
    );
    let add = Operation::AddProductToSmartcards {
        smartcards: vec!["0123456789".into(), "0123456790".into()],
        product_id: 11,
        hc_id: Some("hc1".into()),
        expiry_time: Some(time("2026-02-01T00:00:00Z")),
    };
    assert_eq!(
        write(Lists::Numbered, &add),
        "POST /?f=addProductToSmartcards&requestMode=function sessionId=9f2c&smartcards[0]=0123456789\
         &smartcards[1]=0123456790&productId=11&hcId=hc1&expiryTime=2026-02-01 00:00:00"
    );
    let end = Operation::TerminateOrderOfSubscriber { order_id: 90, subscriber_code: "S-1".into(), until: None };
    assert_eq!(
        write(Lists::Plain, &end),
        "POST /?f=terminateOrderOfSubscriber&requestMode=function sessionId=9f2c&orderId=90&subscriberCode=S-1"
    );
    let mut subscriber = Record::new("Subscriber");
    for (name, text) in [("code", "S-1"), ("hcId", "hc1"), ("lastName", "O'Hara & Sons")] {
        subscriber.set(name, Value::Text(text.into()));
    }
    let mut contact = Record::new("Contact");
    contact.set("type", Value::Text("email".into()));
    subscriber.set("contacts", Value::List(List { kind: "Contacts".into(), items: vec![Value::Record(contact)] }));
    assert_eq!(
        write(Lists::Plain, &Operation::AddSubscriber { subscriber }),
        "POST /?f=addSubscriber&requestMode=function sessionId=9f2c&subscriber[code]=S-1&subscriber[hcId]=hc1\
         &subscriber[lastName]=O'Hara & Sons&subscriber[contacts][0][type]=email"
    );
}

#[test]
fn envelopes_are_written_as_in_the_sheet() {
    let operation = Operation::SetSmartcardPackages {
        smartcard_id: "0123456789".into(),
        packages: vec![1, 2],
        hc_id: Some("hc1".into()),
        activation_time: None,
        expiry_time: Some(time("2027-01-01T00:00:00Z")),
    };
    let call = soap().write_call(&Call::new(&operation, "SID"), false).unwrap();
    assert_eq!(call.target, "/index.php?requestMode=wsdl&v=4.0&r=operator&dev=true");
    let action = &call.headers.iter().find(|(name, _)| name == "soapaction").unwrap().1;
    assert_eq!(action, "\"https://cv.panaccess.com/wsdl/v4.0/operator#cvSetSmartcardPackages\"");
    let body = String::from_utf8(call.body.to_vec()).unwrap();
    let inner = body.split_once("<soap:Body>").unwrap().1.split_once("</soap:Body>").unwrap().0;
    assert_eq!(
        inner,
        "<cv:cvSetSmartcardPackages soap:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\">\
         <sessionId xsi:type=\"xsd:string\">SID</sessionId>\
         <smartcardId xsi:type=\"xsd:string\">0123456789</smartcardId>\
         <packages xsi:type=\"soapenc:Array\" soapenc:arrayType=\"cv:Integers[2]\">\
         <packages xsi:type=\"xsd:int\">1</packages><packages xsi:type=\"xsd:int\">2</packages></packages>\
         <hcId xsi:type=\"xsd:string\">hc1</hcId><activationTime xsi:nil=\"true\"/>\
         <expiryTime xsi:type=\"xsd:dateTime\">2027-01-01T00:00:00.000Z</expiryTime></cv:cvSetSmartcardPackages>"
    );
}

/// The sheet's call as the vendor's Axis stub writes it, with references: read as the same operation.
#[test]
fn references_are_followed_in_calls() {
    let body = r##"<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/" xmlns:x="http://www.w3.org/2001/XMLSchema"
        xmlns:i="http://www.w3.org/2001/XMLSchema-instance" xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/"><S:Body>
        <ns1:cvSetSmartcardPackages xmlns:ns1="https://cv.panaccess.com/wsdl/v4.0/operator"
            S:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/">
        <sessionId i:type="x:string">SID</sessionId><smartcardId i:type="x:string">0123456789</smartcardId>
        <packages i:type="soapenc:Array" soapenc:arrayType="ns1:Integers[2]"> <packages href="#id0"/><packages href="#id1"/> </packages>
        <hcId i:type="x:string">hc1</hcId><activationTime i:type="x:dateTime" i:nil="true"/>
        <expiryTime i:type="x:dateTime">2027-01-01T00:00:00.000Z</expiryTime></ns1:cvSetSmartcardPackages>
        <multiRef id="id0" i:type="x:int">1</multiRef><multiRef id="id1" i:type="x:int">2</multiRef></S:Body></S:Envelope>"##;
    let request = HttpRequest {
        method: headgate_core::http::Method::Post,
        target: "/index.php?requestMode=wsdl&v=4.0&r=operator".into(),
        headers: Vec::new(),
        body: body.into(),
    };
    let call = soap().read_call(&request).unwrap();
    let (session, parameters) = without_session(&call);
    assert_eq!(session.as_deref(), Some("SID"));
    let operation = Operation::read(&call.function, parameters, &TimeZone::UTC).unwrap().unwrap();
    let expected = Operation::SetSmartcardPackages {
        smartcard_id: "0123456789".into(),
        packages: vec![1, 2],
        hc_id: Some("hc1".into()),
        activation_time: None,
        expiry_time: Some(time("2027-01-01T00:00:00Z")),
    };
    assert!(operation == expected);
}

#[test]
fn references_are_followed_in_answers() {
    let body = r##"<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/" xmlns:x="http://www.w3.org/2001/XMLSchema"
        xmlns:i="http://www.w3.org/2001/XMLSchema-instance" xmlns:E="http://schemas.xmlsoap.org/soap/encoding/"><S:Body>
        <q:cvGetOrdersOnSmartcardResponse xmlns:q="https://cv.panaccess.com/wsdl/v4.0/operator"><return href="#list"/></q:cvGetOrdersOnSmartcardResponse>
        <multiRef id="list" i:type="E:Array" E:arrayType="q:Order[1]" xmlns:q="https://cv.panaccess.com/wsdl/v4.0/operator"><item href="#o"/></multiRef>
        <multiRef id="o"><orderId href="#n"/><productId i:type="x:int">11</productId><activationTime>2026-01-01T02:00:00+02:00</activationTime>
          <expiryTime i:nil="1"/><disabled href="#f"/><sn i:nil="true"/><subscriberCode>S-1</subscriberCode></multiRef>
        <multiRef id="n" i:type="x:int">90</multiRef><multiRef id="f" i:type="x:boolean">0</multiRef></S:Body></S:Envelope>"##;
    let value = soap().read_reply("getOrdersOnSmartcard", &HttpAnswer::new(200, "text/xml", body)).unwrap().unwrap();
    let orders = Vec::<CardOrder>::read(value, &TimeZone::UTC).unwrap();
    let order = CardOrder {
        order_id: 90,
        product_id: 11,
        activation_time: Some(time("2026-01-01T00:00:00Z")),
        expiry_time: None,
        disabled: false,
        sn: None,
        subscriber_code: Some("S-1".into()),
    };
    assert!(orders == [order]);
}

/// One of each kind, in every form that a parameter can have.
fn samples() -> Vec<Operation> {
    let mut subscriber = Record::new("Subscriber");
    subscriber.set("code", Value::Text("S-1 é <&>".into()));
    let (a, b) = ("0123456701".to_owned(), "0123456702".to_owned());
    vec![
        flexible_order(),
        LOGGED_IN,
        Operation::ChangeSubscriber { subscriber },
        Operation::SetSmartcardProducts { sn: a.clone(), product_ids: vec![1, 2, 3], hc_id: None, expiry_time: None },
        Operation::SetSmartcardPackages {
            smartcard_id: a.clone(),
            packages: Vec::new(),
            hc_id: None,
            activation_time: Some(time("2026-07-01T00:00:00Z")),
            expiry_time: None,
        },
        Operation::SendBulkOsm {
            smartcards: vec![a.clone(), b.clone()],
            delay: Some(5),
            text: " a=b&c ".into(),
            cycle_time: Some(0),
            cycle_id: None,
        },
        Operation::ReplaceSmartcardOfSubscriber {
            subscriber_code: "S-1".into(),
            old_smartcard_id: a.clone(),
            new_smartcard_id: b,
            allow_exchange: false,
        },
        Operation::SetSmartcardConfigOfSmartcard { smartcard_id: a.clone(), config_id: -1, protected: true },
        Operation::ChangePinOfSmartcard { smartcard_id: a, pin: 32 },
        Operation::AddPpvOrderToSubscriber { ppv_id: 5_000_000_000, subscriber_code: "S-1".into() },
    ]
}

#[test]
fn what_is_written_is_read_again_in_both_languages() {
    for binding in [json(Lists::Numbered), json(Lists::Plain), soap()] {
        for operation in samples() {
            let call = Call::new(&operation, "SID");
            for prefixed in [false, true] {
                let read = binding.read_call(&received(binding.write_call(&call, prefixed).unwrap())).unwrap();
                assert_eq!(read.function, operation.function());
                let (session, parameters) = without_session(&read);
                assert_eq!(session.as_deref(), Some("SID"));
                let again = Operation::read(&read.function, parameters, binding.zone()).unwrap().unwrap();
                // A record's type has no place in a form.
                let same = again.parameters() == operation.parameters()
                    || matches!(operation, Operation::ChangeSubscriber { .. });
                assert!(same, "{operation:?}");
            }
        }
    }
}

#[test]
fn answers_are_read_as_they_are_written_in_both_languages() {
    let order = SubscriberOrder {
        order_id: 90,
        subscriber_code: Some("S-1".into()),
        product_id: 11,
        activation_time: Some(time("2026-01-01T00:00:00Z")),
        expiry_time: None,
        smartcards: vec!["0123456789".into()],
        is_flexible_order: Some(true),
        disabled: true,
    };
    let info = CardInfo {
        sn: "0123456789".into(),
        hc_id: None,
        pin: Some(32),
        paired_box: None,
        disabled: false,
        defect: true,
        stb_id: Some("00a1b2c3d4e5f601".into()),
        stb_serial: None,
    };
    for binding in [json(Lists::Plain), soap()] {
        let there_and_back = |value: Value| {
            let answer = binding.write_reply("x", &Ok(value));
            binding.read_reply("x", &answer).unwrap().unwrap()
        };
        let zone = binding.zone();
        assert!(
            Vec::<SubscriberOrder>::read(there_and_back(vec![order.clone(), order.clone()].write()), zone).unwrap()
                == [order.clone(), order.clone()]
        );
        assert!(
            Vec::<SubscriberOrder>::read(there_and_back(Vec::<SubscriberOrder>::new().write()), zone)
                .unwrap()
                .is_empty()
        );
        assert!(CardInfo::read(there_and_back(info.write()), zone).unwrap() == info);
        assert_eq!(i64::read(there_and_back(7.write()), zone), Ok(7));
        assert_eq!(there_and_back(Value::Absent), Value::Absent);
        let error = ServiceError::new("not_a_smartcard", "localised text");
        assert_eq!(binding.read_reply("x", &binding.write_reply("x", &Err(error.clone()))), Ok(Err(error)));
    }
}

#[test]
fn times_without_a_zone_are_the_accounts() {
    let zone = TimeZone::get("Europe/Nicosia").unwrap();
    let binding = Binding::Json(json::Dialect { zone: zone.clone(), lists: Lists::Plain });
    let operation = Operation::ExtendOrderOfSubscriber {
        order_id: 1,
        subscriber_code: "S".into(),
        until: Some(time("2026-07-01T00:00:00Z")),
    };
    let call = binding.write_call(&Call::new(&operation, "s"), false).unwrap();
    assert!(form(&call).ends_with("until=2026-07-01 03:00:00"), "{}", form(&call));
    let read = jiff::Timestamp::read(Value::Text("2026-07-01 03:00:00".into()), &zone);
    assert_eq!(read, Ok(time("2026-07-01T00:00:00Z")));
}

#[test]
fn names_have_two_spellings() {
    for function in Operation::FUNCTIONS {
        assert_eq!(plain(&prefixed(function)), *function);
    }
    assert_eq!((prefixed("addSmartcard"), plain("cvAddSmartcard")), ("cvAddSmartcard".into(), "addSmartcard".into()));
    assert_eq!((plain("cvs"), plain("addSmartcard"), plain("cv")), ("cvs".into(), "addSmartcard".into(), "cv".into()));
}

#[test]
fn forms_that_can_not_be_are_refused() {
    let read = |target: &str, body: &str| {
        let request = HttpRequest {
            method: headgate_core::http::Method::Post,
            target: target.into(),
            headers: Vec::new(),
            body: body.to_owned().into(),
        };
        json(Lists::Plain).read_call(&request).map(|call| call.parameters.len())
    };
    let target = "/?f=x&requestMode=function";
    assert_eq!(read(target, "a=1&b[]=2&b[]=3&c[d][e]=4"), Ok(3));
    for (target, body, words) in [
        ("/?f=x", "", "requestMode"),
        ("/?requestMode=function", "", "no function"),
        (target, "a=1&a=2", "comes twice"),
        (target, "a=1&a[b]=2", "a text and a record"),
        (target, "a[b=1", "not well formed"),
        (target, "a[b]c=1", "not well formed"),
        (target, "[b]=1", "not well formed"),
        (target, &format!("a{}=1", "[b]".repeat(9)), "not well formed"),
        (target, &(0..5_000).map(|n| format!("a{n}=1")).collect::<Vec<_>>().join("&"), "more than 4000"),
    ] {
        assert!(read(target, body).unwrap_err().contains(words), "{body}");
    }
}
