//! SFTP, against OpenSSH.

use headgate_codecs::registry::Transport;
use headgate_core::adapter::FileErrorKind;
use headgate_core::failure::Sent;

use crate::support::sshd::Sshd;
use crate::support::{Driven, refusal};

#[tokio::test]
async fn files_are_put_whole_listed_read_renamed_and_deleted() {
    let server = Sshd::start();
    let mut driven = Driven::new(Transport::Files, &server.table("user"));
    assert_eq!(driven.list("req").await.unwrap(), Vec::<String>::new());
    for number in 0..5 {
        driven.put(&format!("req/{number}.emm"), format!("order {number}").as_bytes()).await.unwrap();
    }
    assert_eq!(driven.list("req").await.unwrap(), ["0.emm", "1.emm", "2.emm", "3.emm", "4.emm"]);
    assert_eq!(&driven.read("req/3.emm", 7).await.unwrap()[..], b"order 3");
    driven.rename("req/3.emm", "ok/3.emm").await.unwrap();
    assert_eq!(std::fs::read(server.path("ok/3.emm")).unwrap(), b"order 3");
    driven.delete("ok/3.emm").await.unwrap();
    driven.delete("ok/3.emm").await.unwrap();
    assert_eq!(driven.list("ok").await.unwrap(), Vec::<String>::new());

    let large = vec![0x0a; 2 << 20];
    driven.put("req/large.emm", &large).await.unwrap();
    assert!(driven.read("req/large.emm", large.len()).await.unwrap() == large);
}

#[tokio::test]
async fn what_can_not_be_done_says_so() {
    let server = Sshd::start();
    let mut driven = Driven::new(Transport::Files, &server.table("user"));
    driven.put("req/a.emm", b"first").await.unwrap();
    let error = driven.put("req/a.emm", b"second").await.unwrap_err();
    assert_eq!((error.kind, error.sent), (FileErrorKind::Exists, Sent::No), "{error:?}");
    assert_eq!(driven.list("req").await.unwrap(), ["a.emm"], "the temporary file is left behind");
    assert_eq!(driven.list("nowhere").await.unwrap_err().kind, FileErrorKind::NotFound);
    assert_eq!(driven.read("req/b.emm", 9).await.unwrap_err().kind, FileErrorKind::NotFound);
    assert_eq!(driven.read("req/a.emm", 4).await.unwrap_err().kind, FileErrorKind::TooLarge);
    assert_eq!(driven.rename("req/b.emm", "ok/b.emm").await.unwrap_err().kind, FileErrorKind::NotFound);
    assert_eq!(driven.put("nowhere/a.emm", b"x").await.unwrap_err().kind, FileErrorKind::Other);
}

#[tokio::test]
async fn strangers_are_refused_on_both_sides() {
    let server = Sshd::start();
    let error = Driven::new(Transport::Files, &server.table("stranger")).list("req").await.unwrap_err();
    assert_eq!((error.kind, error.sent), (FileErrorKind::Denied, Sent::No), "{error:?}");

    let table = server.table("user").replace(&server.host_fingerprint(), &server.strange_fingerprint());
    let error = Driven::new(Transport::Files, &table).list("req").await.unwrap_err();
    assert_eq!((error.kind, error.sent), (FileErrorKind::Link, Sent::No), "{error:?}");
    assert!(error.text.ends_with("the host key is not `sftp.host_key`"), "{error:?}");
}

#[tokio::test]
async fn a_server_that_comes_back_is_found_again() {
    let mut server = Sshd::start();
    let mut driven = Driven::new(Transport::Files, &server.table("user"));
    driven.put("req/a.emm", b"1").await.unwrap();
    server.stop();
    let error = driven.put("req/b.emm", b"2").await.unwrap_err();
    assert_eq!((error.kind, error.sent), (FileErrorKind::Link, Sent::No), "{error:?}");
    server.run();
    driven.put("req/b.emm", b"2").await.unwrap();
    assert_eq!(driven.list("req").await.unwrap(), ["a.emm", "b.emm"]);
}

#[test]
fn settings_that_can_not_be_name_the_place_and_the_remedy() {
    let refused =
        |more: &str| refusal(Transport::Files, &format!("[sftp]\nhost = \"cas\"\nuser = \"u\"\n{more}")).to_string();
    assert!(refused("host_key = \"SHA256:x\"").starts_with("connection.sftp: give exactly one of"));
    assert!(refused("password = \"p\"\nhost_key = \"MD5:x\"").starts_with("connection.sftp.host_key: must be"));
    assert!(refused("key = \"/nowhere\"\nhost_key = \"MD5:x\"").starts_with("connection.sftp.key: /nowhere can not"));
}
