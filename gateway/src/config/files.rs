//! Files that the configuration names: are they there, do they hold what they should, who can read them?

use std::path::Path;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::problem::Problem;

/// Checks a file of PEM certificates.
pub(super) fn certificates(setting: &str, file: &Path) -> Option<Problem> {
    let wrong = |text: String| Some(Problem::error(setting, text, "name a PEM file with `BEGIN CERTIFICATE` blocks"));
    match CertificateDer::pem_file_iter(file).map(Iterator::collect::<Result<Vec<_>, _>>) {
        Ok(Ok(list)) if list.is_empty() => wrong(format!("{} holds no certificate", file.display())),
        Ok(Ok(_)) => None,
        Ok(Err(error)) | Err(error) => wrong(format!("{}: {error}", file.display())),
    }
}

/// Checks a file with a PEM private key.
pub(super) fn private_key(setting: &str, file: &Path) -> Option<Problem> {
    match PrivateKeyDer::from_pem_file(file) {
        Ok(_) => world_readable(setting, file),
        Err(error) => {
            let help = "name a PEM file with an unencrypted `BEGIN PRIVATE KEY` block";
            Some(Problem::error(setting, format!("{}: {error}", file.display()), help))
        }
    }
}

/// Warns of a secret that everybody on the machine can read.
pub(super) fn world_readable(setting: &str, file: &Path) -> Option<Problem> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(file).ok()?.permissions().mode();
        if mode & 0o004 != 0 {
            let text = format!("{} can be read by everybody on this machine", file.display());
            return Some(Problem::warning(setting, text, format!("chmod o= {}", file.display())));
        }
    }
    None
}
