use std::time::Duration;

use headgate_core::adapter::{Done, Effect, Input};
use headgate_core::platform::{Fault, Platform, PlatformOutput};
use headgate_core::{Now, Tick};
use serde_json::json;

use crate::memory_files::MemoryFiles;
use crate::registry::Stock;

use super::super::settings::Site;
use super::ConaxPlatform;

const ORDER: &str =
    "U\n000123\n00000041\n202611010000\n202712312359\nU\nEMM\nU\n000002\n01450000011\n01450000022\nZZZ\n";

struct Bench {
    files: MemoryFiles,
    platform: ConaxPlatform,
    now: Now,
}

impl Bench {
    /// It knows cards 11 and 22, and product 41.
    fn new() -> Self {
        let stock =
            Stock { cards: vec!["01450000011".into(), "01450000022".into()], products: vec!["00000041".into()] };
        let mut platform = ConaxPlatform::new(Site::read(&json!({})).unwrap(), &stock).unwrap();
        let now = Now { tick: Tick::default(), wall: "2026-11-24T12:00:00Z".parse().unwrap() };
        platform.handle_input(now, Input::Start);
        Self { files: MemoryFiles::new(["autreq/req", "autreq/ok", "autreq/err"]), platform, now }
    }

    fn run(&mut self, seconds: u64) {
        let end = self.now.tick + Duration::from_secs(seconds);
        loop {
            match self.platform.poll_output() {
                PlatformOutput::Do(id, Effect::File(call)) => {
                    let done = Done::File(self.files.call(&call));
                    self.platform.handle_input(self.now, Input::Done(id, done));
                }
                PlatformOutput::Do(_, other) => panic!("{other:?}"),
                PlatformOutput::Wait(deadline) => {
                    let at = deadline.unwrap().at;
                    if at > end {
                        return;
                    }
                    self.now.tick = at.max(self.now.tick);
                    self.platform.handle_input(self.now, Input::Deadline);
                }
            }
        }
    }

    /// Writes an order and tells what the platform says of it.
    fn order(&mut self, name: &str, text: &str) -> String {
        self.files.write(&format!("autreq/req/{name}"), text.as_bytes().to_vec());
        self.run(3);
        assert_eq!(self.files.read(&format!("autreq/req/{name}")), None);
        match self.files.read(&format!("autreq/ok/{name}")) {
            Some(_) => "ok".into(),
            None => {
                let errors = self.files.read("autreq/err/errors.txt").cloned().unwrap();
                let lines: Vec<&str> = str::from_utf8(&errors).unwrap().lines().collect();
                assert_eq!(lines[lines.len() - 2], name);
                assert!(self.files.read(&format!("autreq/err/{name}")).is_some());
                lines[lines.len() - 1].to_owned()
            }
        }
    }
}

#[test]
fn refuses_with_the_codes_of_the_fact_sheet_and_changes_nothing() {
    let mut bench = Bench::new();
    let cases = [
        ("U\n000123", "X\n000123", "ERR_CAMODE,1"),
        ("000123", "000999", "ERR_TRANSNUM,2"),
        ("00000041", "00000042", "ERR_PRODUCT,3"),
        ("202611010000", "202611010060", "ERR_DATES,4"),
        ("202712312359", "202511010000", "ERR_DATES,5"),
        ("\nU\nEMM", "\nA\nEMM", "ERR_PRIORITY,6"),
        ("000002", "000003", "ERR_NUMOFCARDS,9"),
        ("01450000022", "01450000033", "ERR_CARDNUM,11"),
        ("ZZZ", "END", "ERR_ENDREQ,12"),
        ("ZZZ\n", "", "ERR_ENDREQ,12"),
    ];
    for (index, (from, to, code)) in cases.into_iter().enumerate() {
        let name = format!("ps{:06}.emm", 123 + index);
        let own = ORDER.replacen("000123", &name[2..8], usize::from(!to.contains("999")));
        let from = from.replace("000123", &name[2..8]);
        let to = to.replace("000123", &name[2..8]);
        let text = if code.contains("TRANSNUM") { ORDER.replace("000123", "000999") } else { own.replace(&from, &to) };
        assert_eq!(bench.order(&name, &text), code);
        assert!(bench.platform.holdings().cards.values().all(|card| card.services.is_empty()), "{code}");
    }
    assert_eq!(bench.platform.holdings().applied, 10);
}

#[test]
fn holds_what_it_was_told() {
    let mut bench = Bench::new();
    assert_eq!(bench.order("ps000123.emm", ORDER), "ok");
    let held = &bench.platform.holdings().cards["01450000022"].services["41"];
    assert_eq!(held.end.unwrap().to_string(), "2027-12-31T23:59:00Z");
    assert_eq!(bench.order("cs000123.emm", ORDER), "ok");
    assert!(bench.platform.holdings().cards["01450000022"].services.is_empty());
    let pair = |number, card, stb| format!("U\n{number}\n00000001\nU\nU\nU\nEMM\nU\n00002\nS{card}\nV{stb}\nZZZ\n");
    assert_eq!(bench.order("vp000001.emm", &pair("000001", "01450000011", "77")), "ok");
    assert_eq!(bench.order("vp000002.emm", &pair("000002", "01450000022", "77")), "ok");
    assert!(bench.platform.holdings().cards["01450000011"].stbs.is_empty(), "a box has one card");
    assert!(bench.platform.holdings().cards["01450000022"].stbs.contains("77"));
    assert_eq!(bench.order("vp000003.emm", &pair("000003", "01450000099", "77")), "ERR_CARDNUM,10");
}

#[test]
fn half_written_files_and_strangers_are_not_read() {
    let mut bench = Bench::new();
    for name in ["ps000123.tmp", "readme.txt"] {
        bench.files.write(&format!("autreq/req/{name}"), ORDER.as_bytes());
    }
    bench.run(5);
    assert_eq!(bench.files.iter().count(), 2);
    assert_eq!(bench.platform.holdings().applied, 0);
}

#[test]
fn has_the_faults_that_files_can_have() {
    let mut bench = Bench::new();
    for fault in [Fault::CloseBefore, Fault::CloseInstead, Fault::CloseAfter, Fault::Throttle, Fault::RefuseLogin] {
        assert_eq!(bench.platform.inject(fault), Err(fault));
    }
    bench.platform.inject(Fault::UnknownCard).unwrap();
    assert_eq!(bench.order("ps000123.emm", ORDER), "ERR_CARDNUM,10");
    bench.platform.inject(Fault::HalfFrame).unwrap();
    let status = "U\n000001\nU\nU\nU\nU\nEMM\nU\n000001\n01450000011\nZZZ\n";
    bench.files.write("autreq/req/sc000001.emm", status.as_bytes());
    bench.run(0);
    bench.now.tick = bench.now.tick + Duration::from_secs(1);
    bench.platform.handle_input(bench.now, Input::Deadline);
    bench.run(0);
    let half = bench.files.read("autreq/ok/sc000001.emm").cloned().unwrap();
    bench.run(3);
    let whole = bench.files.read("autreq/ok/sc000001.emm").cloned().unwrap();
    assert!(half.len() < whole.len() && whole.starts_with(&half) && whole.ends_with(b"</AuthorisationStatuses>"));
}
