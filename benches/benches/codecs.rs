//! Reading and writing every message of every protocol, each beside a plain reference: a copy of the same bytes,
//! a check of the same text, an XML reader that keeps nothing.

use std::hint::black_box;
use std::time::Duration;

use bytes::BytesMut;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};
use headgate_benches::messages;
use headgate_codecs::conax_sms::wire::{ErrorsFile, FileName, Message, Order, Status, Style, Tail};
use headgate_codecs::nagravision_smsgw::profile::Profile;
use headgate_codecs::nagravision_smsgw::wire as nagra;
use headgate_core::body::RequestBody;
use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::Value;

/// More than any document here is long.
const LIMIT: usize = 1 << 24;

fn group<'c>(criterion: &'c mut Criterion, name: &str) -> BenchmarkGroup<'c, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(20).warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_millis(400));
    group
}

/// Measures one thing, told as bytes a second.
fn measure<T>(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, bytes: usize, mut work: impl FnMut() -> T) {
    group.throughput(Throughput::Bytes(bytes as u64));
    group.bench_function(name, |bencher| bencher.iter(&mut work));
}

fn nagravision(criterion: &mut Criterion) {
    let profile = Profile::shipped().expect("the shipped profile");
    let messages = messages::nagravision();
    let mut decode = group(criterion, "nagravision decode");
    for (name, bytes) in &messages {
        measure(&mut decode, name, bytes.len(), || nagra::decode(&profile, black_box(bytes)).expect("a message"));
    }
    let longest = messages.values().max_by_key(|bytes| bytes.len()).expect("messages");
    measure(&mut decode, "reference: str::from_utf8", longest.len(), || str::from_utf8(black_box(longest)).is_ok());
    decode.finish();

    let mut encode = group(criterion, "nagravision encode");
    let mut out = BytesMut::with_capacity(1 << 16);
    for (name, bytes) in &messages {
        let message = nagra::decode(&profile, bytes).expect("a message");
        measure(&mut encode, name, bytes.len(), || {
            out.clear();
            nagra::encode(&profile, black_box(&message), &mut out).expect("a message that can be written")
        });
    }
    measure(&mut encode, "reference: memcpy", longest.len(), || {
        out.clear();
        out.extend_from_slice(black_box(longest));
        out.len()
    });
    encode.finish();
}

fn conax_orders(criterion: &mut Criterion) {
    let messages = messages::conax();
    let file_type = |title: &str| {
        let name = title.split(' ').next().and_then(FileName::parse);
        name.expect("a file's name").order_type
    };
    let mut decode = group(criterion, "conax order decode");
    for (title, bytes) in &messages {
        let order_type = file_type(title);
        measure(&mut decode, title, bytes.len(), || Order::decode(order_type, black_box(bytes)).expect("an order"));
    }
    let longest = messages.values().max_by_key(|bytes| bytes.len()).expect("messages");
    measure(&mut decode, "reference: str::from_utf8 and lines", longest.len(), || {
        str::from_utf8(black_box(longest)).map(|text| text.lines().count())
    });
    decode.finish();

    let mut encode = group(criterion, "conax order encode");
    for (title, bytes) in &messages {
        let order = Order::decode(file_type(title), bytes).expect("an order");
        measure(&mut encode, title, bytes.len(), || black_box(&order).encode(&Style::default()));
    }
    measure(&mut encode, "reference: memcpy", longest.len(), || black_box(longest).to_vec());
    encode.finish();
}

fn conax_answers(criterion: &mut Criterion) {
    let mut group = group(criterion, "conax answers");
    let xml = messages::conax_status(100);
    let status = Status::decode(&xml, LIMIT).expect("a status");
    measure(&mut group, "status of 100 cards, decode", xml.len(), || Status::decode(black_box(&xml), LIMIT));
    measure(&mut group, "status of 100 cards, encode", xml.len(), || black_box(&status).encode());
    measure(&mut group, "reference: quick-xml events of the status", xml.len(), || events(black_box(&xml)));

    let errors = messages::conax_errors(1_000);
    let entries = ErrorsFile::decode(&errors, Tail::Final).entries;
    measure(&mut group, "errors.txt of 1,000, decode", errors.len(), || {
        ErrorsFile::decode(black_box(&errors), Tail::Final)
    });
    measure(&mut group, "errors.txt of 1,000, encode", errors.len(), || ErrorsFile::encode(black_box(&entries)));
    measure(&mut group, "reference: str::from_utf8 and lines of errors.txt", errors.len(), || {
        str::from_utf8(black_box(&errors)).map(|text| text.lines().count())
    });

    let message = Message { text: vec![b'x'; 129], class: 0xff, display_seconds: 20, start: None, repeat: None };
    let payload = message.encode().expect("a message that fits");
    measure(&mut group, "message payload, decode", payload.len(), || Message::decode(black_box(&payload)));
    measure(&mut group, "message payload, encode", payload.len(), || black_box(&message).encode());
    group.finish();
}

/// Counts the events of a document.
fn events(xml: &[u8]) -> usize {
    let mut reader = Reader::from_reader(xml);
    let mut count = 0;
    while reader.read_event().expect("well-formed XML") != Event::Eof {
        count += 1;
    }
    count
}

fn request_bodies(criterion: &mut Criterion) {
    let mut group = group(criterion, "request body");
    let json = messages::NAGRAVISION_REQUESTS.join("\n");
    let lines: Vec<_> = json.lines().collect();
    measure(&mut group, "read and checked", json.len(), || {
        let command = |line: &&str| serde_json::from_str::<RequestBody>(line).expect("a body").command().is_ok();
        black_box(&lines).iter().filter(|line| command(line)).count()
    });
    measure(&mut group, "reference: serde_json::Value", json.len(), || {
        black_box(&lines).iter().filter(|line| serde_json::from_str::<Value>(line).is_ok()).count()
    });
    group.finish();
}

criterion_group!(codecs, nagravision, conax_orders, conax_answers, request_bodies);
criterion_main!(codecs);
