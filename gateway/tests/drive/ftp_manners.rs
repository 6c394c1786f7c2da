//! The manners of FTP servers other than vsftpd, and their bad days.

use headgate_codecs::registry::Transport;
use headgate_core::adapter::FileErrorKind;
use headgate_core::failure::Sent;

use crate::support::Driven;
use crate::support::scripted_ftp::{Answer, ScriptedFtp};

fn driven(server: &ScriptedFtp) -> Driven {
    Driven::new(Transport::Files, &server.table())
}

#[tokio::test]
async fn an_empty_directory_is_told_in_many_ways() {
    for reply in ["450 no files found", "550 No files found"] {
        let server = ScriptedFtp::start(move |command| command.starts_with("NLST").then_some(Answer::Line(reply)));
        assert_eq!(driven(&server).list("req").await.unwrap(), Vec::<String>::new(), "{reply}");
        assert!(server.commands().ends_with(&["PWD".to_owned(), "CWD req".to_owned(), "CWD /home".to_owned()]));
    }
    let server = ScriptedFtp::start(|command| match command {
        "NLST req" => Some(Answer::Data("", "226 done, but there was nothing to open")),
        "CWD req" => Some(Answer::Line("550 no such directory")),
        _ => None,
    });
    assert_eq!(driven(&server).list("req").await.unwrap_err().kind, FileErrorKind::NotFound);
}

#[tokio::test]
async fn names_come_without_their_directories() {
    let server = ScriptedFtp::start(|command| {
        let listing = "req/a.emm\r\nb.emm\n/site/req/c.emm\r\nreq\\d.emm\r\n.\r\n..\r\n\r\n";
        (command == "NLST req").then_some(Answer::Data(listing, "226 done"))
    });
    assert_eq!(driven(&server).list("req").await.unwrap(), ["a.emm", "b.emm", "c.emm", "d.emm"]);
}

#[tokio::test]
async fn a_server_without_sizes_is_searched_for_the_name() {
    let server = ScriptedFtp::start(|command| match command.split(' ').next() {
        Some("SIZE") => Some(Answer::Line("502 not implemented")),
        Some("NLST") => Some(Answer::Data("a.emm\r\na.tmp\r\n", "226 done")),
        _ => None,
    });
    let mut driven = driven(&server);
    assert_eq!(driven.put("req/a.emm", b"x").await.unwrap_err().kind, FileErrorKind::Exists);
    assert_eq!(server.commands().last().unwrap(), "DELE req/a.tmp");
    driven.put("req/b.emm", b"x").await.unwrap();
}

#[tokio::test]
async fn an_answer_that_is_lost_after_the_rename_was_asked_for_may_mean_that_it_is_done() {
    for answer in [Answer::HangUp, Answer::Line("421 shutting down")] {
        let answer = std::sync::Mutex::new(Some(answer));
        let server = ScriptedFtp::start(move |command| {
            command.starts_with("RNTO").then(|| answer.lock().unwrap().take().unwrap_or(Answer::HangUp))
        });
        let error = driven(&server).put("req/a.emm", b"x").await.unwrap_err();
        assert_eq!((error.kind, error.sent), (FileErrorKind::Link, Sent::Maybe), "{error:?}");
        let asked = server.commands().iter().filter(|command| command.starts_with("RNTO")).count();
        assert_eq!(asked, 1, "never asked for twice");
    }
}

#[tokio::test]
async fn what_happens_before_the_rename_is_asked_for_has_no_effect() {
    for last in ["STOR", "SIZE", "RNFR"] {
        let server = ScriptedFtp::start(move |command| command.starts_with(last).then_some(Answer::HangUp));
        let error = driven(&server).put("req/a.emm", b"x").await.unwrap_err();
        assert_eq!((error.kind, error.sent), (FileErrorKind::Link, Sent::No), "{last}: {error:?}");
    }
    let server = ScriptedFtp::start(|command| command.starts_with("RNTO").then_some(Answer::Line("553 bad name")));
    let error = driven(&server).put("req/a.emm", b"x").await.unwrap_err();
    assert_eq!((error.kind, error.sent), (FileErrorKind::Other, Sent::No), "{error:?}");
    assert_eq!(error.text, "553 bad name");
}

#[tokio::test]
async fn a_server_that_repeats_the_password_does_not_spread_it() {
    let server = ScriptedFtp::start(|command| {
        command.starts_with("PASS").then_some(Answer::Line("530 user u with secret-word is not known"))
    });
    let error = driven(&server).list("req").await.unwrap_err();
    assert_eq!(error.kind, FileErrorKind::Denied);
    assert!(error.text.ends_with("530 user u with <secret> is not known"), "{error:?}");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up_in_time() {
    // The data connection is never taken, so the transfer never starts.
    let server = ScriptedFtp::start(|command| command.starts_with("NLST").then_some(Answer::Line("125 in a moment")));
    let table = format!("{}timeout = \"200ms\"\n", server.table());
    let error = Driven::new(Transport::Files, &table).list("req").await.unwrap_err();
    assert_eq!((error.kind, error.sent), (FileErrorKind::Link, Sent::No), "{error:?}");
    assert!(error.text.contains("no answer within 200ms"), "{error:?}");
}
