//! Keeps requests that arrive together in their order.
//!
//! The items of an array or a stream are accepted side by side, so that they share the store's commits. Those of
//! one subscription or device must be accepted one after the other, or the engine could see them the wrong way round.

use std::collections::HashMap;

use headgate_core::body::RequestBody;
use headgate_core::request::LaneKey;
use headgate_core::text::ProviderName;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

/// How many lanes are kept before those that nobody waits in are swept out.
const SWEEP_AT: usize = 4_096;

/// The last item of each lane.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    last: HashMap<(ProviderName, LaneKey), oneshot::Receiver<()>>,
    sweep_at: usize,
}

/// An item's turn in its lane.
#[derive(Debug, Default)]
pub(super) struct Turn {
    before: Option<oneshot::Receiver<()>>,
    after: Option<oneshot::Sender<()>>,
}

impl Lanes {
    /// The turn of the next item. Call it in the order of the items.
    pub(super) fn turn(&mut self, body: &RequestBody) -> Turn {
        let Some(lane) = lane(body) else { return Turn::default() };
        if self.last.len() >= self.sweep_at.max(SWEEP_AT) {
            self.last.retain(|_, item| item.try_recv() == Err(TryRecvError::Empty));
            self.sweep_at = self.last.len() * 2;
        }
        let (after, last) = oneshot::channel();
        let before = self.last.insert((body.provider.clone(), lane), last);
        Turn { before, after: Some(after) }
    }
}

impl Turn {
    /// Waits until the item before has been accepted or refused.
    pub(super) async fn come(&mut self) {
        if let Some(before) = self.before.take() {
            // An error means that it was dropped: it is not in the way any more.
            let _ = before.await;
        }
    }

    /// Lets the next item go.
    pub(super) fn pass(mut self) {
        self.after.take();
    }
}

/// What [`headgate_core::request::Request::lane`] will say of the request.
fn lane(body: &RequestBody) -> Option<LaneKey> {
    let device = || {
        let smartcards = body.smartcard.iter().chain(&body.smartcards);
        smartcards.chain(&body.stb).chain(&body.stbs).next().cloned()
    };
    body.subscription.clone().map(LaneKey::Subscription).or_else(|| device().map(LaneKey::Device))
}
