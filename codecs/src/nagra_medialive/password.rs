//! Subscribers' passwords as the platform takes them: hashed.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use headgate_core::request::RequestId;
use headgate_core::text::{Secret, to_hex};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha1::Sha1;

use crate::registry::SettingsError;

/// How often HMAC-SHA1 is applied \[S11\].
const ITERATIONS: u32 = 20_000;

/// How passwords are hashed for `preHashedPassword`: PBKDF2 with HMAC-SHA1 and 20,000 iterations \[S11\].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PasswordHash {
    /// How long the hash is, in bytes, 16 to 1024. The source says "320 bytes", which may mean bits. Unconfirmed.
    /// Default 40.
    #[schemars(range(min = 16, max = 1_024))]
    pub length: usize,
    /// How the hash is written. The source says it only of the salt. Unconfirmed. Default `base64`.
    pub encoding: Encoding,
}

/// How bytes are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Base64, with padding.
    #[default]
    Base64,
    /// Hexadecimal digits in lower case.
    Hex,
}

impl Default for PasswordHash {
    fn default() -> Self {
        Self { length: 40, encoding: Encoding::default() }
    }
}

/// A password that was hashed.
#[derive(Clone, PartialEq, Eq)]
pub struct Hashed {
    /// The hash, written as the settings say.
    pub hash: Secret,
    /// The salt, in Base64.
    pub salt: String,
}

impl PasswordHash {
    /// Checks the ranges.
    ///
    /// # Errors
    /// The name of the setting and what would be right.
    pub fn check(&self) -> Result<(), SettingsError> {
        if (16..=1_024).contains(&self.length) {
            return Ok(());
        }
        Err(SettingsError::new("password_hash.length", "must be 16 to 1024"))
    }

    /// The password of a request, hashed with a salt of its own.
    ///
    /// The salt is the request's id: no two requests have the same one, and one that is sent again says the same.
    #[must_use]
    pub fn of_request(&self, password: &Secret, request: RequestId) -> Hashed {
        let salt = request.0.as_bytes();
        Hashed { hash: self.hash(password.reveal(), salt), salt: BASE64_STANDARD.encode(salt) }
    }

    /// Whether `password` gave this hash with this salt, in Base64.
    #[must_use]
    pub fn matches(&self, password: &str, hash: &str, salt: &str) -> bool {
        BASE64_STANDARD.decode(salt).is_ok_and(|salt| self.hash(password, &salt).reveal() == hash)
    }

    fn hash(&self, password: &str, salt: &[u8]) -> Secret {
        let mut hash = vec![0; self.length];
        pbkdf2::pbkdf2_hmac::<Sha1>(password.as_bytes(), salt, ITERATIONS, &mut hash);
        Secret::new(match self.encoding {
            Encoding::Base64 => BASE64_STANDARD.encode(hash),
            Encoding::Hex => to_hex(&hash),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_another_implementation() {
        // Python: hashlib.pbkdf2_hmac("sha1", b"secret", b"0123456789abcdef", 20000, 40).hex()
        let hash = PasswordHash { length: 40, encoding: Encoding::Hex };
        assert_eq!(
            hash.hash("secret", b"0123456789abcdef").reveal(),
            "ae42e76b2844276e3735a5e07aff141a8b1e89e5021de51ec9ab3a6343fe867f08ff458a5ce3176a"
        );
        let base64 = PasswordHash::default();
        let salt = BASE64_STANDARD.encode(b"0123456789abcdef");
        assert!(base64.matches("secret", "rkLnayhEJ243NaXgev8UGoseieUCHeUeyas6Y0P+hn8I/0WKXOMXag==", &salt));
        assert!(!base64.matches("Secret", "rkLnayhEJ243NaXgev8UGoseieUCHeUeyas6Y0P+hn8I/0WKXOMXag==", &salt));
        assert!(!base64.matches("secret", "rkLnayhEJ243NaXgev8UGoseieUCHeUeyas6Y0P+hn8I/0WKXOMXag==", "no base64!"));
    }

    #[test]
    fn every_request_has_its_own_salt_and_keeps_it() {
        let hash = PasswordHash { length: 16, ..PasswordHash::default() };
        let password = Secret::new("p");
        let one = hash.of_request(&password, RequestId(uuid::Uuid::from_u128(1)));
        let two = hash.of_request(&password, RequestId(uuid::Uuid::from_u128(2)));
        assert!(one == hash.of_request(&password, RequestId(uuid::Uuid::from_u128(1))));
        assert!(one.salt != two.salt && one.hash != two.hash);
        assert!(hash.matches("p", two.hash.reveal(), &two.salt));
    }
}
