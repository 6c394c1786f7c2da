//! Files in a local directory.

use bytes::Bytes;
use headgate_codecs::registry::Transport;
use headgate_core::adapter::{Effect, FileCall, FileErrorKind};
use headgate_core::failure::Sent;
use tempfile::TempDir;

use crate::support::{Driven, connection};
use headgate_site::certificates::quoted;

fn driven() -> (Driven, TempDir) {
    let home = TempDir::new().unwrap();
    std::fs::create_dir_all(home.path().join("req")).unwrap();
    std::fs::create_dir_all(home.path().join("ok")).unwrap();
    (Driven::new(Transport::Files, &format!("directory = {}", quoted(home.path()))), home)
}

#[tokio::test]
async fn files_are_put_whole_listed_read_renamed_and_deleted() {
    let (mut driven, home) = driven();
    driven.put("req/a.emm", b"first").await.unwrap();
    std::fs::create_dir(home.path().join("req/sub")).unwrap();
    assert_eq!(driven.list("req").await.unwrap(), ["a.emm"]);
    assert_eq!(&driven.read("req/a.emm", 5).await.unwrap()[..], b"first");
    driven.rename("req/a.emm", "ok/a.emm").await.unwrap();
    assert_eq!(driven.list("req").await.unwrap(), Vec::<String>::new());
    assert_eq!(std::fs::read(home.path().join("ok/a.emm")).unwrap(), b"first");
    driven.delete("ok/a.emm").await.unwrap();
    driven.delete("ok/a.emm").await.unwrap();
    assert_eq!(driven.list("ok").await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn what_can_not_be_done_says_so() {
    let (mut driven, home) = driven();
    driven.put("req/a.emm", b"first").await.unwrap();
    let error = driven.put("req/a.emm", b"second").await.unwrap_err();
    assert_eq!((error.kind, error.sent), (FileErrorKind::Exists, Sent::No));
    assert_eq!(std::fs::read(home.path().join("req/a.emm")).unwrap(), b"first");
    assert_eq!(driven.list("req").await.unwrap(), ["a.emm"], "the temporary file is left behind");

    assert_eq!(driven.list("nowhere").await.unwrap_err().kind, FileErrorKind::NotFound);
    assert_eq!(driven.read("req/b.emm", 9).await.unwrap_err().kind, FileErrorKind::NotFound);
    assert_eq!(driven.read("req/a.emm", 4).await.unwrap_err().kind, FileErrorKind::TooLarge);
    assert_eq!(driven.rename("req/b.emm", "ok/b.emm").await.unwrap_err().kind, FileErrorKind::NotFound);
}

#[tokio::test]
async fn nothing_leads_out_of_the_home_directory() {
    let (mut driven, home) = driven();
    std::fs::write(home.path().join("secret"), "x").unwrap();
    for path in ["../secret", "req/../secret", "/etc/hostname", "req//a", ".", "req/./a", "a\nb", ""] {
        let error = driven.read(path, 100).await.unwrap_err();
        assert_eq!((error.kind, error.sent), (FileErrorKind::Other, Sent::No), "{path:?}");
        driven.put(path, b"x").await.unwrap_err();
        driven.rename("secret", path).await.unwrap_err();
        driven.delete(path).await.unwrap_err();
    }
    driven.list("..").await.unwrap_err();
    assert_eq!(driven.list("").await.unwrap(), ["secret"]);
}

#[tokio::test]
async fn reloading_leads_the_next_calls_elsewhere() {
    let (mut driven, _old) = driven();
    driven.put("req/old.emm", b"1").await.unwrap();
    let new = TempDir::new().unwrap();
    std::fs::write(new.path().join("new.emm"), "2").unwrap();
    let table = connection(&format!("directory = {}", quoted(new.path())));
    driven.drivers.reload(Transport::Files, &table).unwrap();
    assert_eq!(driven.list("").await.unwrap(), ["new.emm"]);
    driven.drivers.reload(Transport::Files, &connection("")).unwrap_err();
    assert_eq!(driven.list("").await.unwrap(), ["new.emm"]);
}

#[tokio::test]
async fn shutting_down_does_what_was_asked_before() {
    let (mut driven, home) = driven();
    for number in 0..20 {
        driven.carry_out(Effect::File(FileCall::Put {
            path: format!("req/{number}.emm"),
            temporary: format!("req/{number}.tmp"),
            contents: Bytes::from_static(b"x"),
        }));
    }
    driven.shutdown().await;
    assert_eq!(std::fs::read_dir(home.path().join("req")).unwrap().count(), 20);
}

#[cfg(not(feature = "sftp"))]
#[test]
fn sftp_that_was_not_built_in_names_the_feature() {
    let table = "[sftp]\nhost = \"cas\"\nuser = \"u\"\npassword = \"p\"\nhost_key = \"SHA256:x\"\n";
    let error = crate::support::refusal(Transport::Files, table).to_string();
    assert!(error.starts_with("connection.sftp: ") && error.contains("--features sftp"), "{error}");
}
