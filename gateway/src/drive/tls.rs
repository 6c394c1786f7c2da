//! TLS: what a client trusts and shows, what a server shows and demands. TLS 1.2 and 1.3, by aws-lc-rs.

use std::path::Path;
use std::sync::Arc;

use headgate_core::text::from_hex;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme,
    SupportedProtocolVersion,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use sha2::{Digest, Sha256};

use super::connection::{ClientTls, ConnectionError, TlsVersion};
use crate::config::ServerTls;

/// The client's side, ready for use. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// What is trusted and shown.
    pub(crate) config: Arc<ClientConfig>,
    name: Option<ServerName<'static>>,
    name_path: String,
}

impl Client {
    /// Reads what the settings at `path` name. `tls_1_2_only` leaves TLS 1.3 out.
    pub(crate) fn new(path: &str, settings: &ClientTls, tls_1_2_only: bool) -> Result<Self, ConnectionError> {
        let at = |name: &str| format!("{path}.{name}");
        let crypto = Arc::new(aws_lc_rs::default_provider());
        let versions = client_versions(settings.min_version, tls_1_2_only)
            .map_err(|text| ConnectionError::new(at("min_version"), text))?;
        let verifier = verifier(&at, settings, &crypto)?;
        let builder = ClientConfig::builder_with_provider(crypto)
            .with_protocol_versions(versions)
            .map_err(|error| ConnectionError::new(path, error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let config = match (&settings.certificate, &settings.key) {
            (Some(certificate), Some(key)) => {
                let chain = certificates(certificate).map_err(|text| ConnectionError::new(at("certificate"), text))?;
                let key = private_key(key).map_err(|text| ConnectionError::new(at("key"), text))?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| ConnectionError::new(at("key"), error.to_string()))?
            }
            (None, None) => builder.with_no_client_auth(),
            (Some(_), None) => return Err(ConnectionError::new(at("key"), "missing: `certificate` needs its key")),
            (None, Some(_)) => {
                return Err(ConnectionError::new(at("certificate"), "missing: `key` needs its certificate"));
            }
        };
        let name_path = at("server_name");
        let name = match &settings.server_name {
            Some(name) => Some(parse_name(&name_path, name)?),
            None => None,
        };
        Ok(Self { config: Arc::new(config), name, name_path })
    }

    /// The same, offering these protocols (ALPN), the best first.
    pub(crate) fn offering(mut self, protocols: &[&[u8]]) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        self.config = Arc::new(config);
        self
    }

    /// The name that the certificate of `host` must have.
    pub(crate) fn server_name(&self, host: &str) -> Result<ServerName<'static>, ConnectionError> {
        match &self.name {
            Some(name) => Ok(name.clone()),
            None => parse_name(&self.name_path, host),
        }
    }
}

/// The server's side, from a certificate, its key and, where client certificates are demanded, their
/// authorities.
///
/// # Errors
/// [`ConnectionError`] with the path, below `tls`, of a file that can not be used.
pub fn server_config(settings: &ServerTls) -> Result<Arc<ServerConfig>, ConnectionError> {
    let crypto = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&crypto))
        .with_safe_default_protocol_versions()
        .map_err(|error| ConnectionError::new("tls", error.to_string()))?;
    let builder = match &settings.client_ca {
        Some(ca) => {
            let wrong = |text: String| ConnectionError::new("tls.client_ca", text);
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(ca).map_err(wrong)?), crypto)
                .build()
                .map_err(|error| wrong(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
        None => builder.with_no_client_auth(),
    };
    let chain = certificates(&settings.certificate).map_err(|text| ConnectionError::new("tls.certificate", text))?;
    let key = private_key(&settings.key).map_err(|text| ConnectionError::new("tls.key", text))?;
    let config =
        builder.with_single_cert(chain, key).map_err(|error| ConnectionError::new("tls.key", error.to_string()))?;
    Ok(Arc::new(config))
}

fn client_versions(
    min_version: TlsVersion,
    tls_1_2_only: bool,
) -> Result<&'static [&'static SupportedProtocolVersion], &'static str> {
    use rustls::version::{TLS12, TLS13};
    static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
    static OLD: [&SupportedProtocolVersion; 1] = [&TLS12];
    static NEW: [&SupportedProtocolVersion; 1] = [&TLS13];
    match (min_version, tls_1_2_only) {
        (TlsVersion::V1_2, false) => Ok(&BOTH),
        (TlsVersion::V1_2, true) => Ok(&OLD),
        (TlsVersion::V1_3, false) => Ok(&NEW),
        (TlsVersion::V1_3, true) => Err("can not be \"1.3\" with `tls_1_2_only`"),
    }
}

fn verifier(
    at: &dyn Fn(&str) -> String,
    settings: &ClientTls,
    crypto: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, ConnectionError> {
    let signed = match &settings.ca {
        Some(ca) => {
            let wrong = |text: String| ConnectionError::new(at("ca"), text);
            let roots = Arc::new(roots(ca).map_err(wrong)?);
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(crypto))
                .build()
                .map_err(|error| wrong(error.to_string()))?;
            Some(verifier)
        }
        None => None,
    };
    match (signed, &settings.pinned_sha256) {
        (Some(signed), None) => Ok(signed),
        (signed, Some(pins)) => {
            let pins = pins
                .as_slice()
                .iter()
                .map(|pin| parse_pin(pin).map_err(|text| ConnectionError::new(at("pinned_sha256"), text)))
                .collect::<Result<Vec<_>, _>>()?;
            if pins.is_empty() {
                return Err(ConnectionError::new(at("pinned_sha256"), "the list is empty: give at least one digest"));
            }
            Ok(Arc::new(Pinned { pins, signed, crypto: Arc::clone(crypto) }))
        }
        (None, None) => Err(ConnectionError::new(
            at("ca"),
            "missing: name the authorities (PEM) to trust, or give `pinned_sha256`; the system's own are never used",
        )),
    }
}

fn parse_name(path: &str, name: &str) -> Result<ServerName<'static>, ConnectionError> {
    ServerName::try_from(name.to_owned())
        .map_err(|_| ConnectionError::new(path, format!("{name:?} is neither a host's name nor an address")))
}

fn parse_pin(pin: &str) -> Result<[u8; 32], String> {
    let digits: String = pin.chars().filter(|&c| c != ':').collect();
    let bytes = from_hex(&digits).map_err(|error| error.to_string())?;
    let length = bytes.len();
    bytes.try_into().map_err(|_| format!("a SHA-256 digest has 64 hexadecimal digits, this has {}", length * 2))
}

fn roots(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| pem_error(path, &error))?;
    if chain.is_empty() {
        return Err(format!("{} holds no certificate in PEM form", path.display()));
    }
    Ok(chain)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| pem_error(path, &error))
}

fn pem_error(path: &Path, error: &rustls_pki_types::pem::Error) -> String {
    use rustls_pki_types::pem::Error;
    match error {
        Error::Io(error) => format!("{} can not be read: {error}", path.display()),
        Error::NoItemsFound => format!("{} holds none in PEM form", path.display()),
        _ => format!("{} is not well-formed PEM", path.display()),
    }
}

/// Trusts certificates by their digest, and, where `signed` is given, only if that trusts them too.
#[derive(Debug)]
struct Pinned {
    pins: Vec<[u8; 32]>,
    signed: Option<Arc<WebPkiServerVerifier>>,
    crypto: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let digest: [u8; 32] = Sha256::digest(end_entity).into();
        if !self.pins.contains(&digest) {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        match &self.signed {
            Some(signed) => signed.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now),
            None => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.crypto.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.crypto.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.crypto.signature_verification_algorithms.supported_schemes()
    }
}

/// Why a handshake or a connection failed, for people, with the setting to look at where there is one.
pub(crate) fn describe(error: &std::io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(wrong)) => match wrong {
            CertificateError::ApplicationVerificationFailure => {
                "the peer's certificate is not the one in `pinned_sha256`".to_owned()
            }
            CertificateError::UnknownIssuer => "the peer's certificate is signed by no authority in `ca`".to_owned(),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the peer's certificate is for another name; see `server_name`".to_owned()
            }
            other => format!("the peer's certificate is not acceptable: {other}"),
        },
        Some(other) => format!("TLS: {other}"),
        None => error.to_string(),
    }
}
