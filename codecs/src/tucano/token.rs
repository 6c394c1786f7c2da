//! The token that a subscriber shows to Tucano: a JSON Web Token with `exp`, `userid` and `apip` \[S5\], signed by HS256
//! (RFC 7515). The algorithm, the key and the life are not published: they are settings.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use headgate_core::Now;
use headgate_core::text::Secret;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::template::{Draft, SignTable, Signer};

/// The header field of the subscriber's token \[S8, S9, S13\].
const HEADER: &str = "x-an-webservice-customerauthtoken";

/// The parameter whose place the token takes.
const PARAMETER: &str = "customerId";

/// Issues tokens.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// The key; absent: none is issued.
    pub key: Option<Secret>,
    /// How long a token is good, in seconds.
    pub life: i64,
    /// What stands under `apip`, whose meaning is not published.
    pub apip: String,
}

#[derive(Deserialize, Serialize)]
struct Payload {
    exp: i64,
    userid: String,
    apip: String,
}

impl Issuer {
    /// A token for a subscriber; nothing without a key.
    #[must_use]
    pub fn issue(&self, user: &str, now: Now) -> Option<Secret> {
        let key = self.key.as_ref()?;
        let exp = now.wall.as_second().saturating_add(self.life);
        let payload = Payload { exp, userid: user.to_owned(), apip: self.apip.clone() };
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
        let payload = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&payload).ok()?);
        let signed = format!("{header}.{payload}");
        let signature = hs256(key.reveal().as_bytes(), signed.as_bytes())?;
        Some(Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }

    /// Whose token it is, if it is one of ours and still good.
    #[must_use]
    pub fn read(&self, token: &str, now: Now) -> Option<String> {
        let (signed, signature) = token.rsplit_once('.')?;
        let expected = hs256(self.key.as_ref()?.reveal().as_bytes(), signed.as_bytes())?;
        if URL_SAFE_NO_PAD.decode(signature).ok()? != expected {
            return None;
        }
        let payload = URL_SAFE_NO_PAD.decode(signed.split_once('.')?.1).ok()?;
        let payload: Payload = serde_json::from_slice(&payload).ok()?;
        (payload.exp > now.wall.as_second()).then_some(payload.userid)
    }
}

impl Signer for Issuer {
    fn check(&self, sign: &SignTable) -> Result<(), String> {
        if sign.by != "customer" {
            return Err(format!("{:?} is no signature of this protocol; it has customer", sign.by));
        }
        if !sign.values.is_empty() || sign.version.is_some() {
            return Err("customer takes neither values nor a version".to_owned());
        }
        Ok(())
    }

    /// Puts the subscriber's token into the head, in place of the parameter that names the subscriber.
    fn sign(&self, _: &SignTable, draft: &mut Draft, now: Now) -> Result<(), String> {
        let user = draft.take_parameter(PARAMETER).ok_or_else(|| format!("the form has no {PARAMETER}"))?;
        let token = self.issue(&user, now).ok_or("the settings have no `token.key`")?;
        draft.headers.push((HEADER.to_owned(), token.reveal().to_owned()));
        Ok(())
    }

    fn verify(&self, _: &SignTable, draft: &mut Draft, now: Now) -> bool {
        let token = draft.headers.iter().find(|(name, _)| name == HEADER).map(|(_, value)| value.clone());
        let user = token.as_deref().and_then(|token| self.read(token, now));
        let right = user.is_some();
        draft.add_parameter(PARAMETER, user.unwrap_or_default());
        right
    }

    fn secrets(&self) -> Vec<&str> {
        self.key.iter().map(Secret::reveal).collect()
    }
}

/// HMAC with SHA-256.
fn hs256(key: &[u8], signed: &[u8]) -> Option<Vec<u8>> {
    // A key may have any length.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(signed);
    Some(mac.finalize().into_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{later, start};

    #[test]
    fn the_vector_of_rfc_7515() {
        let key = URL_SAFE_NO_PAD
            .decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
            .unwrap();
        let signed = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
                      eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature = URL_SAFE_NO_PAD.encode(hs256(&key, signed.as_bytes()).unwrap());
        assert_eq!(signature, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    }

    #[test]
    fn a_token_is_good_for_its_life_and_its_key() {
        let issuer = |key: &str| Issuer { key: Some(Secret::new(key)), life: 60, apip: "a".into() };
        let token = issuer("k").issue("C1", start()).unwrap();
        let token = token.reveal();
        let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        assert_eq!(payload, br#"{"exp":1768478460,"userid":"C1","apip":"a"}"#);
        assert_eq!(issuer("k").read(token, start()).as_deref(), Some("C1"));
        assert_eq!(issuer("k").read(token, later(start(), std::time::Duration::from_secs(60))), None);
        assert_eq!(issuer("x").read(token, start()), None);
        for odd in ["", ".", "..", "a.b.c", &token[1..]] {
            assert_eq!(issuer("k").read(odd, start()), None, "{odd}");
        }
    }
}
