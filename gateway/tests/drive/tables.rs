//! The same table calls against three databases, two of them real servers that this project did not write.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headgate::drive::Connection;
use headgate_codecs::registry::Transport;
use headgate_core::adapter::Effect;
use headgate_core::failure::Sent;
use headgate_core::table::{
    Column, Condition, Identifier, Insert, Row, Select, TableAnswer, TableCall, TableError, TableName, Update, Value,
    ValueKind,
};
use headgate_site::certificates::{Certificates, quoted};
use headgate_site::databases::{DatabaseServer, Kind, PASSWORD, USER};
use mysql_async::prelude::Queryable;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Driven, Told, refusal};

/// Texts that break what pastes them.
const NASTY: [&str; 7] = [
    "O'Brien \"quoted\" `ticked` \\ back\\slash\\'",
    "'); DROP TABLE tqueue; --",
    "<b>&amp;</b> <![CDATA[",
    "$1 ? :name %s {0}",
    "line\nfeed\r\ttab \u{7f}",
    "Ελλάδα 日本 é",
    "emoji 🎬👩‍👧",
];

fn name(text: &str) -> Identifier {
    Identifier::new(text).unwrap()
}

fn column(text: &str, kind: ValueKind) -> Column {
    Column { name: name(text), kind }
}

fn columns() -> Arc<[Column]> {
    [
        column("id", ValueKind::Text),
        column("n", ValueKind::Integer),
        column("words", ValueKind::Text),
        column("at", ValueKind::Timestamp),
        column("raw", ValueKind::Bytes),
        column("yes", ValueKind::Bool),
    ]
    .into()
}

fn table() -> TableName {
    TableName { schema: None, name: name("Queue$1") }
}

fn row(id: &str, n: i64, words: &str) -> Row {
    vec![Value::text(id), Value::Integer(n), Value::text(words), Value::Null, Value::Null, Value::Null]
}

fn insert(again: bool, rows: Vec<Row>) -> TableCall {
    TableCall::Insert(Insert { table: table(), columns: columns(), key: 0, rows, again })
}

fn select(conditions: Vec<Condition>) -> TableCall {
    let (table, order_by) = (table(), Some(name("n")));
    TableCall::Select(Select { table, columns: columns(), conditions, order_by, limit: 1_000 })
}

fn ids(ids: &[&str]) -> Condition {
    Condition { column: columns()[0].clone(), among: true, values: ids.iter().map(|id| Value::text(*id)).collect() }
}

async fn rows(driven: &mut Driven, conditions: Vec<Condition>) -> Vec<Row> {
    match driven.table(select(conditions)).await {
        Ok(TableAnswer::Rows(rows)) => rows,
        other => panic!("{other:?}"),
    }
}

async fn refused(driven: &mut Driven, call: TableCall) -> TableError {
    driven.table(call).await.expect_err("this must be refused")
}

/// Everything that the databases have in common; `holds_nul`: texts may hold the character NUL.
async fn conforms(driven: &mut Driven, holds_nul: bool) {
    // Every kind of value comes back as it went in, the latest by its number first in order.
    let at = Value::Timestamp("2026-11-24T12:34:56.123456Z".parse().unwrap());
    let raw = Value::Bytes(Bytes::from_static(b"\0\xff'\"\\"));
    let full = vec![Value::text("all"), Value::Integer(i64::MIN), Value::text(""), at, raw, Value::Bool(true)];
    let none = vec![Value::text("none"), Value::Integer(1), Value::Null, Value::Null, Value::Null, Value::Bool(false)];
    let inserted = driven.table(insert(false, vec![none.clone(), full.clone()])).await;
    assert_eq!(inserted, Ok(TableAnswer::Inserted { found: vec![] }));
    assert!(rows(driven, vec![]).await == [full, none], "values came back changed");

    // Texts are data, whatever they hold.
    let nasty: Vec<Row> = NASTY.iter().enumerate().map(|(n, text)| row(&format!("x{n}"), n as i64, text)).collect();
    driven.table(insert(false, nasty.clone())).await.unwrap();
    let keys: Vec<String> = (0..NASTY.len()).map(|n| format!("x{n}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let back = rows(driven, vec![ids(&keys)]).await;
    for (row, text) in back.iter().zip(NASTY) {
        assert!(row[2] == Value::text(text), "{text:?} came back changed");
    }
    let by_text = Condition { column: columns()[2].clone(), among: true, values: vec![Value::text(NASTY[1])] };
    assert_eq!(rows(driven, vec![by_text]).await.len(), 1);
    let nul = driven.table(insert(false, vec![row("nul", 50, "a\0b")])).await;
    if holds_nul {
        assert!(rows(driven, vec![ids(&["nul"])]).await == [row("nul", 50, "a\0b")]);
    } else {
        let error = nul.unwrap_err();
        assert_eq!((error.code, error.sent), (TableError::UNWRITABLE, Sent::No), "{error:?}");
        assert!(error.text.contains("NUL") && !error.text.contains("a\0b"), "{error:?}");
    }

    // A key that is there: nothing is put in, or it is told and the others are.
    let more = || vec![row("new", 60, "kept"), row("x1", 99, "other")];
    let error = refused(driven, insert(false, more())).await;
    assert_eq!((error.code, error.sent), (TableError::CONFLICT, Sent::No));
    assert!(rows(driven, vec![ids(&["new"])]).await.is_empty());
    let found = TableAnswer::Inserted { found: vec![Value::text("x1")] };
    assert_eq!(driven.table(insert(true, more())).await, Ok(found));
    assert!(rows(driven, vec![ids(&["x1"])]).await == [nasty[1].clone()], "the row that was there changed");

    // Many rows, and the words of a table in which conditions are joined.
    let many: Vec<Row> = (0..500).map(|n| row(&format!("m{n}"), 1_000 + n, "many")).collect();
    driven.table(insert(false, many)).await.unwrap();
    let words = Condition { column: columns()[2].clone(), among: false, values: vec![Value::text("nobody's")] };
    let several = rows(driven, vec![words.clone(), ids(&["m7", "m9", "m8", "gone", "none"])]).await;
    let numbers: Vec<_> = several.iter().map(|row| row[1].clone()).collect();
    assert!(numbers == [1_007, 1_008, 1_009].map(Value::Integer), "{numbers:?}");

    // Rows that change, and one that is not there.
    let changed = vec![(Value::text("m7"), vec![Value::text(NASTY[0])]), (Value::text("gone"), vec![Value::Null])];
    let update =
        |rows| Update { table: table(), key: columns()[0].clone(), columns: [columns()[2].clone()].into(), rows };
    assert_eq!(driven.table(TableCall::Update(update(changed.clone()))).await, Ok(TableAnswer::Updated(1)));
    assert_eq!(driven.table(TableCall::Update(update(changed))).await, Ok(TableAnswer::Updated(1)));
    assert!(rows(driven, vec![ids(&["m7"])]).await[0][2] == Value::text(NASTY[0]));

    // A table or a column that is not there is told by its name, and the session goes on.
    let TableCall::Select(good) = select(vec![]) else { panic!() };
    let other = TableName { schema: None, name: name("elsewhere") };
    let error = refused(driven, TableCall::Select(Select { table: other, ..good.clone() })).await;
    assert_eq!(error.code, TableError::REFUSED, "{error:?}");
    assert!(error.text.contains("elsewhere"), "{error:?}");
    let strange = Select { columns: [column("strange", ValueKind::Text)].into(), ..good };
    let error = refused(driven, TableCall::Select(strange)).await;
    assert!(error.code == TableError::REFUSED && error.text.contains("strange"), "{error:?}");
    assert_eq!(rows(driven, vec![ids(&["m8"])]).await.len(), 1);
}

/// What only PostgreSQL and MariaDB do: types that are kept, servers that go away.
async fn keeps_its_types(driven: &mut Driven) {
    let error = refused(driven, insert(false, vec![row(&"k".repeat(65), 1, "")])).await;
    assert_eq!((error.code, error.sent), (TableError::UNWRITABLE, Sent::No), "{error:?}");
    assert!(!error.text.contains("kkk"), "{error:?}");
    // The rest of its transaction is not there either.
    let error = refused(driven, insert(false, vec![row("fine", 1, ""), row(&"k".repeat(65), 1, "")])).await;
    assert_eq!(error.code, TableError::UNWRITABLE);
    assert!(rows(driven, vec![ids(&["fine"])]).await.is_empty());
}

fn open(table: &str) -> Driven {
    Driven::new(Transport::Table, &format!("[database]\n{table}"))
}

const DDL: &str = "(id VARCHAR(64) PRIMARY KEY, n BIGINT, words TEXT, at TIMESTAMPTZ, raw BYTEA, yes BOOLEAN)";

async fn postgres(server: &DatabaseServer, database: &str) -> tokio_postgres::Client {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(server.port).user(USER).password(PASSWORD).dbname(database);
    let (client, carrier) = config.connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(carrier);
    client
}

async fn mariadb(server: &DatabaseServer) -> mysql_async::Conn {
    let options = mysql_async::OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(server.port)
        .prefer_socket(false)
        .user(Some(USER))
        .pass(Some(PASSWORD))
        .db_name(Some("sms"));
    mysql_async::Conn::new(options).await.unwrap()
}

fn mariadb_ddl(text: &str) -> String {
    format!(
        "CREATE TABLE `Queue$1` (id VARCHAR(64) PRIMARY KEY, n BIGINT, words TEXT CHARACTER SET {text}, at DATETIME(6), \
         raw BLOB, yes BOOLEAN)"
    )
}

#[tokio::test]
async fn sqlite_conforms() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("queue.db");
    let table = format!("kind = \"sqlite\"\nfile = {}\n", quoted(&file));
    let mut driven = open(&table);
    let error = refused(&mut driven, select(vec![])).await;
    assert_eq!((error.code, error.sent), (TableError::CONNECT_FAILED, Sent::No), "a file is not made: {error:?}");
    let ddl = "CREATE TABLE \"Queue$1\" (id TEXT PRIMARY KEY, n INTEGER, words TEXT, at TEXT, raw BLOB, yes INTEGER)";
    rusqlite::Connection::open(&file).unwrap().execute_batch(ddl).unwrap();
    conforms(&mut driven, true).await;
    let error = refused(&mut driven, TableCall::Watch { channel: name("told") }).await;
    assert_eq!(error.code, TableError::UNSUPPORTED);
    // Locked by somebody else for longer than we wait.
    let mut impatient = open(&format!("{table}timeout = \"200ms\"\n"));
    let other = rusqlite::Connection::open(&file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = refused(&mut impatient, insert(false, vec![row("late", 1, "")])).await;
    assert_eq!((error.code, error.sent), (TableError::NO_ANSWER, Sent::No), "{error:?}");
    other.execute_batch("COMMIT").unwrap();
    impatient.table(insert(false, vec![row("late", 1, "")])).await.unwrap();
    driven.shutdown().await;
}

#[tokio::test]
async fn postgresql_conforms() {
    let mut server = DatabaseServer::start(Kind::Postgres);
    let client = postgres(&server, "postgres").await;
    client.batch_execute(&format!("CREATE TABLE \"Queue$1\" {DDL}")).await.unwrap();
    let mut driven = open(&server.table());
    conforms(&mut driven, false).await;
    keeps_its_types(&mut driven).await;
    goes_away(&mut driven, &mut server).await;
    let client = postgres(&server, "postgres").await;

    // Other types than ours: the server turns text into them.
    client
        .batch_execute("CREATE TABLE typed (id uuid PRIMARY KEY, n numeric(12,0), words char(8), at timestamp, raw bytea, yes boolean)")
        .await
        .unwrap();
    let typed = TableName { schema: Some(name("public")), name: name("typed") };
    let at = Value::Timestamp("2026-11-24T12:00:00Z".parse().unwrap());
    let id = Value::text("019c2f7e-8a00-7abc-9def-0123456a7000");
    let given = vec![id, Value::Integer(12), Value::text("NEW"), at, Value::Null, Value::Null];
    let call = Insert { table: typed.clone(), columns: columns(), key: 0, rows: vec![given.clone()], again: false };
    driven.table(TableCall::Insert(call)).await.unwrap();
    let TableCall::Select(all) = select(vec![]) else { panic!() };
    let read = driven.table(TableCall::Select(Select { table: typed, ..all })).await;
    assert!(read == Ok(TableAnswer::Rows(vec![given])), "{read:?}");

    // A character set that does not have the character.
    client
        .batch_execute("CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
        .await
        .unwrap();
    postgres(&server, "latin").await.batch_execute(&format!("CREATE TABLE \"Queue$1\" {DDL}")).await.unwrap();
    let mut latin = open(&server.table().replace("name = \"postgres\"", "name = \"latin\""));
    has_no_emoji(&mut latin).await;

    is_told(&mut driven, &client).await;
    let hold = "BEGIN; LOCK TABLE \"Queue$1\" IN ACCESS EXCLUSIVE MODE";
    client.batch_execute(hold).await.unwrap();
    waits_no_longer_than_it_may(&server.table()).await;
    client.batch_execute("COMMIT").await.unwrap();
    speaks_tls(&server, true).await;
    commits_that_are_lost(&server).await;
    driven.shutdown().await;
}

#[tokio::test]
async fn mariadb_conforms() {
    let mut server = DatabaseServer::start(Kind::MariaDb);
    let mut client = mariadb(&server).await;
    client.query_drop(mariadb_ddl("utf8mb4")).await.unwrap();
    let mut driven = open(&server.table());
    conforms(&mut driven, true).await;
    keeps_its_types(&mut driven).await;
    goes_away(&mut driven, &mut server).await;
    let error = refused(&mut driven, TableCall::Watch { channel: name("told") }).await;
    assert_eq!(error.code, TableError::UNSUPPORTED);

    let mut client = mariadb(&server).await;
    client.query_drop("CREATE DATABASE latin; USE latin").await.unwrap();
    client.query_drop(mariadb_ddl("latin1")).await.unwrap();
    let mut latin = open(&server.table().replace("name = \"sms\"", "name = \"latin\""));
    has_no_emoji(&mut latin).await;

    client.query_drop("USE sms").await.unwrap();
    client.query_drop("LOCK TABLES `Queue$1` WRITE").await.unwrap();
    waits_no_longer_than_it_may(&server.table()).await;
    client.query_drop("UNLOCK TABLES").await.unwrap();
    speaks_tls(&server, false).await;
    commits_that_are_lost(&server).await;
    driven.shutdown().await;
}

/// The server is killed while nobody uses it, is away for a while, and comes back.
async fn goes_away(driven: &mut Driven, server: &mut DatabaseServer) {
    let before = rows(driven, vec![]).await.len();
    server.kill();
    let error = refused(driven, insert(false, vec![row("away", 1, "")])).await;
    assert_eq!(error.sent, Sent::No, "{error:?}");
    assert!(error.is_link(), "{error:?}");
    assert!(!error.text.contains(PASSWORD));
    server.run();
    // Sessions that broke meanwhile are not noticed by who calls.
    assert_eq!(rows(driven, vec![]).await.len(), before);
    driven.table(insert(false, vec![row("back", 1, "")])).await.unwrap();
}

async fn has_no_emoji(driven: &mut Driven) {
    driven.table(insert(false, vec![row("é", 1, "déjà vu")])).await.unwrap();
    let error = refused(driven, insert(false, vec![row("x", 2, NASTY[6])])).await;
    assert_eq!((error.code, error.sent), (TableError::UNWRITABLE, Sent::No), "{error:?}");
    assert!(error.text.contains("character set") && !error.text.contains("emoji"), "{error:?}");
    assert!(rows(driven, vec![]).await == [row("é", 1, "déjà vu")]);
}

/// Who waits learns it once, however often it happened before he asked again.
async fn is_told(driven: &mut Driven, client: &tokio_postgres::Client) {
    let watch = || Effect::Table(TableCall::Watch { channel: name("told") });
    let told = async |driven: &mut Driven| {
        let id = driven.carry_out(watch());
        assert_eq!(driven.next().await, Told::Table(id, Ok(TableAnswer::Notified)));
    };
    // What happened before is not known, so the first answer comes at once.
    told(driven).await;
    client.batch_execute("NOTIFY told; NOTIFY other").await.unwrap();
    told(driven).await;
    let id = driven.carry_out(watch());
    assert_eq!(driven.next_within(Duration::from_millis(300)).await, None);
    client.batch_execute("NOTIFY told").await.unwrap();
    assert_eq!(driven.next().await, Told::Table(id, Ok(TableAnswer::Notified)));
}

/// Somebody holds a lock on the table.
async fn waits_no_longer_than_it_may(table: &str) {
    let mut driven = open(&format!("{table}timeout = \"300ms\"\n"));
    let error = refused(&mut driven, insert(false, vec![row("locked", 1, "")])).await;
    assert_eq!((error.code, error.sent), (TableError::NO_ANSWER, Sent::No), "{error:?}");
    driven.shutdown().await;
}

/// With the right authority, not with another; pinned where that can be.
async fn speaks_tls(server: &DatabaseServer, pins: bool) {
    let tls = |more: &str| server.table() + "[database.tls]\nserver_name = \"localhost\"\n" + more;
    let ca = |certificates: &Certificates| format!("ca = {}\n", certificates.quoted("ca.pem"));
    let mut driven = open(&tls(&ca(&server.certificates)));
    rows(&mut driven, vec![]).await;
    let stranger = Certificates::make();
    let error = refused(&mut open(&tls(&ca(&stranger))), select(vec![])).await;
    assert_eq!(error.code, TableError::CONNECT_FAILED, "{error:?}");
    let pinned = format!("pinned_sha256 = \"{}\"\n", server.certificates.digest);
    if pins {
        rows(&mut open(&tls(&pinned)), vec![]).await;
    } else {
        let error = refusal(Transport::Table, &format!("[database]\n{}", tls(&pinned)));
        assert_eq!(error.path, "database.tls.pinned_sha256");
    }
    let wrong = server.table().replace(&format!("user = \"{USER}\""), "user = \"nobody\"");
    let error = refused(&mut open(&wrong), select(vec![])).await;
    assert_eq!((error.code, error.sent), (TableError::CONNECT_FAILED, Sent::No), "{error:?}");
}

/// The connection breaks while `COMMIT` is under way, before it has reached the server or after.
async fn commits_that_are_lost(server: &DatabaseServer) {
    for (id, arrives) in [("cut-before", false), ("cut-after", true)] {
        let port = cut_at_commit(server.port, arrives).await;
        let table = server.table().replace(&format!("port = {}", server.port), &format!("port = {port}"));
        let mut driven = open(&table);
        let error = refused(&mut driven, insert(false, vec![row(id, 1, "")])).await;
        assert_eq!((error.code, error.sent), (TableError::CONNECTION_LOST, Sent::Maybe), "{error:?}");
        // The same call again tells what had happened.
        let found = if arrives { vec![Value::text(id)] } else { vec![] };
        let mut direct = open(&server.table());
        assert_eq!(direct.table(insert(true, vec![row(id, 1, "")])).await, Ok(TableAnswer::Inserted { found }));
    }
}

/// A proxy that goes away with the first commit; returns its port.
async fn cut_at_commit(to: u16, arrives: bool) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (client, _) = listener.accept().await.unwrap();
        drop(listener);
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = TcpStream::connect(("127.0.0.1", to)).await.unwrap().into_split();
        let answers = tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
        let mut buffer = vec![0; 65_536];
        loop {
            let count = from_client.read(&mut buffer).await.unwrap();
            let bytes = &buffer[..count];
            let commit = bytes.windows(6).any(|window| window == b"COMMIT");
            if count == 0 || (commit && !arrives) {
                break;
            }
            if commit {
                // The client is cut off first: nobody tells it.
                answers.abort();
                let _ = answers.await;
                to_server.write_all(bytes).await.unwrap();
                tokio::time::sleep(Duration::from_millis(500)).await;
                break;
            }
            to_server.write_all(bytes).await.unwrap();
        }
    });
    port
}

#[test]
fn settings_that_can_not_be_are_refused_with_their_place() {
    let told = |table: &str| refusal(Transport::Table, table).to_string();
    let server = "host = \"cas\"\nuser = \"u\"\nname = \"n\"\n";
    for (table, place) in [
        ("", "connection.database: missing"),
        ("address = \"cas:1\"", "connection.address: this protocol works on a table"),
        ("[database]\nkind = \"sqlite\"", "connection.database.file: missing"),
        ("[database]\nkind = \"sqlite\"\nfile = \"x\"\nhost = \"cas\"", "connection.database.host: SQLite has only"),
        ("[database]\nkind = \"postgres\"\nuser = \"u\"\nname = \"n\"", "connection.database.host: missing"),
        (&format!("[database]\nkind = \"mariadb\"\nfile = \"x\"\n{server}"), "connection.database.file: is only for"),
        (
            &format!("[database]\nkind = \"postgres\"\nconnections = 0\n{server}"),
            "connection.database.connections: must be",
        ),
        (
            &format!("[database]\nkind = \"postgres\"\ntimeout = \"0s\"\n{server}"),
            "connection.database.timeout: must be",
        ),
        (&format!("[database]\nkind = \"postgres\"\n{server}[database.tls]\n"), "connection.database.tls"),
    ] {
        assert!(told(table).starts_with(place), "{table}: {}", told(table));
    }
    let links = refusal(Transport::Stream, "address = \"cas:1\"\n[database]\nkind = \"sqlite\"\nfile = \"x\"");
    assert_eq!(links.path, "database");
    assert!(toml::from_str::<Connection>("[database]\nkind = \"oracle\"").is_err());
}
