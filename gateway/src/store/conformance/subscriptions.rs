//! What every store must do with subscriptions.

use std::sync::Arc;

use headgate_core::dispatch::store::Change;
use headgate_core::failure::Failure;
use headgate_core::request::State;
use headgate_core::subscription::{
    Authorised, Holder, OutOfSync, OutOfSyncReason, Subscription, SubscriptionBody, SubscriptionState,
};
use headgate_core::text::{Serial, ServiceCode, SubscriptionNumber};
use jiff::Timestamp;

use super::caller::{at, finish_of, north, request_of};
use super::{Caller, Place};
use crate::store::Store;
use crate::store::subscriptions::{
    Holding, OutOfSyncCount, Planned, SubscriptionChange, SubscriptionFilter, SubscriptionPage,
};

fn number(text: &str) -> SubscriptionNumber {
    SubscriptionNumber::new(text).unwrap()
}

fn wanted(name: &str, json: &str) -> Subscription {
    let body: SubscriptionBody = serde_json::from_str(json).unwrap();
    body.subscription(number(name), at(0)).unwrap()
}

fn plain(name: &str) -> Subscription {
    wanted(name, r#"{"provider":"north","services":["SPORT"],"smartcard":"1"}"#)
}

fn planned(seen: u64, out_of_sync: Option<OutOfSync>, unplanned: bool) -> Planned {
    Planned { provider: north(), seen, out_of_sync, unplanned }
}

fn want(desired: Subscription, next_change: Option<Timestamp>, plan: Planned) -> SubscriptionChange {
    SubscriptionChange::Want { desired: Box::new(desired), next_change, plans: vec![plan] }
}

fn mark() -> Option<OutOfSync> {
    Some(OutOfSync { since: at(1), reason: OutOfSyncReason::AwaitsRun })
}

async fn put(store: &Arc<dyn Store>, change: SubscriptionChange) -> bool {
    store.change_subscription(change).await.unwrap()
}

async fn holding(store: &Arc<dyn Store>, name: &str) -> Holding {
    store.subscription(number(name)).await.unwrap().unwrap().holdings.remove(&north()).unwrap()
}

fn shows(authorised: &Authorised, code: &str) -> bool {
    let card = Holder::Smartcard(Serial::new("1").unwrap());
    authorised.held.shows(&card, &ServiceCode::new(code).unwrap(), at(100))
}

const ACTIVATE: &str =
    r#"{"provider":"north","command":"activate_services","subscription":"S1","services":["SPORT"],"smartcard":"1"}"#;

pub(in crate::store) async fn subscriptions_are_kept(place: &impl Place) {
    let store = place.open().await;
    assert!(store.subscription(number("S1")).await.unwrap().is_none());
    assert!(put(&store, want(plain("S1"), None, planned(0, mark(), false))).await);
    let first = holding(&store, "S1").await;
    assert_eq!((first.revision, first.unplanned, first.authorised.out_of_sync), (1, false, mark()));
    // Who saw something older may not change it.
    assert!(!put(&store, want(plain("S1"), None, planned(0, None, false))).await);
    assert_eq!(holding(&store, "S1").await.authorised.out_of_sync, mark());
    let changed = wanted("S1", r#"{"provider":"north","state":"not_effective","smartcard":"2"}"#);
    assert!(put(&store, want(changed.clone(), None, planned(1, None, false))).await);
    store.close().await.unwrap();
    drop(store);

    let store = place.open().await;
    let kept = store.subscription(number("S1")).await.unwrap().unwrap();
    assert_eq!(kept.desired, changed);
    assert_eq!(kept.holdings[&north()].authorised.out_of_sync, None);
    assert!(put(&store, SubscriptionChange::Forget { number: number("S1") }).await);
    assert!(store.subscription(number("S1")).await.unwrap().is_none());
}

pub(in crate::store) async fn an_end_changes_what_is_believed(place: &impl Place) {
    let store = place.open().await;
    assert!(put(&store, want(plain("S1"), None, planned(0, None, true))).await);
    let mut caller = Caller::new(&store);
    let (one, two) = (request_of(1, ACTIVATE), request_of(2, ACTIVATE));
    caller.store(vec![Change::Accept(Arc::new(one.clone()), State::Sent)]).await;
    let sent = holding(&store, "S1").await;
    assert_eq!((sent.pending.as_slice(), shows(&sent.authorised, "SPORT")), (&[one.command.clone()][..], false));

    caller.store(vec![Change::Finish(Arc::new(finish_of(&one, State::Completed)))]).await;
    let done = holding(&store, "S1").await;
    assert!(done.pending.is_empty() && shows(&done.authorised, "SPORT") && done.unplanned);
    assert!(done.revision > sent.revision, "who planned from what was before must plan anew");

    // Accepted and ended in one commit; the platform said no.
    let mut refused = finish_of(&two, State::Rejected);
    refused.failure = Some(Failure::refused("E7", "no"));
    caller.store(vec![Change::Accept(Arc::new(two), State::Sent), Change::Finish(Arc::new(refused))]).await;
    let marked = holding(&store, "S1").await.authorised;
    assert!(shows(&marked, "SPORT"));
    assert_eq!(marked.out_of_sync.unwrap().reason, OutOfSyncReason::Rejected { code: "E7".into() });
    let count = OutOfSyncCount { provider: "north".into(), reason: "rejected".into(), count: 1 };
    assert_eq!(store.out_of_sync().await.unwrap(), [count]);

    // One of a subscription that is not kept is stored like any other.
    let stranger = request_of(3, &ACTIVATE.replace("S1", "S2"));
    let end = Change::Finish(Arc::new(finish_of(&stranger, State::Completed)));
    caller.store(vec![Change::Accept(Arc::new(stranger), State::Sent), end]).await;
    assert!(store.subscription(number("S2")).await.unwrap().is_none());
}

pub(in crate::store) async fn an_unknown_end_is_doubtful_until_it_is_resolved(place: &impl Place) {
    let store = place.open().await;
    assert!(put(&store, want(plain("S1"), None, planned(0, None, false))).await);
    let mut caller = Caller::new(&store);
    let one = request_of(1, ACTIVATE);
    caller.store(vec![Change::Accept(Arc::new(one.clone()), State::Sent)]).await;
    caller.store(vec![Change::Finish(Arc::new(finish_of(&one, State::Unknown)))]).await;
    let doubtful = holding(&store, "S1").await.authorised;
    assert!(!shows(&doubtful, "SPORT"), "it may be otherwise");
    assert_eq!(doubtful.out_of_sync.unwrap().reason, OutOfSyncReason::Unknown);
    caller.store(vec![Change::Finish(Arc::new(finish_of(&one, State::Completed)))]).await;
    assert!(shows(&holding(&store, "S1").await.authorised, "SPORT"));
}

pub(in crate::store) async fn due_subscriptions_are_found(place: &impl Place) {
    let store = place.open().await;
    assert!(put(&store, want(plain("LATER"), Some(at(50)), planned(0, None, false))).await);
    assert!(put(&store, want(plain("NEVER"), None, planned(0, None, false))).await);
    assert!(put(&store, want(plain("UNPLANNED"), None, planned(0, None, true))).await);
    let due = async |seconds| store.due_subscriptions(at(seconds), 10).await.unwrap();
    assert_eq!(due(49).await, [number("UNPLANNED")]);
    assert_eq!(due(50).await, [number("LATER"), number("UNPLANNED")]);
    let reason = Some(OutOfSyncReason::Failed { code: "out_of_range".into() });
    let providers = vec![(north(), reason.clone())];
    assert!(put(&store, SubscriptionChange::Made { number: number("UNPLANNED"), providers, at: at(2) }).await);
    assert_eq!(due(49).await, []);
    let marked = holding(&store, "UNPLANNED").await.authorised;
    assert_eq!(marked.out_of_sync.map(|mark| mark.reason), reason);

    let mut authorised = Authorised::default();
    authorised.mark(OutOfSyncReason::ReadBackDiffers, at(3));
    let adopt = |seen| SubscriptionChange::Adopt {
        number: number("LATER"),
        provider: north(),
        seen,
        authorised: Box::new(authorised.clone()),
    };
    assert!(!put(&store, adopt(7)).await);
    assert!(put(&store, adopt(1)).await);
    assert_eq!(holding(&store, "LATER").await.authorised, authorised);
}

pub(in crate::store) async fn subscriptions_are_listed(place: &impl Place) {
    let store = place.open().await;
    for index in 0..7 {
        let state = if index % 2 == 0 { "effective" } else { "terminated" };
        let json = format!(
            r#"{{"provider":"north","state":"{state}","kind":"K{}","created":"2026-01-0{}T00:00:00Z"}}"#,
            index % 3,
            index + 1
        );
        let mark = mark().filter(|_| index < 2);
        assert!(put(&store, want(wanted(&format!("S{index}"), &json), None, planned(0, mark, false))).await);
    }
    let page = async |filter: SubscriptionFilter, limit| {
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let listing = store.subscriptions(filter.clone(), SubscriptionPage { after, limit }).await.unwrap();
            assert!(listing.subscriptions.len() <= limit);
            found.extend(listing.subscriptions.iter().map(|one| one.desired.number.as_str().to_owned()));
            after = listing.next;
            if after.is_none() {
                return found.concat();
            }
        }
    };
    let all = SubscriptionFilter::default;
    assert_eq!(page(all(), 3).await, "S0S1S2S3S4S5S6");
    assert_eq!(page(all(), 7).await, "S0S1S2S3S4S5S6");
    let day = |day: &str| Some(format!("2026-01-{day}T00:00:00Z").parse().unwrap());
    let cases = [
        (SubscriptionFilter { out_of_sync: Some(true), ..all() }, "S0S1"),
        (SubscriptionFilter { out_of_sync: Some(false), provider: Some(north()), ..all() }, "S2S3S4S5S6"),
        (SubscriptionFilter { out_of_sync: Some(true), state: Some(SubscriptionState::Terminated), ..all() }, "S1"),
        (SubscriptionFilter { kind: Some("K1".to_owned().try_into().unwrap()), ..all() }, "S1S4"),
        (SubscriptionFilter { from: day("03"), to: day("05"), ..all() }, "S2S3"),
        (SubscriptionFilter { provider: Some("south".to_owned().try_into().unwrap()), ..all() }, ""),
    ];
    for (filter, expected) in cases {
        assert_eq!(page(filter.clone(), 1).await, expected, "{filter:?}");
    }
}
