//! The API's certificate: read from files, and read again without touching connections that are open.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::ServerTls;

/// Why TLS can not be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can not be read, or holds no PEM of the kind wanted.
    #[error("{}: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The files do not go together.
    #[error("the certificate, the key and the client authorities do not go together: {0}")]
    Mismatch(String),
}

/// The settings of one listener, as they are now. A connection uses those that held when it was opened.
///
/// TLS 1.2 and 1.3. `alpn` lists the protocols offered, the best first.
///
/// # Errors
/// [`TlsError`] names the file at fault.
pub(super) fn settings(tls: &ServerTls, alpn: &[&str]) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = certificates(&tls.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|error| wrong(&tls.key, error))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(mismatch)?;
    let builder = match &tls.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = rustls::RootCertStore::empty();
            for authority in certificates(path)? {
                roots.add(authority).map_err(|error| wrong(path, error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| wrong(path, error))?)
        }
    };
    let mut settings = builder.with_single_cert(chain, key).map_err(mismatch)?;
    settings.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(Arc::new(settings))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = found.map_err(|error| wrong(path, error))?;
    if found.is_empty() {
        return Err(wrong(path, "holds no certificate in PEM form"));
    }
    Ok(found)
}

fn wrong(path: &Path, why: impl ToString) -> TlsError {
    TlsError::File { path: path.to_owned(), why: why.to_string() }
}

fn mismatch(error: rustls::Error) -> TlsError {
    TlsError::Mismatch(error.to_string())
}
