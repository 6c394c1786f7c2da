//! The Service Delivery Platform: the sheet's own envelopes, every command against the platform, answers that are none.

use headgate_core::http::HttpAnswer;
use headgate_core::platform::Fault;
use serde_json::{Value, json};

use super::super::PROTOCOL;
use super::super::test_site::{Site, mistake};
use super::settings::SdpSettings;
use super::*;
use crate::http::soap;
use crate::test_support::{provider, start};

fn site() -> Site {
    site_with(json!({}))
}

fn site_with(sdp: Value) -> Site {
    Site::new(&json!({ "generation": "sdp", "sdp": sdp }))
}

fn create(number: &str) -> Value {
    json!({
        "command": "create_subscriber", "account": number,
        "subscriber": {
            "first_name": "Ann", "last_name": "Lee & Co", "email": "ann@example.test", "password": "s3cret", "pin": "4821",
            "address": { "street": "Main 1", "city": "Bern", "country": "CH" }, "attributes": { "maxUserAllowed": "2" },
        },
    })
}

/// An envelope of ours, its body alone.
fn body(envelope: &str) -> &str {
    envelope.split_once("<soap:Body>").unwrap().1.split_once("</soap:Body>").unwrap().0
}

fn written(operation: &Operation) -> String {
    let call = operation.call(&SdpSettings::default()).unwrap();
    let envelope = String::from_utf8(call.body.to_vec()).unwrap();
    body(&envelope).to_owned()
}

#[test]
fn the_envelopes_are_those_of_the_sheet() {
    let user = User {
        name: "Ann".into(),
        login: "ann@example.test".into(),
        password: Some(Secret::new("ab".repeat(32))),
        salt: Some("s1".into()),
        pin: Some(Secret::new("0000")),
    };
    let account = [("accountNumber", "ACC-1"), ("status", "ACTIVE"), ("maxMPDeviceAllowed", "3")];
    let account = account.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    assert_eq!(
        written(&Operation::CreateAccount { account, user: Box::new(user) }),
        concat!(
            "<sms:CreateAccount>",
            "<account><accountNumber>ACC-1</accountNumber><status>ACTIVE</status>",
            "<maxMPDeviceAllowed>3</maxMPDeviceAllowed></account>",
            "<user><uid/><name>Ann</name>",
            "<password>abababababababababababababababababababababababababababababababab</password>",
            "<pin>0000</pin><defaultUser>true</defaultUser><hashSalt>s1</hashSalt>",
            "<loginId>ann@example.test</loginId><type>SUP</type><purchaseAbility>ALLOWED</purchaseAbility></user>",
            "</sms:CreateAccount>"
        )
    );
    assert_eq!(
        written(&Operation::Pair { device: "11".into(), card: "1001".into() }),
        concat!(
            "<sms:Pair><deviceSpecification><uid>11</uid></deviceSpecification>",
            "<smartCardSpecification><smartCardId>1001</smartCardId></smartCardSpecification></sms:Pair>"
        )
    );
    assert_eq!(
        written(&Operation::Unpair { device: "11".into() }),
        "<sms:Unpair><deviceSpecification><uid>11</uid></deviceSpecification></sms:Unpair>"
    );
    assert_eq!(
        written(&Operation::CreateSmartCard { card: "1001".into() }),
        concat!(
            "<sms:CreateSmartCard><smartCard><smartCardId>1001</smartCardId><originKey>HEADGATE</originKey>",
            "<originId>10000</originId><casInstanceId>CAS1</casInstanceId></smartCard></sms:CreateSmartCard>"
        )
    );
    assert_eq!(
        written(&Operation::GetByAccountNumber { number: "ACC-1".into() }),
        "<svc:getByAccountNumber><accountNumber>ACC-1</accountNumber></svc:getByAccountNumber>"
    );
}

#[test]
fn the_sheets_answer_is_read_whatever_its_prefixes() {
    let answer = |namespace: &str| {
        HttpAnswer::new(
            200,
            soap::CONTENT_TYPE,
            format!(
                "<soapenv:Envelope xmlns:soapenv='{}' xmlns:q='{namespace}'><soapenv:Body><q:Account><account><uid>7</uid>\
                 <accountNumber>ACC-1</accountNumber><status>ACTIVE</status>\
                 <accessPointSpecification><uid>1</uid></accessPointSpecification>\
                 <maxMPDeviceAllowed>3</maxMPDeviceAllowed><modificationDate>2020-01-01T00:00:00+01</modificationDate>\
                 </account></q:Account></soapenv:Body></soapenv:Envelope>",
                soap::ENVELOPE
            ),
        )
    };
    let settings = SdpSettings::default();
    let read = reply(&answer("urn:unconfirmed:acc")).unwrap();
    let account = account(&settings, &read).unwrap().unwrap();
    let known = known(&AccountNumber::new("ACC-1").unwrap(), account);
    assert_eq!(known.state.as_deref(), Some("ACTIVE"));
    let told: Vec<_> = known.attributes.keys().map(String::as_str).collect();
    assert_eq!(told, ["maxMPDeviceAllowed", "modificationDate", "uid"]);
    let other = reply(&answer("urn:other")).unwrap();
    assert!(super::account(&settings, &other).unwrap_err().contains("sdp.namespaces"));
}

#[test]
fn every_command_leaves_what_it_says() {
    let mut site = site_with(json!({ "account_defaults": { "maxMPDeviceAllowed": "3" } }));
    for _ in 0..2 {
        assert_eq!(site.ask(create("ACC-1")), "completed");
    }
    assert_eq!(site.pair.outcome(1).reference.as_ref().unwrap().as_str(), "1");
    let account = site.holdings()["accounts"]["ACC-1"].clone();
    assert_eq!((&account["state"], &account["pin"]), (&json!("ACTIVE"), &json!("4821")));
    assert_eq!(
        account["attributes"],
        json!({
            "address1": "Main 1", "city": "Bern", "country": "CH", "firstName": "Ann", "lastname": "Lee & Co",
            "maxMPDeviceAllowed": "3", "maxUserAllowed": "2",
        })
    );
    site.ask(json!({ "command": "get_subscriber", "account": "ACC-1" }));
    let Answer::Subscriber(told) = site.told() else { panic!() };
    assert_eq!((told.state.as_deref(), told.attributes["lastname"].as_str()), (Some("ACTIVE"), "Lee & Co"));
    let unknown = json!({ "command": "get_subscriber", "account": "ACC-9" });
    assert_eq!(site.ask(unknown), "rejected unknown_account: the platform knows no such account");

    let cards = json!({ "command": "enable_device", "smartcards": ["1001", "1002"] });
    assert_eq!(site.ask(cards), "completed");
    assert_eq!(
        site.ask(json!({ "command": "enable_device", "smartcard": "9" })),
        "rejected Client: the smartcard is not known"
    );
    let pair = |card: &str| json!({ "command": "pair", "smartcard": card, "stb": "11" });
    assert_eq!(site.ask(pair("1001")), "completed");
    assert_eq!(site.ask(pair("1002")), "completed");
    assert_eq!(site.holdings()["cards"]["1001"]["stbs"], json!([]));
    assert_eq!(site.holdings()["cards"]["1002"]["stbs"], json!(["11"]));
    assert_eq!(site.ask(json!({ "command": "unpair", "stb": "11" })), "completed");
    assert_eq!(site.holdings()["cards"]["1002"]["stbs"], json!([]));
    let words = "1 of 2 were refused, the others done; the first: the smartcard is not known";
    let remove = json!({ "command": "remove_device", "smartcards": ["1002", "1003"] });
    assert_eq!(site.ask(remove), format!("rejected Client: {words}"));
    assert_eq!(site.ask(pair("1002")), "rejected Client: the smartcard is not known");
    assert_eq!(site.ask(json!({ "command": "test_connection" })), "completed");
    assert_eq!(site.pair.last_call().target, "/ws-gateway/ws/accountservice?wsdl");
}

#[test]
fn subscribers_sign_on_and_records_tell_no_secret() {
    for (hash, method) in [("sha256", "GET"), ("sha256_then_salt", "POST"), ("salt_then_sha256", "GET")] {
        let mut site = site_with(json!({ "password_hash": hash, "signon_method": method }));
        site.ask(create("ACC-1"));
        let hashed = String::from_utf8(site.pair.calls[0].body.to_vec()).unwrap();
        let hashed = hashed.split_once("<password>").unwrap().1.split_once('<').unwrap().0.to_owned();
        assert_eq!(hashed.len(), 64);
        let sign_on =
            |password: &str| json!({ "command": "authenticate", "login": "ann@example.test", "password": password });
        assert!(site.ask(sign_on("s3cret")).starts_with("completed"));
        let Answer::Authenticated(Authenticated { token: Some(token), .. }) = site.told() else { panic!() };
        assert_eq!(token.reveal(), "signon-1");
        assert_eq!(site.ask(sign_on("wr0ng")), "rejected 1: the platform does not accept these credentials");
        for id in 1..=site.last() {
            let exchange = &site.pair.outcome(id).exchange;
            let record = String::from_utf8([&exchange.request[..], &exchange.response[..]].concat()).unwrap();
            for secret in ["s3cret", "wr0ng", "4821", "signon-1", &hashed] {
                assert!(!record.contains(secret), "{secret} in {record}");
            }
        }
        assert!(!site.pair.log.contains("s3cret") && !site.pair.log.contains("ann@"));
    }
}

#[test]
fn raw_elements_go_to_the_service_of_their_namespace() {
    let mut site = site();
    site.ask(create("ACC-1"));
    let raw = |element: &str| json!({ "command": "raw", "payload": headgate_core::text::to_hex(element.as_bytes()) });
    let ask = "<a:getByAccountNumber xmlns:a='urn:unconfirmed:account-service'><accountNumber>ACC-1</accountNumber></a:getByAccountNumber>";
    site.ask(raw(ask));
    assert_eq!(site.pair.last_call().path(), "/ws-gateway/ws/accountservice");
    let Answer::Raw(told) = site.told() else { panic!() };
    assert!(String::from_utf8(told.0.to_vec()).unwrap().contains("<accountNumber>ACC-1</accountNumber>"));
    let end = site.ask(raw("<x xmlns='urn:unconfirmed:sms'/>"));
    assert_eq!(end, "rejected Client: there is no such operation");
    assert_eq!(site.refusal(raw("<x/><y/>")), "payload bad_payload");
    assert_eq!(site.refusal(raw("<!DOCTYPE x><x/>")), "payload bad_payload");
}

#[test]
fn what_can_not_be_said_is_refused_with_its_field() {
    let site = site();
    let with = |name: &str, value: &str| json!({ "command": "create_subscriber", "account": "A", "subscriber": { "attributes": { name: value } } });
    let long = "x".repeat(21);
    for (body, refusal) in [
        (json!({ "command": "get_subscriber", "account": long }), "account too_long"),
        (json!({ "command": "get_subscriber", "subscription": long }), "subscription too_long"),
        (json!({ "command": "pair", "smartcard": "1", "stb": "box" }), "stb bad_number"),
        (with("a b", "x"), "subscriber/attributes/a b bad_character"),
        (with("status", "x"), "subscriber/attributes/status conflicting_fields"),
        (
            json!({ "command": "create_subscriber", "account": "A", "subscriber": { "phone": "1" } }),
            "subscriber/phone superfluous_field",
        ),
        (
            json!({ "command": "create_subscriber", "account": "A", "subscriber": { "last_name": "x".repeat(101) } }),
            "subscriber/last_name too_long",
        ),
    ] {
        assert_eq!(site.refusal(body.clone()), refusal, "{body}");
    }
    let unsupported = site.unsupported();
    assert_eq!(unsupported.len(), headgate_core::command::CommandKind::ALL.len() - 9);
    assert!(unsupported.contains(&"activate_services") && unsupported.contains(&"remove_subscriber"));
    assert!(
        site_with(json!({ "device_key": "serialNumber" })).check(json!({ "command": "unpair", "stb": "box" })).is_ok()
    );
    let wrong = |sdp: Value| mistake(&json!({ "generation": "sdp", "sdp": sdp }));
    assert!(wrong(json!({ "namespaces": { "acc": "" } })).starts_with("sdp.namespaces.acc: must be a URI"));
    assert!(wrong(json!({ "device_key": "a b" })).starts_with("sdp.device_key: must be the name"));
}

#[test]
fn answers_that_are_none_end_in_doubt_or_as_refusals() {
    let envelope =
        |inner: &str| format!("<s:Envelope xmlns:s='{}'><s:Body>{inner}</s:Body></s:Envelope>", soap::ENVELOPE);
    let deep = envelope(&format!("{}{}", "<a>".repeat(100), "</a>".repeat(100)));
    let bomb = format!("<!DOCTYPE a [<!ENTITY b \"bb\">]>{}", envelope("<a>&b;</a>"));
    let fault = "<s:Fault><faultcode>s:Server</faultcode><faultstring>down</faultstring></s:Fault>";
    let account =
        "<a:Account xmlns:a='urn:unconfirmed:acc'><account><accountNumber>A</accountNumber></account></a:Account>";
    let twice = account.replace("</account></a:", "<accountNumber>B</accountNumber></account></a:");
    let twins = account.replace("</a:Account>", "<account/></a:Account>");
    for (status, body, end) in [
        (200, "<html><br></html>".to_owned(), "failed answer_unreadable"),
        (200, envelope(account)[..90].to_owned(), "failed answer_unreadable"),
        (200, envelope(&account.replace("unconfirmed", "other")), "failed answer_unreadable"),
        (200, envelope(&twice), "failed answer_unreadable"),
        (200, envelope(&twins), "failed answer_unreadable"),
        (200, envelope(&format!("{account}{account}")), "failed answer_unreadable"),
        (200, deep, "failed answer_unreadable"),
        (200, bomb, "failed answer_unreadable"),
        (500, "<html/>".to_owned(), "failed server_error"),
        (500, envelope(account), "failed server_error"),
        (403, String::new(), "failed not_admitted"),
        (500, envelope(fault), "rejected Server: down"),
        (200, envelope(""), "rejected unknown_account"),
        (200, envelope("<a:Account xmlns:a='urn:unconfirmed:acc'/>"), "rejected unknown_account"),
        (200, envelope(account), "completed"),
    ] {
        let sdp = dialogue();
        let number = AccountNumber::new("A").unwrap();
        let answer = HttpAnswer::new(status, soap::CONTENT_TYPE, body.clone());
        let step = sdp.told(&number, &answer).unwrap_or_else(Step::failed);
        let Step::End(ended) = step else { panic!("{step:?}") };
        let words = crate::test_support::pair::in_words(&ended.verdict);
        assert!(words.starts_with(end), "{body}: {words}");
    }
    for (body, end) in [
        ("{}", "failed answer_unreadable"),
        (r#"{"resultCode":"0"}"#, "failed answer_unreadable"),
        (r#"{"resultCode":"0","token":""}"#, "failed answer_unreadable"),
        (r#"{"resultCode":[],"token":"t"}"#, "failed answer_unreadable"),
        (r#"{"resultCode":7}"#, "rejected 7"),
        (r#"{"result":"ok","resultCode":"0","token":"t","requestId":1}"#, "completed"),
    ] {
        let step = signed_on(&HttpAnswer::new(200, "application/json", body)).unwrap_or_else(Step::failed);
        let Step::End(ended) = step else { panic!("{step:?}") };
        assert!(crate::test_support::pair::in_words(&ended.verdict).starts_with(end), "{body}");
    }
}

fn dialogue() -> Sdp {
    let settings = super::super::Settings::read(&json!({ "generation": "sdp" })).unwrap();
    let settings = Arc::new(settings);
    Sdp::new(Arc::clone(&settings), Arc::new(MediaLiveRules::new(settings)))
}

#[test]
fn after_every_fault_the_next_request_goes_through() {
    for (fault, end) in [
        (Fault::Garbage, "failed answer_unreadable Maybe"),
        (Fault::HalfFrame, "failed answer_broken Maybe"),
        (Fault::Silence, "failed no_answer Maybe"),
        (Fault::CloseBefore, "failed answer_broken Maybe"),
        (Fault::CloseInstead, "failed answer_broken Maybe"),
        (Fault::CloseAfter, "completed"),
        (Fault::Delay(500), "completed"),
        (Fault::UnknownCard, "rejected Client: not known"),
        (Fault::Throttle, "failed slow_down No"),
        (Fault::ServerError, "failed server_error Maybe"),
        (Fault::Oversized, "failed answer_too_long Maybe"),
    ] {
        let mut site = site();
        site.pair.platform.inject(fault).unwrap();
        assert_eq!(site.ask(create("ACC-1")), end, "{fault:?}");
        assert_eq!(site.ask(create("ACC-1")), "completed", "{fault:?}");
        assert_eq!(site.holdings()["accounts"].as_object().unwrap().len(), 1);
    }
    assert_eq!(site().pair.platform.inject(Fault::LoseSessions), Err(Fault::LoseSessions));
}

#[test]
fn what_is_encoded_is_explained() {
    let mut request: Value = create("ACC-1");
    request["provider"] = "p".into();
    let body: headgate_core::body::RequestBody = serde_json::from_value(request).unwrap();
    let request = Request::new(headgate_core::request::RequestId(Default::default()), &body, body.command().unwrap());
    let settings = json!({ "generation": "sdp" });
    let encoded = (PROTOCOL.encode)(&provider(&[]), &settings, start(), &request).unwrap();
    assert_eq!(encoded[0].title, "POST /ws-gateway/ws/smsdomain");
    let explained = (PROTOCOL.decode)(&settings, None, &encoded[0].bytes).unwrap();
    assert_eq!((explained[0].title.as_str(), &explained[0].broken), ("creation of an account", &None));
}
