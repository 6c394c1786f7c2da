//! Platforms behind a listener and on a directory.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use headgate::simulate::{InjectError, files, stream};
use headgate_codecs::registry::Transport;
use headgate_core::adapter::{Effect, LinkId};
use headgate_core::platform::Fault;
use tempfile::TempDir;

use crate::support::platforms::{Echo, Mover};
use crate::support::{Driven, PATIENCE, Told};
use headgate_site::certificates::quoted;

#[tokio::test]
async fn a_platform_serves_many_links_and_misbehaves_when_told_to() {
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let simulation = stream::listen(Box::new(Echo::default()), anywhere, None).await.unwrap();
    let mut driven = Driven::new(Transport::Stream, &format!("address = \"{}\"", simulation.address().unwrap()));
    for link in 1..=20 {
        driven.connect(LinkId(link)).await;
    }
    for link in 1..=20 {
        driven.send(LinkId(link), vec![u8::try_from(link).unwrap()]);
        assert_eq!(driven.next().await, Told::Received(LinkId(link), vec![u8::try_from(link).unwrap()]));
    }
    assert_eq!(simulation.holdings().await.unwrap().applied, 20);

    simulation.inject(Fault::Delay(50)).await.unwrap();
    let start = Instant::now();
    driven.send(LinkId(1), &b"late"[..]);
    assert_eq!(driven.receive(4).await, b"late");
    assert!(start.elapsed() >= Duration::from_millis(50));

    simulation.inject(Fault::CloseAfter).await.unwrap();
    driven.send(LinkId(2), &b"last"[..]);
    assert_eq!(driven.receive(4).await, b"last");
    assert_eq!(driven.next().await, Told::Closed(LinkId(2), "closed by the peer".to_owned()));

    assert_eq!(simulation.inject(Fault::Garbage).await, Err(InjectError::NotHere(Fault::Garbage)));

    driven.carry_out(Effect::Close(LinkId(1)));
    let stopping = tokio::spawn(simulation.stop());
    for _ in 3..=20 {
        assert_eq!(driven.closed().await, "closed by the peer");
    }
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_platform_that_stopped_says_so() {
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let simulation = stream::listen(Box::new(Echo::default()), anywhere, None).await.unwrap();
    let address = simulation.address().unwrap();
    simulation.stop().await;
    let mut driven = Driven::new(Transport::Stream, &format!("address = \"{address}\""));
    driven.connect_in_vain(LinkId(1)).await;
}

#[tokio::test]
async fn a_platform_works_on_a_directory() {
    let home = TempDir::new().unwrap();
    let place = home.path().join("sas");
    let simulation = files::serve(Box::new(Mover::default()), &place).await.unwrap();
    assert!(simulation.address().is_none());
    assert!(place.join("late/deep").is_dir());
    let mut driven = Driven::new(Transport::Files, &format!("directory = {}", quoted(&place)));
    for number in 0..20 {
        driven.put(&format!("in/{number:02}.emm"), format!("order {number}").as_bytes()).await.unwrap();
    }
    let start = Instant::now();
    while driven.list("out").await.unwrap().len() < 20 {
        assert!(start.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(driven.list("in").await.unwrap(), Vec::<String>::new());
    assert_eq!(&driven.read("out/07.emm", 100).await.unwrap()[..], b"order 7");
    let holdings = simulation.holdings().await.unwrap();
    assert_eq!((holdings.applied, holdings.cards.len()), (20, 20));
    simulation.stop().await;
}
