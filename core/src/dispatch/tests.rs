//! The dispatcher's rules, one test each.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::store::{Change, Finish, Recovered};
use super::*;
use crate::body::RequestBody;
use crate::capabilities::{Capabilities, CommandRules};
use crate::command::CommandKind;
use crate::outcome::Exchange;
use crate::outcome::Outcome;
use crate::provider::{BreakerPolicy, CodeRule, Limits, RetryPolicy, ServiceMap};

use crate::text::ProviderName;

/// A dispatcher with a store that keeps at once, unless told not to, and a platform that answers when told.
struct Desk {
    dispatcher: Dispatcher,
    capabilities: Capabilities,
    now: Now,
    capacity: usize,
    numbers: u64,
    stores: bool,
    unstored: Vec<ChangeId>,
    /// What went to the adapter and is not answered, oldest first.
    sent: Vec<(SubmissionId, Arc<Request>)>,
    ended: Vec<Arc<Finish>>,
    /// Every change, in order, as text.
    log: Vec<String>,
}

fn provider() -> Provider {
    Provider {
        name: ProviderName::new("p").unwrap(),
        services: ServiceMap::default(),
        limits: Limits::default(),
        retry: RetryPolicy::default(),
        breaker: BreakerPolicy { failures: 0, ..BreakerPolicy::default() },
    }
}

impl Desk {
    fn new(provider: Provider) -> Self {
        let commands = [
            (CommandKind::ResetPin, CommandRules::new()),
            (CommandKind::Fingerprint, CommandRules::new().unsafe_to_repeat()),
            (CommandKind::GetServices, CommandRules::new()),
        ];
        Self {
            dispatcher: Dispatcher::new(provider, 1),
            capabilities: Capabilities { commands: commands.into(), ..Capabilities::default() },
            now: Now {
                tick: Tick::new(Duration::from_secs(1000)),
                wall: Timestamp::from_second(1_800_000_000).unwrap(),
            },
            capacity: usize::MAX,
            numbers: 0,
            stores: true,
            unstored: Vec::new(),
            sent: Vec::new(),
            ended: Vec::new(),
            log: Vec::new(),
        }
    }

    fn request(&mut self, json: &str) -> Arc<Request> {
        self.numbers += 1;
        let body: RequestBody = serde_json::from_str(&format!(r#"{{"provider":"p",{json}}}"#)).unwrap();
        let command = body.command().unwrap();
        Arc::new(Request {
            number: self.numbers,
            created: self.now.wall,
            ..Request::new(RequestId(Uuid::from_u128(u128::from(self.numbers))), &body, command)
        })
    }

    /// Offers a request for `lane`, with more fields; returns its number.
    fn offer_as(&mut self, command: &str, lane: &str, rest: &str) -> u64 {
        let request = self.request(&format!(r#""command":"{command}","subscription":"{lane}","smartcard":"c"{rest}"#));
        let number = request.number;
        self.dispatcher.offer(self.now, request, self.capacity).unwrap();
        self.settle();
        number
    }

    fn offer(&mut self, lane: &str) -> u64 {
        self.offer_as("reset_pin", lane, "")
    }

    fn settle(&mut self) {
        loop {
            self.dispatcher.dispatch(self.now, self.capacity);
            let mut idle = true;
            while let Some(output) = self.dispatcher.poll_output() {
                idle = false;
                match output {
                    Output::Store(call) => {
                        self.log.push(describe(&call.change));
                        self.unstored.push(call.id);
                    }
                    Output::Submit(submission) => self.sent.push((submission.id, submission.request)),
                    Output::Ended(finish) => self.ended.push(finish),
                    Output::Reopened(id) => self.log.push(format!("reopened {}", id.0.as_u128())),
                    Output::Accepted(..) | Output::Recorded(_) | Output::Breaker(_) => {}
                }
            }
            if self.stores && !self.unstored.is_empty() {
                idle = false;
                let stored = std::mem::take(&mut self.unstored);
                self.dispatcher.handle_stored(self.now, &stored);
            }
            if idle {
                return;
            }
        }
    }

    /// The numbers that are with the adapter, oldest first.
    fn sent(&self) -> Vec<u64> {
        self.sent.iter().map(|(_, request)| request.number).collect()
    }

    /// The platform answers the request of that number.
    fn answer(&mut self, number: u64, verdict: Verdict) {
        let position = self.sent.iter().position(|(_, request)| request.number == number).unwrap();
        let (submission, _) = self.sent.remove(position);
        let outcome = Outcome { verdict, reference: None, exchange: Exchange::default() };
        self.dispatcher.handle_outcome(self.now, submission, outcome, &self.capabilities);
        self.settle();
    }

    fn complete(&mut self, number: u64) {
        self.answer(number, Verdict::Completed(None));
    }

    fn pass(&mut self, time: Duration) {
        self.now = Now { tick: self.now.tick + time, wall: self.now.wall_after(time) };
        self.settle();
    }

    /// How the request of that number ended.
    fn end_of(&self, number: u64) -> Option<State> {
        let id = RequestId(Uuid::from_u128(u128::from(number)));
        self.ended.iter().find(|finish| finish.id == id).map(|finish| finish.state)
    }
}

fn describe(change: &Change) -> String {
    match change {
        Change::Accept(request, state) => format!("accept {} {state}", request.number),
        Change::Sent { id, attempt, .. } => format!("sent {} attempt {attempt}", id.0.as_u128()),
        Change::References(_) => "references".into(),
        Change::Again { id, .. } => format!("again {}", id.0.as_u128()),
        Change::Finish(finish) => format!("finish {} {}", finish.id.0.as_u128(), finish.state),
        Change::Reopen { id } => format!("reopen {}", id.0.as_u128()),
    }
}

fn silence() -> Verdict {
    Verdict::Failed(Failure::unanswered("timeout", "no answer"))
}

fn at(now: Now, seconds: u64) -> String {
    now.wall_after(Duration::from_secs(seconds)).to_string()
}

#[test]
fn a_request_that_can_go_at_once_is_stored_as_sent_in_one_change() {
    let mut desk = Desk::new(provider());
    let number = desk.offer("a");
    assert_eq!(desk.sent(), [number]);
    desk.complete(number);
    assert_eq!(desk.log, ["accept 1 sent", "finish 1 completed"]);
}

#[test]
fn nothing_is_sent_or_told_before_it_is_stored() {
    let mut desk = Desk::new(provider());
    desk.stores = false;
    desk.offer("a");
    assert!(desk.sent().is_empty());
    desk.stores = true;
    desk.settle();
    assert_eq!(desk.sent(), [1]);
    desk.stores = false;
    desk.complete(1);
    assert_eq!(desk.end_of(1), None, "the outcome is not told before it is stored");
    desk.stores = true;
    desk.settle();
    assert_eq!(desk.end_of(1), Some(State::Completed));
}

#[test]
fn a_request_that_waited_is_sent_only_once_that_is_stored() {
    let mut desk = Desk::new(provider());
    desk.capacity = 0;
    desk.offer("a");
    desk.stores = false;
    desk.capacity = 1;
    desk.settle();
    assert_eq!(desk.log, ["accept 1 waiting", "sent 1 attempt 1"]);
    assert!(desk.sent().is_empty());
    desk.stores = true;
    desk.settle();
    assert_eq!(desk.sent(), [1]);
}

#[test]
fn a_query_does_not_wait_for_the_disk() {
    let mut desk = Desk::new(provider());
    desk.stores = false;
    let number = desk.offer_as("get_services", "a", "");
    desk.complete(number);
    assert_eq!(desk.end_of(number), Some(State::Completed));
    assert_eq!(desk.log, ["accept 1 sent", "finish 1 completed"]);
}

#[test]
fn requests_of_a_subscription_go_one_after_the_other_also_when_one_is_tried_again() {
    let mut desk = Desk::new(provider());
    let (first, second, other) = (desk.offer("a"), desk.offer("a"), desk.offer("b"));
    assert_eq!(desk.sent(), [first, other]);
    desk.answer(first, silence());
    assert_eq!(desk.sent(), [other], "the second waits while the first is tried again");
    desk.pass(Duration::from_secs(1));
    assert_eq!(desk.sent(), [other, first]);
    desk.complete(first);
    assert_eq!(desk.sent(), [other, second]);
}

#[test]
fn express_overtakes_other_subscriptions_only() {
    let mut desk = Desk::new(Provider { limits: Limits { window: 1, ..Limits::default() }, ..provider() });
    let first = desk.offer("a");
    let (b, c) = (desk.offer("b"), desk.offer("c"));
    let express = desk.offer_as("reset_pin", "c", r#","priority":"express""#);
    let mut order = Vec::new();
    for _ in 0..4 {
        let next = desk.sent()[0];
        order.push(next);
        desk.complete(next);
    }
    assert_eq!(order, [first, c, express, b]);
}

#[test]
fn the_window_bounds_what_is_on_its_way() {
    let mut desk = Desk::new(Provider { limits: Limits { window: 2, ..Limits::default() }, ..provider() });
    let numbers: Vec<_> = (0..4).map(|lane| desk.offer(&format!("s{lane}"))).collect();
    assert_eq!(desk.sent(), numbers[..2]);
    desk.complete(numbers[1]);
    assert_eq!(desk.sent(), [numbers[0], numbers[2]]);
}

#[test]
fn a_full_queue_refuses_and_keeps_what_it_has() {
    let mut desk = Desk::new(Provider { limits: Limits { queue: 1, ..Limits::default() }, ..provider() });
    desk.offer("a");
    let request = desk.request(r#""command":"reset_pin","smartcard":"c""#);
    assert!(matches!(desk.dispatcher.offer(desk.now, request, 10), Err(Busy::Full(_))));
    desk.complete(1);
    assert_eq!(desk.end_of(1), Some(State::Completed));
}

#[test]
fn nothing_goes_out_while_the_adapter_has_no_link() {
    let mut desk = Desk::new(provider());
    desk.capacity = 0;
    desk.offer("a");
    assert_eq!(desk.log, ["accept 1 waiting"]);
    desk.capacity = 1;
    desk.settle();
    assert_eq!(desk.sent(), [1]);
    assert_eq!(desk.log, ["accept 1 waiting", "sent 1 attempt 1"]);
}

/// The requests that the dispatcher hands over next, by what it stores and what it submits.
fn handed_over(desk: &mut Desk) -> (Vec<ChangeId>, usize) {
    let (mut changes, mut submitted) = (Vec::new(), 0);
    while let Some(output) = desk.dispatcher.poll_output() {
        match output {
            Output::Store(call) => changes.push(call.id),
            Output::Submit(_) => submitted += 1,
            _ => {}
        }
    }
    (changes, submitted)
}

#[test]
fn queries_that_are_ready_together_do_not_exceed_what_the_adapter_takes() {
    let mut desk = Desk::new(provider());
    desk.capacity = 0;
    desk.offer_as("get_services", "a", "");
    desk.offer_as("get_services", "b", "");
    desk.dispatcher.dispatch(desk.now, 1);
    assert_eq!(handed_over(&mut desk).1, 1);
}

#[test]
fn what_is_stored_but_not_handed_over_yet_still_takes_the_adapter_s_place() {
    let mut desk = Desk::new(provider());
    desk.capacity = 0;
    desk.offer("a");
    desk.offer("b");
    desk.dispatcher.dispatch(desk.now, 1);
    let (changes, _) = handed_over(&mut desk);
    desk.dispatcher.handle_stored(desk.now, &changes);
    desk.dispatcher.dispatch(desk.now, 1);
    assert_eq!(handed_over(&mut desk), (vec![], 1), "the other one waits");
}

#[test]
fn what_is_not_safe_to_repeat_ends_as_unknown() {
    let mut desk = Desk::new(provider());
    let number = desk.offer_as("fingerprint", "a", "");
    desk.answer(number, silence());
    assert_eq!(desk.end_of(number), Some(State::Unknown));
    let number = desk.offer_as("fingerprint", "a", "");
    desk.answer(number, Verdict::Failed(Failure::not_sent("link_closed", "the link closed")));
    assert_eq!(desk.end_of(number), None, "what certainly did not arrive is tried again");
}

#[test]
fn attempts_are_spent_and_the_request_fails() {
    let mut desk = Desk::new(Provider { retry: RetryPolicy { attempts: 3, ..RetryPolicy::default() }, ..provider() });
    let number = desk.offer("a");
    for _ in 0..3 {
        desk.answer(number, silence());
        desk.pass(Duration::from_secs(10));
    }
    assert_eq!(desk.end_of(number), Some(State::Failed));
    assert_eq!(desk.ended[0].attempts, 3);
}

#[test]
fn a_code_that_the_operator_names_is_tried_again() {
    let rule = CodeRule { after: Duration::from_secs(30), attempts: Some(2) };
    let retry = RetryPolicy { codes: [("BUSY".to_owned(), rule)].into(), ..RetryPolicy::default() };
    let mut desk = Desk::new(Provider { retry, ..provider() });
    let number = desk.offer("a");
    desk.answer(number, Verdict::Rejected(Failure::refused("BUSY", "come back")));
    desk.pass(Duration::from_secs(29));
    assert!(desk.sent().is_empty());
    desk.pass(Duration::from_secs(1));
    desk.answer(number, Verdict::Rejected(Failure::refused("BUSY", "come back")));
    assert_eq!(desk.end_of(number), Some(State::Rejected));
}

#[test]
fn a_request_waits_for_its_time_and_ends_when_it_is_over() {
    let mut desk = Desk::new(provider());
    let later = format!(r#","not_before":"{}""#, at(desk.now, 60));
    let number = desk.offer_as("reset_pin", "a", &later);
    assert!(desk.sent().is_empty());
    assert_eq!(desk.dispatcher.deadline(desk.now).unwrap().at, desk.now.tick + Duration::from_secs(60));
    desk.pass(Duration::from_secs(60));
    assert_eq!(desk.sent(), [number]);

    desk.capacity = 0;
    let short = format!(r#","expires":"{}""#, at(desk.now, 5));
    let number = desk.offer_as("reset_pin", "b", &short);
    desk.pass(Duration::from_secs(5));
    assert_eq!(desk.end_of(number), Some(State::Expired));
}

#[test]
fn a_request_with_run_waits_until_it_is_hurried() {
    let mut desk = Desk::new(provider());
    let number = desk.offer_as("reset_pin", "a", r#","process":"with_run""#);
    desk.pass(Duration::from_secs(3600));
    assert!(desk.sent().is_empty());
    desk.dispatcher.hurry(desk.now, RequestId(Uuid::from_u128(u128::from(number)))).unwrap();
    desk.settle();
    assert_eq!(desk.sent(), [number]);
}

#[test]
fn waiting_requests_can_be_taken_back_and_sent_ones_not() {
    let mut desk = Desk::new(provider());
    let (first, second, third) = (desk.offer("a"), desk.offer("a"), desk.offer("a"));
    let id = |number: u64| RequestId(Uuid::from_u128(u128::from(number)));
    assert_eq!(desk.dispatcher.cancel(desk.now, id(first)), Err(Some(State::Sent)));
    assert_eq!(desk.dispatcher.cancel(desk.now, id(99)), Err(None));
    desk.dispatcher.cancel(desk.now, id(second)).unwrap();
    desk.settle();
    assert_eq!(desk.end_of(second), Some(State::Cancelled));
    desk.complete(first);
    assert_eq!(desk.sent(), [third]);
}

#[test]
fn the_breaker_opens_and_a_probe_closes_it() {
    let breaker = BreakerPolicy { failures: 2, open_for: Duration::from_secs(10) };
    let mut desk =
        Desk::new(Provider { breaker, retry: RetryPolicy { attempts: 1, ..RetryPolicy::default() }, ..provider() });
    let (a, b) = (desk.offer("a"), desk.offer("b"));
    desk.answer(a, silence());
    desk.answer(b, silence());
    let (c, d) = (desk.offer("c"), desk.offer("d"));
    assert!(desk.sent().is_empty());
    assert!(matches!(desk.dispatcher.load(desk.now).breaker, BreakerState::Open(_)));
    desk.pass(Duration::from_secs(10));
    assert_eq!(desk.sent(), [c], "one probe");
    desk.complete(c);
    assert_eq!(desk.sent(), [d]);
}

#[test]
fn a_pause_that_the_platform_asks_for_is_kept() {
    let mut desk = Desk::new(provider());
    desk.dispatcher.pause(desk.now, Duration::from_secs(7));
    let number = desk.offer("a");
    assert_eq!(desk.dispatcher.deadline(desk.now).unwrap().why, "pause ends");
    desk.pass(Duration::from_secs(7));
    assert_eq!(desk.sent(), [number]);
}

#[test]
fn a_refused_accept_gives_everything_back() {
    let rate = Some("1 per 10s".parse().unwrap());
    let mut desk = Desk::new(Provider { limits: Limits { rate, window: 1, ..Limits::default() }, ..provider() });
    desk.stores = false;
    desk.offer("a");
    let change = desk.unstored.remove(0);
    assert_eq!(desk.dispatcher.handle_refused(desk.now, change), Some(RequestId(Uuid::from_u128(1))));
    desk.stores = true;
    let second = desk.offer("a");
    assert_eq!(desk.sent(), [second], "window, rate and lane are free again");
}

#[test]
fn after_a_restart_each_request_goes_the_way_it_must() {
    let mut desk = Desk::new(provider());
    let recovered =
        |request: Arc<Request>, state| Recovered { request, state, attempts: 1, retry_at: None, reference: None };
    let safe = desk.request(r#""command":"reset_pin","subscription":"a","smartcard":"c""#);
    let waiting = desk.request(r#""command":"reset_pin","subscription":"a","smartcard":"c""#);
    let harmful = desk.request(r#""command":"fingerprint","subscription":"b","smartcard":"c""#);
    let found = vec![
        recovered(Arc::clone(&safe), State::Sent),
        recovered(Arc::clone(&waiting), State::Waiting),
        recovered(Arc::clone(&harmful), State::Sent),
    ];
    let capabilities = desk.capabilities.clone();
    desk.dispatcher.recover(desk.now, found, &capabilities);
    desk.settle();
    assert_eq!(desk.sent(), [safe.number]);
    assert_eq!(desk.end_of(harmful.number), Some(State::Unknown));
    desk.complete(safe.number);
    assert_eq!(desk.sent(), [waiting.number]);
}

#[test]
fn an_adapter_that_resumes_gets_its_reference_back() {
    let mut desk = Desk::new(provider());
    desk.capabilities.resumes = true;
    let request = desk.request(r#""command":"fingerprint","subscription":"b","smartcard":"c""#);
    let reference = PlatformReference::new("ps000001").unwrap();
    let found =
        Recovered { request, state: State::Sent, attempts: 1, retry_at: None, reference: Some(reference.clone()) };
    let capabilities = desk.capabilities.clone();
    desk.dispatcher.recover(desk.now, vec![found], &capabilities);
    desk.dispatcher.dispatch(desk.now, 1);
    let Some(Output::Store(call)) = desk.dispatcher.poll_output() else { panic!("it is marked as sent") };
    assert_eq!(describe(&call.change), "sent 1 attempt 1", "resuming is no new attempt");
    desk.dispatcher.handle_stored(desk.now, &[call.id]);
    let Some(Output::Submit(submission)) = desk.dispatcher.poll_output() else { panic!("it is submitted") };
    assert_eq!(submission.resume, Some(reference));
}

#[test]
fn what_was_sent_before_a_restart_does_not_expire_unsent_after_it() {
    let mut desk = Desk::new(provider());
    desk.capabilities.resumes = true;
    let expires = at(desk.now, 10);
    let rest = format!(r#""command":"fingerprint","subscription":"b","smartcard":"c","expires":"{expires}""#);
    let request = desk.request(&rest);
    let reference = PlatformReference::new("ps000001");
    let found = Recovered { request, state: State::Sent, attempts: 1, retry_at: None, reference: reference.ok() };
    let capabilities = desk.capabilities.clone();
    desk.pass(Duration::from_secs(60));
    desk.dispatcher.recover(desk.now, vec![found], &capabilities);
    desk.settle();
    assert_eq!((desk.sent(), desk.end_of(1)), (vec![1], None), "its outcome is asked for");
    desk.complete(1);
    assert_eq!(desk.end_of(1), Some(State::Completed));
}

#[test]
fn a_resumed_request_that_has_to_go_again_still_expires() {
    let mut desk = Desk::new(provider());
    desk.capabilities.resumes = true;
    let expires = at(desk.now, 10);
    let rest = format!(r#""command":"reset_pin","subscription":"b","smartcard":"c","expires":"{expires}""#);
    let request = desk.request(&rest);
    let reference = PlatformReference::new("ps000001");
    let found = Recovered { request, state: State::Sent, attempts: 1, retry_at: None, reference: reference.ok() };
    let capabilities = desk.capabilities.clone();
    desk.dispatcher.recover(desk.now, vec![found], &capabilities);
    desk.settle();
    desk.answer(
        1,
        Verdict::Failed(Failure { retry: Retry::Later(Some(Duration::from_secs(60))), ..Failure::not_sent("x", "x") }),
    );
    desk.pass(Duration::from_secs(11));
    assert_eq!(desk.end_of(1), Some(State::Expired));
}

#[test]
fn what_expires_after_a_restart_tells_that_it_was_sent_before() {
    let mut desk = Desk::new(provider());
    let expires = at(desk.now, 10);
    let rest = format!(r#""command":"reset_pin","subscription":"b","smartcard":"c","expires":"{expires}""#);
    let request = desk.request(&rest);
    let found = Recovered { request, state: State::Sent, attempts: 1, retry_at: None, reference: None };
    let capabilities = desk.capabilities.clone();
    desk.pass(Duration::from_secs(60));
    desk.dispatcher.recover(desk.now, vec![found], &capabilities);
    desk.settle();
    assert_eq!(desk.end_of(1), Some(State::Expired));
    assert_eq!(desk.ended[0].failure.as_ref().map(|failure| failure.sent), Some(Sent::Maybe));
}

#[test]
fn a_request_of_a_run_that_has_been_sent_waits_for_no_other_run_after_a_restart() {
    let mut desk = Desk::new(provider());
    let request = desk.request(r#""command":"reset_pin","subscription":"a","smartcard":"c","process":"with_run""#);
    let found = Recovered { request, state: State::Waiting, attempts: 1, retry_at: None, reference: None };
    let capabilities = desk.capabilities.clone();
    desk.dispatcher.recover(desk.now, vec![found], &capabilities);
    desk.settle();
    assert_eq!(desk.sent(), [1]);
}

#[test]
fn a_request_that_ended_can_be_opened_again() {
    let mut desk = Desk::new(provider());
    let number = desk.offer_as("fingerprint", "a", "");
    let request = Arc::clone(&desk.sent[0].1);
    desk.answer(number, silence());
    assert_eq!(desk.end_of(number), Some(State::Unknown));
    desk.dispatcher.reopen(desk.now, request).unwrap();
    desk.settle();
    assert_eq!(desk.sent(), [number]);
    assert_eq!(desk.log.iter().rev().take(3).collect::<Vec<_>>(), ["sent 1 attempt 1", "reopened 1", "reopen 1"]);
}

#[test]
fn a_drain_sends_nothing_more_and_waits_for_what_is_under_way() {
    let mut desk = Desk::new(provider());
    let (first, _second) = (desk.offer("a"), desk.offer("a"));
    desk.dispatcher.drain();
    assert!(!desk.dispatcher.is_idle());
    desk.complete(first);
    assert!(desk.sent().is_empty() && desk.dispatcher.is_idle());
}

#[test]
fn what_was_sent_before_the_breaker_opened_does_not_stand_in_for_the_probe() {
    let breaker = BreakerPolicy { failures: 1, open_for: Duration::from_secs(10) };
    let retry = RetryPolicy { attempts: 1, ..RetryPolicy::default() };
    let mut desk = Desk::new(Provider { breaker, retry, ..provider() });
    let (first, late, later) = (desk.offer("a"), desk.offer("b"), desk.offer("c"));
    desk.answer(first, silence());
    desk.pass(Duration::from_secs(10));
    let (probe, waiting) = (desk.offer("d"), desk.offer("e"));
    assert_eq!(desk.sent(), [late, later, probe]);
    desk.answer(late, Verdict::Failed(Failure::unspeakable("does_not_fit", "too long")));
    assert_eq!(desk.sent(), [later, probe], "one probe at a time");
    desk.answer(later, silence());
    assert_eq!(desk.dispatcher.load(desk.now).breaker.name(), "half_open", "the probe has not failed");
    desk.complete(probe);
    assert_eq!(desk.sent(), [waiting]);
}

#[test]
fn an_open_breaker_without_a_link_asks_for_no_wake_up_in_the_past() {
    let breaker = BreakerPolicy { failures: 1, open_for: Duration::from_secs(10) };
    let mut desk =
        Desk::new(Provider { breaker, retry: RetryPolicy { attempts: 1, ..RetryPolicy::default() }, ..provider() });
    let first = desk.offer("a");
    desk.answer(first, silence());
    desk.capacity = 0;
    desk.offer("b");
    desk.pass(Duration::from_secs(60));
    assert_eq!(desk.dispatcher.deadline(desk.now), None);
}
