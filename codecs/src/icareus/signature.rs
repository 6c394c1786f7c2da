//! The token that signs a call: MD5 over the listed parameters, the time and the organisation's key \[S3, S6\].

use std::fmt::Write;

use headgate_core::Now;
use headgate_core::text::Secret;
use jiff::Timestamp;
use md5::{Digest, Md5};

use crate::template::{Draft, SignTable, Signer};

/// The parameter that carries it \[S3\].
const PARAMETER: &str = "token";

/// The version of tokens for actions on accounts and users \[S3\].
const ACCOUNTS: &str = "01";

/// How old a token may be at the simulated platform, in seconds. The real limit is not published.
const OLDEST: i64 = 600;

/// Signs by the organisation's key.
#[derive(Clone, Debug)]
pub struct OrganisationKey(pub Secret);

impl OrganisationKey {
    /// The token: version (two hexadecimal digits), the time (eight) and the MD5 (thirty-two) of the values, the time and
    /// the key, joined by `:`.
    #[must_use]
    pub fn token(&self, version: &str, values: &[&str], at: Timestamp) -> String {
        let time = format!("{:08x}", at.as_second());
        let mut md5 = Md5::new();
        for value in values {
            md5.update(value.as_bytes());
            md5.update(b":");
        }
        md5.update(time.as_bytes());
        md5.update(b":");
        md5.update(self.0.reveal().as_bytes());
        md5.finalize().iter().fold(format!("{version}{time}"), |mut text, byte| {
            // Writing to a String can not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// The values that are signed: of the listed parameters those that are sent \[S3b: "screenName only if sent"\].
    fn signed<'a>(sign: &SignTable, draft: &'a Draft) -> Vec<&'a str> {
        sign.values.iter().filter_map(|name| draft.parameter(name)).collect()
    }
}

impl Signer for OrganisationKey {
    fn check(&self, sign: &SignTable) -> Result<(), String> {
        match sign.by.as_str() {
            "token" if sign.values.is_empty() => {
                Err("say which parameters are signed: `values = [\"organizationId\", \"userId\"]`".to_owned())
            }
            "token" => {
                let version = sign.version.as_deref().unwrap_or(ACCOUNTS);
                let digits = version.len() == 2 && version.bytes().all(|b| b.is_ascii_hexdigit());
                if digits { Ok(()) } else { Err("a version is two hexadecimal digits, as in \"01\"".to_owned()) }
            }
            "key" if sign.values.is_empty() && sign.version.is_none() => Ok(()),
            "key" => Err("the key signs nothing; it takes neither values nor a version".to_owned()),
            other => Err(format!("{other:?} is no signature of this protocol; it has token and key")),
        }
    }

    fn sign(&self, sign: &SignTable, draft: &mut Draft, now: Now) -> Result<(), String> {
        let token = if sign.by == "key" {
            self.0.reveal().to_owned()
        } else {
            self.token(sign.version.as_deref().unwrap_or(ACCOUNTS), &Self::signed(sign, draft), now.wall)
        };
        draft.add_parameter(PARAMETER, token);
        Ok(())
    }

    fn verify(&self, sign: &SignTable, draft: &mut Draft, now: Now) -> bool {
        let Some(token) = draft.take_parameter(PARAMETER) else { return false };
        if sign.by == "key" {
            return token == self.0.reveal();
        }
        let time = token.get(2..10).and_then(|hex| i64::from_str_radix(hex, 16).ok());
        let Some(at) = time.and_then(|seconds| Timestamp::from_second(seconds).ok()) else { return false };
        let age = now.wall.as_second().saturating_sub(at.as_second()).saturating_abs();
        let version = sign.version.as_deref().unwrap_or(ACCOUNTS);
        age <= OLDEST && token == self.token(version, &Self::signed(sign, draft), at)
    }

    fn secrets(&self) -> Vec<&str> {
        vec![self.0.reveal()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(values: &str, seconds: i64) -> String {
        let values: Vec<_> = values.split(':').collect();
        OrganisationKey(Secret::new("secret")).token("01", &values, Timestamp::from_second(seconds).unwrap())
    }

    #[test]
    fn the_vectors_of_the_sheet() {
        let vendors = token("14806:a:a:c:1:1:a:a:1:b@icareus.com", 1_222_516_160);
        assert_eq!(vendors, "0148de1dc07b011f04a63b03f32bcf9d9568784036");
        assert_eq!(token("1001:2002", 1_767_225_600), "016955b9005297e3d3ed3d9d99a7bb41e7d8f9f01d");
    }
}
