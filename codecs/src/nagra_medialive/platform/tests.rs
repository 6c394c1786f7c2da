//! What the platform demands of a call, whoever makes it.

use std::time::Duration;

use headgate_core::Now;
use headgate_core::http::{HttpRequest, Method};
use serde_json::{Value, json};

use super::*;
use crate::nagra_medialive::test_site::with;
use crate::test_support::{later, start};

struct Caller {
    platform: MediaLivePlatform,
    now: Now,
    token: String,
}

impl Caller {
    fn new() -> Self {
        let settings = Arc::new(Settings::read(&with(&json!({}))).unwrap());
        let mut caller =
            Self { platform: MediaLivePlatform::new(settings, &Stock::default()), now: start(), token: String::new() };
        let form = "grant_type=password&username=headgate&password=pass+word&client_id=c1";
        caller.token = caller.grant(form).1["access_token"].as_str().unwrap().to_owned();
        caller
    }

    fn grant(&mut self, form: &str) -> (u16, Value) {
        let target = self.platform.settings.token_path.clone();
        self.send(Method::Post, &target, form.to_owned(), Vec::new())
    }

    fn call(&mut self, method: Method, target: &str, body: Value) -> (u16, Value) {
        let headers = [("authorization", format!("Bearer {}", self.token)), ("nv-tenant-id", "t1".to_owned())];
        let headers = headers.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(method, target, body, headers)
    }

    fn send(&mut self, method: Method, target: &str, body: String, headers: Vec<(String, String)>) -> (u16, Value) {
        let request = HttpRequest { method, target: target.to_owned(), headers, body: body.into() };
        let answer = self.platform.answer(self.now, &request, None);
        (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    fn account(&mut self, id: &str) {
        let body = json!({ "_id": id, "status": "ACTIVE", "billingAddress": [], "pvrStatus": "DISABLED", "note": "x" });
        assert_eq!(self.call(Method::Post, "/adm/v1/accounts", body), (201, json!({ "_id": id })));
    }
}

#[test]
fn tokens_end_and_renew_once() {
    let mut caller = Caller::new();
    let test = |caller: &mut Caller| caller.call(Method::Get, "/rmg/v1/operator/entitlements?limit=0", Value::Null).0;
    assert_eq!(test(&mut caller), 200);
    caller.now = later(caller.now, Duration::from_secs(300));
    assert_eq!(test(&mut caller), 403);
    let refresh = "grant_type=refresh_token&refresh_token=refresh-1&client_id=c1";
    assert_eq!(caller.grant(refresh).0, 200);
    assert_eq!(
        caller.grant(refresh),
        (400, json!({ "error": "invalid_grant", "error_description": "Token is not active" }))
    );
    for wrong in [
        "grant_type=password&username=headgate&password=x&client_id=c1",
        "grant_type=password&username=headgate&password=pass+word&client_id=c2",
        "grant_type=password&username=nobody&password=x&client_id=c1",
    ] {
        assert_eq!(caller.grant(wrong).0, 401, "{wrong}");
    }
    assert_eq!(caller.grant("grant_type=client_credentials&client_id=c1").0, 400);
    assert_eq!(caller.platform.holdings().logins, 1);
}

#[test]
fn a_platform_without_settings_takes_every_operator_and_tenant() {
    let mut caller = Caller::new();
    caller.platform = MediaLivePlatform::new(Arc::new(Settings::read(&json!({})).unwrap()), &Stock::default());
    assert_eq!(caller.grant("grant_type=password&username=anybody&password=x").0, 401, "the client has no name");
    let granted = caller.grant("grant_type=password&username=anybody&password=x&client_id=any");
    assert_eq!((granted.0, &granted.1["access_token"]), (200, &json!("access-1")));
    caller.account("A1");
}

#[test]
fn a_member_that_is_left_out_becomes_null_and_a_cancelled_account_stays_so() {
    let mut caller = Caller::new();
    caller.account("A1");
    let changed = json!({ "matchedCount": 1, "modifiedCount": 1 });
    let put = |caller: &mut Caller, body: Value| caller.call(Method::Put, "/adm/v1/accounts/A1", body);
    assert_eq!(put(&mut caller, json!({ "status": "SUSPENDED" })), (200, changed));
    assert_eq!(caller.call(Method::Get, "/adm/v1/accounts/A1", Value::Null).1["note"], "x");
    assert_eq!(put(&mut caller, json!({ "status": "ACTIVE", "pvrStatus": "ENABLED" })).0, 200);
    let expected =
        json!({ "_id": "A1", "status": "ACTIVE", "pvrStatus": "ENABLED", "billingAddress": null, "note": null });
    assert_eq!(caller.call(Method::Get, "/adm/v1/accounts/A1", Value::Null), (200, expected));
    assert_eq!(put(&mut caller, json!({ "status": "GONE" })).0, 400);
    assert_eq!(put(&mut caller, json!({ "status": "CANCELLED" })).0, 200);
    assert_eq!(put(&mut caller, json!({ "status": "ACTIVE" })).0, 400);
    let device = json!({ "_id": "D", "status": "ENABLED", "deviceType": "OPEN", "accountUid": "A1" });
    assert_eq!(caller.call(Method::Post, "/adm/v1/devices", device).0, 404);
}

#[test]
fn what_is_mandatory_is_demanded() {
    let mut caller = Caller::new();
    caller.account("A1");
    let grant = json!({
        "accountId": "A1", "productId": "P", "validityType": "ABSOLUTE", "productType": "FREE",
        "validFrom": "2020-01-01T00:00:00Z", "expiryDate": "2021-01-01T00:00:00Z",
    });
    for name in grant.as_object().unwrap().keys() {
        let mut short = grant.clone();
        short.as_object_mut().unwrap().remove(name);
        let (status, body) = caller.call(Method::Post, "/rmg/v1/operator/entitlements", short);
        assert_eq!((status, body), (400, json!({ "message": format!("{name} is mandatory") })));
    }
    let mut backwards = grant.clone();
    backwards["expiryDate"] = "2019-01-01T00:00:00Z".into();
    assert_eq!(caller.call(Method::Post, "/rmg/v1/operator/entitlements", backwards).0, 400);
    assert_eq!(caller.call(Method::Post, "/rmg/v1/operator/entitlements", grant), (201, json!({ "_id": "id-1" })));
    let (_, page) = caller.call(Method::Get, "/rmg/v1/operator/entitlements?limit=1&page=1", Value::Null);
    assert_eq!((&page["totalRecords"], &page["resourceSet"][0]["status"]), (&json!(1), &json!("SUBSCRIBED")));
    assert_eq!(caller.call(Method::Put, "/rmg/v1/operator/entitlements/E9", json!({})).1["matchedCount"], 0);
    assert_eq!(caller.call(Method::Get, "/adm/v2/accounts", Value::Null).0, 404);
    assert_eq!(caller.send(Method::Get, "/adm/v1/accounts/A1", String::new(), Vec::new()).0, 403);
}
