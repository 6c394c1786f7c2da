use hex_literal::hex;
use jiff::civil::{date, datetime};
use proptest::prelude::*;

use headgate_core::text::to_hex;

use super::*;

pub(crate) const EXAMPLE: &str =
    "U\n000123\n00000041\n202611010000\n202712312359\nU\nEMM\nU\n000002\n01450000011\n01450000022\nZZZ\n";

const STATUS: &str = r#"<AuthorisationStatuses>
  <AuthorisationStatus cardNo="01450000011">
    <Product id="41"> <AuthorisationEnd year="2027" month="12" day="31"/> </Product>
  </AuthorisationStatus>
</AuthorisationStatuses>"#;

fn number(n: u32) -> TransactionNumber {
    TransactionNumber::new(n).unwrap()
}

fn card(text: &str) -> DeviceNumber {
    DeviceNumber::card(text.as_bytes()).unwrap()
}

fn example() -> Order {
    let time = |text: &str| OrderTime::parse(text.as_bytes()).unwrap();
    let period = Period { start: time("202611010000"), end: time("202712312359") };
    Order {
        number: number(123),
        head: Head::Authorise(ProductId::parse("41").unwrap(), period),
        numbers: vec![card("01450000011"), card("01450000022")],
    }
}

fn hello(display_seconds: u16) -> Message {
    Message { text: b"HELLO".to_vec(), class: 0xff, display_seconds, start: None, repeat: None }
}

/// One order of each head.
fn orders() -> Vec<Order> {
    let Head::Authorise(product, period) = example().head else { unreachable!() };
    let stb = |text: &str| DeviceNumber::stb(text.as_bytes()).unwrap();
    let cards = example().numbers;
    let order = |head, numbers: &[DeviceNumber]| Order { number: number(999_999), head, numbers: numbers.to_vec() };
    vec![
        example(),
        order(Head::Cancel(product, period), &cards),
        order(Head::Status, &cards[..1]),
        order(Head::Pair, &[cards[0], stb("0012345")]),
        order(Head::Unpair, &[stb("0012345"), stb("00123456789012345678")]),
        order(Head::Message(hello(20)), &cards),
    ]
}

#[test]
fn the_example_of_the_fact_sheet() {
    assert_eq!(String::from_utf8(example().encode(&Style::default())).unwrap(), EXAMPLE);
    assert_eq!(example().file_name().to_string(), "ps000123.emm");
    assert_eq!(Order::decode(OrderType::PS, EXAMPLE.as_bytes()), Ok(example()));
}

#[test]
fn the_other_layouts_line_by_line() {
    let lines: Vec<String> = orders()
        .iter()
        .skip(2)
        .map(|order| String::from_utf8(order.encode(&Style::default())).unwrap().replace('\n', " "))
        .collect();
    assert_eq!(
        lines,
        [
            "U 999999 U U U U EMM U 000001 01450000011 ZZZ ",
            "U 999999 00000001 U U U EMM U 00002 S01450000011 V0012345 ZZZ ",
            "01 999999 00001001 U U U U U EMM 000002 0012345 00123456789012345678 ZZZ ",
            "U 999999 00000002 010548454c4c4f0201ff04020014 U U U U EMM 00002 01450000011 01450000022 ZZZ ",
        ]
    );
}

#[test]
fn every_order_round_trips_in_every_style_and_every_prefix_is_incomplete() {
    for line_end in [LineEnd::Lf, LineEnd::Crlf] {
        for width in [5, 6] {
            let widths = CountWidths { ps: width, cs: width, sc: width, vp: width, unpair: width, message: width };
            for order in orders() {
                let bytes = order.encode(&Style { line_end, widths });
                let kind = order.head.order_type();
                assert_eq!(Order::decode(kind, &bytes).as_ref(), Ok(&order));
                let whole_without_end = bytes.len() - if line_end == LineEnd::Lf { 1 } else { 2 };
                for end in 0..bytes.len() {
                    let prefix = Order::decode(kind, &bytes[..end]);
                    if end >= whole_without_end {
                        assert_eq!(prefix.as_ref(), Ok(&order));
                    } else {
                        assert!(matches!(prefix, Err(DecodeError::Incomplete { .. })), "{kind:?} {end}: {prefix:?}");
                    }
                }
                let trailing = [&bytes[..], b"U"].concat();
                assert!(matches!(Order::decode(kind, &trailing), Err(DecodeError::Malformed { .. })));
            }
        }
    }
}

#[test]
fn a_line_that_does_not_fit_is_named_with_its_code() {
    let cases: [(&str, &str, u32, usize, ErrorCode); 8] = [
        ("U\n000123", "X\n000123", 1, 0, ErrorCode::CaMode),
        ("000123", "00012a", 2, 2, ErrorCode::TransNum),
        ("00000041", "41", 3, 9, ErrorCode::Product),
        ("202611010000", "202613010000", 4, 18, ErrorCode::Dates),
        ("\nU\nEMM", "\n1\nEMM", 6, 44, ErrorCode::Priority),
        ("000002", "000003", 9, 52, ErrorCode::NumOfCards),
        ("01450000022", "0145000002", 11, 71, ErrorCode::CardNum),
        ("ZZZ", "zzz", 12, 83, ErrorCode::EndReq),
    ];
    for (from, to, line, offset, code) in cases {
        let found = Order::decode(OrderType::PS, EXAMPLE.replace(from, to).as_bytes());
        let Err(DecodeError::Malformed { line: l, offset: o, code: c, .. }) = found else { panic!("{to}: {found:?}") };
        assert_eq!((l, o, c), (line, offset, Some(code)), "{to}");
    }
}

#[test]
fn the_worked_payloads_of_the_fact_sheet() {
    assert_eq!(hello(20).encode().unwrap(), hex!("01 05 48454c4c4f 02 01 ff 04 02 0014"));
    assert_eq!(hello(0).encode().unwrap(), hex!("01 05 48454c4c4f 02 01 ff 04 02 0000"));
    let start = PackedTime::new(datetime(2026, 7, 31, 18, 5, 0, 0));
    let repeated = Message { start, repeat: Some(Repeat { count: 3, interval: 6 }), ..hello(20) };
    let bytes = hex!("01 05 48454c4c4f 02 01 ff 04 02 0014 03 04 7f671205 05 01 03 06 01 06");
    assert_eq!(repeated.encode().unwrap(), bytes);
    assert_eq!(to_hex(&bytes), "010548454c4c4f0201ff0402001403047f671205050103060106");
    assert_eq!(Message::decode(&bytes), Ok(repeated));
    assert_eq!(
        Message::fields(&bytes).iter().map(|f| (f.tag, f.offset)).collect::<Vec<_>>(),
        [(1, 0), (2, 7), (4, 10), (3, 14), (5, 20), (6, 23)]
    );
}

#[test]
fn payloads_have_at_most_150_bytes() {
    let mail = Message { text: vec![b'x'; 141], ..hello(0) };
    assert_eq!(mail.encode().unwrap().len(), 150);
    let start = PackedTime::new(datetime(2026, 7, 31, 18, 5, 0, 0));
    let bark = Message { text: vec![b'x'; 129], start, repeat: Some(Repeat { count: 1, interval: 1 }), ..hello(20) };
    assert_eq!(bark.encode().unwrap().len(), 150);
    assert_eq!(Message { text: vec![b'x'; 142], ..mail }.encode(), None);
    assert!(matches!(Message::decode(&[1; 151]), Err(TlvError::Malformed { offset: 150, .. })));
}

#[test]
fn every_prefix_of_a_payload_is_incomplete_unless_it_is_a_shorter_payload() {
    let start = PackedTime::new(datetime(2026, 7, 31, 18, 5, 0, 0));
    let bytes = Message { start, repeat: Some(Repeat { count: 3, interval: 6 }), ..hello(20) }.encode().unwrap();
    for end in 0..bytes.len() {
        let decoded = Message::decode(&bytes[..end]);
        if end == 14 || end == 20 {
            assert!(decoded.is_ok());
        } else {
            assert!(matches!(decoded, Err(TlvError::Incomplete { .. })), "{end}: {decoded:?}");
        }
    }
    assert!(matches!(Message::decode(&[&bytes[..], &[7]].concat()), Err(TlvError::Malformed { offset: 26, .. })));
}

#[test]
fn packed_times_tell_1990_to_2069() {
    for year in PackedTime::YEARS {
        let time = PackedTime::new(datetime(year, 2, 28, 23, 59, 0, 0)).unwrap();
        assert_eq!(PackedTime::from_bytes(time.to_bytes()), Some(time));
    }
    assert_eq!(PackedTime::new(datetime(2070, 1, 1, 0, 0, 0, 0)), None);
    assert_eq!(PackedTime::from_bytes(hex!("7f a7 12 05")), None);
    assert_eq!(PackedTime::from_bytes(hex!("7f 67 32 05")), None);
}

#[test]
fn card_numbers_lose_their_check_digit() {
    let rules = NumberRules { card_prefix: "01".into(), stb_prefix: "00".into() };
    assert_eq!(rules.card("014500000119").unwrap().as_str(), "01450000011");
    assert_eq!(rules.card("01450000011").unwrap().as_str(), "01450000011");
    assert_eq!(rules.card("0145000001"), Err(NumberError::Card));
    assert_eq!(rules.card("0145000001x"), Err(NumberError::Card));
    assert_eq!(rules.card("02450000011"), Err(NumberError::Prefix("01".into())));
    assert_eq!(rules.stb("0012345").unwrap().as_str(), "0012345");
    assert_eq!(rules.stb("112345"), Err(NumberError::Prefix("00".into())));
    assert_eq!(rules.stb(&"0".repeat(21)), Err(NumberError::Stb));
}

#[test]
fn only_whole_names_are_ours() {
    assert_eq!(FileName::parse("ps000123.emm").unwrap().to_string(), "ps000123.emm");
    for name in ["ps000123.tmp", "ps00123.emm", "ps000000.emm", "PS000123.emm", "xps000123.emm", "ps000123.emm.bak", ""]
    {
        assert_eq!(FileName::parse(name), None, "{name}");
    }
}

#[test]
fn an_errors_file_tells_its_entries_whatever_lies_between() {
    let text = "ps000001.emm\r\nERR_CARDNUM,10\r\nhello\nERR_DATES,4\nvp000002.emm,\nps000003.emm\nERR_NEW\n\n";
    let file = ErrorsFile::decode(text.as_bytes(), Tail::MayGrow);
    let entry = |name, code, line| ErrorEntry { file: FileName::parse(name).unwrap(), code, line };
    assert_eq!(
        file.entries,
        [
            entry("ps000001.emm", ErrorCode::CardNum, Some(10)),
            entry("ps000003.emm", ErrorCode::Other("ERR_NEW".into()), None)
        ]
    );
    assert_eq!(file.strange, [(3, 30), (4, 36), (5, 48)]);
    assert_eq!(file.incomplete, None);
    assert_eq!(ErrorsFile::encode(&file.entries), b"ps000001.emm\r\nERR_CARDNUM,10\r\nps000003.emm\r\nERR_NEW\r\n");
}

#[test]
fn a_half_written_entry_waits_for_its_end() {
    let text = b"ps000001.emm\r\nERR_CARDNUM,10\r\n";
    for end in 1..text.len() {
        let file = ErrorsFile::decode(&text[..end], Tail::MayGrow);
        assert_eq!((file.entries.len(), file.incomplete, file.strange.len()), (0, Some(0), 0), "{end}");
    }
    let file = ErrorsFile::decode(&text[..text.len() - 2], Tail::Final);
    assert_eq!(file.entries[0].line, Some(10));
    assert_eq!(ErrorsFile::decode(b"ps000001.emm\r\n", Tail::Final).strange, [(1, 0)]);
}

#[test]
fn status_answers_with_dates_either_way() {
    let expected = Status {
        cards: vec![CardStatus {
            card: card("01450000011"),
            products: vec![ProductStatus {
                product: ProductId::parse("41").unwrap(),
                start: None,
                end: Some(date(2027, 12, 31)),
            }],
        }],
    };
    assert_eq!(Status::decode(STATUS.as_bytes(), 10_000), Ok(expected.clone()));
    let children = STATUS.replace("41", "00000041").replace(
        r#"<AuthorisationEnd year="2027" month="12" day="31"/>"#,
        "<AuthorisationEnd><year>2027</year><month>12</month><day>31</day></AuthorisationEnd>",
    );
    assert_eq!(Status::decode(children.as_bytes(), 10_000), Ok(expected.clone()));
    assert_eq!(
        String::from_utf8(expected.encode()).unwrap().split_whitespace().collect::<String>(),
        STATUS.split_whitespace().collect::<String>()
    );
    for end in 0..STATUS.len() {
        assert!(
            matches!(Status::decode(&STATUS.as_bytes()[..end], 10_000), Err(DecodeError::Incomplete { .. })),
            "{end}"
        );
    }
}

#[test]
fn a_status_answer_that_does_not_fit_is_named_by_line() {
    for (from, to, line) in
        [("0145", "x145", 2), ("day=\"31\"", "day=\"32\"", 3), ("id=\"41\"", "", 3), ("AuthorisationStatuses", "A", 1)]
    {
        let found = Status::decode(STATUS.replace(from, to).as_bytes(), 10_000);
        assert!(matches!(found, Err(DecodeError::Malformed { line: l, .. }) if l == line), "{to}: {found:?}");
    }
}

#[test]
fn debug_output_shows_no_number_and_no_text() {
    let printed = format!("{:?}", orders());
    assert!(!printed.contains("0145") && !printed.contains("0012345") && !printed.contains("HELLO"), "{printed}");
    assert!(!printed.contains("72, 69"), "{printed}");
}

proptest! {
    #[test]
    fn decoders_never_panic(bytes: Vec<u8>) {
        for kind in [OrderType::PS, OrderType::CS, OrderType::SC, OrderType::VP, OrderType::GP] {
            let _ = Order::decode_lines(kind, &bytes);
        }
        let _ = ErrorsFile::decode(&bytes, Tail::MayGrow);
        let _ = ErrorsFile::decode(&bytes, Tail::Final);
        let _ = Status::decode(&bytes, 10_000);
        let _ = Message::decode(&bytes);
        let _ = Message::fields(&bytes);
    }

    #[test]
    fn a_changed_byte_never_panics(position in 0..EXAMPLE.len(), byte: u8) {
        let mut bytes = EXAMPLE.as_bytes().to_vec();
        bytes[position] = byte;
        if let Ok(order) = Order::decode(OrderType::PS, &bytes) {
            prop_assert_eq!(Order::decode(OrderType::PS, &order.encode(&Style::default())), Ok(order));
        }
    }

    #[test]
    fn orders_read_back_equal(n in 1..=999_999_u32, product in 0..=99_999_999_u32, cards in prop::collection::vec(0..99_999_999_999_u64, 0..20)) {
        let product = ProductId::parse(&product.to_string()).unwrap();
        let Head::Authorise(_, period) = example().head else { unreachable!() };
        let numbers = cards.iter().map(|n| card(&format!("{n:011}"))).collect();
        let order = Order { number: number(n), head: Head::Cancel(product, period), numbers };
        prop_assert_eq!(Order::decode(OrderType::CS, &order.encode(&Style::default())), Ok(order));
    }

    #[test]
    fn payloads_read_back_equal(text in prop::collection::vec(any::<u8>(), 0..129), class: u8, display_seconds: u16, repeat: Option<(u8, u8)>) {
        let repeat = repeat.map(|(count, interval)| Repeat { count, interval });
        let message = Message { text, class, display_seconds, start: None, repeat };
        prop_assert_eq!(Message::decode(&message.encode().unwrap()), Ok(message));
    }
}
