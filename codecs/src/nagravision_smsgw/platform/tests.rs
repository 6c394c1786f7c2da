use bytes::BytesMut;
use headgate_core::adapter::{Effect, Input, LinkId};
use headgate_core::platform::{Fault, Platform, PlatformOutput};
use serde_json::json;

use super::super::profile::{CommandName, FieldName, Profile};
use super::super::settings::Checked;
use super::super::wire::{Body, Header, Message, Values, decode, encode};
use super::SimulatedGateway;
use crate::framing::Inbox;
use crate::registry::Stock;
use crate::test_support::start;

const LINK: LinkId = LinkId(0);

struct Client {
    platform: SimulatedGateway,
    profile: Profile,
}

impl Client {
    fn new(settings: &serde_json::Value) -> Self {
        let stock = Stock { cards: vec!["1".into(), "2".into()], products: vec!["101".into()] };
        let checked = Checked::read(settings).unwrap();
        let mut client = Self { profile: checked.profile.clone(), platform: SimulatedGateway::new(checked, &stock) };
        client.platform.handle_input(start(), Input::Connected(LINK));
        client
    }

    /// Sends bytes; returns what comes back, and whether the link was closed.
    fn send(&mut self, bytes: &[u8]) -> (BytesMut, bool) {
        self.platform.handle_input(start(), Input::Received(LINK, bytes));
        let (mut answers, mut closed) = (BytesMut::new(), false);
        loop {
            match self.platform.poll_output() {
                PlatformOutput::Wait(_) => return (answers, closed),
                PlatformOutput::Do(_, Effect::Send(LINK, bytes)) => answers.extend_from_slice(&bytes),
                PlatformOutput::Do(_, Effect::Close(LINK)) => closed = true,
                PlatformOutput::Do(_, other) => panic!("{other:?}"),
            }
        }
    }

    /// Sends a command; returns the code of its refusal, 0 if it was done.
    fn ask(&mut self, name: CommandName, values: Values<'_>) -> u64 {
        self.ask_with(Header { transaction_number: 7, source_id: 1, dest_id: 1, ..Header::default() }, name, values)
    }

    fn ask_with(&mut self, header: Header, name: CommandName, values: Values<'_>) -> u64 {
        let number = self.profile.command(name).unwrap().number;
        let mut bytes = BytesMut::new();
        encode(&self.profile, &Message { header, number, body: Body::Command(name, values) }, &mut bytes).unwrap();
        let (answer, _) = self.send(&bytes);
        self.code(&answer)
    }

    fn code(&self, answer: &[u8]) -> u64 {
        let mut inbox = Inbox::default();
        inbox.push(answer);
        let frame = inbox.next_frame(&self.profile.framing).unwrap().unwrap();
        let message = decode(&self.profile, frame.content()).unwrap();
        assert_eq!(message.header.transaction_number, 7);
        match message.body {
            Body::Ack(_) => 0,
            Body::Nack(values) => values.number_of(FieldName::Code).unwrap(),
            other => panic!("{other:?} is no answer"),
        }
    }
}

fn card(number: &'static str) -> Values<'static> {
    Values::default().text(FieldName::Card, number)
}

fn pair(number: &'static str, stb: &'static str) -> Values<'static> {
    card(number).text(FieldName::Stb, stb)
}

#[test]
fn a_box_is_paired_with_one_card_and_a_card_with_one_box() {
    let mut client = Client::new(&json!({}));
    assert_eq!(client.ask(CommandName::Pair, pair("1", "A")), 0);
    assert_eq!(client.ask(CommandName::Pair, pair("2", "B")), 0);
    assert_eq!(client.ask(CommandName::Pair, pair("1", "B")), 0);
    let cards = &client.platform.holdings().cards;
    assert_eq!((cards["1"].stbs.iter().map(String::as_str).collect::<Vec<_>>(), cards["2"].stbs.len()), (vec!["B"], 0));
    assert_eq!(client.ask(CommandName::Pair, pair("2", "A")), 0);
    assert!(client.platform.holdings().cards["2"].stbs.contains("A"));
}

#[test]
fn what_can_not_be_is_refused_with_its_code() {
    let mut client = Client::new(&json!({}));
    let product = card("1").text(FieldName::Product, "404");
    assert_eq!(client.ask(CommandName::CancelProduct, product), 301);
    assert_eq!(client.ask(CommandName::CancelAll, card("3")), 201);
    assert_eq!(client.ask(CommandName::CancelAll, card("")), 101);
    let header = Header { transaction_number: 7, source_id: 1, dest_id: 2, ..Header::default() };
    assert_eq!(client.ask_with(header, CommandName::CancelAll, card("1")), 103);
    assert_eq!(client.ask(CommandName::CancelAll, card("1")), 0);
    assert_eq!(client.platform.holdings().applied, 5);
    assert_eq!(client.ask(CommandName::ConnectionTest, Values::default()), 0);
    assert_eq!(client.ask(CommandName::HeldProducts, card("1")), 0);
    assert_eq!(client.platform.holdings().applied, 5);
}

#[test]
fn malformed_and_unknown_messages_are_refused_and_lost_framing_closes() {
    let mut client = Client::new(&json!({}));
    let root = "000000007050001000100000".to_owned() + "20260115";
    let frame = |body: &str| [&[0, 32 + u8::try_from(body.len()).unwrap()], root.as_bytes(), body.as_bytes()].concat();
    let (answer, _) = client.send(&frame("0007short"));
    assert_eq!(client.code(&answer), 101);
    let (answer, _) = client.send(&frame("7777"));
    assert_eq!(client.code(&answer), 102);
    let (answer, closed) = client.send(&[0xff; 10]);
    assert_eq!((answer.len(), closed), (0, true));
}

#[test]
fn nothing_is_done_before_the_session_is_open() {
    let mut client = Client::new(&json!({"user": "u", "password": "p"}));
    let open =
        |password: &'static str| Values::default().text(FieldName::User, "u").text(FieldName::Password, password);
    assert_eq!(client.ask(CommandName::CancelAll, card("1")), 111);
    assert_eq!(client.ask(CommandName::OpenSession, open("wrong")), 110);
    assert_eq!(client.ask(CommandName::CancelAll, card("1")), 111);
    assert_eq!(client.ask(CommandName::OpenSession, open("p")), 0);
    assert_eq!(client.ask(CommandName::CancelAll, card("1")), 0);
}

#[test]
fn faults_wait_for_what_they_apply_to() {
    let mut client = Client::new(&json!({"user": "u", "password": "p"}));
    client.platform.inject(Fault::Throttle).unwrap();
    client.platform.inject(Fault::RefuseLogin).unwrap();
    let open = || Values::default().text(FieldName::User, "u").text(FieldName::Password, "p");
    assert_eq!(client.ask(CommandName::OpenSession, open()), 110);
    assert_eq!(client.ask(CommandName::OpenSession, open()), 0);
    assert_eq!(client.ask(CommandName::ConnectionTest, Values::default()), 0);
    assert_eq!(client.ask(CommandName::CancelAll, card("1")), 120);
    assert_eq!(client.ask(CommandName::CancelAll, card("1")), 0);
    assert_eq!(Client::new(&json!({})).platform.inject(Fault::RefuseLogin), Err(Fault::RefuseLogin));
}
