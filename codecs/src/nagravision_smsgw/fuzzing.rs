//! What the fuzz targets call. Each must return for every input.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::BytesMut;
use headgate_core::adapter::{Adapter, Effect, Input, LinkId, Output, Submission, SubmissionId};
use headgate_core::command::{Command, Devices};
use headgate_core::provider::ServiceMap;
use headgate_core::request::{Body, Priority, Process, Request, RequestId, Source};
use headgate_core::text::{ProviderName, Serial};
use headgate_core::{Now, Tick};
use jiff::Timestamp;

use super::adapter::SmsGateway;
use super::profile::Profile;
use super::settings::{Checked, Settings};
use super::speech::Speech;
use super::{dissect, wire};

static SPEECH: LazyLock<Option<Arc<Speech>>> = LazyLock::new(|| {
    let settings = Settings { links: 2, window_per_link: 4, ..Settings::default() };
    Checked::check(settings).ok().map(|checked| Arc::new(Speech::new(checked, ServiceMap::default())))
});

/// Reading and explaining never panics.
pub fn decode_never_panics(bytes: &[u8]) {
    if let Some(speech) = &*SPEECH {
        let _ = wire::decode(speech.profile(), bytes);
        let _ = dissect::decode(speech.profile(), bytes);
    }
}

/// What can be read is written again as the same message.
///
/// # Panics
/// If it is not: that is the finding.
pub fn round_trip(bytes: &[u8]) {
    let Some(speech) = &*SPEECH else { return };
    let mut out = BytesMut::new();
    let Ok(message) = wire::decode(speech.profile(), bytes) else { return };
    // A message may be longer than a frame; then it is not written.
    if wire::encode(speech.profile(), &message, &mut out).is_err() {
        return;
    }
    let content = out.get(speech.profile().framing.prefix_width()..).unwrap_or_default();
    assert_eq!(wire::decode(speech.profile(), content), Ok(message), "written differently");
}

/// A conversation with a platform that sends these bytes ends every submission once.
///
/// The first byte of each step chooses what happens; see the source.
///
/// # Panics
/// If a submission ends twice or never: that is the finding.
pub fn adapter_survives(bytes: &[u8]) {
    let Some(speech) = &*SPEECH else { return };
    let mut run = Run {
        adapter: SmsGateway::new(Arc::clone(speech), 1),
        now: Now { tick: Tick::new(Duration::from_secs(1)), wall: Timestamp::UNIX_EPOCH },
        links: Vec::new(),
        submitted: 0,
        ended: std::collections::BTreeSet::new(),
    };
    run.adapter.handle_input(run.now, Input::Start);
    run.drain();
    let mut rest = bytes;
    while let Some((step, more)) = rest.split_first() {
        rest = more;
        let link = run.links.get(usize::from(step >> 4) % run.links.len().max(1)).copied().unwrap_or(LinkId(0));
        match step & 7 {
            0 => run.adapter.handle_input(run.now, Input::Connected(link)),
            1 => run.adapter.handle_input(run.now, Input::Closed(link, "closed")),
            2 | 3 => run.submit(),
            4 => {
                run.now.tick = run.now.tick + Duration::from_secs(u64::from(*step) / 8);
                run.adapter.handle_input(run.now, Input::Deadline);
            }
            _ => {
                let length = rest.first().map_or(0, |length| usize::from(*length)).min(rest.len());
                let (received, more) = rest.split_at(length);
                run.adapter.handle_input(run.now, Input::Received(link, received));
                rest = more;
            }
        }
        run.drain();
    }
    run.finish();
}

/// Reading a profile never panics, and one that is accepted can be used.
pub fn profile_never_panics(text: &str) {
    if let Ok(profile) = Profile::from_toml(text) {
        let _ = dissect::decode(&profile, text.as_bytes());
        let _ = wire::decode(&profile, text.as_bytes());
    }
}

struct Run {
    adapter: SmsGateway,
    now: Now,
    links: Vec<LinkId>,
    submitted: u64,
    ended: std::collections::BTreeSet<SubmissionId>,
}

impl Run {
    fn submit(&mut self) {
        let (Ok(card), Ok(provider)) = (Serial::new("1234567890"), ProviderName::new("p")) else { return };
        self.submitted += 1;
        let request = Request {
            id: RequestId(uuid::Uuid::from_u128(u128::from(self.submitted))),
            number: self.submitted,
            provider,
            subscription: None,
            account: None,
            command: Command::GetServices(Devices { smartcards: vec![card], stbs: Vec::new() }),
            priority: Priority::Regular,
            process: Process::Now,
            not_before: None,
            expires: None,
            reference: None,
            source: Source::Api,
            created: Timestamp::UNIX_EPOCH,
            body: Body::default(),
            idempotency: None,
        };
        let submission = Submission { id: SubmissionId(self.submitted), request: Arc::new(request), resume: None };
        self.adapter.submit(self.now, submission);
    }

    fn drain(&mut self) {
        loop {
            match self.adapter.poll_output() {
                Output::Wait(_) => return,
                Output::Do(_, Effect::Connect(link)) => self.links.push(link),
                Output::Event(headgate_core::adapter::Event::Finished(id, _)) => {
                    assert!(self.ended.insert(id), "a submission ended twice");
                }
                Output::Do(..) | Output::Event(_) => {}
            }
        }
    }

    /// Closes every link that ever was: everything must have ended then.
    fn finish(&mut self) {
        for link in std::mem::take(&mut self.links) {
            self.adapter.handle_input(self.now, Input::Closed(link, "the end"));
        }
        self.drain();
        assert_eq!(self.ended.len() as u64, self.submitted, "a submission never ended");
    }
}
