//! OAuth 2.0 tokens by the password grant (RFC 6749, sections 4.3 and 6), for dialogues whose calls carry one in
//! `authorization: Bearer` (RFC 6750).
//!
//! A dialogue keeps a [`TokenClient`] and has [`Token`] as its session: [`TokenClient::ask`] is its login,
//! [`TokenClient::opened`] what the login gives, [`Token::authorize`] goes around every call.

use std::time::Duration;

use headgate_core::failure::Failure;
use headgate_core::http::{HttpAnswer, HttpCall};
use headgate_core::text::Secret;
use headgate_core::{Now, Tick};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::answer;
use super::dialogue::OpenedSession;
use super::form::{self, Form};
use crate::registry::SettingsError;

/// Most bytes of a token: what fits into a header field of common servers.
const LONGEST_TOKEN: usize = 16 << 10;

/// No lifetime is believed to be longer.
const LONGEST_LIFE: Duration = Duration::from_hours(24 * 366);

/// As whom tokens are asked for: the part of a protocol's settings that stands under `token`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TokenSettings {
    /// The user that Headgate signs in as. Must be set.
    pub username: String,
    /// The user's password. Must be set.
    pub password: Secret,
    /// The client that Headgate is known as. Must be set.
    pub client_id: String,
    /// The client's secret. Default: none, a public client.
    pub client_secret: Option<Secret>,
    /// The scope to ask for. Default: none, which leaves it to the platform.
    pub scope: Option<String>,
    /// How long before its end a token is renewed, 0s to 1h; at most half of its life. Default 30s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub margin: Duration,
    /// How long a token lives whose answer does not tell, 1s to 8784h. Default: until the platform refuses it.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional")]
    #[schemars(with = "Option<String>")]
    pub default_life: Option<Duration>,
}

impl Default for TokenSettings {
    fn default() -> Self {
        Self {
            username: String::new(),
            password: Secret::new(""),
            client_id: String::new(),
            client_secret: None,
            scope: None,
            margin: Duration::from_secs(30),
            default_life: None,
        }
    }
}

impl TokenSettings {
    /// Checks that what must be set is, and the ranges.
    ///
    /// # Errors
    /// The name of the setting, below `token`, and what would be right.
    pub fn check(&self) -> Result<(), SettingsError> {
        let wrong = |name: &str, text: &str| Err(SettingsError::new(format!("token.{name}"), text));
        for (name, value) in
            [("username", self.username.as_str()), ("password", self.password.reveal()), ("client_id", &self.client_id)]
        {
            if value.is_empty() {
                return wrong(name, "must be set: what the platform's operator gave you for Headgate");
            }
        }
        if self.margin > Duration::from_hours(1) {
            return wrong("margin", "must be 0s to 1h");
        }
        if self.default_life.is_some_and(|life| !(Duration::from_secs(1)..=LONGEST_LIFE).contains(&life)) {
            return wrong("default_life", "must be 1s to 8784h");
        }
        Ok(())
    }
}

/// Asks for tokens.
#[derive(Clone, Debug)]
pub struct TokenClient {
    /// The path of the platform's token end point, percent-encoded.
    path: String,
    settings: TokenSettings,
}

/// A token, and what renews it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    access: Secret,
    /// How long it was good when it came; absent: the platform did not say.
    life: Option<Duration>,
    refresh: Option<Refresh>,
}

/// The token that renews another.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refresh {
    token: Secret,
    /// Absent: the platform did not say.
    until: Option<Tick>,
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// The platform says no.
    Refused {
        /// Its code, as in `invalid_grant` (RFC 6749, section 5.2).
        code: String,
        /// Its words, where it has some that tell nothing of the credentials.
        text: String,
    },
    /// The answer is no answer of a token end point.
    Other(Failure),
}

impl TokenClient {
    /// Asks at this path, which is percent-encoded and begins with `/`.
    #[must_use]
    pub const fn new(path: String, settings: TokenSettings) -> Self {
        Self { path, settings }
    }

    /// The call that gives Headgate a token: by renewing `previous`, if that can be renewed, or else by the password.
    #[must_use]
    pub fn ask(&self, now: Now, previous: Option<&Token>) -> HttpCall {
        let refresh = previous.and_then(|token| token.refresh.as_ref());
        match refresh.filter(|refresh| refresh.until.is_none_or(|until| now.tick < until)) {
            Some(refresh) => self
                .call(Form::new().field("grant_type", "refresh_token").field("refresh_token", refresh.token.reveal())),
            None => self.ask_for(&self.settings.username, &self.settings.password),
        }
    }

    /// The call that gives somebody else a token, and so shows that the credentials are good.
    #[must_use]
    pub fn ask_for(&self, username: &str, password: &Secret) -> HttpCall {
        let grant = Form::new().field("grant_type", "password").field("username", username);
        self.call(grant.field("password", password.reveal()))
    }

    fn call(&self, grant: Form) -> HttpCall {
        let mut form = grant.field("client_id", &self.settings.client_id);
        if let Some(secret) = &self.settings.client_secret {
            form.push("client_secret", secret.reveal());
        }
        if let Some(scope) = &self.settings.scope {
            form.push("scope", scope);
        }
        HttpCall::post(self.path.clone(), form::CONTENT_TYPE, form.finish()).harmless()
    }

    /// The session that the answer to [`TokenClient::ask`] opens.
    ///
    /// It is renewed before its token ends. Where an answer renews a token without a new one to renew that, the
    /// next is asked for by the password.
    ///
    /// # Errors
    /// Why there is none. The text holds nothing of the credentials.
    pub fn opened(&self, now: Now, answer: &HttpAnswer) -> Result<OpenedSession<Token>, Failure> {
        let token = self.read(now, answer).map_err(|error| match error {
            TokenError::Refused { code, text } => {
                let text = if text.is_empty() { code } else { format!("{code}, {text}") };
                let failure = answer::not_admitted(answer);
                Failure { text: format!("{}: {text}", failure.text), ..failure }
            }
            TokenError::Other(failure) => failure,
        })?;
        let life = token.life.or(self.settings.default_life);
        let renew_after = life.map(|life| life - self.settings.margin.min(life / 2));
        Ok(OpenedSession { session: token, renew_after })
    }

    /// The token that an answer gives.
    ///
    /// # Errors
    /// Why it gives none.
    pub fn read(&self, now: Now, answer: &HttpAnswer) -> Result<Token, TokenError> {
        match answer.status {
            200..=299 => Token::read(now, answer).map_err(TokenError::Other),
            400..=403 => Err(self.refusal(answer)),
            _ => Err(TokenError::Other(answer::server_error(answer))),
        }
    }

    fn refusal(&self, answer: &HttpAnswer) -> TokenError {
        let body: Refusal = serde_json::from_slice(&answer.body).unwrap_or_default();
        let is_code = |code: &String| {
            (1..=64).contains(&code.len())
                && code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        let code = body.error.filter(is_code).unwrap_or_else(|| answer.status.to_string());
        let secrets = [&self.settings.username, &self.settings.client_id].map(String::as_str);
        let tells_nothing = |text: &String| {
            text.len() <= 200
                && text.bytes().all(|b| matches!(b, b' '..=b'~'))
                && !secrets.into_iter().chain(self.secrets(None)).any(|secret| text.contains(secret))
        };
        TokenError::Refused { code, text: body.error_description.filter(tells_nothing).unwrap_or_default() }
    }

    /// What must not stand in the record of what was said.
    #[must_use]
    pub fn secrets<'a>(&'a self, token: Option<&'a Token>) -> Vec<&'a str> {
        let own = [Some(&self.settings.password), self.settings.client_secret.as_ref()];
        own.into_iter().flatten().chain(token.into_iter().flat_map(Token::secrets)).map(Secret::reveal).collect()
    }
}

impl Token {
    fn read(now: Now, answer: &HttpAnswer) -> Result<Self, Failure> {
        let granted: Granted = answer::json(answer)?;
        if granted.token_type.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
            return Err(answer::unreadable(answer, "its token is not a bearer token"));
        }
        // It goes into a header field, where nothing may end its place.
        let token = granted.access_token.reveal();
        if !(1..=LONGEST_TOKEN).contains(&token.len()) || !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(answer::unreadable(answer, "its token is empty, too long or holds odd characters"));
        }
        let until = lifetime(&granted.refresh_expires_in).map(|life| now.tick + life);
        let refresh = granted.refresh_token.filter(|token| (1..=LONGEST_TOKEN).contains(&token.reveal().len()));
        Ok(Self {
            access: granted.access_token,
            life: lifetime(&granted.expires_in),
            refresh: refresh.map(|token| Refresh { token, until }),
        })
    }

    /// The call with the token.
    #[must_use]
    pub fn authorize(&self, call: HttpCall) -> HttpCall {
        call.header("authorization", format!("Bearer {}", self.access.reveal()))
    }

    /// The token itself, for whoever may have it.
    #[must_use]
    pub const fn access(&self) -> &Secret {
        &self.access
    }

    /// Every secret in it.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        [Some(&self.access), self.refresh.as_ref().map(|refresh| &refresh.token)].into_iter().flatten()
    }

    /// A token for calls that are shown and not sent.
    #[must_use]
    pub fn placeholder() -> Self {
        Self { access: Secret::new("TOKEN"), life: None, refresh: None }
    }
}

/// What a token end point grants (RFC 6749, section 5.1); `refresh_expires_in` is Keycloak's.
#[derive(Deserialize)]
struct Granted {
    access_token: Secret,
    #[serde(default)]
    token_type: Option<String>,
    #[serde(default)]
    expires_in: Value,
    #[serde(default)]
    refresh_token: Option<Secret>,
    #[serde(default)]
    refresh_expires_in: Value,
}

/// What it says instead (RFC 6749, section 5.2).
#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    error: Option<String>,
    error_description: Option<String>,
}

/// A lifetime in seconds, which some platforms write as a text. Absent, zero, negative and meaningless ones say
/// nothing: a token that were renewed because of them would be renewed without end.
fn lifetime(value: &Value) -> Option<Duration> {
    let seconds = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    (seconds >= 1.0).then(|| Duration::try_from_secs_f64(seconds).map_or(LONGEST_LIFE, |life| life.min(LONGEST_LIFE)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{later, start};

    fn client() -> TokenClient {
        let settings = TokenSettings {
            username: "op&1".into(),
            password: Secret::new("p w=~"),
            client_id: "headgate".into(),
            ..TokenSettings::default()
        };
        settings.check().unwrap();
        TokenClient::new("/token".into(), settings)
    }

    fn granted(body: &str) -> HttpAnswer {
        HttpAnswer::new(200, "application/json", body.to_owned())
    }

    fn body(call: &HttpCall) -> &str {
        std::str::from_utf8(&call.body).unwrap()
    }

    const KEYCLOAK: &str = r#"{"access_token":"a.b-c","expires_in":300,"refresh_expires_in":1800,"refresh_token":"r/1+",
        "token_type":"Bearer","not-before-policy":0,"session_state":"x","scope":"profile"}"#;

    #[test]
    fn the_password_is_sent_first_and_the_refresh_token_while_it_lives() {
        let client = client();
        let call = client.ask(start(), None);
        assert_eq!(body(&call), "grant_type=password&username=op%261&password=p+w%3D%7E&client_id=headgate");
        assert_eq!((call.target.as_str(), call.harmless), ("/token", true));
        assert_eq!(call.headers, [("content-type".into(), form::CONTENT_TYPE.to_owned())]);

        let opened = client.opened(start(), &granted(KEYCLOAK)).unwrap();
        assert_eq!(opened.renew_after, Some(Duration::from_secs(270)));
        let token = opened.session;
        assert_eq!(token.authorize(HttpCall::get("/")).headers, [("authorization".into(), "Bearer a.b-c".to_owned())]);
        let renewal = client.ask(later(start(), Duration::from_secs(1799)), Some(&token));
        assert_eq!(body(&renewal), "grant_type=refresh_token&refresh_token=r%2F1%2B&client_id=headgate");
        let too_late = client.ask(later(start(), Duration::from_secs(1800)), Some(&token));
        assert_eq!(too_late, call);

        let bare = client.opened(start(), &granted(r#"{"access_token":"a"}"#)).unwrap();
        assert_eq!((bare.renew_after, client.ask(start(), Some(&bare.session))), (None, call));
    }

    #[test]
    fn a_client_secret_and_a_scope_go_with_every_grant() {
        let mut client = client();
        client.settings.client_secret = Some(Secret::new("s&"));
        client.settings.scope = Some("openid email".into());
        let call = client.ask_for("u", &Secret::new("p"));
        let rest = "client_id=headgate&client_secret=s%26&scope=openid+email";
        assert_eq!(body(&call), format!("grant_type=password&username=u&password=p&{rest}"));
        let token = client.read(start(), &granted(KEYCLOAK)).unwrap();
        assert_eq!(
            body(&client.ask(start(), Some(&token))).split_once('&').unwrap().1,
            format!("refresh_token=r%2F1%2B&{rest}")
        );
    }

    #[test]
    fn odd_lifetimes_never_make_a_storm_of_logins() {
        let renew = |client: &TokenClient, life: &str| {
            let body = format!(r#"{{"access_token":"a","expires_in":{life}}}"#);
            client.opened(start(), &granted(&body)).unwrap().renew_after
        };
        let mut client = client();
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (life, expected) in [
            ("300", seconds(270)),
            ("\"300\"", seconds(270)),
            ("300.5", Some(Duration::from_millis(270_500))),
            ("10", seconds(5)),
            ("0", None),
            ("-5", None),
            ("0.01", None),
            ("null", None),
            ("\"soon\"", None),
            ("[300]", None),
            ("\"NaN\"", None),
            ("1e300", Some(LONGEST_LIFE - Duration::from_secs(30))),
        ] {
            assert_eq!(renew(&client, life), expected, "{life}");
        }
        client.settings.default_life = seconds(100);
        assert_eq!(renew(&client, "null"), seconds(70));
    }

    #[test]
    fn refusals_keep_the_platforms_words_and_no_secret() {
        let client = client();
        let refused = |status, body: &str| {
            client.opened(start(), &HttpAnswer::new(status, "application/json", body.to_owned())).unwrap_err()
        };
        let failure = refused(401, r#"{"error":"invalid_grant","error_description":"Invalid user credentials"}"#);
        assert_eq!(failure.code, "not_admitted");
        assert!(failure.text.ends_with("check them: invalid_grant, Invalid user credentials"), "{failure}");
        assert!(refused(400, r#"{"error":"unauthorized_client"}"#).text.ends_with(": unauthorized_client"));
        for leak in [
            r#"{"error":"p w=~","error_description":"p w=~ is wrong"}"#,
            r#"{"error":"bad","error_description":"user op&1 is locked"}"#,
            "<html>p w=~</html>",
        ] {
            let text = refused(403, leak).text;
            assert!(!text.contains("p w=~") && !text.contains("op&1"), "{text}");
        }
        assert_eq!(refused(500, "").code, "server_error");
        assert_eq!(
            client.read(start(), &HttpAnswer::new(400, "text/plain", "")),
            Err(TokenError::Refused { code: "400".into(), text: String::new() })
        );
    }

    #[test]
    fn answers_without_a_usable_token_are_told_apart() {
        let client = client();
        for body in [
            "",
            "<html>token</html>",
            "{\"access_token\":\"a",
            "{}",
            r#"{"access_token":""}"#,
            r#"{"access_token":7}"#,
            r#"{"access_token":"a\r\nx: y"}"#,
            r#"{"access_token":"a b"}"#,
            r#"{"access_token":"a","access_token":"b"}"#,
            r#"{"access_token":"a","token_type":"mac"}"#,
            &format!(r#"{{"access_token":"{}"}}"#, "a".repeat(LONGEST_TOKEN + 1)),
            &"[".repeat(10_000),
        ] {
            let failure = client.opened(start(), &granted(body)).unwrap_err();
            assert_eq!(failure.code, "answer_unreadable", "{body}");
        }
    }

    #[test]
    fn nothing_secret_is_printed() {
        let client = client();
        let token = client.read(start(), &granted(KEYCLOAK)).unwrap();
        let printed = format!("{client:?} {token:?} {:?}", client.ask(start(), Some(&token)));
        for secret in client.secrets(Some(&token)) {
            assert!(!printed.contains(secret), "{secret} in {printed}");
        }
        assert_eq!(client.secrets(Some(&token)), ["p w=~", "a.b-c", "r/1+"]);
    }

    #[test]
    fn settings_that_can_not_be_are_named() {
        let wrong = |toml: &str| {
            let value: Value = toml::from_str(toml).unwrap();
            let read = crate::registry::read_settings::<TokenSettings>(&value).and_then(|settings| settings.check());
            read.unwrap_err().to_string()
        };
        assert!(wrong("").starts_with("token.username: must be set"));
        assert!(wrong("username = 'u'\nclient_id = 'c'").starts_with("token.password: must be set"));
        let set = "username = 'u'\npassword = 'p'\nclient_id = 'c'\n";
        assert!(wrong(&format!("{set}margin = '2h'")).starts_with("token.margin: must be 0s to 1h"));
        assert!(wrong(&format!("{set}default_life = '0s'")).starts_with("token.default_life: must be 1s"));
        assert!(wrong("tokn = 1").contains("unknown field"));
    }
}
