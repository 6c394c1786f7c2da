//! Who may do what, and where the API may be reached.

use std::net::SocketAddr;

use super::client::Call;
use super::{Double, Served, keys, request, server};
use crate::api::ServeError;
use crate::config::{ApiKey, Role, Server};
use headgate_core::text::ProviderName;

/// Every call, and the least role that may make it.
const CALLS: [(&str, &str, Role); 11] = [
    ("GET", "/v1/requests", Role::Viewer),
    ("GET", "/v1/requests/{id}", Role::Viewer),
    ("GET", "/v1/requests/{id}?exchange=true", Role::Operator),
    ("POST", "/v1/requests", Role::Crm),
    ("POST", "/v1/requests/{id}/retry", Role::Operator),
    ("POST", "/v1/requests/{id}/cancel", Role::Operator),
    ("POST", "/v1/requests/{id}/resolve", Role::Operator),
    ("GET", "/v1/providers", Role::Viewer),
    ("PUT", "/v1/providers/prompt/state", Role::Operator),
    ("POST", "/v1/providers/prompt/test", Role::Operator),
    ("POST", "/v1/providers/prompt/raw", Role::Admin),
];

#[tokio::test]
async fn each_role_may_do_its_own_and_no_more() {
    let served = Served::with(Double::new(), &server(), &keys()).await.unwrap();
    let posted = served.post("/v1/requests").key("crm").json(request("prompt")).await;
    let id = posted.json()["id"].as_str().unwrap().to_owned();
    for (method, path, least) in CALLS {
        let path = path.replace("{id}", &id);
        let call = || Call::new(served.address(), method, &path);
        let none = call().send().await;
        none.problem(401, "unauthorised");
        assert_eq!(none.header("www-authenticate"), "Bearer realm=\"headgate\"");
        call().key("nobody").send().await.problem(401, "unauthorised");
        call().header("authorization", "Basic Y3JtOmNybQ==").send().await.problem(401, "unauthorised");

        for key in keys() {
            let got = call().key(&key.name).send().await;
            if key.role < least {
                let problem = got.problem(403, "forbidden");
                // A worker fails at the first role that a call asks for, which may be a lesser one.
                let needs = format!("needs the role {}", least.name());
                let needs = if key.role == Role::Worker { "needs the role" } else { &needs };
                assert!(problem["detail"].as_str().unwrap().starts_with(needs), "{problem}");
            } else {
                assert!(![401, 403].contains(&got.status.as_u16()), "{method} {path} as {}", key.name);
            }
        }
    }
}

#[tokio::test]
async fn work_is_for_workers_of_that_provider_and_for_operators() {
    let mut keys = keys();
    keys[0].providers = vec![ProviderName::new("prompt").unwrap()];
    let served = Served::with(Double::new(), &server(), &keys).await.unwrap();
    for call in ["pull", "answers", "extend"] {
        for key in &keys {
            let got = served.post(&format!("/v1/providers/prompt/{call}")).key(&key.name).send().await;
            if matches!(key.role, Role::Viewer | Role::Crm) {
                got.problem(403, "forbidden");
            } else {
                assert_eq!(got.json(), format!("/{call}"), "{}", key.name);
            }
        }
        served.post(&format!("/v1/providers/stubborn/{call}")).key("worker").send().await.problem(403, "forbidden");
        served.post(&format!("/v1/providers/stubborn/{call}")).key("admin").send().await.problem(409, "not_served");
        served.post(&format!("/v1/providers/none/{call}")).key("admin").send().await.problem(404, "unknown_provider");
    }
    // CRM.COM's way of showing the key.
    let pending = |token: &str| {
        let provider = "%7B%22name%22%3A%22prompt%22%7D";
        format!("{}?token={token}&provisioning_provider_identifier={provider}", crate::api::workers::GET_PENDING)
    };
    for (token, status) in [("worker", 200), ("crm", 403), ("nobody", 401)] {
        assert_eq!(Call::new(served.address(), "GET", &pending(token)).send().await.status.as_u16(), status, "{token}");
    }
    Call::new(served.address(), "GET", &pending("worker").replace("prompt", "stubborn"))
        .send()
        .await
        .problem(403, "forbidden");
}

#[tokio::test]
async fn raw_is_for_administrators_however_it_is_sent() {
    let served = Served::with(Double::new(), &server(), &keys()).await.unwrap();
    let raw = r#"{"provider":"prompt","command":"raw","payload":"00"}"#;
    served.post("/v1/requests").key("operator").json(raw).await.problem(403, "forbidden");
    let array = served.post("/v1/requests").key("crm").json(format!("[{raw}]")).await;
    assert_eq!(array.json()[0]["status"], 403);
    let allowed = served.post("/v1/requests").key("admin").header("prefer", "wait=5").json(raw).await;
    assert_eq!(allowed.json()["answer"]["raw"], "cafe");
    let seen = served.get(allowed.header("location")).key("operator").send().await.json();
    assert_eq!(seen.get("answer"), None);
}

#[tokio::test]
async fn probes_need_no_key_on_loopback() {
    let served = Served::with(Double::new(), &server(), &keys()).await.unwrap();
    for path in ["/livez", "/readyz", "/metrics", "/openapi.json"] {
        assert_eq!(served.get(path).send().await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn changed_keys_hold_at_once() {
    let served = Served::with(Double::new(), &server(), &keys()).await.unwrap();
    assert_eq!(served.get("/v1/requests").key("crm").send().await.status, 200);
    let only_admin: Vec<ApiKey> = keys().into_iter().filter(|key| key.role == Role::Admin).collect();
    served.serving.take_over(served.serving.prepare(None, &only_admin).unwrap());
    assert_eq!(served.get("/v1/requests").key("crm").send().await.status, 401);
    assert_eq!(served.get("/v1/requests").key("admin").send().await.status, 200);
    assert!(matches!(served.serving.prepare(None, &[]), Err(ServeError::Restart)));
}

#[tokio::test]
async fn nothing_is_served_beyond_loopback_unprotected() {
    let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    for exposed in [Server { listen: everywhere, ..server() }, Server { stream_listen: Some(everywhere), ..server() }] {
        for keys in [vec![], keys()] {
            let error = Served::with(Double::new(), &exposed, &keys).await.err().unwrap();
            assert!(matches!(error, ServeError::Exposed { .. }));
            assert!(error.to_string().contains("set server.tls and at least one [[key]]"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_wrong_key_or_address_is_told() {
    let key = |name: &str, sha256: &str| ApiKey {
        name: name.into(),
        role: Role::Crm,
        sha256: sha256.into(),
        providers: Vec::new(),
    };
    let hash = "0".repeat(64);
    for keys in [vec![key("a", "123")], vec![key("a", &hash), key("a", &hash)]] {
        let error = Served::with(Double::new(), &server(), &keys).await.err().unwrap();
        assert!(error.to_string().starts_with("key \"a\": "), "{error}");
    }
    let first = Served::plain().await;
    let taken = Server { listen: first.address(), ..server() };
    let error = Served::with(Double::new(), &taken, &[]).await.err().unwrap();
    assert!(error.to_string().contains(&first.address().to_string()), "{error}");
}

#[tokio::test]
async fn without_keys_a_web_page_can_do_nothing() {
    let served = Served::plain().await;
    let call = |host: &str, origin: Option<&str>| {
        let call = Call::bare(served.address(), "POST", "/v1/providers/prompt/test").header("host", host);
        match origin {
            None => call,
            Some(origin) => call.header("origin", origin),
        }
    };
    for (host, origin) in [("localhost:80", None), ("127.0.0.1", None), ("[::1]:9", Some("http://localhost:3000"))] {
        assert_eq!(call(host, origin).send().await.status, 200, "{host}");
    }
    for (host, origin, field) in [
        ("rebound.example", None, "Host"),
        ("localhost.example:80", None, "Host"),
        ("localhost", Some("https://page.example"), "Origin"),
        ("localhost", Some("null"), "Origin"),
    ] {
        let problem = call(host, origin).send().await.problem(403, "not_loopback");
        assert_eq!(problem["field"], field);
    }
}
