//! Runs the program: as a gateway that is watched through its log, and as a command.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use headgate_site::{Client, Platforms};
use serde_json::Value;

/// How long anything may take. Generous: nothing here is about speed.
const PATIENCE: Duration = Duration::from_secs(60);

const PROGRAM: &str = env!("CARGO_BIN_EXE_headgate");

/// `headgate serve`, with its configuration in a file that can be changed.
pub(crate) struct Gateway {
    process: Process,
    config: PathBuf,
    pub(crate) address: SocketAddr,
    /// Where NDJSON is taken, if it is.
    pub(crate) stream: Option<SocketAddr>,
    pub(crate) client: Client,
}

impl Gateway {
    /// Starts a gateway for these platforms; `adjust` may change the configuration's text first.
    pub(crate) fn start(platforms: &Platforms, adjust: impl FnOnce(String) -> String) -> Self {
        Self::run(platforms.home.path(), &adjust(platforms.config(SocketAddr::from(([127, 0, 0, 1], 0)))))
    }

    /// Starts a gateway with this configuration, kept in `home`.
    pub(crate) fn run(home: &Path, text: &str) -> Self {
        let config = home.join("headgate.toml");
        std::fs::write(&config, text).unwrap();
        let process = Process::spawn(&["serve", "--config", config.to_str().unwrap()]);
        let runs = process.logged("the gateway runs");
        let address = runs["address"].as_str().unwrap().parse().unwrap();
        let stream = runs["stream"].as_str().map(|stream| stream.parse().unwrap());
        Self { process, config, address, stream, client: Client::new(address) }
    }

    /// What the configuration's file says now.
    pub(crate) fn config(&self) -> String {
        std::fs::read_to_string(&self.config).unwrap()
    }

    /// Changes the configuration and has it read; says what the log says about that.
    pub(crate) fn reload(&self, text: &str) -> Value {
        self.write_config(text);
        let seen = self.process.lines().len();
        self.signal("HUP");
        wait_for("the reload", || {
            let lines = self.process.lines();
            let told =
                |line: &&Value| message(line).contains("was taken over") || message(line).contains("was not taken");
            lines[seen..].iter().find(told).cloned()
        })
    }

    /// Changes the configuration.
    pub(crate) fn write_config(&self, text: &str) {
        std::fs::write(&self.config, text).unwrap();
    }

    /// Sends a signal, as in `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Waits for this message in the log.
    pub(crate) fn logged(&self, text: &str) -> Value {
        self.process.logged(text)
    }

    /// The log so far.
    pub(crate) fn log(&self) -> Vec<Value> {
        self.process.lines()
    }

    /// Runs a subcommand that asks this gateway.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Ran {
        let url = format!("http://{}", self.address);
        run_with(arguments, &[("HEADGATE_URL", &url)], "")
    }

    /// Stops it gracefully.
    pub(crate) fn stop(self) {
        self.signal("TERM");
        let status = self.ended();
        assert_eq!(status.code(), Some(0), "{status}");
    }

    /// Waits until it has ended.
    pub(crate) fn ended(mut self) -> ExitStatus {
        self.process.ended()
    }
}

/// A program that runs beside the test, and its log. Ends with the test.
pub(crate) struct Process {
    child: Child,
    lines: Arc<Mutex<Vec<Value>>>,
}

impl Process {
    pub(crate) fn spawn(arguments: &[&str]) -> Self {
        Self::spawn_with(arguments, &[])
    }

    /// The same with these environment variables.
    pub(crate) fn spawn_with(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = command(arguments);
        command.envs(environment.iter().copied());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (log, written) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&lines));
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
                written.lock().unwrap().push(value);
            }
        });
        Self { child, lines }
    }

    pub(crate) fn lines(&self) -> Vec<Value> {
        self.lines.lock().unwrap().clone()
    }

    pub(crate) fn logged(&self, text: &str) -> Value {
        let found = || self.lines().into_iter().find(|line| message(line).contains(text));
        wait_for(text, found)
    }

    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    pub(crate) fn ended(&mut self) -> ExitStatus {
        wait_for("the end of the program", || self.child.try_wait().unwrap())
    }

    /// The first line it prints.
    pub(crate) fn first_line(&mut self) -> String {
        let mut line = String::new();
        let out = self.child.stdout.as_mut().unwrap();
        let mut byte = [0];
        while out.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
            line.push(char::from(byte[0]));
        }
        line
    }

    /// What it printed after that, once it has ended.
    pub(crate) fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.child.stdout.as_mut().unwrap().read_to_string(&mut rest).unwrap();
        rest
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended by itself, where the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn message(line: &Value) -> &str {
    line.get("message").unwrap_or(line).as_str().unwrap_or_default()
}

/// Asks until there is an answer.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < until, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What a run gave.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Asserts the exit status; what was printed explains a failure.
    #[track_caller]
    pub(crate) fn ends(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "{self:#?}");
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// Runs a subcommand.
pub(crate) fn run(arguments: &[&str]) -> Ran {
    run_with(arguments, &[], "")
}

/// Runs a subcommand with these environment variables and this input.
pub(crate) fn run_with(arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Ran {
    let mut command = command(arguments);
    command.envs(environment.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A program that does not read its input may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { status: status.code(), out: text(stdout), err: text(stderr) }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).env_clear().env("PATH", "");
    command
}
