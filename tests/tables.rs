//! A gateway and a platform on the two sides of a table in a real database server, which is killed in the middle.

#![expect(clippy::print_stdout, reason = "a test may say what it measured")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use headgate::api;
use headgate::drive::connection::DatabaseSettings;
use headgate::gateway::Gateway;
use headgate::simulate::{Simulation, tables};
use headgate::telemetry::metrics;
use headgate_codecs::registry::{self, Stock};
use headgate_site::Client;
use headgate_site::databases::{DatabaseServer, Kind, PASSWORD, USER};
use headgate_site::site::read;
use mysql_async::prelude::Queryable;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const SUBSCRIPTIONS: usize = 2_000;
const STREAMS: usize = 10;
/// Entries of one subscription's story: its first request makes two.
const ENTRIES: usize = 11;
/// Far longer than it takes: about a minute on two busy cores.
const PATIENCE: Duration = Duration::from_secs(240);

/// Whatever can be typed.
const TEXTS: [&str; 4] = [
    "It's \"new\"; <b>films</b> & more -- on Friday",
    "'); DELETE FROM tqueue; --",
    "Ταινίες 🎬👩‍👧 \\' `x` $1 ?",
    "line\nfeed\ttab",
];

fn card(n: usize) -> String {
    format!("{:010}", 5_000_000 + n)
}

fn text(n: usize, number: usize) -> String {
    format!("{number}: {}", TEXTS[(n + number) % TEXTS.len()])
}

/// What a subscriber's CRM asks, in order.
fn story(n: usize) -> Vec<Value> {
    let ask = |command: &str, more: Value| {
        let mut request = json!({
            "provider": "exset", "subscription": format!("S'{n}"), "command": command, "smartcard": card(n)
        });
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request
    };
    let message = |number| ask("send_message", json!({ "message": { "kind": "mail", "text": text(n, number) } }));
    vec![
        ask("activate_services", json!({ "services": ["BASIC", "SPORT"] })),
        message(1),
        ask("deactivate_services", json!({ "services": ["SPORT"] })),
        message(2),
        ask("activate_services", json!({ "services": ["FILM"] })),
        ask("pair", json!({ "stb": format!("BOX-{n}") })),
        message(3),
        ask("refresh_services", json!({})),
        ask("deactivate_services", json!({ "services": ["BASIC"] })),
        message(4),
    ]
}

/// The gateway, its platform, and a client.
struct Site {
    platform: Simulation,
    gateway: Gateway,
    serving: api::Serving,
    client: Client,
    stop: CancellationToken,
    _home: TempDir,
}

impl Site {
    async fn start(server: &DatabaseServer) -> Result<Self> {
        let settings = json!({ "poll_interval": "20ms", "longest_poll_interval": "2s" });
        let protocol = registry::find("exset-sms").context("a protocol of the registry")?;
        let platform = (protocol.platform)(&settings, &Stock::default())?;
        let database: DatabaseSettings = toml::from_str(&server.table())?;
        let platform = tables::serve(platform, &database).await?;
        let home = tempfile::tempdir()?;
        let config = read(&format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[store]\npath = \"{}/headgate.db\"\n\
             [[provider]]\nname = \"exset\"\nprotocol = \"exset-sms\"\n\
             services = {{ BASIC = \"41\", SPORT = \"42\", FILM = \"43\" }}\nlimits = {{ window = 100000 }}\n\
             retry = {{ attempts = 20, longest_delay = \"2s\" }}\nbreaker = {{ open_for = \"1s\" }}\n\
             [provider.connection.database]\n{}[provider.settings]\n{}\n",
            home.path().display(),
            server.table(),
            toml::to_string(&settings)?,
        ))?;
        let gateway = Gateway::start(&config).await?;
        let stop = CancellationToken::new();
        let serving =
            api::serve(gateway.clone(), &config.server, &config.keys, metrics::start()?, stop.clone()).await?;
        let client = Client::new(serving.http());
        Ok(Self { platform, gateway, serving, client, stop, _home: home })
    }

    async fn stop(self) -> Result<()> {
        self.stop.cancel();
        self.serving.finished().await;
        self.gateway.stop(Duration::from_secs(5)).await?;
        self.platform.stop().await;
        Ok(())
    }
}

/// Twenty thousand requests through the table, while its server is killed and started again: every outcome is right, each
/// subscription's requests were carried out in order, nothing was lost and nothing was put in twice.
async fn twenty_thousand_requests(kind: Kind) -> Result<()> {
    let mut server = DatabaseServer::start(kind);
    let site = Site::start(&server).await?;
    let start = Instant::now();
    let mut streams = Vec::new();
    for part in 0..STREAMS {
        // A request each round of every subscriber of this part.
        let mine: Vec<_> = (part..SUBSCRIPTIONS).step_by(STREAMS).map(story).collect();
        let requests: Vec<_> =
            (0..mine[0].len()).flat_map(|round| mine.iter().map(move |story| story[round].clone())).collect();
        let client = site.client.clone();
        streams.push(tokio::spawn(async move { client.post_lines(&requests, 200).await }));
    }
    until_applied(&site.platform, SUBSCRIPTIONS * ENTRIES / 3).await?;
    server.kill();
    let killed = Instant::now();
    tokio::time::sleep(Duration::from_secs(1)).await;
    server.run();
    let away = killed.elapsed();

    let mut outcomes = BTreeMap::<String, usize>::new();
    for stream in streams {
        let reply = tokio::time::timeout(PATIENCE, stream).await.context("it does not end")???;
        for line in reply.lines() {
            let state = line.pointer("/request/state").or_else(|| line.get("state")).unwrap_or(&line).to_string();
            *outcomes.entry(state).or_default() += 1;
        }
    }
    let took = start.elapsed();
    println!(
        "{kind:?}: {} requests in {took:.1?} ({:.0} a second), the server away for {away:.1?} of it",
        SUBSCRIPTIONS * 10,
        (SUBSCRIPTIONS * 10) as f64 / took.as_secs_f64(),
    );
    assert_eq!(outcomes, BTreeMap::from([("\"completed\"".to_owned(), SUBSCRIPTIONS * 10)]));

    let holdings = site.platform.holdings().await?;
    ensure!(holdings.cards.len() == SUBSCRIPTIONS, "{} cards", holdings.cards.len());
    for n in 0..SUBSCRIPTIONS {
        let held = &holdings.cards[&card(n)];
        ensure!(held.services.keys().eq(["43"]), "card {n} holds {:?}", held.services);
        ensure!(held.stbs.iter().eq([&format!("BOX-{n}")]), "card {n} is paired with {:?}", held.stbs);
        ensure!(held.refreshes == 1, "card {n} was refreshed {} times", held.refreshes);
        ensure!(held.messages == [1, 2, 3, 4].map(|number| text(n, number)), "card {n} shows {:?}", held.messages);
    }
    let entries = SUBSCRIPTIONS * ENTRIES;
    ensure!(holdings.applied == entries as u64, "{} entries applied", holdings.applied);
    let counted = count(&server, kind).await?;
    ensure!(counted == [entries; 3], "rows, different ids and done: {counted:?}; expected {entries}");

    one_that_can_not_be_held(&site.client, kind).await?;
    site.stop().await
}

/// PostgreSQL's texts can not hold NUL: a clear refusal. MariaDB's can.
async fn one_that_can_not_be_held(client: &Client, kind: Kind) -> Result<()> {
    let request = json!({
        "provider": "exset", "command": "send_message", "smartcard": card(0),
        "message": { "kind": "mail", "text": "a\u{0}b" }
    });
    let reply = client.post(&request, 60).await?.json();
    let shown = reply.get("request").unwrap_or(&reply);
    match kind {
        Kind::Postgres => {
            ensure!(shown["state"] == "failed" && shown["failure"]["code"] == "unwritable", "{shown}");
            ensure!(shown["failure"]["sent"] == "no", "{shown}");
        }
        Kind::MariaDb => ensure!(shown["state"] == "completed", "{shown}"),
    }
    Ok(())
}

async fn until_applied(platform: &Simulation, entries: usize) -> Result<()> {
    let start = Instant::now();
    while platform.holdings().await?.applied < entries as u64 {
        ensure!(start.elapsed() < PATIENCE, "the platform does not get on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// How many rows there are, how many different ids they have, and how many are done.
async fn count(server: &DatabaseServer, kind: Kind) -> Result<[usize; 3]> {
    let sql = "SELECT count(*), count(DISTINCT entry_id), count(CASE WHEN state = 'OK' THEN 1 END) FROM tqueue";
    let counts: (i64, i64, i64) = match kind {
        Kind::Postgres => {
            let mut config = tokio_postgres::Config::new();
            config.host("127.0.0.1").port(server.port).user(USER).password(PASSWORD).dbname("postgres");
            let (client, carrier) = config.connect(tokio_postgres::NoTls).await?;
            tokio::spawn(carrier);
            let row = client.query_one(sql, &[]).await?;
            (row.get(0), row.get(1), row.get(2))
        }
        Kind::MariaDb => {
            let options = mysql_async::OptsBuilder::default()
                .ip_or_hostname("127.0.0.1")
                .tcp_port(server.port)
                .prefer_socket(false)
                .user(Some(USER))
                .pass(Some(PASSWORD))
                .db_name(Some("sms"));
            let mut connection = mysql_async::Conn::new(options).await?;
            connection.query_first(sql).await?.context("one row")?
        }
    };
    Ok([usize::try_from(counts.0)?, usize::try_from(counts.1)?, usize::try_from(counts.2)?])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_a_table_in_postgresql() -> Result<()> {
    twenty_thousand_requests(Kind::Postgres).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_a_table_in_mariadb() -> Result<()> {
    twenty_thousand_requests(Kind::MariaDb).await
}
