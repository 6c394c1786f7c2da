//! HTTP calls on good days: to simulated platforms and to a scripted server.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use headgate::simulate::{Simulation, http};
use headgate_codecs::registry::Transport;
use headgate_core::adapter::Effect;
use headgate_core::failure::Sent;
use headgate_core::http::{HttpAnswer, HttpCall, Method};
use headgate_core::platform::Fault;
use headgate_site::server::free_port;

use crate::support::platforms::Mirror;
use crate::support::scripted_http::{Act, ScriptedHttp, answer};
use crate::support::{Driven, PATIENCE, Told, connection};

async fn mirror() -> Simulation {
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    http::listen(Box::new(Mirror::default()), anywhere, None).await.unwrap()
}

fn driven(simulation: &Simulation, more: &str) -> Driven {
    Driven::new(Transport::Http, &format!("url = \"http://{}\"\n{more}", simulation.address().unwrap()))
}

fn text(answer: &HttpAnswer) -> &str {
    std::str::from_utf8(&answer.body).unwrap()
}

#[tokio::test]
async fn calls_arrive_as_they_were_made_and_answers_come_back_whole() {
    let simulation = mirror().await;
    let mut driven = driven(&simulation, "");
    let call =
        HttpCall::post("/omi?x=%20&y=/..//", "text/xml; charset=utf-8", "<a>ä</a>").header("soapaction", "\"q\"");
    let answer = driven.http(call).await.unwrap();
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/plain")));
    let text = text(&answer);
    assert!(text.starts_with("POST /omi?x=%20&y=/..//\n\n"), "{text}");
    assert!(
        text.contains("\ncontent-type: text/xml; charset=utf-8\n") && text.contains("\nsoapaction: \"q\"\n"),
        "{text}"
    );
    assert!(text.contains("\ncontent-length: 9\n"), "{text}");
    assert!(text.contains(&format!("\nhost: {}\n", simulation.address().unwrap())), "{text}");
    assert!(text.ends_with("\n\n<a>ä</a>"), "{text}");

    for (method, length) in [
        (Method::Get, None),
        (Method::Delete, None),
        (Method::Post, Some("0")),
        (Method::Put, Some("0")),
        (Method::Patch, Some("0")),
    ] {
        let answer = driven.http(HttpCall::new(method, "/")).await.unwrap();
        let text = std::str::from_utf8(&answer.body).unwrap();
        assert!(text.starts_with(&format!("{method} /\n")), "{text}");
        assert_eq!(text.lines().find_map(|line| line.strip_prefix("content-length: ")), length, "{text}");
    }

    let large = vec![b'x'; 3 << 20];
    let answer = driven.http(HttpCall::post("/", "text/plain", large.clone())).await.unwrap();
    assert!(answer.body.ends_with(&large));
}

#[tokio::test]
async fn every_status_is_an_answer_and_redirects_are_not_followed() {
    let server = ScriptedHttp::start(|_| {
        vec![Act::Send(b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n".to_vec())]
    })
    .await;
    let mut driven = Driven::new(Transport::Http, &server.table(""));
    let answer = driven.http(HttpCall::get("/")).await.unwrap();
    assert_eq!((answer.status, answer.header("location")), (302, Some("/elsewhere")));
    assert_eq!(server.seen().len(), 1);

    let simulation = mirror().await;
    let mut driven = self::driven(&simulation, "");
    for status in [201, 400, 401, 404, 500, 503] {
        assert_eq!(driven.http(HttpCall::get(format!("/{status}"))).await.unwrap().status, status);
    }
}

#[tokio::test]
async fn an_answer_needs_no_body_and_no_length() {
    let server = ScriptedHttp::start(|seen| {
        let answer: &[u8] = match seen.number {
            0 => b"HTTP/1.1 204 No Content\r\n\r\n",
            1 => b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n",
            2 => b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\nt: 1\r\n\r\n",
            _ => return vec![Act::Send(b"HTTP/1.0 200 OK\r\n\r\nto the end".to_vec()), Act::HangUp],
        };
        vec![Act::Send(answer.to_vec())]
    })
    .await;
    let mut driven = Driven::new(Transport::Http, &server.table(""));
    for (status, body) in [(204, ""), (304, ""), (200, "abc"), (200, "to the end")] {
        let answer = driven.http(HttpCall::get("/")).await.unwrap();
        assert_eq!((answer.status, text(&answer)), (status, body));
    }
    assert_eq!(server.connections(), 1, "each of them leaves the connection fit for the next");
}

#[tokio::test]
async fn one_connection_carries_call_after_call() {
    let server = ScriptedHttp::start(|seen| answer(&seen.number.to_string())).await;
    let mut driven = Driven::new(Transport::Http, &server.table(""));
    for number in 0..20 {
        assert_eq!(text(&driven.http(HttpCall::get("/")).await.unwrap()), number.to_string());
    }
    assert_eq!((server.seen().len(), server.connections()), (20, 1));

    let mut driven = Driven::new(Transport::Http, &server.table("idle = \"0s\""));
    for _ in 0..3 {
        driven.http(HttpCall::get("/")).await.unwrap();
    }
    assert_eq!(server.connections(), 4, "without idle time each call has its own");
}

#[tokio::test]
async fn a_connection_that_was_not_used_for_long_is_not_used_again() {
    let server = ScriptedHttp::start(|_| answer("ok")).await;
    let mut driven = Driven::new(Transport::Http, &server.table("idle = \"50ms\""));
    driven.http(HttpCall::get("/")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    driven.http(HttpCall::get("/")).await.unwrap();
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn more_calls_than_connections_wait_in_their_order() {
    let server = ScriptedHttp::start(|seen| [vec![Act::Hold], answer(&seen.number.to_string())].concat()).await;
    let mut driven = Driven::new(Transport::Http, &server.table("connections = 2"));
    let calls: Vec<_> =
        (0..6).map(|number| driven.carry_out(Effect::Http(HttpCall::get(format!("/{number}"))))).collect();
    let start = Instant::now();
    let mut answered = Vec::new();
    for number in 0..6_usize {
        let expected = (number + 2).min(6);
        while server.seen().len() < expected {
            assert!(start.elapsed() < PATIENCE, "{} of {expected} calls came", server.seen().len());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(server.seen().len(), expected, "more calls than connections");
        server.release();
        match driven.next().await {
            Told::Http(id, Ok(_)) => answered.push(id),
            other => panic!("{other:?}"),
        }
    }
    answered.sort();
    assert_eq!(answered, calls);
    // The first two race; each further one starts when there is room.
    let order: Vec<_> = server.seen().iter().map(|seen| seen.head[5..6].to_owned()).collect();
    assert_eq!(order[2..], ["2", "3", "4", "5"]);
}

#[tokio::test]
async fn credentials_and_fixed_fields_go_with_every_call_unless_it_brings_its_own() {
    let simulation = mirror().await;
    let more = "basic = { user = \"sms\", password = \"pass:wörd\" }\nheaders = { x-api-key = \"k 1\", accept = \"text/xml\" }";
    let mut basic = driven(&simulation, more);
    let answer = basic.http(HttpCall::get("/").header("accept", "application/json")).await.unwrap();
    let seen = text(&answer);
    // printf 'sms:pass:wörd' | base64
    assert!(seen.contains("\nauthorization: Basic c21zOnBhc3M6d8O2cmQ=\n"), "{seen}");
    assert!(seen.contains("\nx-api-key: k 1\n"), "{seen}");
    assert!(seen.contains("\naccept: application/json\n") && !seen.contains("text/xml"), "{seen}");

    let mut bearer = driven(&simulation, "bearer = \"abc.def\"");
    let answer = bearer.http(HttpCall::get("/")).await.unwrap();
    assert!(text(&answer).contains("\nauthorization: Bearer abc.def\n"));
    let answer = bearer.http(HttpCall::get("/").header("authorization", "Bearer of-the-session")).await.unwrap();
    assert!(text(&answer).contains("\nauthorization: Bearer of-the-session\n") && !text(&answer).contains("abc.def"));
}

#[tokio::test]
async fn a_call_goes_to_the_end_point_it_names() {
    let (main, other) = (mirror().await, ScriptedHttp::start(|_| answer("other")).await);
    let table = format!("endpoints = {{ reports = \"http://{}/base/\" }}", other.address);
    let mut driven = driven(&main, &table);
    let to = |endpoint: &'static str| HttpCall { endpoint: endpoint.into(), ..HttpCall::get("/x?y") };
    assert_eq!(text(&driven.http(to("reports")).await.unwrap()), "other");
    assert!(other.seen()[0].head.starts_with("GET /base/x?y HTTP/1.1\r\n"), "{:?}", other.seen());
    for endpoint in ["", "unheard of"] {
        assert!(text(&driven.http(to(endpoint)).await.unwrap()).starts_with("GET /x?y\n"));
    }
}

#[tokio::test]
async fn urls_are_tried_in_order_and_the_one_that_worked_is_kept_to() {
    let dead = free_port();
    let (first, second) =
        (ScriptedHttp::start(|_| answer("first")).await, ScriptedHttp::start(|_| answer("second")).await);
    let table = format!(
        "url = [\"http://127.0.0.1:{dead}\", \"http://{}\", \"http://{}\"]\nidle = \"0s\"",
        first.address, second.address
    );
    let mut driven = Driven::new(Transport::Http, &table);
    for _ in 0..3 {
        assert_eq!(text(&driven.http(HttpCall::get("/")).await.unwrap()), "first");
    }
    // The one that was dead comes back: nobody goes there while the other works.
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, dead)).await.unwrap();
    assert_eq!(text(&driven.http(HttpCall::get("/")).await.unwrap()), "first");
    drop(listener);
    assert_eq!(second.seen().len(), 0);
    assert_eq!(first.seen().len(), 4);
}

#[tokio::test]
async fn a_url_that_fails_gives_way_to_the_next_and_the_calls_stay_there() {
    let (first, second) = (mirror().await, ScriptedHttp::start(|_| answer("second")).await);
    let table = format!("url = [\"http://{}\", \"http://{}\"]", first.address().unwrap(), second.address);
    let mut driven = Driven::new(Transport::Http, &table);
    driven.http(HttpCall::get("/")).await.unwrap();
    assert_eq!(second.seen().len(), 0);
    first.stop().await;
    for _ in 0..3 {
        // The pool may hold a connection that has just closed: one call may find that out, unsent.
        match driven.http(HttpCall::get("/")).await {
            Ok(answer) => assert_eq!(text(&answer), "second"),
            Err(error) => assert_eq!(error.sent, Sent::No, "{error:?}"),
        }
    }
    assert!(second.seen().len() >= 2);
}

#[tokio::test]
async fn a_simulated_platform_that_stops_leaves_nobody_waiting() {
    let simulation = mirror().await;
    let mut driven = driven(&simulation, "call_timeout = \"1h\"");
    simulation.inject(Fault::Silence).await.unwrap();
    driven.carry_out(Effect::Http(HttpCall::get("/")));
    let start = Instant::now();
    while simulation.holdings().await.unwrap().applied == 0 {
        assert!(start.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    simulation.stop().await;
    match driven.next().await {
        Told::Http(_, Err(error)) => assert_eq!((error.code, error.sent), ("no_answer", Sent::Maybe)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn if_no_url_can_be_reached_each_is_named_with_the_reason() {
    let dead = [free_port(), free_port()];
    let table = format!("url = [\"http://127.0.0.1:{}/a\", \"http://127.0.0.1:{}/b\"]", dead[0], dead[1]);
    let error = Driven::new(Transport::Http, &table).http(HttpCall::get("/secret-target")).await.unwrap_err();
    assert_eq!((error.code, error.sent), ("connect_failed", Sent::No));
    for port in dead {
        assert!(error.text.contains(&format!("127.0.0.1:{port}: ")), "{error:?}");
    }
    assert!(error.text.contains("refused") && !error.text.contains("secret-target"), "{error:?}");
}

#[tokio::test]
async fn what_can_not_be_put_into_http_is_not_sent() {
    let simulation = mirror().await;
    let mut driven = driven(&simulation, "");
    for call in [
        HttpCall::get("no-slash"),
        HttpCall::get("/a blank"),
        HttpCall::get("/x\r\nevil: 1"),
        HttpCall::get("/x#y"),
        HttpCall::get("/").header("Upper", "x"),
        HttpCall::get("/").header("host", "x"),
        HttpCall::get("/").header("content-length", "7"),
        HttpCall::get("/").header("x", "secret\r\nevil: 1"),
        HttpCall::get("/").header("x", "secret ä"),
    ] {
        let error = driven.http(call).await.unwrap_err();
        assert_eq!((error.code, error.sent), ("call_unspeakable", Sent::No), "{error:?}");
        assert!(!error.text.contains("secret") && !error.text.contains("evil"), "{error:?}");
    }
    assert_eq!(simulation.holdings().await.unwrap().applied, 0);
}

#[tokio::test]
async fn drivers_of_another_transport_answer_a_call_with_an_error() {
    let mut driven = Driven::new(Transport::Stream, "address = \"127.0.0.1:1\"");
    let error = driven.http(HttpCall::get("/")).await.unwrap_err();
    assert_eq!((error.code, error.sent), ("connect_failed", Sent::No));
    let simulation = mirror().await;
    let error = self::driven(&simulation, "").list("req").await.unwrap_err();
    assert_eq!(error.sent, Sent::No);
}

#[tokio::test]
async fn a_reload_changes_the_next_calls_and_leaves_those_under_way() {
    let server = ScriptedHttp::start(|seen| match seen.number {
        0..8 => [vec![Act::Hold], answer("old")].concat(),
        _ => answer("new"),
    })
    .await;
    let mut driven = Driven::new(Transport::Http, &server.table("headers = { x-life = \"1\" }"));
    for _ in 0..8 {
        driven.carry_out(Effect::Http(HttpCall::get("/")));
    }
    let start = Instant::now();
    while server.seen().len() < 8 {
        assert!(start.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let broken = connection(&server.table("connections = 0"));
    assert_eq!(driven.drivers.reload(Transport::Http, &broken).unwrap_err().path, "connections");
    let changed = connection(&server.table("headers = { x-life = \"2\" }\nconnections = 100"));
    driven.drivers.reload(Transport::Http, &changed).unwrap();
    assert_eq!(text(&driven.http(HttpCall::get("/")).await.unwrap()), "new");
    for _ in 0..8 {
        server.release();
        match driven.next().await {
            Told::Http(_, Ok(answer)) => assert_eq!(text(&answer), "old"),
            other => panic!("{other:?}"),
        }
    }
    let lives: Vec<_> = server.seen().iter().map(|seen| seen.head.contains("x-life: 2")).collect();
    assert_eq!(lives, [vec![false; 8], vec![true]].concat());
}

#[tokio::test]
async fn a_reload_under_load_loses_and_repeats_nothing() {
    let simulation = mirror().await;
    let table = format!("url = \"http://{}\"", simulation.address().unwrap());
    let mut driven = Driven::new(Transport::Http, &table);
    let mut answered = std::collections::BTreeSet::new();
    for round in 0..5_u64 {
        for call in 0..40 {
            driven.carry_out(Effect::Http(HttpCall::get(format!("/{round}-{call}"))));
        }
        let connections = [64, 3, 1, 8, 64][usize::try_from(round).unwrap()];
        let changed = connection(&format!("{table}\nconnections = {connections}"));
        driven.drivers.reload(Transport::Http, &changed).unwrap();
    }
    for _ in 0..200 {
        match driven.next().await {
            Told::Http(_, Ok(answer)) => assert!(answered.insert(text(&answer).lines().next().unwrap().to_owned())),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(answered.len(), 200);
    assert_eq!(simulation.holdings().await.unwrap().applied, 200);
}

#[tokio::test]
async fn shutting_down_waits_for_the_calls_under_way_and_queued() {
    let simulation = mirror().await;
    let mut driven = driven(&simulation, "connections = 2");
    simulation.inject(Fault::Delay(100)).await.unwrap();
    for _ in 0..6 {
        driven.carry_out(Effect::Http(HttpCall::get("/")));
    }
    driven.shutdown().await;
    assert_eq!(simulation.holdings().await.unwrap().applied, 6);
}

#[tokio::test]
async fn shutting_down_does_not_wait_for_readers_of_what_is_queued() {
    let server = ScriptedHttp::start(|_| [vec![Act::Hold], answer("late")].concat()).await;
    let mut driven = Driven::new(Transport::Http, &server.table("connections = 1\ncall_timeout = \"200ms\""));
    for _ in 0..50 {
        driven.carry_out(Effect::Http(HttpCall::get("/")));
    }
    let start = Instant::now();
    driven.shutdown_unread().await;
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}
