//! Certificates, made anew for each test.

use std::path::{Path, PathBuf};

use headgate::config::ServerTls;
use headgate::drive::tls::server_config;
use headgate_core::text::to_hex;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// An authority with a certificate for a server called `localhost` and one for a client, in files.
#[derive(Debug)]
pub struct Certificates {
    directory: TempDir,
    /// SHA-256 of the server's certificate.
    pub digest: String,
}

impl Certificates {
    /// Makes them.
    pub fn make() -> Self {
        let directory = TempDir::new().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "Test authority");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(directory.path().join("ca.pem"), authority.pem()).unwrap();
        let mut digest = String::new();
        for name in ["localhost", "client"] {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            params.distinguished_name.push(rcgen::DnType::CommonName, name);
            let certificate = params.signed_by(&key, &authority).unwrap();
            std::fs::write(directory.path().join(format!("{name}.pem")), certificate.pem()).unwrap();
            std::fs::write(directory.path().join(format!("{name}.key")), key.serialize_pem()).unwrap();
            if name == "localhost" {
                digest = to_hex(&Sha256::digest(certificate.der()));
            }
        }
        Self { directory, digest }
    }

    /// One of the files: `ca.pem`, `localhost.pem`, `localhost.key`, `client.pem`, `client.key`.
    pub fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    /// A file's name as TOML writes it.
    pub fn quoted(&self, file: &str) -> String {
        quoted(&self.path(file))
    }

    /// A server that shows the certificate and, if asked to, demands one of the same authority.
    pub fn server(&self, demands_client: bool) -> std::sync::Arc<ServerConfig> {
        server_config(&ServerTls {
            certificate: self.path("localhost.pem"),
            key: self.path("localhost.key"),
            client_ca: demands_client.then(|| self.path("ca.pem")),
        })
        .unwrap()
    }
}

/// A path as TOML writes it.
pub fn quoted(path: &Path) -> String {
    format!("{:?}", path.to_str().unwrap())
}
