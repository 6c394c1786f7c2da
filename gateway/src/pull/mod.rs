//! Pulls: CRMs whose pending requests are fetched and carried out. What is to be done is decided by
//! [`headgate_codecs::crm_com::pull`]; here it is done.
//!
//! Each pull has a [`task`] of its own, which makes the calls. Each part of a request goes its way at a [`desk`]: it is
//! accepted as if it had been posted, or found again, and followed to its end.

mod desk;
mod task;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use headgate_codecs::registry::Transport;
use headgate_core::text::Secret;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::clock::Clock;
use crate::config::{Config, ProviderState, PullConfig};
use crate::drive::Connection;
use crate::gateway::{StartError, WeakGateway};
use task::Task;

/// The longest name of a pull, in bytes: it is a part of references.
pub(crate) const NAME_LIMIT: usize = 32;

/// How long a pull gets to post what has ended when it stops.
const GRACE: Duration = Duration::from_secs(10);

/// The pulls of a gateway.
#[derive(Default)]
pub(crate) struct Pulls {
    running: Mutex<BTreeMap<String, Running>>,
}

struct Running {
    config: PullConfig,
    /// Cancelled when this is dropped: a gateway that is dropped takes its pulls with it.
    stop: DropGuard,
    task: JoinHandle<()>,
}

/// Checks every pull.
///
/// # Errors
/// [`StartError::Pull`] for the first that can not be.
pub(crate) fn check(config: &Config) -> Result<(), StartError> {
    for pull in &config.pulls {
        if let Some((path, text)) = mistakes(pull, config).into_iter().next() {
            return Err(StartError::Pull { pull: pull.name.clone(), path, text });
        }
    }
    Ok(())
}

/// What is wrong with a pull: paths below its table, and texts.
pub(crate) fn mistakes(pull: &PullConfig, config: &Config) -> Vec<(String, String)> {
    let mut mistakes = Vec::new();
    let mut add = |path: &str, text: String| mistakes.push((path.trim_end_matches('.').to_owned(), text));
    if pull.name.is_empty() || pull.name.len() > NAME_LIMIT || pull.name.chars().any(|c| c.is_control() || c == ':') {
        add("name", format!("must have 1 to {NAME_LIMIT} characters, and no colon"));
    }
    if !config.providers.iter().any(|provider| provider.name == pull.to) {
        let known: Vec<_> = config.providers.iter().map(|provider| provider.name.as_str()).collect();
        add("to", format!("there is no provider {:?}; there are: {}", pull.to, known.join(", ")));
    }
    if let Err(error) = pull.settings.check() {
        add(&format!("settings.{}", error.path), error.text);
    }
    if let Err(error) = pull.connection.validate(Transport::Http) {
        add(&format!("connection.{}", error.path), error.text);
    } else if let Some(path) = token_in_clear(pull) {
        let text = "the pull's `token` would go to another machine in clear: use \"https://\", or allow it with \
                    `allow_plain_credentials = true`";
        add(&format!("connection.{path}"), text.to_owned());
    }
    mistakes
}

/// Where a token would be seen on the way: it is held to the rule for a connection's own credentials.
fn token_in_clear(pull: &PullConfig) -> Option<String> {
    pull.settings.token.as_ref()?;
    let stand_in = ("x-token".to_owned(), Secret::new("stands in"));
    let connection = Connection { headers: [stand_in].into(), ..pull.connection.clone() };
    connection.validate(Transport::Http).err().map(|error| error.path)
}

impl Pulls {
    /// Runs the pulls of `config` and no others. Those that did not change go on; the others stop first, within a few
    /// seconds.
    ///
    /// # Errors
    /// [`StartError::Pull`], if one can not be; those before it run.
    pub(crate) async fn run(&self, config: &Config, gateway: &WeakGateway, clock: Clock) -> Result<(), StartError> {
        let wanted = |name: &String, running: &Running| {
            config.pulls.iter().any(|pull| pull.name == *name && *pull == running.config && !running.task.is_finished())
        };
        let old = self.take(|name, running| !wanted(name, running));
        stop_all(old, GRACE).await;
        for pull in config.pulls.iter().filter(|pull| pull.state == ProviderState::Effective) {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            if !running.contains_key(&pull.name) {
                running.insert(pull.name.clone(), start(pull, gateway.clone(), clock)?);
                tracing::info!(pull = pull.name, provider = pull.to.as_str(), "pull started");
            }
        }
        Ok(())
    }

    /// Stops every pull: what has ended is posted, if that can be done in time; the rest is found again at the next
    /// start.
    pub(crate) async fn stop(&self, limit: Duration) {
        let all = self.take(|_, _| true);
        stop_all(all, limit.min(GRACE)).await;
    }

    fn take(&self, which: impl Fn(&String, &Running) -> bool) -> Vec<(String, Running)> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.extract_if(.., |name, running| which(name, running)).collect()
    }
}

fn start(config: &PullConfig, gateway: WeakGateway, clock: Clock) -> Result<Running, StartError> {
    let stop = CancellationToken::new();
    let task = Task::new(config, gateway, clock).map_err(|error| StartError::Pull {
        pull: config.name.clone(),
        path: format!("connection.{}", error.path).trim_end_matches('.').to_owned(),
        text: error.text,
    })?;
    let task = tokio::spawn(task.run(stop.clone()));
    Ok(Running { config: config.clone(), stop: stop.drop_guard(), task })
}

/// Side by side, so that several that hang take no longer than one.
async fn stop_all(pulls: Vec<(String, Running)>, limit: Duration) {
    let stop = async |(name, Running { stop, mut task, .. })| {
        drop(stop);
        if tokio::time::timeout(limit, &mut task).await.is_err() {
            tracing::warn!(pull = name, "answers could not be posted in time; the next start posts them");
            task.abort();
        }
    };
    futures_util::future::join_all(pulls.into_iter().map(stop)).await;
}
