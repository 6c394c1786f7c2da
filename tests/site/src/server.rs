//! Programs that are started for a test and end with it.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Far more than anything in a test takes; so that a test that hangs says where.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A program of the system, or a clear failure.
pub fn program(name: &str, package: &str) -> PathBuf {
    ["/usr/sbin", "/usr/bin", "/usr/local/bin"]
        .iter()
        .map(|directory| PathBuf::from(directory).join(name))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("`{name}` is not installed; remedy: apt-get install -y {package}"))
}

/// A port of loopback that nobody listens on. Below those the system hands out by itself, and by process, so that
/// tests that run side by side do not take it from each other.
pub fn free_port() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id().wrapping_mul(61).wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed));
        let port = 20_000 + u16::try_from(number % 10_000).unwrap();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// A running program; killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
}

impl Running {
    /// Starts it.
    pub fn start(command: &mut Command) -> Self {
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child }
    }

    /// Ends the programs that this one started: a server's process for each session.
    pub fn kill_children(&self) {
        let of = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let mut waiting = vec![self.child.id().to_string()];
        let mut found = Vec::new();
        while let Some(pid) = waiting.pop() {
            waiting.extend(of(&pid).split_whitespace().map(str::to_owned));
            found.push(pid);
        }
        // The first is this program itself.
        for pid in found.iter().skip(1) {
            let _ = Command::new("kill").args(["-KILL", pid]).status();
        }
    }

    /// What it prints, if that was piped.
    pub fn stdout(&mut self) -> BufReader<ChildStdout> {
        BufReader::new(self.child.stdout.take().unwrap())
    }

    /// What it reads, if that was piped.
    pub fn stdin(&mut self) -> &mut ChildStdin {
        self.child.stdin.as_mut().unwrap()
    }

    /// Waits until it listens on `port`.
    pub fn wait_for_port(&mut self, port: u16) {
        let start = Instant::now();
        while TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).is_err() {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the server ended at once: {status}");
            }
            assert!(start.elapsed() < PATIENCE, "the server does not listen on port {port}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts `openssl` with its output piped.
pub fn openssl(arguments: &[&str]) -> Running {
    let mut command = Command::new(program("openssl", "openssl"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    Running::start(&mut command)
}

/// Reads lines until one satisfies.
pub fn line(output: &mut impl BufRead, satisfies: impl Fn(&str) -> bool) -> String {
    let mut line = String::new();
    loop {
        line.clear();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "the program ended without the line looked for");
        if satisfies(line.trim_end()) {
            return line.trim_end().to_owned();
        }
    }
}
