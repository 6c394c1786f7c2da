//! What every store must do. A store's own tests run all of it with [`conformance!`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use headgate_core::command::CommandKind;
use headgate_core::dispatch::store::{Change, Finish};
use headgate_core::failure::Failure;
use headgate_core::outcome::{Answer, Exchange, RawAnswer};
use headgate_core::request::{Body, Idempotency, Process, Request, Source, State};
use headgate_core::text::{PlatformReference, ProviderName};
use jiff::{SignedDuration, Timestamp};

pub(super) use self::caller::{Caller, accept, finish, request};
use self::caller::{at, finish_of, north, request_of, with_key};
pub(super) use self::subscriptions::{
    an_end_changes_what_is_believed, an_unknown_end_is_doubtful_until_it_is_resolved, due_subscriptions_are_found,
    subscriptions_are_kept, subscriptions_are_listed,
};
use super::{BoxFuture, Filter, Page, RefusedBy, Store};

mod caller;
mod subscriptions;

/// Opens one and the same place again and again.
pub(super) trait Place: Sync {
    /// Opens the store there, which keeps 20 state changes and keys for an hour.
    fn open(&self) -> BoxFuture<'_, Arc<dyn Store>>;
}

/// One test for each case, at the place that the expression makes.
macro_rules! conformance {
    ($place:expr) => {
        $crate::store::conformance::conformance!($place;
            reports_in_order each_caller_hears_its_own keeps_everything_of_a_request
            keeps_over_a_restart many_callers_in_parallel
            a_key_is_taken_once a_key_is_taken_once_among_many old_keys_are_forgotten
            a_change_of_an_unknown_request_does_nothing a_collision_is_refused_alone
            retries_and_references_are_recovered recovers_in_order only_the_own_provider_is_recovered
            an_unreadable_request_is_given_up reopens keeps_the_exchange_of_a_resolved_request
            pages_meet_every_request_once filters filters_of_times
            followers_hear_every_end changes_are_resumed old_changes_are_removed
            unfinished_ones_follow_what_was_handed_over
            numbers_may_be_large closes
            subscriptions_are_kept an_end_changes_what_is_believed an_unknown_end_is_doubtful_until_it_is_resolved
            due_subscriptions_are_found subscriptions_are_listed
        );
    };
    ($place:expr; $($case:ident)+) => { $(
        #[tokio::test]
        async fn $case() {
            $crate::store::conformance::$case(&$place).await;
        }
    )+ };
}
pub(super) use conformance;

async fn numbers(store: &Arc<dyn Store>, filter: Filter) -> Vec<u64> {
    let listing = store.requests(filter, Page { before: None, limit: 1000 }).await.unwrap();
    assert_eq!(listing.next, None);
    listing.requests.iter().map(|request| request.number).collect()
}

async fn state_of(store: &Arc<dyn Store>, request: &Request) -> Option<State> {
    store.request(request.id).await.unwrap().map(|stored| stored.state)
}

pub(super) async fn reports_in_order(place: &impl Place) {
    let store = place.open().await;
    let mut caller = Caller::new(&store);
    for number in 1..=5000 {
        // Some wait for the disk and some do not; neither may overtake.
        caller.write_as(number % 3 == 0, vec![accept(&request(number))]);
        caller.write_as(number % 5 == 0, vec![finish(&request(number), State::Completed)]);
    }
    assert_eq!(caller.settle().await, BTreeMap::new());
    let heard: Vec<u64> = caller.heard.iter().map(|(id, _)| id.0).collect();
    assert_eq!(heard, (1..=10_000).collect::<Vec<_>>());
    assert_eq!(store.last_number().await.unwrap(), 5000);
    assert_eq!(state_of(&store, &request(5000)).await, Some(State::Completed));
}

pub(super) async fn each_caller_hears_its_own(place: &impl Place) {
    let store = place.open().await;
    let (mut one, mut other) = (Caller::new(&store), Caller::new(&store));
    for number in 1..=100 {
        one.write(vec![accept(&request(2 * number))]);
        other.write(vec![accept(&request(2 * number + 1)), finish(&request(2 * number + 1), State::Failed)]);
    }
    one.settle().await;
    other.settle().await;
    assert_eq!((one.heard.len(), other.heard.len()), (100, 200));
    assert_eq!(numbers(&store, Filter { state: Some(State::Failed), ..Filter::default() }).await.len(), 100);
}

pub(super) async fn keeps_everything_of_a_request(place: &impl Place) {
    let json = r#"{"provider":"north","command":"activate_services","subscription":"S1","services":["A","B"],
        "smartcard":"0145","priority":"express","process":"with_run","reference":"crm-7",
        "not_before":"2027-01-01T00:00:00Z","expires":"2027-02-01T00:00:00.000001Z"}"#;
    let mut made = request_of(7, json);
    made.source = Source::Utility;
    // Microseconds are kept, and the key is not an old one.
    made.created = Timestamp::from_microsecond(Timestamp::now().as_microsecond()).unwrap();
    made.idempotency = Some(Idempotency { key: "crm/k".into(), digest: [9; 32] });
    let mut end = finish_of(&made, State::Rejected);
    end.answer = Some(Answer::Raw(RawAnswer(vec![1, 2].into())));
    end.reference = Some(PlatformReference::new("T-1").unwrap());
    let store = place.open().await;
    let mut caller = Caller::new(&store);
    caller.store(vec![Change::Accept(Arc::new(made.clone()), State::Sent)]).await;
    let sent = store.request(made.id).await.unwrap().unwrap();
    assert_eq!((sent.state, sent.attempts, sent.sent_at), (State::Sent, 1, Some(made.created)));
    caller.store(vec![Change::Finish(Arc::new(end.clone()))]).await;

    let kept = store.request(made.id).await.unwrap().unwrap();
    assert_eq!((kept.id, kept.number, kept.provider, kept.command), (made.id, 7, north(), made.command.kind()));
    assert_eq!((kept.subscription, kept.reference), (made.subscription, made.reference));
    assert_eq!((kept.priority, kept.process, kept.source), (made.priority, made.process, made.source));
    assert_eq!((kept.not_before, kept.expires), (made.not_before, made.expires));
    assert_eq!((kept.created, kept.body, kept.idempotency), (made.created, made.body.0, made.idempotency));
    assert_eq!((kept.state, kept.attempts, kept.retry_at), (end.state, end.attempts, None));
    assert_eq!((kept.sent_at, kept.finished_at), (end.sent_at, Some(end.finished_at)));
    assert_eq!((kept.failure, kept.answer), (end.failure, end.answer));
    assert_eq!((kept.platform_reference, kept.exchange), (end.reference, end.exchange));
}

pub(super) async fn keeps_over_a_restart(place: &impl Place) {
    let store = place.open().await;
    let mut caller = Caller::new(&store);
    caller.store(vec![accept(&request(1)), accept(&request(2)), finish(&request(1), State::Completed)]).await;
    store.close().await.unwrap();
    drop((store, caller));

    let store = place.open().await;
    assert_eq!(state_of(&store, &request(1)).await, Some(State::Completed));
    // One that this run never met before is changed as well.
    let mut caller = Caller::new(&store);
    caller.store(vec![finish(&request(2), State::Failed), accept(&request(3))]).await;
    assert_eq!(state_of(&store, &request(2)).await, Some(State::Failed));
    assert_eq!(store.last_number().await.unwrap(), 3);
}

pub(super) async fn many_callers_in_parallel(place: &impl Place) {
    let store = place.open().await;
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let mut caller = Caller::new(&store);
            tokio::spawn(async move {
                for turn in 0..50 {
                    let made = request(1 + task * 50 + turn);
                    caller.store(vec![accept(&made)]).await;
                    caller.store(vec![finish(&made, State::Completed)]).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let filter = Filter { state: Some(State::Completed), ..Filter::default() };
    assert_eq!(numbers(&store, filter).await, (1..=400).rev().collect::<Vec<_>>());
}

pub(super) async fn a_key_is_taken_once(place: &impl Place) {
    let store = place.open().await;
    let mut caller = Caller::new(&store);
    let changes = vec![
        accept(&with_key(1, "k")),
        accept(&with_key(2, "k")),
        finish(&request(2), State::Completed),
        accept(&with_key(3, "other")),
    ];
    caller.write(changes);
    assert_eq!(caller.settle().await, BTreeMap::from([(2, RefusedBy::KeyTaken)]));
    let order: Vec<u64> = caller.heard.iter().map(|(id, _)| id.0).collect();
    assert_eq!(order, [1, 2, 3, 4]);
    assert_eq!(numbers(&store, Filter::default()).await, [3, 1]);
    assert_eq!(store.by_key("k").await.unwrap(), Some((request(1).id, [1; 32])));
    assert_eq!(store.by_key("none").await.unwrap(), None);
    // In a later commit and after a restart too.
    store.close().await.unwrap();
    drop((store, caller));
    let store = place.open().await;
    let mut caller = Caller::new(&store);
    caller.write(vec![accept(&with_key(4, "other"))]);
    assert_eq!(caller.settle().await, BTreeMap::from([(1, RefusedBy::KeyTaken)]));
}

pub(super) async fn a_key_is_taken_once_among_many(place: &impl Place) {
    let store = place.open().await;
    let tasks: Vec<_> = (1..=16)
        .map(|number| {
            let mut caller = Caller::new(&store);
            tokio::spawn(async move {
                caller.write(vec![accept(&with_key(number, "same"))]);
                caller.settle().await.is_empty()
            })
        })
        .collect();
    let mut stored = 0;
    for task in tasks {
        stored += usize::from(task.await.unwrap());
    }
    assert_eq!((stored, numbers(&store, Filter::default()).await.len()), (1, 1));
}

pub(super) async fn old_keys_are_forgotten(place: &impl Place) {
    let store = place.open().await;
    let mut caller = Caller::new(&store);
    let old = Request { created: Timestamp::now() - SignedDuration::from_hours(2), ..with_key(1, "old") };
    caller.store(vec![accept(&old), accept(&with_key(2, "new"))]).await;
    assert_eq!(store.by_key("old").await.unwrap(), None);
    assert!(store.by_key("new").await.unwrap().is_some());
    caller.store(vec![accept(&with_key(3, "old"))]).await;
}

pub(super) async fn a_change_of_an_unknown_request_does_nothing(place: &impl Place) {
    let store = place.open().await;
    let mut caller = Caller::new(&store);
    let changes =
        vec![finish(&request(1), State::Completed), Change::Reopen { id: request(2).id }, accept(&request(3))];
    caller.store(changes).await;
    assert_eq!(numbers(&store, Filter::default()).await, [3]);
    assert_eq!(store.changes(0, 10).await.unwrap().len(), 1);
}

pub(super) async fn a_collision_is_refused_alone(place: &impl Place) {
    let store = place.open().await;
    let mut caller = Caller::new(&store);
    caller.store(vec![accept(&request(1))]).await;
    let same_number = Request { id: request(99).id, ..with_key(1, "k") };
    caller.write(vec![accept(&request(2)), accept(&request(1)), accept(&same_number), accept(&request(3))]);
    let refused = caller.settle().await;
    assert_eq!(refused.keys().copied().collect::<Vec<_>>(), [3, 4]);
    assert!(refused.values().all(|by| matches!(by, RefusedBy::Disk(_))));
    assert_eq!(numbers(&store, Filter::default()).await, [3, 2, 1]);
    // The key of the one that was refused is free, and nobody was told of it.
    assert_eq!(store.by_key("k").await.unwrap(), None);
    assert_eq!(store.changes(0, 10).await.unwrap().len(), 3);
}

pub(super) async fn retries_and_references_are_recovered(place: &impl Place) {
    let store = place.open().await;
    let mut caller = Caller::new(&store);
    let made = request_of(
        1,
        r#"{"provider":"north","command":"set_pin","smartcard":"0145","pin":"1234","not_before":"2027-01-01T00:00:00Z"}"#,
    );
    let first = PlatformReference::new("T-1").unwrap();
    let second = PlatformReference::new("T-2").unwrap();
    caller.store(vec![accept(&made)]).await;
    caller.store(vec![Change::Sent { id: made.id, attempt: 1, at: at(5) }]).await;
    caller.store(vec![Change::References(vec![(made.id, first)])]).await;
    let failure = Failure::not_sent("link_down", "the link is down");
    caller.store(vec![Change::Again { id: made.id, retry_at: at(90), failure: failure.clone() }]).await;

    let kept = store.request(made.id).await.unwrap().unwrap();
    assert_eq!((kept.state, kept.attempts, kept.sent_at), (State::Waiting, 1, Some(at(5))));
    assert_eq!((kept.retry_at, kept.failure), (Some(at(90)), Some(failure)));
    let recovered = store.unfinished(north()).await.unwrap().remove(0);
    assert_eq!((recovered.state, recovered.attempts), (State::Waiting, 1));
    assert_eq!(recovered.retry_at, Some(at(90)));

    let sent = Change::Sent { id: made.id, attempt: 2, at: at(91) };
    caller.store(vec![sent, Change::References(vec![(made.id, second.clone())])]).await;
    store.close().await.unwrap();
    drop((store, caller));
    let store = place.open().await;
    let recovered = store.unfinished(north()).await.unwrap().remove(0);
    assert_eq!(*recovered.request, made);
    assert_eq!((recovered.state, recovered.attempts, recovered.retry_at), (State::Sent, 2, None));
    assert_eq!(recovered.reference, Some(second));
}

pub(super) async fn recovers_in_order(place: &impl Place) {
    let store = place.open().await;
    let mut caller = Caller::new(&store);
    // Several tasks hand numbers over, so they do not come in order.
    for number in [5, 2, 9, 1, 7] {
        caller.store(vec![Change::Accept(Arc::new(request(number)), State::Sent)]).await;
    }
    for number in [8, 3, 6, 4] {
        caller.store(vec![accept(&request(number))]).await;
    }
    caller.store(vec![finish(&request(7), State::Completed), finish(&request(4), State::Cancelled)]).await;
    let recovered = store.unfinished(north()).await.unwrap();
    let order: Vec<u64> = recovered.iter().map(|recovered| recovered.request.number).collect();
    assert_eq!(order, [1, 2, 3, 5, 6, 8, 9]);
}

pub(super) async fn only_the_own_provider_is_recovered(place: &impl Place) {
    let store = place.open().await;
    let mut caller = Caller::new(&store);
    let south = request_of(2, r#"{"provider":"south","command":"test_connection"}"#);
    caller.store(vec![accept(&request(1)), accept(&south)]).await;
    let recovered = store.unfinished(south.provider.clone()).await.unwrap();
    assert_eq!(recovered.len(), 1);
    assert_eq!(*recovered[0].request, south);
    assert!(store.unfinished(ProviderName::new("west").unwrap()).await.unwrap().is_empty());
}

pub(super) async fn an_unreadable_request_is_given_up(place: &impl Place) {
    let store = place.open().await;
    let mut caller = Caller::new(&store);
    let broken = |number| Request { body: Body(r#"{"provider":"0145-secret""#.into()), ..request(number) };
    let (waiting, sent) = (broken(1), broken(2));
    let changes = vec![accept(&waiting), Change::Accept(Arc::new(sent.clone()), State::Sent), accept(&request(3))];
    caller.store(changes).await;
    store.close().await.unwrap();
    drop((store, caller));

    let store = place.open().await;
    let recovered = store.unfinished(north()).await.unwrap();
    assert_eq!(recovered.iter().map(|recovered| recovered.request.number).collect::<Vec<_>>(), [3]);
    let ended = store.request(waiting.id).await.unwrap().unwrap();
    let failure = ended.failure.unwrap();
    assert_eq!((ended.state, &*failure.code), (State::Failed, "unreadable"));
    assert!(!failure.text.contains("0145"), "{}", failure.text);
    assert_eq!(state_of(&store, &sent).await, Some(State::Unknown));
    let told = store.changes(0, 10).await.unwrap();
    assert_eq!(told.last().map(|change| (change.number, change.state)), Some((2, State::Unknown)));
}

pub(super) async fn reopens(place: &impl Place) {
    let store = place.open().await;
    let mut caller = Caller::new(&store);
    let time = Some(request(1).created);
    let made = Request { not_before: time, expires: time, process: Process::WithRun, ..request(1) };
    caller.store(vec![accept(&made), finish(&made, State::Failed)]).await;
    caller.store(vec![Change::Reopen { id: made.id }]).await;
    let kept = store.request(made.id).await.unwrap().unwrap();
    assert_eq!((kept.state, kept.attempts, kept.finished_at, kept.failure), (State::Waiting, 0, None, None));
    assert_eq!((kept.sent_at, kept.exchange), (None, Exchange::default()));
    // Or the next start would let it expire, or wait for a run, although somebody sent it again.
    assert_eq!((kept.not_before, kept.expires, kept.process), (None, None, Process::Now));
    assert_eq!(store.unfinished(north()).await.unwrap().len(), 1);
    caller.store(vec![finish(&made, State::Completed)]).await;
    assert_eq!(state_of(&store, &made).await, Some(State::Completed));
    assert!(store.unfinished(north()).await.unwrap().is_empty());
}

pub(super) async fn keeps_the_exchange_of_a_resolved_request(place: &impl Place) {
    let store = place.open().await;
    let mut caller = Caller::new(&store);
    let made = request(1);
    caller.store(vec![accept(&made)]).await;
    caller.store(vec![finish(&made, State::Unknown)]).await;
    let resolved = Finish { exchange: Exchange::default(), failure: None, ..finish_of(&made, State::Completed) };
    caller.store(vec![Change::Finish(Arc::new(resolved))]).await;
    let kept = store.request(made.id).await.unwrap().unwrap();
    assert_eq!((kept.state, kept.failure), (State::Completed, None));
    assert_eq!(kept.exchange, finish_of(&made, State::Completed).exchange);
}

pub(super) async fn pages_meet_every_request_once(place: &impl Place) {
    let store = place.open().await;
    let mut caller = Caller::new(&store);
    caller.store((1..=25).map(|number| accept(&request(number * 3))).collect()).await;
    let (mut met, mut before, mut pages) = (Vec::new(), None, 0);
    loop {
        let listing = store.requests(Filter::default(), Page { before, limit: 10 }).await.unwrap();
        met.extend(listing.requests.iter().map(|request| request.number));
        pages += 1;
        // What comes meanwhile does not move what is already there.
        caller.store(vec![accept(&request(1000 + pages))]).await;
        before = listing.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(pages, 3);
    assert_eq!(met, (1..=25).rev().map(|number| number * 3).collect::<Vec<_>>());
}

pub(super) async fn filters(place: &impl Place) {
    let store = place.open().await;
    let mut caller = Caller::new(&store);
    let mut made = Vec::new();
    for number in 1..=240_u64 {
        let provider = ["north", "south"][usize::try_from(number % 2).unwrap()];
        let command = ["refresh_services", "get_services", "unpair"][usize::try_from(number % 3).unwrap()];
        let subscription = number % 5;
        let reference = number % 7;
        let mut one = request_of(
            number,
            &format!(
                r#"{{"provider":"{provider}","command":"{command}","subscription":"S{subscription}","smartcard":"0145","reference":"R{reference}"}}"#
            ),
        );
        if number % 11 == 0 {
            one.source = Source::Utility;
        }
        made.push((one, State::ALL[usize::try_from(number / 8 % 8).unwrap()]));
    }
    for (one, state) in &made {
        match state {
            State::Waiting | State::Sent => caller.write(vec![Change::Accept(Arc::new(one.clone()), *state)]),
            _ => caller.write(vec![accept(one), finish(one, *state)]),
        }
    }
    caller.settle().await;
    // Every combination of the fields, as one and the same request has them.
    for picked in 0..1_u32 << 8 {
        let (one, state) = &made[usize::try_from(picked % 240).unwrap()];
        let pick = |bit: u32| picked & (1 << bit) != 0;
        let filter = Filter {
            provider: pick(0).then(|| one.provider.clone()),
            subscription: one.subscription.clone().filter(|_| pick(1)),
            state: pick(2).then_some(*state),
            command: pick(3).then(|| one.command.kind()),
            source: pick(4).then_some(one.source),
            reference: one.reference.clone().filter(|_| pick(5)),
            from: pick(6).then_some(at(30)),
            to: pick(7).then_some(at(200)),
        };
        let wanted = made.iter().rev().filter(|(other, other_state)| {
            filter.provider.as_ref().is_none_or(|provider| *provider == other.provider)
                && (filter.subscription.is_none() || filter.subscription == other.subscription)
                && filter.state.is_none_or(|state| state == *other_state)
                && filter.command.is_none_or(|command| command == other.command.kind())
                && filter.source.is_none_or(|source| source == other.source)
                && (filter.reference.is_none() || filter.reference == other.reference)
                && filter.from.is_none_or(|from| from <= other.created)
                && filter.to.is_none_or(|to| other.created < to)
        });
        let wanted: Vec<u64> = wanted.map(|(other, _)| other.number).collect();
        assert_eq!(numbers(&store, filter.clone()).await, wanted, "{filter:?}");
    }
    let nobody = Filter { provider: Some(ProviderName::new("west").unwrap()), ..Filter::default() };
    assert!(numbers(&store, nobody).await.is_empty());
    let nothing = Filter { command: Some(CommandKind::Raw), ..Filter::default() };
    assert!(numbers(&store, nothing).await.is_empty());
}

pub(super) async fn filters_of_times(place: &impl Place) {
    let store = place.open().await;
    let mut caller = Caller::new(&store);
    // A day apart, with holes in the numbers; two of them a few minutes out of order, as when a clock is set.
    let day = |number: u64| at(86_400 * i64::try_from(number).unwrap());
    let made = (1..=60).map(|number| {
        let step = match number {
            20 => SignedDuration::from_mins(10),
            21 => SignedDuration::from_mins(-10) - SignedDuration::from_hours(24),
            _ => SignedDuration::ZERO,
        };
        Request { created: day(number) + step, ..request(number * 7) }
    });
    caller.store(made.map(|made| accept(&made)).collect()).await;
    let between = |from, to| Filter { from: Some(from), to: Some(to), ..Filter::default() };
    assert_eq!(numbers(&store, between(day(30), day(33))).await, [32 * 7, 31 * 7, 30 * 7]);
    assert_eq!(numbers(&store, between(day(20), day(21))).await, [20 * 7]);
    assert_eq!(numbers(&store, between(day(19), day(20))).await, [21 * 7, 19 * 7]);
    assert_eq!(numbers(&store, Filter { from: Some(day(60)), ..Filter::default() }).await, [60 * 7]);
    assert_eq!(numbers(&store, Filter { to: Some(day(2)), ..Filter::default() }).await, [7]);
    assert!(numbers(&store, between(day(61), day(70))).await.is_empty());
}

pub(super) async fn followers_hear_every_end(place: &impl Place) {
    let store = place.open().await;
    let mut follower = store.subscribe();
    let mut caller = Caller::new(&store);
    let made = request_of(
        1,
        r#"{"provider":"north","command":"unpair","smartcard":"0145","subscription":"S","reference":"R"}"#,
    );
    let again = vec![accept(&made), finish(&made, State::Rejected), Change::Reopen { id: made.id }];
    caller.store(again).await;
    caller.store(vec![finish(&made, State::Completed)]).await;
    let mut heard = Vec::new();
    while heard.last() != Some(&(State::Completed, None)) {
        let change = tokio::time::timeout(Duration::from_secs(60), follower.recv()).await.unwrap().unwrap();
        assert_eq!((change.id, change.number, &change.provider), (made.id, 1, &made.provider));
        assert_eq!((&change.subscription, change.command), (&made.subscription, CommandKind::Unpair));
        assert_eq!(change.reference, made.reference);
        heard.push((change.state, change.code));
    }
    assert_eq!(heard, [(State::Rejected, Some("E7".into())), (State::Waiting, None), (State::Completed, None)]);
    // The store says the same to those who ask later.
    let kept = store.changes(0, 10).await.unwrap();
    assert_eq!(kept.into_iter().map(|change| (change.state, change.code)).collect::<Vec<_>>(), heard);
}

pub(super) async fn changes_are_resumed(place: &impl Place) {
    let store = place.open().await;
    let mut caller = Caller::new(&store);
    caller.store((1..=10).map(|number| accept(&request(number))).collect()).await;
    let first = store.changes(0, 4).await.unwrap();
    assert_eq!(first.iter().map(|change| change.number).collect::<Vec<_>>(), [1, 2, 3, 4]);
    let rest = store.changes(first[3].sequence, 100).await.unwrap();
    assert_eq!(rest.iter().map(|change| change.number).collect::<Vec<_>>(), [5, 6, 7, 8, 9, 10]);
    let last = rest[5].sequence;
    store.close().await.unwrap();
    drop((store, caller));
    let store = place.open().await;
    Caller::new(&store).store(vec![accept(&request(11))]).await;
    let later = store.changes(last, 100).await.unwrap();
    assert_eq!(later.iter().map(|change| (change.number, change.sequence > last)).collect::<Vec<_>>(), [(11, true)]);
}

pub(super) async fn old_changes_are_removed(place: &impl Place) {
    let store = place.open().await;
    let mut caller = Caller::new(&store);
    for number in 1..=100 {
        caller.store(vec![accept(&request(number))]).await;
    }
    let kept = store.changes(0, 1000).await.unwrap();
    assert!((20..=22).contains(&kept.len()), "{} are kept", kept.len());
    assert_eq!(kept.last().map(|change| change.sequence), Some(store.last_sequence().await.unwrap()));
    assert_eq!(kept.last().map(|change| change.number), Some(100));
    assert!(kept.windows(2).all(|pair| pair[0].sequence < pair[1].sequence));
}

pub(super) async fn numbers_may_be_large(place: &impl Place) {
    let store = place.open().await;
    let mut caller = Caller::new(&store);
    let large = (1 << 62) + 12_345_678_901;
    caller.store(vec![accept(&request(large)), accept(&request(large + 1))]).await;
    caller.store(vec![finish(&request(large), State::Completed)]).await;
    assert_eq!(store.last_number().await.unwrap(), large + 1);
    let page = store.requests(Filter::default(), Page { before: Some(large + 1), limit: 1 }).await.unwrap();
    assert_eq!(page.requests.iter().map(|request| request.number).collect::<Vec<_>>(), [large]);
    let filter = Filter { from: Some(at(-1_000_000)), to: Some(at(1_000_000)), ..Filter::default() };
    assert_eq!(numbers(&store, filter).await, [large + 1, large]);
}

pub(super) async fn unfinished_ones_follow_what_was_handed_over(place: &impl Place) {
    let store = place.open().await;
    let mut caller = Caller::new(&store);
    caller.write_as(false, (1..=5_000).map(|number| accept(&request(number))).collect());
    caller.write_as(false, (1..=4_990).map(|number| finish(&request(number), State::Completed)).collect());
    let unfinished = store.unfinished(request(1).provider).await.unwrap();
    assert_eq!(unfinished.len(), 10);
    caller.settle().await;
}

pub(super) async fn closes(place: &impl Place) {
    let store = place.open().await;
    let mut caller = Caller::new(&store);
    caller.write_as(false, (1..=10_000).map(|number| accept(&request(number))).collect());
    store.close().await.unwrap();
    assert_eq!(caller.settle().await, BTreeMap::new());
    assert!(store.last_number().await.is_err());
    assert!(store.close().await.is_err());
    caller.write(vec![accept(&request(20_000))]);
    assert!(matches!(caller.settle().await.get(&10_001), Some(RefusedBy::Disk(_))));
    drop((store, caller));
    assert_eq!(place.open().await.last_number().await.unwrap(), 10_000);
}
