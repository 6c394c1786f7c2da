//! What every store must do, and what is SQLite's own: the file, its lock, a full disk, the indexes.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use headgate_core::request::State;
use headgate_core::text::{ProviderName, Reference, SubscriptionNumber};
use jiff::Timestamp;
use rusqlite::Connection;
use tempfile::TempDir;

use super::query::Select;
use super::{SqliteStore, schema};
use crate::config::StoreConfig;
use crate::store::conformance::{Caller, Place, accept, conformance, finish, request};
use crate::store::{BoxFuture, Filter, RefusedBy, Store, StoreError};

conformance!(File::new());

/// A file in a directory of its own.
struct File {
    directory: TempDir,
}

impl File {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn config(&self) -> StoreConfig {
        let path = self.directory.path().join("headgate.db");
        StoreConfig { path, keep_keys: Duration::from_hours(1), keep_changes: 20 }
    }

    /// A connection that knows nothing of stores.
    fn raw(&self) -> Connection {
        Connection::open(self.config().path).unwrap()
    }
}

impl Place for File {
    fn open(&self) -> BoxFuture<'_, Arc<dyn Store>> {
        Box::pin(async { crate::store::open(&self.config()).await.unwrap() })
    }
}

#[tokio::test]
async fn a_second_store_is_refused_until_the_first_is_closed() {
    let file = File::new();
    let first = file.open().await;
    let refused = crate::store::open(&file.config()).await.err();
    assert!(matches!(refused, Some(StoreError::Locked { .. })), "{refused:?}");
    first.close().await.unwrap();
    file.open().await;
}

#[tokio::test]
async fn a_newer_file_is_refused() {
    let file = File::new();
    file.open().await.close().await.unwrap();
    file.raw().pragma_update(None, "user_version", schema::SCHEMA + 1).unwrap();
    let refused = crate::store::open(&file.config()).await.err();
    assert!(matches!(&refused, Some(StoreError::Newer { found, known, .. }) if *found == known + 1), "{refused:?}");
}

#[tokio::test]
async fn what_is_no_store_is_refused() {
    let file = File::new();
    std::fs::write(file.config().path, "not a database, but long enough to be taken for one, so to say").unwrap();
    let refused = crate::store::open(&file.config()).await.err();
    assert!(matches!(refused, Some(StoreError::Failed(_))), "{refused:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn every_file_is_for_the_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let file = File::new();
    let store = file.open().await;
    Caller::new(&store).store(vec![accept(&request(1))]).await;
    let mut names = Vec::new();
    for entry in std::fs::read_dir(file.directory.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["headgate.db", "headgate.db-shm", "headgate.db-wal", "headgate.db.lock"]);
}

/// The environment variable by which a test tells its own copy which store to write and die in.
const VICTIM: &str = "HEADGATE_TEST_VICTIM";

/// The test starts itself once more as a program of its own, which dies right after it heard that its changes
/// are stored.
#[tokio::test]
async fn what_was_reported_outlives_the_program() {
    if let Some(path) = std::env::var_os(VICTIM) {
        let store = crate::store::open(&StoreConfig { path: PathBuf::from(path), ..StoreConfig::default() }).await;
        let mut caller = Caller::new(&store.unwrap());
        caller.store((1..=500).map(|number| accept(&request(number))).collect()).await;
        caller.store((1..=400).map(|number| finish(&request(number), State::Completed)).collect()).await;
        std::process::abort();
    }
    let file = File::new();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::sqlite::tests::what_was_reported_outlives_the_program"])
        .env(VICTIM, file.config().path)
        .output()
        .unwrap()
        .status;
    assert!(!status.success(), "the copy did not die");
    let store = file.open().await;
    assert_eq!(store.last_number().await.unwrap(), 500);
    let left = store.unfinished(request(1).provider).await.unwrap();
    assert_eq!(left.iter().map(|left| left.request.number).collect::<Vec<_>>(), (401..=500).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_full_disk_refuses_accepts_and_loses_nothing_else() {
    let file = File::new();
    file.open().await.close().await.unwrap();
    // What fills the disk, and is taken away later.
    file.raw().execute_batch("CREATE TABLE filler (x BLOB); INSERT INTO filler VALUES (zeroblob(4000000));").unwrap();
    let pages: u32 = file.raw().query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    let store = SqliteStore::open_limited(&file.config(), Some(pages + 40)).unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    let mut caller = Caller::new(&store);

    let mut accepted = 0;
    let refused = loop {
        accepted += 1;
        assert!(accepted < 10_000, "the disk never got full");
        caller.write(vec![accept(&request(accepted))]);
        let refused = caller.settle().await;
        if let Some(by) = refused.values().next() {
            break by.clone();
        }
    };
    assert!(matches!(&refused, RefusedBy::Disk(why) if why.contains("full")), "{refused:?}");
    accepted -= 1;
    assert_eq!(store.last_number().await.unwrap(), accepted);

    // Ends that need room do not fit either; they wait, and accepts are refused meanwhile without waiting.
    let mut ends = Caller::new(&store);
    let long = |number| {
        let mut end = finish(&request(number), State::Completed);
        if let headgate_core::dispatch::store::Change::Finish(finish) = &mut end {
            Arc::get_mut(finish).unwrap().exchange.response = vec![0; 100_000].into();
        }
        end
    };
    ends.write((1..=5).map(long).collect());
    ends.write(vec![accept(&request(1_000_000)), finish(&request(6), State::Failed)]);
    ends.hear().await;
    assert!(matches!(&ends.heard[..], [(id, Some(RefusedBy::Disk(_)))] if id.0 == 6), "{:?}", ends.heard);
    caller.heard.clear();
    caller.write(vec![accept(&request(1_000_001))]);
    assert_eq!(caller.settle().await.len(), 1);
    assert_eq!(ends.heard.len(), 1, "an end was stored without room");

    file.raw().execute_batch("DROP TABLE filler").unwrap();
    ends.settle().await;
    let order: Vec<u64> = ends.heard.iter().map(|(id, _)| id.0).collect();
    assert_eq!(order, [6, 1, 2, 3, 4, 5, 7]);
    for number in 1..=6 {
        let kept = store.request(request(number).id).await.unwrap().unwrap();
        assert_eq!(kept.state, if number == 6 { State::Failed } else { State::Completed });
    }
    caller.heard.clear();
    caller.store(vec![accept(&request(accepted + 1))]).await;
    store.close().await.unwrap();
}

#[tokio::test]
async fn every_listing_goes_by_an_index_or_by_number() {
    let file = File::new();
    file.open().await.close().await.unwrap();
    let conn = file.raw();
    let plan = |filter: &Filter| Select::new(&conn, filter, Some(1000), 10).unwrap().plan(&conn);
    let all = Filter {
        provider: Some(ProviderName::new("north").unwrap()),
        subscription: Some(SubscriptionNumber::new("S").unwrap()),
        state: Some(State::Failed),
        reference: Some(Reference::new("R").unwrap()),
        from: Some(Timestamp::UNIX_EPOCH),
        to: Some(Timestamp::MAX),
        ..Filter::default()
    };
    let unsorted = [
        (all.clone(), "USING INDEX requests_reference (reference=? AND rowid>"),
        (Filter { reference: None, ..all.clone() }, "USING INDEX requests_subscription (subscription=? AND rowid>"),
        (
            Filter { state: Some(State::Unknown), ..Filter::default() },
            "USING COVERING INDEX requests_unsuccessful (state=? AND rowid<",
        ),
        (
            Filter { state: Some(State::Waiting), provider: all.provider.clone(), ..Filter::default() },
            "USING COVERING INDEX requests_unfinished (state=? AND provider=? AND rowid<",
        ),
        (Filter { provider: all.provider.clone(), ..Filter::default() }, "requests_provider (provider=? AND rowid<"),
        (
            Filter { provider: all.provider.clone(), state: Some(State::Completed), ..Filter::default() },
            "requests_provider (provider=? AND rowid<",
        ),
        (Filter::default(), "USING INTEGER PRIMARY KEY (rowid<"),
        (Filter { from: all.from, ..Filter::default() }, "USING INTEGER PRIMARY KEY (rowid>? AND rowid<"),
    ];
    for (filter, wanted) in unsorted {
        let plan = plan(&filter);
        assert!(plan.contains(wanted) && !plan.contains("TEMP B-TREE"), "{filter:?}: {plan}");
    }
    // Of one state but of every provider: only the entries of the small index are sorted.
    let waiting = plan(&Filter { state: Some(State::Waiting), ..Filter::default() });
    assert!(waiting.contains("USING COVERING INDEX requests_unfinished (state=?"), "{waiting}");
}

#[tokio::test]
async fn a_file_of_the_first_schema_is_brought_up_to_date() {
    let file = File::new();
    let raw = file.raw();
    raw.execute_batch(include_str!("migrations/0001_requests.sql")).unwrap();
    raw.pragma_update(None, "user_version", 1).unwrap();
    drop(raw);
    let store = file.open().await;
    let number = SubscriptionNumber::new("S1").unwrap();
    assert!(store.subscription(number).await.unwrap().is_none());
    let mut caller = Caller::new(&store);
    caller.store(vec![accept(&request(1)), finish(&request(1), State::Completed)]).await;
    assert_eq!(store.last_number().await.unwrap(), 1);
}
