//! CRM.COM's calls: each of the table, what it asks of a provider, and the envelope around everything.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use headgate_core::request::State;
use headgate_core::text::ProviderName;
use serde_json::{Value, json};

use super::client::Got;
use super::{Double, Served, keys, server};
use crate::api::crm_com::calls::CALLS;
use crate::config::{ApiKey, CrmComFace, CrmComProviders, InstalledItems, Server};

/// Every prefix goes to this provider.
fn face(provider: &str) -> CrmComFace {
    let provider = Some(ProviderName::new(provider).unwrap());
    let providers = CrmComProviders {
        conax_sms_sas: provider.clone(),
        conax_web_services: provider.clone(),
        nagra_media_platform: provider.clone(),
        nagravision: provider.clone(),
        nds: provider.clone(),
        perception: provider.clone(),
        tucano: provider.clone(),
        vcas_omi_dvb: provider,
    };
    CrmComFace { providers, ..CrmComFace::default() }
}

async fn served(face: CrmComFace, keys: &[ApiKey]) -> Served {
    Served::with(Double::new(), &Server { crm_com: Some(face), ..server() }, keys).await.unwrap()
}

/// Makes a call, and looks at the envelope: the status' code and message, and the data.
async fn ask(served: &Served, path: &str, parameters: Value) -> (StatusCode, String, String, Value) {
    let call = CALLS.iter().find(|call| call.path == path).unwrap_or_else(|| panic!("{path} is no call"));
    let got: Got = if call.reads() {
        let pairs = parameters.as_object().unwrap().iter().map(|(name, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{name}={}", headgate_codecs::http::form::escape(&value))
        });
        let query = pairs.collect::<Vec<_>>().join("&");
        served.get(&format!("/{path}?{query}")).send().await
    } else {
        served.post(&format!("/{path}")).json(parameters.to_string()).await
    };
    let body: Value = serde_json::from_slice(&got.bytes).unwrap();
    let text = |name: &str| body["status"][name].as_str().unwrap().to_owned();
    assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
    (got.status, text("code"), text("message"), body["data"].clone())
}

/// The newest request, as it was made.
fn made(served: &Served) -> Value {
    serde_json::from_slice(&served.double.requests().last().unwrap().body).unwrap()
}

#[tokio::test]
async fn each_call_of_the_table_makes_the_request_that_it_stands_for() {
    let face = CrmComFace { installed_items: InstalledItems::Stb, ..face("prompt") };
    let served = served(face, &[]).await;
    let (subscription, card) = (json!({ "number": "S1" }), json!({ "serial_number": "C1" }));
    let service = json!({ "code": "GOLD" });
    let products = json!([{ "service_identifier": { "code": "GOLD" } }, { "service_identifier": { "code": "NEWS" } }]);
    let add = json!({ "token": "T", "subscription_identifier": subscription, "service_identifier": service,
        "smartcard_identifier": card, "process_immediately": true, "priority": "EXPRESS" });
    let cancel = json!({ "subscription_identifier": subscription, "service_identifier": service,
        "smartcard_identifier": card, "start_date": "2030-01-31T12:00:00" });
    let pair = json!({ "smartcard_set": [{ "smartcard_ca_id": "C1" }, { "serial_number": "C2" }], "stb_set": [{ "stb_ca_id": "B1" }] });
    let added = json!({ "command": "activate_services", "subscription": "S1", "services": ["GOLD"], "smartcards": ["C1"], "priority": "express" });
    let cancelled = json!({ "command": "deactivate_services", "subscription": "S1", "services": ["GOLD"], "smartcards": ["C1"],
        "not_before": "2030-01-31T12:00:00Z" });
    let paired = json!({ "command": "pair", "smartcards": ["C1", "C2"], "stbs": ["B1"] });
    let of_card = json!({ "subscription_identifier": subscription, "smartcard_identifier": card });
    let cases = [
        ("conax_web_services/provisioning_requests/add_subscriptions", add.clone(), added.clone()),
        ("conax_web_services/provisioning_requests/cancel_subscriptions", cancel.clone(), cancelled.clone()),
        ("conax_web_services/provisioning_requests/create_pairing", pair.clone(), paired.clone()),
        ("conax_sms_sas/provisioning_requests/add_subscriptions", add, added),
        ("conax_sms_sas/provisioning_requests/cancel_subscriptions", cancel, cancelled),
        ("conax_sms_sas/provisioning_requests/create_pairing", pair, paired),
        (
            "nagravision/provisioning_requests/add_enhanced_list_of_products",
            json!({ "services_set": products, "smartcard_identifier": card, "priority": "REGULAR" }),
            json!({ "command": "activate_services", "services": ["GOLD", "NEWS"], "smartcards": ["C1"], "priority": "regular" }),
        ),
        (
            "nagravision/provisioning_requests/cancel_enhanced_list_of_products",
            json!({ "subscription_identifier": subscription, "services_set": products }),
            json!({ "command": "deactivate_services", "subscription": "S1", "services": ["GOLD", "NEWS"] }),
        ),
        (
            "nagravision/provisioning_requests/pair_smartcard_decoder",
            json!({ "smartcard_identifier": card, "stb_identifier": { "serial_number": "B1" } }),
            json!({ "command": "pair", "smartcards": ["C1"], "stbs": ["B1"] }),
        ),
        (
            "nagravision/provisioning_requests/pair_smartcard_decoder",
            json!({ "smartcard_identifier": card }),
            json!({ "command": "unpair", "smartcards": ["C1"] }),
        ),
        (
            "nagravision/provisioning_requests/set_pin_to_default_value",
            json!({ "installed_item_identifier": { "serial_number": "B7" } }),
            json!({ "command": "reset_pin", "stbs": ["B7"] }),
        ),
        (
            "nagravision/provisioning_requests/clear_pin",
            of_card.clone(),
            json!({ "command": "clear_pin", "subscription": "S1", "smartcards": ["C1"] }),
        ),
        (
            "perception/provisioning_requests/remove_sessions",
            json!({ "subscription_identifier": subscription }),
            json!({ "command": "remove_sessions", "subscription": "S1" }),
        ),
        (
            "perception/provisioning_requests/set_subscriber_pin_number",
            json!({ "subscription_identifier": subscription, "pin_number": 12345678 }),
            json!({ "command": "set_pin", "subscription": "S1", "pin": "12345678" }),
        ),
        (
            "perception/provisioning_requests/reset_subscriber_pin_number",
            json!({ "subscription_identifier": subscription, "pin_number": 1234 }),
            json!({ "command": "reset_pin", "subscription": "S1" }),
        ),
        (
            "vcas_omi_dvb/provisioning_requests/set_device_pins",
            json!({ "installed_item_identifier": { "serial_number": "B1" }, "pin_0_value": "0042" }),
            json!({ "command": "set_pin", "stbs": ["B1"], "pin": "0042" }),
        ),
        (
            "vcas_omi_dvb/provisioning_requests/reset_device_pins",
            json!({ "installed_item_identifier": { "serial_number": "B1" } }),
            json!({ "command": "reset_pin", "stbs": ["B1"] }),
        ),
        (
            "tucano/subscriber/authenticate",
            json!({ "subscription_identifier": subscription }),
            json!({ "command": "authenticate", "subscription": "S1" }),
        ),
        (
            "tucano/subscriber/authenticate",
            json!({ "access_token_identifier": { "identifier": "ada", "pass_code": "pw" } }),
            json!({ "command": "authenticate", "login": "ada", "password": "pw" }),
        ),
        (
            "nagra_media_platform/authenticate",
            json!({ "accounts_receivable_identifier": { "number": "A1" }, "subscription_identifier": subscription }),
            json!({ "command": "authenticate", "subscription": "S1" }),
        ),
        (
            "nds/provisioning_requests/set_user_parameters",
            json!({ "subscription_identifier": subscription, "smartcard_identifier": card, "new_pin": "1234" }),
            json!({ "command": "set_pin", "subscription": "S1", "smartcards": ["C1"], "pin": "1234" }),
        ),
        (
            "nds/provisioning_requests/set_user_parameters",
            json!({ "smartcard_identifier": card, "reset_pin": true }),
            json!({ "command": "reset_pin", "smartcards": ["C1"] }),
        ),
        (
            "nds/provisioning_requests/reauthorise_all_services",
            of_card,
            json!({ "command": "refresh_services", "subscription": "S1", "smartcards": ["C1"] }),
        ),
    ];
    let mut covered = BTreeSet::new();
    for (path, parameters, wanted) in cases {
        covered.insert(path);
        let (status, code, message, _) = ask(&served, path, parameters).await;
        assert_eq!((status, code.as_str()), (StatusCode::OK, "OK"), "{path}: {message}");
        let mut body = made(&served);
        assert_eq!(body.as_object_mut().unwrap().remove("provider"), Some(json!("prompt")));
        assert_eq!(body, wanted, "{path}");
    }
    let making = CALLS
        .iter()
        .filter(|call| !call.reads() && !call.path.contains("reset_subscription") && !call.path.ends_with("/reset"));
    assert_eq!(covered, making.map(|call| call.path).collect());
}

#[tokio::test]
async fn requests_are_shown_and_listed_in_crm_com_s_form() {
    let served = served(face("patient"), &[]).await;
    let add = json!({ "services_set": [{ "service_identifier": { "code": "GOLD" } }], "smartcard_identifier": { "serial_number": "C1" },
        "subscription_identifier": { "number": "S1" }, "scheduled_date": "2030-01-02T03:04:05" });
    let path = "nagravision/provisioning_requests/add_enhanced_list_of_products";
    let (_, _, _, data) = ask(&served, path, add.clone()).await;
    assert_eq!(data["life_cycle_state"], "PENDING");
    let number = data["number"].as_str().unwrap().to_owned();
    let identifier = json!({ "provisioning_request_identifier": { "number": number } });
    let show = "provisioning/provisioning_requests/show";
    let (_, _, _, mut shown) = ask(&served, show, identifier.clone()).await;
    let id = shown["id"].clone();
    let times = shown.as_object_mut().unwrap();
    assert!(times["log_information"]["created_date"].as_str().unwrap().len() == 19);
    for name in ["id", "log_information"] {
        times.remove(name);
    }
    assert_eq!(
        shown,
        json!({
            "number": number, "type": "ADD_SUBSCRIPTIONS", "sequence_number": null, "scheduled_date": "2030-01-02T03:04:05",
            "executed_date": null, "priority": "REGULAR", "process_immediately": true, "life_cycle_state": "PENDING",
            "request": null, "response": null, "reference_number": null, "error_code": null, "error_description": null,
            "process_name": null, "process_id": null, "provisioning_provider": { "name": "patient" },
            "subscription": { "number": "S1" },
            "parameters_set": [{ "id": "1", "service_code": "GOLD" }, { "id": "2", "smartcard_ca_id": "C1" }],
        })
    );
    let by_id = json!({ "provisioning_request_identifier": { "id": id }, "fields_set": "number, life_cycle_state" });
    let (_, _, _, few) = ask(&served, "conax_sms_sas/provisioning_requests/show", by_id).await;
    assert_eq!(few, json!({ "number": number, "life_cycle_state": "PENDING" }));

    served.double.finish_all(State::Rejected);
    ask(&served, path, add).await;
    let listed = async |parameters: Value| {
        let (status, _, message, data) =
            ask(&served, "conax_web_services/provisioning_requests/list", parameters).await;
        assert_eq!(status, StatusCode::OK, "{message}");
        data["provisioning_requests_set"].as_array().unwrap().clone()
    };
    let rejected = listed(json!({ "life_cycle_state": "REJECTED" })).await;
    assert_eq!(rejected.len(), 1);
    assert_eq!(
        (&rejected[0]["error_code"], &rejected[0]["error_description"]),
        (&json!("42"), &json!("card not known"))
    );
    assert_eq!(listed(json!({ "type": "ADD_SUBSCRIPTIONS" })).await.len(), 2);
    assert_eq!(listed(json!({ "type": "CREATE_PAIRING" })).await.len(), 0);
    assert_eq!(listed(json!({ "reference_number": "T-1" })).await.len(), 1);
    assert_eq!(listed(json!({ "number_of_results": 1, "offset": 1 })).await, rejected);
    assert_eq!(listed(json!({ "offset": 2 })).await.len(), 0);
}

#[tokio::test]
async fn what_can_not_be_is_told_in_the_envelope() {
    let served = served(
        CrmComFace { providers: CrmComProviders { nds: None, ..face("stubborn").providers }, ..face("stubborn") },
        &[],
    )
    .await;
    let subscription = json!({ "number": "S1" });
    for (path, parameters, status, code, told) in [
        ("provisioning/subscriptions/reset", json!({}), 422, "NOT_SUPPORTED", "keeps no desired state"),
        (
            "vcas_omi_dvb/provisioning_requests/reset_subscription",
            json!({}),
            422,
            "NOT_SUPPORTED",
            "keeps no desired state",
        ),
        (
            "nds/provisioning_requests/reauthorise_all_services",
            json!({}),
            404,
            "NOT_CONFIGURED",
            "server.crm_com.providers.nds",
        ),
        (
            "perception/provisioning_requests/remove_sessions",
            json!({}),
            400,
            "INVALID_PARAMETER",
            "subscription_identifier is mandatory",
        ),
        (
            "perception/provisioning_requests/remove_sessions",
            json!({ "subscription_identifier": { "id": "7" } }),
            400,
            "INVALID_PARAMETER",
            "must be by number",
        ),
        (
            "perception/provisioning_requests/remove_sessions",
            json!({ "subscription_identifier": { "id": "7", "number": "S1" } }),
            400,
            "INVALID_PARAMETER",
            "exactly one of id, number",
        ),
        (
            "perception/provisioning_requests/remove_sessions",
            json!({ "subscription_identifier": subscription, "colour": "red" }),
            400,
            "INVALID_PARAMETER",
            "colour is no parameter",
        ),
        (
            "perception/provisioning_requests/set_subscriber_pin_number",
            json!({ "subscription_identifier": subscription, "pin_number": "12a4" }),
            422,
            "OUT_OF_RANGE",
            "",
        ),
        (
            "vcas_omi_dvb/provisioning_requests/set_device_pins",
            json!({ "installed_item_identifier": { "serial_number": "C1" }, "pin_0_value": 1234, "pin_1_value": 1234 }),
            400,
            "INVALID_PARAMETER",
            "must be exactly one",
        ),
        (
            "perception/provisioning_requests/remove_sessions",
            json!({ "subscription_identifier": subscription }),
            422,
            "REJECTED",
            "card not known",
        ),
        (
            "nagra_media_platform/authenticate",
            json!({ "accounts_receivable_identifier": { "id": "1" } }),
            400,
            "INVALID_PARAMETER",
            "subscription_identifier is mandatory",
        ),
        (
            "tucano/subscriber/authenticate",
            json!({ "access_token_identifier": { "authentication_code": "x" } }),
            400,
            "INVALID_PARAMETER",
            "pass_code",
        ),
        (
            "provisioning/provisioning_requests/show",
            json!({ "provisioning_request_identifier": { "number": "99" } }),
            404,
            "NOT_FOUND",
            "",
        ),
        (
            "conax_sms_sas/provisioning_requests/list",
            json!({ "life_cycle_state": "SENT" }),
            400,
            "INVALID_PARAMETER",
            "PENDING",
        ),
        ("conax_sms_sas/provisioning_requests/list", json!({ "type": "SING" }), 400, "INVALID_PARAMETER", "no type"),
    ] {
        let before = served.double.requests().len();
        let (got, got_code, message, data) = ask(&served, path, parameters.clone()).await;
        assert_eq!((got.as_u16(), got_code.as_str()), (status, code), "{path} {parameters}: {message}");
        assert!(message.contains(told), "{path}: {message}");
        assert!(!message.contains("12a4"), "{message}");
        assert_eq!(data, json!({}));
        assert_eq!(served.double.requests().len() - before, usize::from(code == "REJECTED"), "{path}");
    }
}

#[tokio::test]
async fn the_token_is_an_api_key_and_without_configuration_there_are_no_calls() {
    let served = served(face("prompt"), &keys()).await;
    let remove = |token: &str| json!({ "token": token, "subscription_identifier": { "number": "S1" } });
    let path = "perception/provisioning_requests/remove_sessions";
    for (token, status, code) in
        [("crm", 200, "OK"), ("viewer", 403, "FORBIDDEN"), ("nobody", 401, "UNAUTHORISED"), ("", 401, "UNAUTHORISED")]
    {
        let (got, got_code, ..) = ask(&served, path, remove(token)).await;
        assert_eq!((got.as_u16(), got_code.as_str()), (status, code), "{token}");
    }
    let list = "provisioning/provisioning_requests/list";
    let (got, ..) = ask(&served, list, json!({ "token": "viewer" })).await;
    assert_eq!(got, StatusCode::OK);

    let plain = Served::plain().await;
    assert_eq!(plain.post(&format!("/{path}")).json("{}").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn without_process_immediately_a_request_can_be_left_to_a_run() {
    let served = served(CrmComFace { wait_for_run: true, ..face("prompt") }, &[]).await;
    let path = "nagravision/provisioning_requests/clear_pin";
    let card = json!({ "serial_number": "C1" });
    ask(&served, path, json!({ "smartcard_identifier": card })).await;
    assert_eq!(made(&served)["process"], "with_run");
    ask(&served, path, json!({ "smartcard_identifier": card, "process_immediately": "true" })).await;
    assert_eq!(made(&served)["process"], Value::Null);
}

#[test]
fn every_call_is_described() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/crm-com.md")).unwrap();
    for call in CALLS {
        let (method, name) = (if call.reads() { "GET" } else { "POST" }, call.path);
        assert!(page.contains(&format!("`{method} {name}`")), "{method} {name}");
    }
}
