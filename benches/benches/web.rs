//! Reading what comes over HTTP, each beside the parser below it that keeps nothing of the same bytes: quick-xml, serde_json,
//! form_urlencoded. The goal is half of its rate.

use std::fmt::Write;
use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};
use headgate_codecs::http::{form, soap};
use headgate_codecs::panaccess::wire::json;
use headgate_core::http::HttpAnswer;
use quick_xml::NsReader;
use quick_xml::events::Event;
use serde_json::Value;

/// Results, or orders, in one answer.
const ITEMS: usize = 100;

fn measure<T>(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, bytes: usize, mut work: impl FnMut() -> T) {
    group.sample_size(30).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(800));
    group.throughput(Throughput::Bytes(bytes as u64));
    group.bench_function(name, |bencher| bencher.iter(&mut work));
}

/// A list of results as an OMI platform answers it.
fn envelope() -> String {
    let mut results = String::new();
    for number in 0..ITEMS {
        // Writing to a String can not fail.
        let _ = write!(
            results,
            "<ns1:result><ns1:resultId>CARD{number:06}</ns1:resultId><ns1:resultCode>0</ns1:resultCode>\
             <ns1:resultText>Success</ns1:resultText></ns1:result>"
        );
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><e:Envelope xmlns:e=\"{}\"><e:Body>\
         <ns2:addDevicesResponse xmlns:ns2=\"http://www.verimatrix.com/omi\" \
         xmlns:ns1=\"http://www.verimatrix.com/schemas/OMItypes.xsd\"><resultList>{results}</resultList>\
         </ns2:addDevicesResponse></e:Body></e:Envelope>",
        soap::ENVELOPE
    )
}

/// A list of orders as a JSON function answers it.
fn orders() -> String {
    let orders: Vec<_> = (0..ITEMS)
        .map(|number| {
            serde_json::json!({
                "orderId": number, "productId": 11, "subscriberCode": "S-1", "sn": format!("{number:010}"),
                "activationTime": "2026-01-01 00:00:00", "expiryTime": "2027-01-01 00:00:00", "disabled": false,
            })
        })
        .collect();
    serde_json::json!({ "success": true, "answer": orders }).to_string()
}

fn cards() -> String {
    let mut form = form::Form::new().field("sessionId", "9f2c0a").field("productId", "11");
    for number in 0..ITEMS {
        form.push("smartcards[]", &format!("{number:010}"));
    }
    form.finish()
}

fn web(criterion: &mut Criterion) {
    let document = envelope();
    let mut group = criterion.benchmark_group("SOAP");
    measure(&mut group, "read", document.len(), || {
        soap::read(black_box(document.as_bytes()), 1 << 24).expect("an envelope")
    });
    measure(&mut group, "reference: quick-xml with namespaces", document.len(), || {
        let mut reader = NsReader::from_str(black_box(&document));
        let mut count = 0;
        loop {
            match reader.read_event().expect("an event") {
                Event::Eof => return count,
                event => count += usize::from(matches!(black_box(event), Event::Start(_))),
            }
        }
    });
    group.finish();

    let body = orders();
    let answer = HttpAnswer::new(200, "application/json", body.clone());
    let mut group = criterion.benchmark_group("JSON");
    measure(&mut group, "read", body.len(), || json::read_reply(black_box(&answer)).expect("a reply"));
    measure(&mut group, "reference: serde_json", body.len(), || {
        serde_json::from_str::<Value>(black_box(&body)).expect("a value")
    });
    group.finish();

    let body = cards();
    let mut group = criterion.benchmark_group("form");
    measure(&mut group, "read", body.len(), || form::parse(black_box(body.as_bytes())));
    measure(&mut group, "reference: form_urlencoded", body.len(), || {
        form_urlencoded::parse(black_box(body.as_bytes())).map(|(name, value)| name.len() + value.len()).sum::<usize>()
    });
    group.finish();
}

criterion_group!(benches, web);
criterion_main!(benches);
