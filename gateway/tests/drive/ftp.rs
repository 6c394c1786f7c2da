//! FTP and FTPS, against vsftpd.

use std::time::{Duration, Instant};

use headgate_codecs::registry::Transport;
use headgate_core::adapter::FileErrorKind;
use headgate_core::failure::Sent;

use crate::support::{Driven, refusal};
use headgate_site::server::PATIENCE;
use headgate_site::vsftpd::{Security, Vsftpd};

/// Everything an adapter does with files.
async fn assert_works(server: &Vsftpd, table: &str) {
    let mut driven = Driven::new(Transport::Files, table);
    assert_eq!(driven.list("req").await.unwrap(), Vec::<String>::new(), "an empty directory");
    // More calls than a server hands out TLS tickets at once.
    for number in 0..8 {
        driven.put(&format!("req/{number}.emm"), format!("order {number}\r\n").as_bytes()).await.unwrap();
    }
    let names: Vec<_> = (0..8).map(|number| format!("{number}.emm")).collect();
    assert_eq!(driven.list("req").await.unwrap(), names);
    assert_eq!(std::fs::read(server.path("site/req/3.emm")).unwrap(), b"order 3\r\n");
    assert_eq!(&driven.read("req/3.emm", 100).await.unwrap()[..], b"order 3\r\n");

    driven.rename("req/3.emm", "ok/3.emm").await.unwrap();
    assert_eq!(driven.list("ok").await.unwrap(), ["3.emm"]);
    driven.delete("ok/3.emm").await.unwrap();
    driven.delete("ok/3.emm").await.unwrap();
    assert_eq!(driven.list("ok").await.unwrap(), Vec::<String>::new());

    let large = vec![0x0a; 2 << 20];
    driven.put("req/large.emm", &large).await.unwrap();
    assert!(driven.read("req/large.emm", large.len()).await.unwrap() == large);
    let error = driven.read("req/large.emm", large.len() - 1).await.unwrap_err();
    assert_eq!(error.kind, FileErrorKind::TooLarge, "{error:?}");

    let error = driven.put("req/1.emm", b"another").await.unwrap_err();
    assert_eq!((error.kind, error.sent), (FileErrorKind::Exists, Sent::No), "{error:?}");
    assert_eq!(std::fs::read(server.path("site/req/1.emm")).unwrap(), b"order 1\r\n");
    assert!(!server.path("site/req/1.tmp").exists(), "the temporary file is left behind");
}

#[tokio::test]
async fn plain() {
    let server = Vsftpd::start(Security::None, "");
    assert_works(&server, &server.table("", None)).await;
    let logins = server.log().matches("OK LOGIN").count();
    assert!((1..=2).contains(&logins), "one session, and one more after the read that was broken off: {logins}");
}

#[tokio::test]
async fn active_mode() {
    let server = Vsftpd::start(Security::None, "port_enable=YES\nconnect_from_port_20=NO\n");
    assert_works(&server, &server.table("passive = false", None)).await;
}

#[tokio::test]
async fn tls_1_2_with_resumed_sessions_demanded() {
    let server = Vsftpd::start(Security::Tls, "");
    assert_works(&server, &server.table("tls_1_2_only = true", Some(""))).await;
    assert_resumed(&server, "TLSv1.2");
}

#[tokio::test]
async fn tls_1_3_with_resumed_sessions_demanded() {
    let server = Vsftpd::start(Security::Tls, "");
    assert_works(&server, &server.table("", Some("min_version = \"1.3\""))).await;
    assert_resumed(&server, "TLSv1.3");
}

/// Every data connection resumed its control connection's session, as the server saw it.
fn assert_resumed(server: &Vsftpd, version: &str) {
    let log = server.log();
    let handshakes: Vec<_> = log.lines().filter(|line| line.contains("SSL version: ")).collect();
    assert!(handshakes.iter().all(|line| line.contains(version)), "{handshakes:?}");
    let full = handshakes.iter().filter(|line| line.contains(", not reused,")).count();
    let resumed = handshakes.iter().filter(|line| line.contains(", reused,")).count();
    let sessions = log.matches("OK LOGIN").count();
    assert!(full == sessions && resumed > 10, "{sessions} sessions, {full} full handshakes, {resumed} resumed");
}

#[tokio::test]
async fn a_server_of_another_authority_gets_no_password() {
    let server = Vsftpd::start(Security::Tls, "");
    let other = Vsftpd::start(Security::Tls, "");
    let table =
        server.table("", Some("")).replace(&format!("port = {}", server.port), &format!("port = {}", other.port));
    let error = Driven::new(Transport::Files, &table).list("req").await.unwrap_err();
    assert_eq!((error.kind, error.sent), (FileErrorKind::Link, Sent::No), "{error:?}");
    assert!(!other.log().contains("USER"), "{}", other.log());
}

#[tokio::test]
async fn a_refused_login_is_denied_and_keeps_the_password_to_itself() {
    let directory = tempfile::TempDir::new().unwrap();
    let banned = directory.path().join("banned");
    std::fs::write(&banned, "secret-word\n").unwrap();
    let server =
        Vsftpd::start(Security::None, &format!("deny_email_enable=YES\nbanned_email_file={}\n", banned.display()));
    let error = Driven::new(Transport::Files, &server.table("", None)).list("req").await.unwrap_err();
    assert_eq!((error.kind, error.sent), (FileErrorKind::Denied, Sent::No), "{error:?}");
    assert!(!error.text.contains("secret-word"), "{error:?}");
}

#[tokio::test]
async fn what_can_not_be_done_says_so() {
    let server = Vsftpd::start(Security::None, "");
    let mut driven = Driven::new(Transport::Files, &server.table("", None));
    let error = driven.list("nowhere").await.unwrap_err();
    assert_eq!((error.kind, error.sent), (FileErrorKind::NotFound, Sent::No), "{error:?}");
    let error = driven.read("req/none.emm", 10).await.unwrap_err();
    assert_eq!((error.kind, error.sent), (FileErrorKind::NotFound, Sent::No), "{error:?}");
    let error = driven.rename("req/none.emm", "ok/none.emm").await.unwrap_err();
    assert_eq!((error.kind, error.sent), (FileErrorKind::NotFound, Sent::No), "{error:?}");
    let error = driven.put("nowhere/a.emm", b"x").await.unwrap_err();
    assert_eq!((error.kind, error.sent), (FileErrorKind::Other, Sent::No), "{error:?}");
    let mut driven = Driven::new(Transport::Files, &server.table("", None).replace("/site\"", "/locked\""));
    let error = driven.delete("a").await.unwrap_err();
    assert_eq!((error.kind, error.sent), (FileErrorKind::Denied, Sent::No), "{error:?}");
}

#[tokio::test]
async fn a_server_that_comes_back_is_found_again() {
    let mut server = Vsftpd::start(Security::None, "");
    let mut driven = Driven::new(Transport::Files, &server.table("", None));
    driven.put("req/a.emm", b"1").await.unwrap();
    server.stop();
    let error = driven.put("req/b.emm", b"2").await.unwrap_err();
    assert_eq!((error.kind, error.sent), (FileErrorKind::Link, Sent::No), "{error:?}");
    assert!(error.text.starts_with(&format!("localhost:{}: ", server.port)), "{error:?}");
    server.run();
    driven.put("req/b.emm", b"2").await.unwrap();
    // Stopped and started between two calls: the call does not notice.
    server.stop();
    server.run();
    driven.put("req/c.emm", b"3").await.unwrap();
    assert_eq!(driven.list("req").await.unwrap(), ["a.emm", "b.emm", "c.emm"]);
}

#[tokio::test]
async fn an_idle_session_is_closed_and_opened_again() {
    let server = Vsftpd::start(Security::None, "");
    let mut driven = Driven::new(Transport::Files, &server.table("idle = \"50ms\"", None));
    driven.list("req").await.unwrap();
    wait_for_log(&server, "QUIT", 1).await;
    driven.list("req").await.unwrap();
    assert_eq!(server.log().matches("OK LOGIN").count(), 2, "{}", server.log());
}

#[tokio::test]
async fn a_session_that_the_server_ended_for_idleness_is_not_noticed() {
    let server = Vsftpd::start(Security::None, "idle_session_timeout=1\n");
    let mut driven = Driven::new(Transport::Files, &server.table("", None));
    driven.put("req/a.emm", b"1").await.unwrap();
    driven.rename("req/a.emm", "req/b.emm").await.unwrap();
    for sessions in 1..=2 {
        wait_for_log(&server, "421 Timeout", sessions).await;
        let (from, to) = if sessions == 1 { ("req/b.emm", "req/c.emm") } else { ("req/c.emm", "req/d.emm") };
        driven.rename(from, to).await.unwrap();
    }
    assert_eq!(driven.list("req").await.unwrap(), ["d.emm"]);
}

/// Waits until the server has logged `text` so many times.
async fn wait_for_log(server: &Vsftpd, text: &str, times: usize) {
    let start = Instant::now();
    while server.log().matches(text).count() < times {
        assert!(start.elapsed() < PATIENCE, "the server did not log {text:?} {times} times");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn text_has_its_line_ends_translated() {
    let server = Vsftpd::start(Security::None, "ascii_upload_enable=YES\nascii_download_enable=YES\n");
    let mut driven = Driven::new(Transport::Files, &server.table("transfer = \"ascii\"", None));
    driven.put("req/a.emm", b"one\ntwo\r\nthree").await.unwrap();
    assert_eq!(std::fs::read(server.path("site/req/a.emm")).unwrap(), b"one\ntwo\nthree");
    assert_eq!(&driven.read("req/a.emm", 100).await.unwrap()[..], b"one\ntwo\nthree");
    let error = driven.put("req/a.emm", b"again").await.unwrap_err();
    assert_eq!(error.kind, FileErrorKind::Exists, "{error:?}");
}

#[test]
fn settings_that_can_not_be_name_the_place_and_the_remedy() {
    let refused = |more: &str| {
        let table = format!("[ftp]\nhost = \"cas\"\nuser = \"u\"\npassword = \"hidden\"\n{more}");
        refusal(Transport::Files, &table).to_string()
    };
    assert!(refused("security = \"explicit_tls\"").starts_with("connection.ftp.tls: missing"));
    assert!(refused("[ftp.tls]").starts_with("connection.ftp.security: must be"));
    assert!(refused("security = \"explicit_tls\"\n[ftp.tls]").starts_with("connection.ftp.tls.ca: missing"));
    assert_eq!(refused("timeout = \"0s\""), "connection.ftp.timeout: must be longer than zero");
    let both = "directory = \"/srv\"\n[ftp]\nhost = \"cas\"\nuser = \"u\"\npassword = \"hidden\"\n";
    assert_eq!(
        refusal(Transport::Files, both).to_string(),
        "connection: give exactly one of `directory`, `ftp` and `sftp`; there are several"
    );
}
