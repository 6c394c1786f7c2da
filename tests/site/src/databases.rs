//! Real database servers, PostgreSQL and MariaDB, each in a directory of its own.
//!
//! Both refuse to run as root, or should not: then they run as the system's user for them, or as nobody. They end with
//! the thread that started them, so they do not outlive a test however it ends.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::certificates::Certificates;
use crate::server::{PATIENCE, Running, free_port, program};

/// The account that may do everything, on both, and the database it uses.
pub const USER: &str = "headgate";
/// Its password.
pub const PASSWORD: &str = "open'sesame";

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// PostgreSQL, with the database `postgres`.
    Postgres,
    /// MariaDB, with the database `sms`.
    MariaDb,
}

/// A server. Killed when dropped.
#[derive(Debug)]
pub struct DatabaseServer {
    kind: Kind,
    running: Option<Running>,
    directory: TempDir,
    account: Option<(u32, u32)>,
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    /// Its own, and their authority.
    pub certificates: Certificates,
}

impl DatabaseServer {
    /// Starts one, empty.
    pub fn start(kind: Kind) -> Self {
        let directory = TempDir::new().unwrap();
        let account = account(directory.path(), if kind == Kind::Postgres { "postgres" } else { "mysql" });
        let mut server =
            Self { kind, running: None, directory, account, port: free_port(), certificates: Certificates::make() };
        for file in ["localhost.pem", "localhost.key", "ca.pem"] {
            let copy = server.path(file);
            fs::copy(server.certificates.path(file), &copy).unwrap();
            fs::set_permissions(&copy, fs::Permissions::from_mode(0o600)).unwrap();
            server.own(&copy);
        }
        match kind {
            Kind::Postgres => server.initialise_postgres(),
            Kind::MariaDb => server.initialise_mariadb(),
        }
        server.run();
        server
    }

    /// Starts it again on the same port, after [`DatabaseServer::kill`].
    pub fn run(&mut self) {
        let data = self.path("data");
        let port = self.port.to_string();
        let mut command = match self.kind {
            Kind::Postgres => {
                self.wait_until_free(&data);
                let mut command = self.command(&postgres_program("postgres"));
                let settings = [
                    "listen_addresses=127.0.0.1".to_owned(),
                    "unix_socket_directories=".to_owned(),
                    // What a killed server wrote is not lost as long as the machine runs.
                    "fsync=off".to_owned(),
                    "max_connections=60".to_owned(),
                    "ssl=on".to_owned(),
                    format!("ssl_cert_file={}", self.path("localhost.pem").display()),
                    format!("ssl_key_file={}", self.path("localhost.key").display()),
                ];
                command.arg("-D").arg(&data).args(["-p", &port]);
                for setting in settings {
                    command.args(["-c", &setting]);
                }
                command
            }
            Kind::MariaDb => {
                let mut command = self.command(&program("mariadbd", "mariadb-server"));
                command.args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-log-bin", "--skip-name-resolve"]);
                command.args(["--innodb-flush-log-at-trx-commit=2", "--port", &port]);
                for (option, path) in [
                    ("datadir", "data"),
                    ("socket", "sock"),
                    ("pid-file", "pid"),
                    ("init-file", "init.sql"),
                    ("ssl-cert", "localhost.pem"),
                    ("ssl-key", "localhost.key"),
                ] {
                    command.arg(format!("--{option}={}", self.path(path).display()));
                }
                command
            }
        };
        let log = fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut running = Running::start(&mut command);
        running.wait_for_port(self.port);
        self.running = Some(running);
        self.wait_until_it_serves();
    }

    /// Kills it (SIGKILL), with every session.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// The lines of a provider's `database` table that lead to it, without TLS.
    pub fn table(&self) -> String {
        let (kind, name) = match self.kind {
            Kind::Postgres => ("postgres", "postgres"),
            Kind::MariaDb => ("mariadb", "sms"),
        };
        format!(
            "kind = \"{kind}\"\nhost = \"127.0.0.1\"\nport = {}\nuser = \"{USER}\"\npassword = \"{PASSWORD}\"\nname = \"{name}\"\n",
            self.port
        )
    }

    fn initialise_postgres(&self) {
        let password = self.path("password");
        fs::write(&password, PASSWORD).unwrap();
        self.own(&password);
        let mut command = self.command(&postgres_program("initdb"));
        command.args(["-U", USER, "-A", "scram-sha-256", "-E", "UTF8", "--no-locale", "-N"]);
        command.arg(format!("--pwfile={}", password.display())).arg("-D").arg(self.path("data"));
        succeed(&mut command);
    }

    fn initialise_mariadb(&self) {
        let script = format!(
            "CREATE DATABASE IF NOT EXISTS sms CHARACTER SET utf8mb4;\n\
             CREATE USER IF NOT EXISTS {USER}@'127.0.0.1' IDENTIFIED BY '{}';\n\
             GRANT ALL ON *.* TO {USER}@'127.0.0.1' WITH GRANT OPTION;\n",
            PASSWORD.replace('\'', "''")
        );
        let file = self.path("init.sql");
        fs::write(&file, script).unwrap();
        self.own(&file);
        let mut command = self.command(&program("mariadb-install-db", "mariadb-server"));
        command.arg("--no-defaults").arg(format!("--datadir={}", self.path("data").display()));
        command.args(["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]);
        succeed(&mut command);
    }

    /// A command that runs as the server's account, and is killed with the thread that starts it.
    fn command(&self, program_file: &Path) -> Command {
        let mut command = Command::new(program("setpriv", "util-linux"));
        command.args(["--pdeathsig", "KILL"]);
        if let Some((user, group)) = self.account {
            command.args([format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".to_owned()]);
        }
        command.arg(program_file).current_dir(self.directory.path());
        command
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn own(&self, path: &Path) {
        if let Some((user, group)) = self.account {
            std::os::unix::fs::chown(path, Some(user), Some(group)).unwrap();
        }
    }

    /// PostgreSQL listens before it lets anybody in.
    fn wait_until_it_serves(&self) {
        let start = Instant::now();
        let port = self.port.to_string();
        let is_ready = || {
            let mut command = Command::new(postgres_program("pg_isready"));
            command.args(["-q", "-h", "127.0.0.1", "-p", &port]).status().is_ok_and(|status| status.success())
        };
        while self.kind == Kind::Postgres && !is_ready() {
            assert!(start.elapsed() < PATIENCE, "the server lets nobody in");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The sessions of a killed server notice a moment later; until then nobody else gets its data.
    fn wait_until_free(&self, data: &Path) {
        let start = Instant::now();
        let uses = |process: std::io::Result<fs::DirEntry>| {
            process.is_ok_and(|process| fs::read_link(process.path().join("cwd")).is_ok_and(|place| place == data))
        };
        while fs::read_dir("/proc").unwrap().any(uses) {
            assert!(start.elapsed() < PATIENCE, "the killed server's sessions do not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Whom the server runs as, who then owns the directory; nothing: as who runs the test.
fn account(directory: &Path, name: &str) -> Option<(u32, u32)> {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let accounts = fs::read_to_string("/etc/passwd").unwrap();
    let ids = |name: &str| {
        let line = accounts.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2).map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    };
    let (user, group) = ids(name).or_else(|| ids("nobody")).expect("the system has a user who is nobody");
    std::os::unix::fs::chown(directory, Some(user), Some(group)).unwrap();
    Some((user, group))
}

/// PostgreSQL's programs lie in a directory of their version.
fn postgres_program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<_> = versions.map(|version| version.path().join("bin").join(name)).collect();
    found.sort();
    found.into_iter().rfind(|path| path.exists()).unwrap_or_else(|| program(name, "postgresql"))
}

fn succeed(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let told = || String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{command:?}: {}", told());
}
