//! Links over plain TCP.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use headgate_codecs::registry::Transport;
use headgate_core::adapter::{Effect, LinkId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Driven, PATIENCE, Told, refusal};
use headgate_site::server::free_port;

const LINK: LinkId = LinkId(7);

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Drivers with one open link, and the peer's end of it.
async fn joined() -> (Driven, TcpStream) {
    let (listener, address) = listener().await;
    let mut driven = Driven::new(Transport::Stream, &format!("address = \"{address}\""));
    driven.connect(LINK).await;
    let (peer, _) = listener.accept().await.unwrap();
    (driven, peer)
}

#[tokio::test]
async fn bytes_go_both_ways_in_order() {
    let (mut driven, mut peer) = joined().await;
    let mut sent = Vec::new();
    for number in 0..20_000_u32 {
        driven.send(LINK, number.to_be_bytes().to_vec());
        sent.extend(number.to_be_bytes());
    }
    let mut arrived = vec![0; sent.len()];
    peer.read_exact(&mut arrived).await.unwrap();
    assert!(arrived == sent);

    peer.write_all(&sent).await.unwrap();
    assert!(driven.receive(sent.len()).await == sent);
}

#[tokio::test]
async fn a_platform_that_is_not_there_is_named_with_the_reason() {
    let port = free_port();
    let mut driven = Driven::new(Transport::Stream, &format!("address = \"127.0.0.1:{port}\""));
    let why = driven.connect_in_vain(LINK).await;
    assert!(why.starts_with(&format!("127.0.0.1:{port}: ")) && why.contains("refused"), "{why}");
}

#[tokio::test]
async fn addresses_are_tried_in_order() {
    let (listener, address) = listener().await;
    let dead = free_port();
    let mut driven = Driven::new(Transport::Stream, &format!("address = [\"127.0.0.1:{dead}\", \"{address}\"]"));
    driven.connect(LINK).await;
    listener.accept().await.unwrap();
}

#[tokio::test]
async fn what_is_queued_is_sent_before_the_link_closes_and_nothing_is_reported_after() {
    let (mut driven, mut peer) = joined().await;
    let chunk = vec![0x5a; 256 << 10];
    for _ in 0..32 {
        driven.send(LINK, chunk.clone());
    }
    // It may have answered before; its bytes must not cost ours.
    peer.write_all(b"not read any more").await.unwrap();
    driven.carry_out(Effect::Close(LINK));
    let mut arrived = Vec::new();
    tokio::time::timeout(PATIENCE, peer.read_to_end(&mut arrived)).await.unwrap().unwrap();
    assert_eq!(arrived.len(), 32 * chunk.len());
    drop(peer);
    assert_eq!(driven.next_within(Duration::from_millis(200)).await, None);
}

#[tokio::test]
async fn a_peer_that_leaves_is_reported_once_after_its_last_bytes() {
    let (mut driven, mut peer) = joined().await;
    peer.write_all(b"bye").await.unwrap();
    drop(peer);
    assert_eq!(driven.receive(3).await, b"bye");
    assert_eq!(driven.closed().await, "closed by the peer");
    driven.send(LINK, &b"into the void"[..]);
    assert_eq!(driven.next_within(Duration::from_millis(200)).await, None);
}

#[tokio::test]
async fn a_peer_that_leaves_half_way_still_gets_what_is_queued() {
    let (mut driven, mut peer) = joined().await;
    driven.send(LINK, vec![1; 8 << 20]);
    peer.shutdown().await.unwrap();
    assert_eq!(driven.closed().await, "closed by the peer");
    let mut arrived = Vec::new();
    tokio::time::timeout(PATIENCE, peer.read_to_end(&mut arrived)).await.unwrap().unwrap();
    assert_eq!(arrived.len(), 8 << 20);
}

#[tokio::test]
async fn a_peer_that_never_reads_is_given_up() {
    let (mut driven, _peer) = joined().await;
    let chunk = bytes::Bytes::from(vec![0; 1 << 20]);
    let mut sent = 0;
    let why = loop {
        sent += 1;
        assert!(sent < 64, "64 MiB were taken from us and not from the peer");
        driven.send(LINK, chunk.clone());
        if let Some(told) = driven.next_within(Duration::from_millis(5)).await {
            break told;
        }
    };
    let Told::Closed(LINK, why) = why else { panic!("{why:?}") };
    assert!(why.contains("does not read") && why.contains("16 MiB"), "{why}");
    assert!(sent > 16, "given up too early: {sent} MiB");
}

#[tokio::test]
async fn an_engine_that_is_slow_slows_the_peer() {
    let (mut driven, peer) = joined().await;
    let chunk = vec![0; 1 << 20];
    let mut taken = 0;
    loop {
        match tokio::time::timeout(Duration::from_millis(300), peer.writable()).await {
            Ok(ready) => ready.unwrap(),
            Err(_) => break,
        }
        match peer.try_write(&chunk) {
            Ok(written) => taken += written,
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
        assert!(taken < 64 << 20, "64 MiB were taken though the engine reads nothing");
    }
    // Once it reads, everything is there.
    assert_eq!(driven.receive(taken).await.len(), taken);
}

#[tokio::test]
async fn a_link_that_is_opened_again_hears_nothing_of_its_former_self() {
    let (listener, address) = listener().await;
    let mut driven = Driven::new(Transport::Stream, &format!("address = \"{address}\""));
    driven.connect(LINK).await;
    let (mut peer, _) = listener.accept().await.unwrap();
    peer.write_all(b"old").await.unwrap();
    drop(peer);
    // By now the bytes and the end of the first opening are on their way.
    tokio::time::sleep(Duration::from_millis(100)).await;
    driven.carry_out(Effect::Close(LINK));
    driven.carry_out(Effect::Connect(LINK));
    assert_eq!(driven.next().await, Told::Connected(LINK));
    let (mut peer, _) = listener.accept().await.unwrap();
    peer.write_all(b"new").await.unwrap();
    assert_eq!(driven.receive(3).await, b"new");
}

#[tokio::test]
async fn closing_while_connecting_reports_nothing() {
    let mut driven = Driven::new(Transport::Stream, &format!("address = \"127.0.0.1:{}\"", free_port()));
    driven.carry_out(Effect::Connect(LINK));
    driven.carry_out(Effect::Close(LINK));
    assert_eq!(driven.next_within(Duration::from_millis(200)).await, None);
}

#[tokio::test]
async fn shutting_down_sends_what_is_queued_and_does_not_wait_for_readers() {
    let (mut driven, mut peer) = joined().await;
    driven.send(LINK, vec![3; 4 << 20]);
    let reading = tokio::spawn(async move {
        let mut arrived = Vec::new();
        peer.read_to_end(&mut arrived).await.unwrap();
        arrived.len()
    });
    let Driven { drivers, .. } = driven;
    tokio::time::timeout(PATIENCE, drivers.shutdown()).await.unwrap();
    assert_eq!(reading.await.unwrap(), 4 << 20);
}

#[test]
fn settings_that_can_not_be_name_the_place_and_the_remedy() {
    let stream = |toml| refusal(Transport::Stream, toml).to_string();
    assert_eq!(stream(""), "connection.address: missing: give the platform's \"host:port\"");
    assert_eq!(stream("address = \"cas\""), "connection.address: must be \"host:port\"; there is no port");
    assert_eq!(
        stream("address = \"::1:5000\""),
        "connection.address: an IPv6 address stands in brackets, as in \"[::1]:5000\""
    );
    assert_eq!(stream("address = \"cas:0\""), "connection.address: the port must be a number from 1 to 65535");
    assert_eq!(
        stream("directory = \"/srv\""),
        "connection.directory: this protocol speaks over links: give `address` instead"
    );
    assert_eq!(
        stream("address = \"cas:1\"\nconnect_timeout = \"0s\""),
        "connection.connect_timeout: must be longer than zero"
    );
    let files = |toml| refusal(Transport::Files, toml).to_string();
    assert_eq!(files(""), "connection: give exactly one of `directory`, `ftp` and `sftp`; there is none");
    assert_eq!(
        files("address = \"cas:1\""),
        "connection.address: this protocol exchanges files: give `directory`, `ftp` or `sftp` instead"
    );
}
