//! The gateway as its users run it: the real program, in a process of its own, that can be killed.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::client::Client;
use crate::server::PATIENCE;

/// A running gateway. Killed when dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    address: watch::Receiver<Option<SocketAddr>>,
    log: Log,
}

/// What programs logged, one line after the other. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// The lines so far.
    ///
    /// # Panics
    /// If a reader of the log panicked.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().expect("nobody panics while he holds it").clone()
    }

    fn push(&self, line: String) {
        self.0.lock().expect("nobody panics while he holds it").push(line);
    }
}

/// How a gateway is started.
#[derive(Clone, Debug)]
pub struct Launch {
    command: Vec<PathBuf>,
    config: PathBuf,
    level: String,
    log: Log,
}

impl Launch {
    /// `binary serve --config FILE`.
    #[must_use]
    pub fn new(binary: impl AsRef<Path>, config: impl AsRef<Path>) -> Self {
        let (command, config) = (vec![binary.as_ref().into()], config.as_ref().into());
        Self { command, config, level: "info".into(), log: Log::default() }
    }

    /// The same, started by another program: its name and arguments, to which the gateway's are added.
    #[must_use]
    pub fn by(mut self, other: &[impl AsRef<OsStr>]) -> Self {
        self.command.splice(..0, other.iter().map(PathBuf::from));
        self
    }

    /// The same, logging more or less than at `info`.
    #[must_use]
    pub fn log_level(mut self, level: &str) -> Self {
        level.clone_into(&mut self.level);
        self
    }

    /// What every gateway that was started this way logged.
    #[must_use]
    pub fn log(&self) -> Log {
        self.log.clone()
    }

    /// Starts a process, and does not wait for what it does.
    ///
    /// # Errors
    /// If the system can not start it.
    ///
    /// # Panics
    /// If there is no command, or standard error is not piped: neither can be.
    pub fn spawn(&self) -> Result<Program> {
        let (first, rest) = self.command.split_first().expect("it begins with the binary");
        let mut child = Command::new(first)
            .args(rest)
            .args(["--log", &self.level, "--log-format", "json", "serve", "--config"])
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} can not be started", first.display()))?;
        let (found, address) = watch::channel(None);
        let stderr = child.stderr.take().expect("it is piped");
        tokio::spawn(follow(stderr, self.log.clone(), found));
        Ok(Program { child, address, log: self.log.clone() })
    }

    /// Starts one and waits until it serves.
    ///
    /// # Errors
    /// If it does not.
    pub async fn start(&self) -> Result<Program> {
        let mut program = self.spawn()?;
        program.ready().await?;
        Ok(program)
    }
}

impl Program {
    /// Where it listens, once it does.
    #[must_use]
    pub fn address(&self) -> watch::Receiver<Option<SocketAddr>> {
        self.address.clone()
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// A client of it, as soon as it serves.
    ///
    /// # Errors
    /// If it ends before.
    pub async fn ready(&mut self) -> Result<Client> {
        let address = timeout(PATIENCE, self.address.wait_for(Option::is_some)).await;
        match address.context("the gateway does not start")?.map(|address| *address) {
            Ok(Some(address)) => Ok(Client::new(address)),
            _ => bail!("the gateway ended: {:?}", self.log.lines().last()),
        }
    }

    /// Kills it (SIGKILL), and waits until it is gone.
    ///
    /// # Errors
    /// If the system can not.
    pub async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Asks it to stop (SIGTERM), and waits until it has.
    ///
    /// # Errors
    /// If it does not in time.
    pub async fn stop(mut self) -> Result<ExitStatus> {
        let id = self.child.id().context("it has ended already")?;
        Command::new("kill").args(["-TERM", &id.to_string()]).status().await?;
        Ok(timeout(PATIENCE, self.child.wait()).await.context("it does not stop")??)
    }
}

/// Keeps each line, and finds the one that tells the address.
async fn follow(stderr: ChildStderr, log: Log, found: watch::Sender<Option<SocketAddr>>) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let json: Value = serde_json::from_str(&line).unwrap_or_default();
        if json["message"] == "the gateway runs" {
            found.send_replace(json["address"].as_str().and_then(|address| address.parse().ok()));
        }
        log.push(line);
    }
}
