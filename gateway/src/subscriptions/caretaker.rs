//! The task that does what is due by itself: temporary states and periods that end, actions whose day has come, and
//! requests that were still to be made when the gateway stopped or a queue was full.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::MissedTickBehavior;

use super::{SubscriptionError, Wish};
use crate::gateway::Gateway;
use crate::store::StoreError;
use crate::telemetry::metrics;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(1);

/// How many looks between two counts of those out of step.
const COUNT_EVERY: u32 = 5;

/// Most subscriptions of one look.
const AT_ONCE: usize = 1_000;

/// Starts it. It ends with the gateway.
pub(crate) fn start(gateway: &Gateway) {
    let gateway = gateway.downgrade();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut counted = BTreeSet::new();
        for look in 0u32.. {
            ticks.tick().await;
            let Some(gateway) = gateway().filter(|gateway| !gateway.is_stopping()) else { return };
            if let Err(error) = catch_up(&gateway).await {
                tracing::warn!(%error, "subscriptions that are due were not looked at; tried again");
            }
            if look.is_multiple_of(COUNT_EVERY) {
                // A count that is missing is made up for by the next.
                let _ = count(&gateway, &mut counted).await;
            }
        }
    });
}

async fn catch_up(gateway: &Gateway) -> Result<(), StoreError> {
    for number in gateway.store().due_subscriptions(Timestamp::now(), AT_ONCE).await? {
        match gateway.change_subscription(&number, &Wish::CatchUp).await {
            // Forgotten meanwhile; or it will be due again at the next look.
            Ok(_) | Err(SubscriptionError::NotFound | SubscriptionError::Unsteady) => {}
            Err(SubscriptionError::Stopping) => return Ok(()),
            Err(error) => tracing::warn!(%error, "a subscription that is due was not brought in step; tried again"),
        }
    }
    Ok(())
}

/// Tells the metrics how many are out of step. `counted` is what they were told of before: that may be none now.
async fn count(gateway: &Gateway, counted: &mut BTreeSet<(String, String)>) -> Result<(), StoreError> {
    let counts = gateway.store().out_of_sync().await?;
    for (provider, reason) in std::mem::take(counted) {
        metrics::out_of_sync(&provider, &reason, 0);
    }
    for count in counts {
        metrics::out_of_sync(&count.provider, &count.reason, count.count);
        counted.insert((count.provider, count.reason));
    }
    Ok(())
}
