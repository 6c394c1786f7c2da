//! A real vsftpd, with anonymous login so that it needs no account and no PAM.
//!
//! Whoever runs the tests runs the server. As root it locks its sessions into its home directory; as anybody else it
//! can not, and its paths are those of the machine.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::certificates::Certificates;
use crate::server::{Running, free_port, program};

/// How the server protects its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Not at all.
    None,
    /// Explicit TLS, demanded, with resumed sessions on data connections demanded too.
    Tls,
}

/// A server with the directories `site/req`, `site/ok` and `site/err`, and a read-only one, `locked`.
#[derive(Debug)]
pub struct Vsftpd {
    running: Option<Running>,
    directory: TempDir,
    /// Where it listens.
    pub port: u16,
    /// Its own, and their authority.
    pub certificates: Certificates,
}

impl Vsftpd {
    /// Starts one. `more` are further lines of its configuration.
    pub fn start(security: Security, more: &str) -> Self {
        let directory = TempDir::new().unwrap();
        open_to(directory.path(), 0o755);
        let home = directory.path().join("home");
        for (path, mode) in [
            ("", 0o755),
            ("site", 0o755),
            ("site/req", 0o777),
            ("site/ok", 0o777),
            ("site/err", 0o777),
            ("locked", 0o755),
        ] {
            let path = home.join(path);
            fs::create_dir(&path).unwrap();
            open_to(&path, mode);
        }
        fs::write(home.join("locked/a"), "kept").unwrap();
        open_to(&home.join("locked"), 0o555);
        let certificates = Certificates::make();
        let port = free_port();
        let mut text = format!(
            "listen=YES\nlisten_address=127.0.0.1\nlisten_port={port}\nbackground=NO\n\
             anonymous_enable=YES\nlocal_enable=NO\nno_anon_password=NO\nanon_root={home}\n\
             write_enable=YES\nanon_upload_enable=YES\nanon_mkdir_write_enable=YES\n\
             anon_other_write_enable=YES\nanon_umask=022\nanon_world_readable_only=NO\n\
             pasv_enable=YES\npasv_address=127.0.0.1\nseccomp_sandbox=NO\nxferlog_enable=YES\n\
             log_ftp_protocol=YES\nvsftpd_log_file={log}\nsecure_chroot_dir={empty}\n",
            home = home.display(),
            log = directory.path().join("log").display(),
            empty = directory.path().join("empty").display(),
        );
        fs::create_dir(directory.path().join("empty")).unwrap();
        if !is_root() {
            text.push_str("run_as_launching_user=YES\n");
        }
        if security == Security::Tls {
            write!(
                text,
                "ssl_enable=YES\nallow_anon_ssl=YES\nforce_anon_logins_ssl=YES\nforce_anon_data_ssl=YES\n\
                 ssl_ciphers=HIGH\ndebug_ssl=YES\nrequire_ssl_reuse=YES\nrsa_cert_file={certificate}\nrsa_private_key_file={key}\n",
                certificate = certificates.path("localhost.pem").display(),
                key = certificates.path("localhost.key").display(),
            )
            .unwrap();
        }
        text.push_str(more);
        fs::write(directory.path().join("vsftpd.conf"), text).unwrap();
        let mut server = Self { running: None, directory, port, certificates };
        server.run();
        server
    }

    /// Starts it again on the same port, after [`Vsftpd::stop`].
    pub fn run(&mut self) {
        let mut command = Command::new(program("vsftpd", "vsftpd"));
        command.arg(self.directory.path().join("vsftpd.conf")).stdin(Stdio::null()).stdout(Stdio::null());
        let mut running = Running::start(&mut command);
        running.wait_for_port(self.port);
        self.running = Some(running);
    }

    /// Stops it, with every session.
    pub fn stop(&mut self) {
        if let Some(running) = &self.running {
            running.kill_children();
        }
        self.running = None;
    }

    /// A file or directory of the server, as the machine names it.
    pub fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join("home").join(path)
    }

    /// Makes a directory that everybody may write to.
    ///
    /// # Errors
    /// What the system says.
    pub fn make_directory(&self, path: &str) -> std::io::Result<()> {
        fs::create_dir(self.path(path))?;
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(0o777))
    }

    /// What it logged: every command and reply.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// A `connection` table for it, with further lines for `ftp` and `ftp.tls`.
    pub fn table(&self, ftp: &str, tls: Option<&str>) -> String {
        let home = if is_root() { "/site".to_owned() } else { self.path("site").display().to_string() };
        let mut table = format!(
            "[ftp]\nhost = \"localhost\"\nport = {}\nuser = \"anonymous\"\npassword = \"secret-word\"\nhome = \"{home}\"\n{ftp}\n",
            self.port
        );
        if let Some(tls) = tls {
            let ca = self.certificates.quoted("ca.pem");
            write!(table, "security = \"explicit_tls\"\n[ftp.tls]\nca = {ca}\n{tls}\n").unwrap();
        }
        table
    }
}

impl Drop for Vsftpd {
    fn drop(&mut self) {
        self.stop();
        // So that it can be removed.
        open_to(&self.path("locked"), 0o755);
        if std::thread::panicking() {
            #[expect(clippy::print_stderr, reason = "a failed test shows the server's side too")]
            {
                eprintln!("vsftpd's log:\n{}", self.log());
            }
        }
    }
}

fn open_to(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    status.lines().any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"))
}
