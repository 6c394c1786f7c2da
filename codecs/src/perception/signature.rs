//! The digest that identifies the caller: MD5 over a secret, the path's parts and the bytes that are sent \[S7\].

use std::fmt::Write;

use headgate_core::Now;
use headgate_core::http::Method;
use headgate_core::text::Secret;
use md5::{Digest, Md5};

use crate::http::form;
use crate::template::{Draft, SignTable, Signer};

/// The first two segments of every path \[S7, S9, S10, S12\].
const ROOT: &str = "/Catherine/api/";

/// The one form of bodies \[S7\].
const FORMAT: &str = "json";

/// The end point of subscribers' applications, which can have an id and a secret of its own \[S7\].
pub const CLIENT: &str = "client";

/// A client id and its secret.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The id: decimal digits \[S7\].
    pub client_id: String,
    /// The secret: shaped like a UUID \[S9, S10, S12\].
    pub secret: Secret,
}

/// Signs by the digest.
#[derive(Clone, Debug)]
pub struct PathDigest {
    /// The version of the API: a segment of every path, as in `4.8`.
    pub version: String,
    /// Who provisions.
    pub provider: Identity,
    /// Who calls the client face.
    pub client: Identity,
}

impl PathDigest {
    /// The digest of a call: 32 lower-case hexadecimal digits. `resource` has no leading `/`; `tail` is the exact body of a
    /// POST, or the parameters' values of a GET, joined in the order of their names.
    #[must_use]
    pub fn digest(&self, identity: &Identity, resource: &str, tail: &[u8]) -> String {
        let mut md5 = Md5::new();
        for part in [identity.secret.reveal(), &self.version, FORMAT, &identity.client_id, resource] {
            md5.update(part.as_bytes());
        }
        md5.update(tail);
        md5.finalize().iter().fold(String::with_capacity(32), |mut text, byte| {
            // Writing to a String can not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    fn of(&self, draft: &Draft, identity: &Identity, path: &str) -> String {
        // The digest is over the resource in clear, the path carries it encoded.
        let resource = form::unescape(path.trim_start_matches('/'));
        match draft.method {
            Method::Get => self.digest(identity, &resource, joined(&draft.query).as_bytes()),
            _ => self.digest(identity, &resource, draft.bytes()),
        }
    }
}

impl Signer for PathDigest {
    fn check(&self, sign: &SignTable) -> Result<(), String> {
        if sign.by != "digest" {
            return Err(format!("{:?} is no signature of this protocol; it has digest", sign.by));
        }
        if !sign.values.is_empty() || sign.version.is_some() {
            return Err("digest signs the whole call; it takes neither values nor a version".to_owned());
        }
        Ok(())
    }

    fn sign(&self, _: &SignTable, draft: &mut Draft, _: Now) -> Result<(), String> {
        let identity = if draft.endpoint == CLIENT { &self.client } else { &self.provider };
        let digest = self.of(draft, identity, &draft.path);
        draft.path = format!(
            "{ROOT}{}/{FORMAT}/{}/{digest}{}",
            form::escape(&self.version),
            form::escape(&identity.client_id),
            draft.path
        );
        Ok(())
    }

    fn verify(&self, _: &SignTable, draft: &mut Draft, _: Now) -> bool {
        let Some((head, path)) = split(&draft.path) else { return false };
        let [version, format, client_id, digest] = head;
        let identity = [&self.provider, &self.client].into_iter().find(|identity| {
            identity.client_id == form::unescape(client_id) && self.of(draft, identity, path) == digest
        });
        let right = identity.is_some() && form::unescape(version) == self.version && format == FORMAT;
        draft.path = path.to_owned();
        right
    }

    fn secrets(&self) -> Vec<&str> {
        vec![self.provider.secret.reveal(), self.client.secret.reveal()]
    }
}

/// The part of a path that names the resource.
#[must_use]
pub fn resource_path(path: &str) -> &str {
    split(path).map_or(path, |(_, resource)| resource)
}

/// Version, format, client id and digest, and the resource's path.
fn split(path: &str) -> Option<([&str; 4], &str)> {
    let mut rest = path.strip_prefix(ROOT)?;
    let mut head = [""; 4];
    for part in &mut head {
        (*part, rest) = rest.split_once('/')?;
    }
    let start = path.len() - rest.len() - 1;
    Some((head, path.get(start..)?))
}

/// The values of parameters, in the order of their names \[I: three clients agree\].
fn joined(query: &[(String, String)]) -> String {
    let mut pairs: Vec<_> = query.iter().collect();
    pairs.sort();
    pairs.iter().map(|(_, value)| value.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> PathDigest {
        let identity = Identity {
            client_id: "1234567890123456789".to_owned(),
            secret: Secret::new("11111111-2222-3333-4444-555555555555"),
        };
        PathDigest { version: "4.8".to_owned(), provider: identity.clone(), client: identity }
    }

    #[test]
    fn the_vectors_of_the_sheet() {
        let signer = signer();
        let body = br#"{"password":"s3cret","pinNumber":"0000","regionId":"REG1","subscriberId":"S0000000001","subscribedSince":1700000000}"#;
        let digest = signer.digest(&signer.provider, "provider/subscribers/add", body);
        assert_eq!(digest, "a3e88f1fee0a90a0c2345b037acc9436");
        let query = [("locale", "en-GB"), ("deviceWidth", "1"), ("appVersion", "1"), ("deviceHeight", "1")];
        let query: Vec<_> = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!(joined(&query), "111en-GB");
        let digest = signer.digest(&signer.client, "client/getPlatformInformation", joined(&query).as_bytes());
        assert_eq!(digest, "66d7b02aab6e35b687a0e4a35472ed13");
    }

    #[test]
    fn a_path_is_taken_apart() {
        let path = "/Catherine/api/4.8/json/1/d/provider/subscribers/add";
        assert_eq!(split(path), Some((["4.8", "json", "1", "d"], "/provider/subscribers/add")));
        assert_eq!(resource_path(path), "/provider/subscribers/add");
        for odd in ["", "/", "/Catherine/api/", "/Catherine/api/1/2/3/4", "/x"] {
            assert_eq!(split(odd), None, "{odd}");
        }
    }
}
