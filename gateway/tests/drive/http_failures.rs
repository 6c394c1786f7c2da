//! HTTP calls on bad days. After each the count of requests at the server shows that nothing was sent twice.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use headgate_codecs::registry::Transport;
use headgate_core::failure::Sent;
use headgate_core::http::{HttpCall, HttpError};
use headgate_core::platform::Fault;
use tokio::net::{TcpListener, TcpSocket};

use crate::support::scripted_http::{Act, ScriptedHttp, Seen, answer, then_hang_up};
use crate::support::{Driven, PATIENCE, refusal};

/// What a call comes to at a server that does this; it must have come once.
async fn failure(more: &str, script: impl Fn(&Seen) -> Vec<Act> + Send + Sync + 'static) -> (HttpError, ScriptedHttp) {
    let server = ScriptedHttp::start(script).await;
    let mut driven = Driven::new(Transport::Http, &server.table(more));
    let error = driven.http(HttpCall::post("/secret-target", "text/plain", "secret-body")).await.unwrap_err();
    assert!(!error.text.contains("secret"), "{error:?}");
    let seen = server.seen();
    assert_eq!(seen.len(), 1, "{error:?}");
    assert_eq!(seen[0].body, b"secret-body");
    (error, server)
}

fn sends(bytes: &'static str) -> impl Fn(&Seen) -> Vec<Act> + Send + Sync + 'static {
    move |_| then_hang_up(bytes)
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_given_up() {
    let silence = |_: &Seen| vec![Act::Wait(Duration::from_secs(60))];
    let (error, _) = failure("call_timeout = \"100ms\"", silence).await;
    assert_eq!((error.code, error.sent), ("no_answer", Sent::Maybe));
    assert_eq!(error.text, "no answer within 100ms");

    // The call's own limit goes before the connection's.
    let server = ScriptedHttp::start(silence).await;
    let mut driven = Driven::new(Transport::Http, &server.table("call_timeout = \"1h\""));
    let call = HttpCall { timeout: Some(Duration::from_millis(100)), ..HttpCall::get("/") };
    assert_eq!(driven.http(call).await.unwrap_err().code, "no_answer");
}

#[tokio::test]
async fn a_body_that_drips_is_given_up_in_time_too() {
    let drip = |_: &Seen| {
        let mut acts = vec![Act::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n".to_vec())];
        for _ in 0..1000 {
            acts.extend([Act::Wait(Duration::from_millis(20)), Act::Send(b"x".to_vec())]);
        }
        acts
    };
    let start = Instant::now();
    let (error, _) = failure("call_timeout = \"200ms\"", drip).await;
    assert_eq!((error.code, error.sent), ("no_answer", Sent::Maybe));
    assert!(start.elapsed() < Duration::from_secs(15));
}

#[tokio::test]
async fn a_call_that_was_given_up_does_not_disturb_the_next() {
    let server = ScriptedHttp::start(|seen| match seen.number {
        0 => [vec![Act::Wait(Duration::from_millis(200))], answer("too late")].concat(),
        _ => answer("in time"),
    })
    .await;
    let mut driven = Driven::new(Transport::Http, &server.table(""));
    let call = HttpCall { timeout: Some(Duration::from_millis(50)), ..HttpCall::get("/") };
    driven.http(call).await.unwrap_err();
    assert_eq!(&driven.http(HttpCall::get("/")).await.unwrap().body[..], b"in time");
    assert_eq!(server.seen()[1].connection, 1, "the late answer must not be taken for the next one's");
}

#[tokio::test]
async fn a_platform_that_never_accepts_is_given_up_in_time() {
    // A backlog of one that is full: further connections are neither accepted nor refused.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(connected) =
        tokio::time::timeout(Duration::from_millis(200), tokio::net::TcpStream::connect(address)).await
    {
        waiting.push(connected.unwrap());
        assert!(waiting.len() < 100);
    }
    let table = format!("url = \"http://{address}\"\nconnect_timeout = \"100ms\"");
    let error = Driven::new(Transport::Http, &table).http(HttpCall::get("/")).await.unwrap_err();
    assert_eq!((error.code, error.sent), ("connect_failed", Sent::No));
    assert_eq!(error.text, format!("{address}: no connection within 100ms"));
}

#[tokio::test]
async fn a_declared_length_beyond_the_limit_is_refused_at_once() {
    let (error, server) = failure("", |_| {
        vec![Act::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n".to_vec()), Act::Flood(&[b'x'; 4096])]
    })
    .await;
    assert_eq!((error.code, error.sent), ("answer_too_long", Sent::Maybe));
    assert_eq!(error.text, "the answer is longer than 4194304 bytes");
    assert!(stopped_taking(&server).await < 64 << 20);
}

#[tokio::test]
async fn an_endless_answer_is_refused_once_it_is_too_long() {
    // A chunk of 16 bytes.
    const CHUNK: &[u8] = b"10\r\n0123456789abcdef\r\n";
    for (head, flood) in [
        (&b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"[..], CHUNK),
        (b"HTTP/1.1 200 OK\r\n\r\n", &[b'x'; 4096]),
    ] {
        let (error, server) = failure("", move |_| vec![Act::Send(head.to_vec()), Act::Flood(flood)]).await;
        assert_eq!((error.code, error.sent), ("answer_too_long", Sent::Maybe), "{error:?}");
        assert!(stopped_taking(&server).await < 64 << 20);
    }
}

/// How much of a flood was taken, once no more is.
async fn stopped_taking(server: &ScriptedHttp) -> usize {
    let start = Instant::now();
    loop {
        let before = server.sent();
        tokio::time::sleep(Duration::from_millis(100)).await;
        if server.sent() == before {
            return before;
        }
        assert!(start.elapsed() < PATIENCE, "{before} bytes were taken, and it goes on");
    }
}

#[tokio::test]
async fn the_limit_is_the_calls_own() {
    let server = ScriptedHttp::start(|_| answer("12345678")).await;
    let mut driven = Driven::new(Transport::Http, &server.table(""));
    let call = |answer_limit| HttpCall { answer_limit, ..HttpCall::get("/") };
    assert_eq!(driven.http(call(8)).await.unwrap().body.len(), 8);
    assert_eq!(driven.http(call(7)).await.unwrap_err().code, "answer_too_long");
}

#[tokio::test]
async fn a_flood_of_header_fields_is_refused() {
    for flood in [&b"x: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n"[..], b"x"] {
        let (error, server) =
            failure("", move |_| vec![Act::Send(b"HTTP/1.1 200 OK\r\nx: ".to_vec()), Act::Flood(flood)]).await;
        assert_eq!((error.code, error.sent), ("answer_too_long", Sent::Maybe), "{error:?}");
        assert!(stopped_taking(&server).await < 64 << 20);
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error_wherever_it_does() {
    for (bytes, code) in [
        ("", "no_answer"),
        ("HTT", "no_answer"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n", "no_answer"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", "answer_broken"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabcd", "answer_broken"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabc", "answer_broken"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n", "answer_broken"),
    ] {
        let (error, _) = failure("", sends(bytes)).await;
        assert_eq!((error.code, error.sent), (code, Sent::Maybe), "{bytes:?}: {error:?}");
    }
}

#[tokio::test]
async fn what_is_no_http_is_an_error() {
    for bytes in [
        "SSH-2.0-OpenSSH_9.9\r\n",
        "HTTP/7.3 200 OK\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nsecret field: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5, 6\r\n\r\nabcdef",
        "HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\nabcdef",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nabc",
    ] {
        let (error, _) = failure("", sends(bytes)).await;
        assert_eq!((error.code, error.sent), ("answer_broken", Sent::Maybe), "{bytes:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_connection_that_the_server_closed_meanwhile_costs_at_most_one_call_and_repeats_none() {
    // The server closes after each answer without having said so. However the next call meets that, it goes out at
    // most once.
    let server = ScriptedHttp::start(|_| [answer("ok"), vec![Act::HangUp]].concat()).await;
    let mut driven = Driven::new(Transport::Http, &server.table(""));
    let (mut answered, mut not_sent, mut unsure) = (0, 0, 0);
    for round in 0..300 {
        match driven.http(HttpCall::post(format!("/{round}"), "text/plain", "x")).await {
            Ok(_) => answered += 1,
            Err(error) if error.sent == Sent::No => not_sent += 1,
            Err(error) => {
                assert_eq!((error.code, error.sent), ("no_answer", Sent::Maybe), "{error:?}");
                unsure += 1;
            }
        }
        if round % 3 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let mut seen: Vec<_> = server.seen().iter().map(|seen| seen.head.lines().next().unwrap().to_owned()).collect();
    let came = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), came, "a call came twice");
    assert!(came >= answered && came <= answered + unsure, "{came} came: {answered}, {not_sent}, {unsure}");
    assert!(answered >= 100, "{answered} answered, {not_sent} not sent, {unsure} unsure");
}

#[tokio::test]
async fn a_connection_that_closes_before_the_call_is_not_used() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let table = format!("url = \"http://{}\"", listener.local_addr().unwrap());
    let mut driven = Driven::new(Transport::Http, &table);
    let closing = tokio::spawn(async move { drop(listener.accept().await.unwrap()) });
    let error = driven.http(HttpCall::post("/", "text/plain", "x")).await.unwrap_err();
    closing.await.unwrap();
    // Whether the bytes left before it closed is chance; that it is an error is not.
    assert!(matches!(error.code, "no_answer" | "connect_failed"), "{error:?}");
    assert_ne!(error.sent, Sent::Yes);
}

#[tokio::test]
async fn a_simulated_platform_misbehaves_in_every_way_of_http() {
    let anywhere = (Ipv4Addr::LOCALHOST, 0).into();
    let platform = Box::new(crate::support::platforms::Mirror::default());
    let simulation = headgate::simulate::http::listen(platform, anywhere, None).await.unwrap();
    let table = format!("url = \"http://{}\"\ncall_timeout = \"500ms\"", simulation.address().unwrap());
    let mut driven = Driven::new(Transport::Http, &table);
    for (fault, outcome) in [
        (Fault::Delay(50), Ok(())),
        (Fault::CloseAfter, Ok(())),
        (Fault::CloseInstead, Err("no_answer")),
        (Fault::HalfFrame, Err("answer_broken")),
        (Fault::Oversized, Err("answer_too_long")),
        (Fault::Silence, Err("no_answer")),
    ] {
        simulation.inject(fault).await.unwrap();
        let before = simulation.holdings().await.unwrap().applied;
        let result = driven.http(HttpCall::get("/")).await;
        assert_eq!(result.as_ref().map(drop).map_err(|error| error.code), outcome, "{fault:?}: {result:?}");
        assert!(result.is_ok_and(|answer| answer.status == 200) || outcome.is_err());
        assert_eq!(simulation.holdings().await.unwrap().applied, before + 1, "{fault:?}");
        driven.http(HttpCall::get("/")).await.unwrap();
    }
    let address = simulation.address().unwrap();
    simulation.stop().await;
    let error = driven.http(HttpCall::get("/")).await.unwrap_err();
    assert_eq!((error.code, error.sent), ("connect_failed", Sent::No));
    assert!(error.text.starts_with(&address.to_string()), "{error:?}");
}

#[tokio::test]
async fn a_simulated_platform_refuses_what_is_too_long_or_no_call() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let platform = Box::new(crate::support::platforms::Mirror::default());
    let simulation = headgate::simulate::http::listen(platform, (Ipv4Addr::LOCALHOST, 0).into(), None).await.unwrap();
    for (request, status) in [
        ("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1073741824\r\n\r\n", "HTTP/1.1 413 "),
        ("OPTIONS / HTTP/1.1\r\nhost: x\r\n\r\n", "HTTP/1.1 405 "),
        ("no http at all\r\n\r\n", "HTTP/1.1 400 "),
    ] {
        let mut stream = tokio::net::TcpStream::connect(simulation.address().unwrap()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0; 13];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(std::str::from_utf8(&answer).unwrap(), status);
    }
    assert_eq!(simulation.holdings().await.unwrap().applied, 0);
}

#[test]
fn settings_that_can_not_be_name_the_place_and_the_remedy() {
    let refused = |toml: &str| refusal(Transport::Http, toml).to_string();
    let url = |more: &str| refused(&format!("url = \"http://localhost\"\n{more}"));
    assert_eq!(
        refused(""),
        "connection.url: missing: give the platform's web service, as in \"https://cas.example:8443/path\""
    );
    assert_eq!(refused("url = []"), "connection.url: the list is empty: give at least one URL");
    assert_eq!(refused("url = \"cas:80\""), "connection.url: must be as in \"https://cas.example:8443/path\"");
    assert_eq!(refused("url = \"ftp://cas\""), "connection.url: must begin with \"http://\" or \"https://\"");
    assert_eq!(
        refused("url = \"http://u:p@cas\""),
        "connection.url: must not hold a name and a password: give `basic` instead"
    );
    assert_eq!(
        refused("url = \"http://cas/?a\""),
        "connection.url: must have no query and no fragment: the calls bring their own"
    );
    assert_eq!(
        refused("url = \"https://cas\""),
        "connection.tls: missing: say by what the platform's certificate is trusted, with `ca` or `pinned_sha256`"
    );
    let pin = format!("[tls]\npinned_sha256 = \"{}\"", "00".repeat(32));
    assert_eq!(url(&pin), "connection.tls: has no use with \"http://\": write \"https://\", or leave it out");
    assert_eq!(
        refused("address = \"cas:1\""),
        "connection.address: this protocol makes HTTP calls: give `url` instead"
    );
    assert_eq!(
        refused("directory = \"/\""),
        "connection.directory: this protocol makes HTTP calls: give `url` instead"
    );
    assert_eq!(url("endpoints = { x = \"nowhere\" }").split(':').next(), Some("connection.endpoints.x"));
    assert_eq!(url("connections = 0"), "connection.connections: must be from 1 to 65536");
    assert_eq!(url("call_timeout = \"0s\""), "connection.call_timeout: must be longer than zero");
    assert_eq!(
        url("basic = { user = \"a:b\", password = \"x\" }"),
        "connection.basic.user: must not contain \":\", which ends it"
    );
    assert_eq!(
        url("bearer = \"x\"\nbasic = { user = \"a\", password = \"x\" }"),
        "connection.bearer: give either `basic` or `bearer`, not both"
    );
    assert_eq!(url("bearer = \"geheim\\n\""), "connection.bearer: must be visible ASCII, without a blank at its end");
    assert_eq!(
        url("headers = { host = \"x\" }"),
        "connection.headers.host: this field belongs to the connection and can not be set"
    );
    assert_eq!(
        url("headers = { x = \"geheim\\n\" }"),
        "connection.headers.x: this field has a value that is not visible ASCII"
    );
    assert!(
        url("headers = { X = \"x\" }").starts_with("connection.headers.X: this field has a name that is none of HTTP")
    );
    assert_eq!(
        url("bearer = \"x\"\nheaders = { authorization = \"y\" }"),
        "connection.headers.authorization: `bearer` sets this field already: leave one out"
    );

    const PLAIN: &str = "`basic`, `bearer` and `headers` would go to another machine in clear: use \"https://\", or allow \
                         it with `allow_plain_credentials = true`";
    for credentials in ["bearer = \"x\"", "basic = { user = \"a\", password = \"x\" }", "headers = { x-key = \"x\" }"] {
        let table = format!("url = \"http://cas.example\"\n{credentials}");
        assert_eq!(refused(&table), format!("connection.url: {PLAIN}"));
        crate::support::connection(&format!("{table}\nallow_plain_credentials = true"))
            .validate(Transport::Http)
            .unwrap();
        crate::support::connection(&table.replace("cas.example", "localhost")).validate(Transport::Http).unwrap();
        assert_eq!(
            url(&format!("{credentials}\nendpoints = {{ r = \"http://cas.example\" }}")),
            format!("connection.endpoints.r: {PLAIN}")
        );
    }
    assert_eq!(
        refusal(Transport::Stream, "address = \"cas:1\"\nurl = \"http://cas\"").to_string(),
        "connection.url: this protocol speaks over links: give `address` instead"
    );
    assert_eq!(
        refusal(Transport::Files, "directory = \"/\"\nbearer = \"x\"").to_string(),
        "connection.bearer: this protocol exchanges files: give `directory`, `ftp` or `sftp` instead"
    );
}
