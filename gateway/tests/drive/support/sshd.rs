//! A real OpenSSH server that offers SFTP to whoever runs the tests, by key.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use headgate_site::certificates::quoted;
use headgate_site::server::{Running, free_port, program};

/// A server with the directories `req` and `ok` in its home.
pub(crate) struct Sshd {
    running: Option<Running>,
    directory: TempDir,
    pub(crate) port: u16,
}

impl Sshd {
    pub(crate) fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let at = |name: &str| directory.path().join(name).display().to_string();
        fs::create_dir_all(directory.path().join("home/req")).unwrap();
        fs::create_dir_all(directory.path().join("home/ok")).unwrap();
        for key in ["host", "user", "stranger"] {
            make_key(&directory.path().join(key));
        }
        fs::copy(at("user.pub"), at("authorized")).unwrap();
        fs::set_permissions(at("authorized"), fs::Permissions::from_mode(0o600)).unwrap();
        let port = free_port();
        let text = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {host}\nAuthorizedKeysFile {authorized}\nStrictModes no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nPermitRootLogin yes\n\
             PidFile none\nSubsystem sftp internal-sftp\n",
            host = at("host"),
            authorized = at("authorized"),
        );
        fs::write(at("sshd_config"), text).unwrap();
        if Path::new("/run").metadata().is_ok_and(|run| run.permissions().mode() & 0o200 != 0) {
            // Its privilege separation wants this directory; the package makes it at boot.
            let _ = fs::create_dir("/run/sshd");
        }
        let mut server = Self { running: None, directory, port };
        server.run();
        server
    }

    pub(crate) fn run(&mut self) {
        let mut command = Command::new(program("sshd", "openssh-server"));
        command.args(["-D", "-e", "-f"]).arg(self.directory.path().join("sshd_config"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut running = Running::start(&mut command);
        running.wait_for_port(self.port);
        self.running = Some(running);
    }

    pub(crate) fn stop(&mut self) {
        if let Some(running) = &self.running {
            running.kill_children();
        }
        self.running = None;
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join("home").join(path)
    }

    /// A `connection` table for it, logging in with the private key `key`.
    pub(crate) fn table(&self, key: &str) -> String {
        let user = Command::new("id").arg("-un").output().unwrap().stdout;
        format!(
            "[sftp]\nhost = \"127.0.0.1\"\nport = {}\nuser = \"{}\"\nkey = {}\nhost_key = \"{}\"\nhome = {}\n",
            self.port,
            String::from_utf8(user).unwrap().trim(),
            quoted(&self.directory.path().join(key)),
            fingerprint(&self.directory.path().join("host.pub")),
            quoted(&self.path("")),
        )
    }

    /// The fingerprint of a key that is not the host's.
    pub(crate) fn strange_fingerprint(&self) -> String {
        fingerprint(&self.directory.path().join("stranger.pub"))
    }

    pub(crate) fn host_fingerprint(&self) -> String {
        fingerprint(&self.directory.path().join("host.pub"))
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop();
    }
}

fn make_key(path: &Path) {
    let status = Command::new(program("ssh-keygen", "openssh-client"))
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(path)
        .status()
        .unwrap();
    assert!(status.success());
}

fn fingerprint(public_key: &Path) -> String {
    let output = Command::new(program("ssh-keygen", "openssh-client")).arg("-lf").arg(public_key).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split_whitespace().nth(1).unwrap().to_owned()
}
