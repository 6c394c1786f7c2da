//! One sample of every message, written down by hand: the shipped profile's known answers.

use jiff::civil::{Date, date};

use super::super::profile::{CommandName, FieldName as F};
use super::{Body, Header, Message, Values};

/// A message and its bytes, without the frame's length.
pub(in super::super) struct Sample {
    pub(in super::super) name: &'static str,
    pub(in super::super) bytes: &'static str,
    pub(in super::super) message: Message<'static>,
}

const CARD: &str = "014500000001    ";

fn card() -> Values<'static> {
    Values::default().text(F::Card, "014500000001")
}

fn product() -> Values<'static> {
    card().text(F::Product, "101")
}

fn period(values: Values<'static>) -> Values<'static> {
    values.date(F::BeginDate, Some(date(2026, 1, 15))).date(F::EndDate, Some(date(2026, 12, 31)))
}

fn items(name: F, texts: &[&'static str]) -> Vec<Values<'static>> {
    texts.iter().map(|text| Values::default().text(name, *text)).collect()
}

fn held() -> Vec<Values<'static>> {
    let item = |id: &'static str, end: Option<Date>, suspended| {
        let values = Values::default().text(F::Product, id).date(F::BeginDate, Some(date(2026, 1, 15)));
        values.date(F::EndDate, end).number(F::Suspended, suspended)
    };
    vec![item("101", Some(date(2026, 12, 31)), 0), item("SPORT", None, 1)]
}

/// Every message of the shipped profile.
pub(in super::super) fn samples() -> Vec<Sample> {
    use CommandName as C;
    let commands = [
        ("0002", C::AddProduct, period(product()), format!("{CARD}101         2026011520261231")),
        ("0004", C::SuspendProduct, product(), format!("{CARD}101         ")),
        ("0005", C::ReactivateProduct, product(), format!("{CARD}101         ")),
        ("0006", C::CancelProduct, product(), format!("{CARD}101         ")),
        ("0007", C::CancelAll, card(), CARD.into()),
        (
            "2002",
            C::AddProducts,
            period(card()).list(F::Products, items(F::Product, &["101", "SPORT"])),
            format!("{CARD}2026011520261231002101         SPORT       "),
        ),
        ("2004", C::SuspendAll, card(), CARD.into()),
        ("2005", C::ReactivateAll, card(), CARD.into()),
        ("2010", C::Refresh, card(), CARD.into()),
        ("3001", C::EnableCard, card(), CARD.into()),
        ("3002", C::DisableCard, card().number(F::Reason, 3), format!("{CARD}03")),
        ("3010", C::Pair, card().text(F::Stb, "AB12"), format!("{CARD}AB12            ")),
        ("3011", C::Unpair, card(), CARD.into()),
        ("3020", C::SetPin, card().text(F::Pin, "4321"), format!("{CARD}4321")),
        ("3021", C::ResetPin, card().text(F::Pin, "0000"), format!("{CARD}0000")),
        ("3022", C::ClearPin, card(), CARD.into()),
        ("4001", C::Mail, card().date(F::ShowDate, None).text(F::Text, "Καλώς"), format!("{CARD}00000000010Καλώς")),
        (
            "4002",
            C::Bark,
            card().date(F::ShowDate, None).number(F::Duration, 20).text(F::Text, "Pay"),
            format!("{CARD}0000000000020003Pay"),
        ),
        (
            "4003",
            C::RepeatingBark,
            card()
                .date(F::ShowDate, Some(date(2026, 2, 1)))
                .number(F::Duration, 20)
                .number(F::RepeatCount, 3)
                .number(F::RepeatInterval, 60)
                .text(F::Text, "Pay"),
            format!("{CARD}20260201000200030060003Pay"),
        ),
        ("4010", C::Fingerprint, card().number(F::Duration, 10), format!("{CARD}00010")),
        ("5001", C::HeldProducts, card(), CARD.into()),
        ("5002", C::HeldPairing, card(), CARD.into()),
        ("1002", C::ConnectionTest, Values::default(), String::new()),
        (
            "1001",
            C::OpenSession,
            Values::default().text(F::User, "headgate").text(F::Password, "secret"),
            "headgate        06secret".into(),
        ),
    ];
    let mut samples: Vec<_> = commands
        .into_iter()
        .map(|(number, name, values, body)| sample(name.name(), number, Body::Command(name, values), &body))
        .collect();
    let answered = |number| Values::default().number(F::AnsweredCommand, number);
    samples.extend([
        sample("ack", "9000", Body::Ack(answered(2)), "0002"),
        sample("ack of an unknown command", "9000", Body::Ack(answered(7777)), "7777"),
        sample(
            "held products",
            "9000",
            Body::Ack(answered(5001).list(F::Products, held())),
            concat!("5001", "002", "101         20260115202612310", "SPORT       20260115000000001"),
        ),
        sample("nothing held", "9000", Body::Ack(answered(5001).list(F::Products, Vec::new())), "5001000"),
        sample(
            "paired boxes",
            "9000",
            Body::Ack(answered(5002).list(F::Stbs, items(F::Stb, &["AB12"]))),
            concat!("5002", "001", "AB12            "),
        ),
        sample(
            "nack",
            "9001",
            Body::Nack(answered(2).number(F::Code, 201).text(F::ErrorText, "unknown smartcard")),
            "00020201017unknown smartcard",
        ),
        sample(
            "nack without words",
            "9001",
            Body::Nack(answered(2).number(F::Code, 9999).text(F::ErrorText, "")),
            "00029999000",
        ),
        sample("unknown command", "7777", Body::Unknown(b"whatever \x00\x01"), "whatever \x00\x01"),
    ]);
    samples
}

fn sample(name: &'static str, number: &str, body: Body<'static>, text: &str) -> Sample {
    let header = Header {
        transaction_number: 42,
        command_type: 5,
        source_id: 17,
        dest_id: 1001,
        mop_ppid: 3,
        creation_date: Some(date(2026, 1, 15)),
    };
    let root = concat!("000000042", "05", "0017", "1001", "00003", "20260115");
    let message = Message { header, number: number.parse().unwrap(), body };
    Sample { name, bytes: format!("{root}{number}{text}").leak(), message }
}
