//! Opening a session.

use headgate_core::failure::{Blame, Failure, Retry, Sent};
use headgate_core::http::{HttpAnswer, HttpCall};
use headgate_core::text::{Secret, to_hex};
use md5::{Digest, Md5};

use super::settings::{Checked, SoapPassword};
use super::wire::value::Value;
use super::wire::{Binding, Call};
use crate::http::answer;

/// The function that opens a session.
pub const FUNCTION: &str = "login";

/// The password as the JSON binding takes it: MD5 of the password and a salt, in lower-case hexadecimal digits
/// \[S2,S3,S9\].
#[must_use]
pub fn digest(password: &str, salt: &str) -> String {
    let mut md5 = Md5::new();
    md5.update(password);
    md5.update(salt);
    to_hex(&md5.finalize())
}

/// The call that opens a session.
#[must_use]
pub fn write(checked: &Checked) -> HttpCall {
    let settings = &checked.settings;
    let hashed = || digest(settings.password.reveal(), &settings.password_salt);
    let fields = match (&checked.binding, settings.soap_password) {
        (Binding::Json(_), _) => vec![
            ("username", settings.user.clone()),
            ("password", hashed()),
            ("apiToken", settings.api_token.reveal().to_owned()),
        ],
        (Binding::Soap(_), SoapPassword::Plain) => {
            vec![("login", settings.user.clone()), ("password", settings.password.reveal().to_owned())]
        }
        (Binding::Soap(_), SoapPassword::Hashed) => vec![("login", settings.user.clone()), ("password", hashed())],
    };
    let parameters = fields.into_iter().map(|(name, text)| (name.into(), Value::Text(text))).collect();
    let call = Call { function: FUNCTION.into(), parameters, harmless: true, unstable: false };
    // Credentials that XML can not carry can not be right: the platform says so.
    checked.binding.write_call(&call, false).unwrap_or_else(|_| HttpCall::get("/"))
}

/// The session that the answer gives.
///
/// # Errors
/// Why there is none.
pub fn read(checked: &Checked, answer: &HttpAnswer) -> Result<Secret, Failure> {
    let refused = |code: &str, text: String| Failure {
        code: code.to_owned().into(),
        text,
        blame: Blame::Gateway,
        retry: Retry::Later(None),
        sent: Sent::No,
        parts: Vec::new(),
    };
    let not_sent = |failure| Failure { sent: Sent::No, ..failure };
    match checked.binding.read_reply(FUNCTION, answer).map_err(not_sent)? {
        // Bad credentials are sometimes answered with "false" \[S2\].
        Ok(Value::Text(id)) if !id.is_empty() && id != "false" => Ok(Secret::new(id)),
        Ok(Value::Number(id)) => Ok(Secret::new(id.to_string())),
        Ok(Value::Text(_) | Value::Bool(_) | Value::Absent) => {
            Err(refused("login_refused", "the platform gave no session; check user, password and API token".into()))
        }
        Ok(_) => Err(not_sent(answer::unreadable(answer, "a login is answered with a session's id"))),
        Err(error) if is_limit(&error.text) || is_limit(&error.code) => {
            Err(refused("too_many_logins", format!("the platform limits logins: {}", error.text)))
        }
        Err(error) => Err(refused("login_refused", format!("the platform refused the login: {}", error.text))),
    }
}

/// The limit of logins has no error of its own: clients go by these words \[S3\].
fn is_limit(text: &str) -> bool {
    let text = text.to_lowercase().replace('_', " ");
    text.contains("too many") || text.contains("rate limit")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_hashed_with_its_salt() {
        // From `printf 'op-pass_panaccess' | md5sum`.
        assert_eq!(digest("op-pass", "_panaccess"), "81dfc2e2c33aa2b2340cffe982788fd1");
        assert_eq!(digest("", ""), "d41d8cd98f00b204e9800998ecf8427e");
    }

    #[test]
    fn answers_to_logins_are_told_apart() {
        let checked = Checked::check(crate::panaccess::settings::Settings::default()).unwrap();
        let read = |body: &str| {
            let answer = HttpAnswer::new(200, "application/json", body.to_owned());
            read(&checked, &answer)
                .map(|id| id.reveal().to_owned())
                .map_err(|failure| (failure.code.to_string(), failure.sent))
        };
        assert_eq!(read(r#"{"success":true,"answer":"9f2c"}"#), Ok("9f2c".to_owned()));
        for (body, code) in [
            (r#"{"success":true,"answer":"false"}"#, "login_refused"),
            (r#"{"success":true,"answer":false}"#, "login_refused"),
            (r#"{"success":true,"answer":""}"#, "login_refused"),
            (r#"{"success":false,"answer":"false"}"#, "login_refused"),
            (r#"{"success":false,"errorCode":"access_denied"}"#, "login_refused"),
            (r#"{"success":false,"errorMessage":"Too many attempts"}"#, "too_many_logins"),
            (r#"{"success":false,"errorCode":"rate_limit_exceeded"}"#, "too_many_logins"),
            (r#"{"success":true,"answer":{"id":1}}"#, "answer_unreadable"),
            ("<html>", "answer_unreadable"),
        ] {
            assert_eq!(read(body), Err((code.to_owned(), Sent::No)), "{body}");
        }
    }
}
