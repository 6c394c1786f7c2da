use bytes::BytesMut;
use proptest::prelude::*;

use super::super::fuzzing;
use super::super::profile::Profile;
use super::samples::samples;
use super::*;

/// The message in its frame, without the length. Leaked, so that what is read from it may live as long as a sample.
fn content(profile: &Profile, message: &Message<'_>) -> &'static [u8] {
    let mut out = BytesMut::new();
    encode(profile, message, &mut out).unwrap();
    out[profile.framing.prefix_width()..].to_vec().leak()
}

#[test]
fn every_command_and_answer_has_a_sample() {
    let samples = samples();
    for name in CommandName::ALL {
        let shipped = Profile::shipped().unwrap().command(*name).is_some();
        let sampled = samples.iter().any(|s| matches!(s.message.body, Body::Command(command, _) if command == *name));
        assert_eq!(shipped, sampled, "{}", name.name());
    }
}

#[test]
fn messages_are_written_and_read_as_known() {
    let profile = Profile::shipped().unwrap();
    for sample in samples() {
        assert_eq!(std::str::from_utf8(content(&profile, &sample.message)).unwrap(), sample.bytes, "{}", sample.name);
        assert_eq!(decode(&profile, sample.bytes.as_bytes()).unwrap(), sample.message, "{}", sample.name);
    }
}

#[test]
fn a_frame_is_its_length_and_its_message() {
    let profile = Profile::shipped().unwrap();
    let mut out = BytesMut::new();
    encode(&profile, &samples()[22].message, &mut out).unwrap();
    // length | number | type | source | dest | mop_ppid | date | command
    let known =
        hex_literal::hex!("0024 303030303030303432 3035 30303137 31303031 3030303033 3230323630313135 31303032");
    assert_eq!(&out[..], known);
}

#[test]
fn every_prefix_is_incomplete() {
    let profile = Profile::shipped().unwrap();
    for sample in samples() {
        // What follows an unknown number has no known end.
        let known = match sample.message.body {
            Body::Unknown(rest) => sample.bytes.len() - rest.len(),
            _ => sample.bytes.len(),
        };
        for cut in 0..known {
            let result = decode(&profile, &sample.bytes.as_bytes()[..cut]);
            assert!(matches!(result, Err(DecodeError::Incomplete { .. })), "{} cut at {cut}: {result:?}", sample.name);
        }
    }
}

#[test]
fn trailing_bytes_are_refused() {
    let profile = Profile::shipped().unwrap();
    for sample in samples() {
        if matches!(sample.message.body, Body::Unknown(_)) {
            continue;
        }
        let longer = format!("{}x", sample.bytes);
        let at = sample.bytes.len();
        assert_eq!(decode(&profile, longer.as_bytes()), Err(DecodeError::Trailing { at, count: 1 }), "{}", sample.name);
    }
}

#[test]
fn malformed_fields_are_named_with_their_place() {
    let profile = Profile::shipped().unwrap();
    let add = samples()[0].bytes;
    for (at, wrong, field) in [
        (0, "x", FieldName::TransactionNumber),
        (24, "20261301", FieldName::CreationDate),
        (36, "é", FieldName::Card),
        (64, "20260230", FieldName::BeginDate),
    ] {
        let mut bytes = add.as_bytes().to_vec();
        bytes[at..at + wrong.len()].copy_from_slice(wrong.as_bytes());
        let error = decode(&profile, &bytes).unwrap_err();
        assert!(matches!(error, DecodeError::Malformed { at: a, field: f, .. } if a == at && f == field), "{error:?}");
    }
}

#[test]
fn values_that_do_not_fit_are_refused_and_leave_no_trace() {
    let profile = Profile::shipped().unwrap();
    let header = samples()[0].message.header;
    let form = profile.command(CommandName::Bark).unwrap();
    let bark = |card: &'static str, text: String| {
        let values = Values::default().text(FieldName::Card, card).date(FieldName::ShowDate, None);
        values.number(FieldName::Duration, 20).text(FieldName::Text, text)
    };
    let mut out = BytesMut::from(&b"before"[..]);
    for (values, field) in [
        (bark("12345678901234567", "x".into()), FieldName::Card),
        (bark("12a", "x".into()), FieldName::Card),
        (bark("12", "é".repeat(81)), FieldName::Text),
        (bark("12", "a\u{7}".into()), FieldName::Text),
        (Values::default(), FieldName::Card),
    ] {
        let error = encode_command(&profile, &header, form, &values, &mut out).unwrap_err();
        assert!(matches!(error, EncodeError::Unfit { field: f, .. } if f == field), "{error}");
        assert_eq!(&out[..], b"before");
    }
}

#[test]
fn other_kinds_of_fields_are_written_and_read() {
    let text = super::super::profile::SHIPPED
        .replace("charset = \"utf8\"", "charset = \"latin1\"")
        .replace(r#"kind = "text", width = 16, only = "digits""#, r#"kind = "number", width = 12"#)
        .replace(r#"kind = "text", width = 16, only = "alphanumeric""#, r#"kind = "hex", width = 8"#)
        .replace("kind = \"binary_length\"\nwidth = 2", "kind = \"delimiter\"\ndelimiter = \"0d0a\"");
    let profile = Profile::from_toml(&text).unwrap();
    let header = samples()[0].message.header;
    let pair = Values::default().text(FieldName::Card, "145").text(FieldName::Stb, "AB12");
    let message = Message { header, number: 3010, body: Body::Command(CommandName::Pair, pair) };
    let bytes = content(&profile, &message);
    assert!(bytes.ends_with(b"30100000000001450000AB12\r\n"), "{}", String::from_utf8_lossy(bytes));
    assert_eq!(decode(&profile, &bytes[..bytes.len() - 2]).unwrap(), message);

    let mail = Values::default().text(FieldName::Card, "0").date(FieldName::ShowDate, None).text(FieldName::Text, "é");
    let message = Message { header, number: 4001, body: Body::Command(CommandName::Mail, mail) };
    let bytes = content(&profile, &message);
    assert!(bytes.ends_with(b"001\xe9\r\n"));
    assert_eq!(decode(&profile, &bytes[..bytes.len() - 2]).unwrap(), message);
}

fn message() -> impl Strategy<Value = Message<'static>> {
    let header = (0..1_000_000_000_u64, 0..100_u64, 0..10_000_u64, 0..10_000_u64, 0..100_000_u64);
    let words = ("[0-9]{1,16}", "[!-~]{0,11}[!-~]", "[ -~é]{0,80}", 0..100_000_u64, 0..1_000_u64, 0..10_000_u64);
    let items = proptest::collection::vec("[A-Za-z0-9]{1,12}", 0..100);
    (header, words, items, 0..4_u8).prop_map(
        |((n, t, s, d, m), (card, product, text, seconds, count, gap), items, which)| {
            let header = Header {
                transaction_number: n,
                command_type: t,
                source_id: s,
                dest_id: d,
                mop_ppid: m,
                creation_date: jiff::civil::date(2026, 1, 1).checked_add(jiff::Span::new().days(i64::from(which))).ok(),
            };
            let values = Values::default().text(FieldName::Card, card);
            let (number, name, values) = match which {
                0 => (6, CommandName::CancelProduct, values.text(FieldName::Product, product)),
                1 => {
                    let items =
                        items.into_iter().map(|item| Values::default().text(FieldName::Product, item)).collect();
                    let values = values.date(FieldName::BeginDate, None).date(FieldName::EndDate, header.creation_date);
                    (2002, CommandName::AddProducts, values.list(FieldName::Products, items))
                }
                2 => (4010, CommandName::Fingerprint, values.number(FieldName::Duration, seconds)),
                _ => {
                    let values = values.date(FieldName::ShowDate, None).number(FieldName::Duration, seconds);
                    let values = values.number(FieldName::RepeatCount, count).number(FieldName::RepeatInterval, gap);
                    (4003, CommandName::RepeatingBark, values.text(FieldName::Text, text))
                }
            };
            Message { header, number, body: Body::Command(name, values) }
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(message in message()) {
        let profile = Profile::shipped().unwrap();
        prop_assert_eq!(&decode(&profile, content(&profile, &message)).unwrap(), &message);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        fuzzing::decode_never_panics(&bytes);
        fuzzing::round_trip(&bytes);
        fuzzing::adapter_survives(&bytes);
    }

    #[test]
    fn damaged_messages_never_panic(which in 0..29_usize, at in 0..100_usize, byte: u8, cut in 0..100_usize) {
        let mut bytes = samples()[which].bytes.as_bytes().to_vec();
        let length = bytes.len();
        bytes[at % length] = byte;
        bytes.truncate(length.max(cut));
        fuzzing::decode_never_panics(&bytes);
        fuzzing::round_trip(&bytes);
    }
}
