//! What a platform's answers mean, by the profile: success or not, and what they tell.

mod extract;
mod paths;

use std::collections::BTreeMap;
use std::time::Duration;

use headgate_core::failure::Failure;
use headgate_core::http::HttpAnswer;
use headgate_core::outcome::{Answer, RawAnswer};
use headgate_core::text::{PlatformReference, Secret};

pub(super) use self::extract::{Devices, Extract, Services};
use self::paths::Reader;
use super::scope::Scope;
use super::table::{AnswerTable, ErrorTable, ExtractTable, FormatTable, Meaning};
use super::tree::{Path, Strict, Tree};
use crate::http::answer::{not_admitted, server_error, unreadable};
use crate::registry::SettingsError;
use crate::xml::{self, Element};

/// Most bytes of an XML answer that is read.
const LIMIT: usize = 64 << 20;

/// Most characters of a platform's words that are kept.
const WORDS: usize = 500;

/// How an operation's answers are read.
#[derive(Clone, Debug)]
pub struct AnswerForm {
    pub(super) format: FormatTable,
    pub(super) status: Vec<u16>,
    pub(super) success: Option<Test>,
    pub(super) error_code: Vec<Path>,
    pub(super) error_text: Vec<Path>,
    errors: BTreeMap<String, ErrorTable>,
    pub(super) extract: Extract,
}

/// A condition on an answer.
#[derive(Clone, Debug)]
pub(super) struct Test {
    pub(super) at: Path,
    pub(super) is: Vec<String>,
}

/// What a successful answer told.
#[derive(Debug, Default)]
pub struct Told {
    /// The platform's own number.
    pub reference: Option<PlatformReference>,
    /// What the login gave.
    pub session: Option<Secret>,
    /// Values for the operations that follow.
    pub kept: BTreeMap<String, String>,
    /// What the CRM asked.
    pub answer: Option<Answer>,
}

/// What an answer means.
#[derive(Debug)]
pub enum Reading {
    /// It was done.
    Done(Told),
    /// The platform said no; or something like it, by the failure's retry and blame.
    Not(Meaning, Failure),
}

impl AnswerForm {
    /// Reads how answers are read: what the operation says before what the profile says. `paths` are where the mistakes
    /// are: of the operation's table and of the profile's.
    pub(super) fn compile(
        own: &AnswerTable,
        shared: &AnswerTable,
        errors: [&BTreeMap<String, ErrorTable>; 2],
        extract: &ExtractTable,
        paths: [&str; 2],
    ) -> Result<Self, SettingsError> {
        let [operation, profile] = paths;
        let pick = |is_own: bool| if is_own { (own, operation) } else { (shared, profile) };
        let (table, path) = pick(own.success.is_some());
        let path = format!("{path}.answer.");
        let success = Reader { path: &path }.test("success", table.success.as_ref())?;
        let (table, path) = pick(!own.error_code.is_empty());
        let error_code = Reader { path: &format!("{path}.answer.") }.list("error_code", &table.error_code)?;
        let (table, path) = pick(!own.error_text.is_empty());
        let error_text = Reader { path: &format!("{path}.answer.") }.list("error_text", &table.error_text)?;
        let format = own.format.or(shared.format).unwrap_or(FormatTable::Json);
        let extract = Reader { path: &format!("{operation}.extract.") }.extract(extract)?;
        if format == FormatTable::None && (success.is_some() || extract.reads()) {
            let text = "`format = \"none\"` reads nothing, and something of the answer is asked for";
            return Err(SettingsError::new(format!("{operation}.answer.format"), text));
        }
        let [own_errors, shared_errors] = errors;
        let errors =
            shared_errors.iter().chain(own_errors).map(|(code, error)| (code.clone(), error.clone())).collect();
        let status = if own.status.is_empty() { shared.status.clone() } else { own.status.clone() };
        Ok(Self { format, status, success, error_code, error_text, errors, extract })
    }

    /// What an answer means for a call about `scope`.
    #[must_use]
    pub fn read(&self, answer: &HttpAnswer, scope: &Scope<'_>) -> Reading {
        let expected = if self.status.is_empty() { answer.is_success() } else { self.status.contains(&answer.status) };
        let body = Body::parse(self.format, answer);
        match body {
            Ok(body) if expected => self.read_success(answer, body.tree(), scope),
            Ok(body) => self.read_failure(answer, body.tree()),
            Err(failure) if expected => Reading::Not(Meaning::Unclear, failure),
            Err(_) => self.read_failure(answer, None),
        }
    }

    /// The names of what it keeps for the operations that follow.
    pub(super) fn keeps(&self) -> impl Iterator<Item = &str> {
        self.extract.keep.keys().map(String::as_str)
    }

    /// What an answer tells in confidence: tokens.
    pub(super) fn confides(&self, answer: &HttpAnswer) -> Vec<String> {
        let paths = self.extract.session.iter().chain(self.extract.authenticated.iter().flat_map(|(_, token)| token));
        match Body::parse(self.format, answer) {
            Ok(body) => {
                let tree = body.tree();
                paths.filter_map(|path| path.text(tree?)).collect()
            }
            Err(_) => Vec::new(),
        }
    }

    fn read_success(&self, answer: &HttpAnswer, tree: Option<Tree<'_>>, scope: &Scope<'_>) -> Reading {
        let Some(test) = &self.success else {
            return match tree.and_then(|tree| self.code(tree)) {
                Some(code) => self.refusal(answer, code, tree, scope),
                None => self.told(answer, tree, scope),
            };
        };
        let Some(tree) = tree else {
            return Reading::Not(Meaning::Unclear, unreadable(answer, "it is empty"));
        };
        if test.holds(tree) {
            return self.told(answer, Some(tree), scope);
        }
        match self.code(tree) {
            Some(code) => self.refusal(answer, code, Some(tree), scope),
            None => match test.at.text(tree).filter(|_| !test.is.is_empty()) {
                Some(code) => self.refusal(answer, words(&code), Some(tree), scope),
                None => Reading::Not(Meaning::Unclear, unreadable(answer, "it tells neither success nor an error")),
            },
        }
    }

    fn read_failure(&self, answer: &HttpAnswer, tree: Option<Tree<'_>>) -> Reading {
        let status = format!("http_{}", answer.status);
        let code = tree.and_then(|tree| self.code(tree));
        if code.is_none() && !self.errors.contains_key(&status) {
            match answer.status {
                401 | 403 => return Reading::Not(Meaning::NotAdmitted, not_admitted(answer)),
                500.. => return Reading::Not(Meaning::Unclear, server_error(answer)),
                400..=499 => {}
                _ => return Reading::Not(Meaning::Unclear, unreadable(answer, "its status is not expected")),
            }
        }
        self.refused(answer, code.unwrap_or(status), tree)
    }

    /// A refusal, or, if its code says that nothing is left to do, a success.
    fn refusal(&self, answer: &HttpAnswer, code: String, tree: Option<Tree<'_>>, scope: &Scope<'_>) -> Reading {
        match self.refused(answer, code, tree) {
            Reading::Not(Meaning::RepeatIsFine, _) => self.told(answer, tree, scope),
            other => other,
        }
    }

    fn refused(&self, answer: &HttpAnswer, code: String, tree: Option<Tree<'_>>) -> Reading {
        let text = tree.and_then(|tree| self.error_text.iter().find_map(|path| path.text(tree)));
        let text =
            text.filter(|text| !text.is_empty()).map_or_else(|| "the platform said no".to_owned(), |text| words(&text));
        let rule = self.errors.get(&code).or_else(|| self.errors.get(&text));
        let meaning = rule.map_or(Meaning::Rejected, |rule| rule.meaning);
        let refused = Failure::refused(code, text);
        let failure = match meaning {
            Meaning::Rejected | Meaning::RepeatIsFine => refused,
            Meaning::NotAdmitted | Meaning::SessionLost => {
                Failure { code: refused.code, text: refused.text, ..not_admitted(answer) }
            }
            Meaning::RetryLater => Failure {
                retry: headgate_core::failure::Retry::Later(rule.and_then(|rule| rule.after)),
                sent: headgate_core::failure::Sent::No,
                ..refused
            },
            Meaning::Unclear => Failure { code: refused.code, text: refused.text, ..server_error(answer) },
        };
        Reading::Not(meaning, failure)
    }

    fn code(&self, tree: Tree<'_>) -> Option<String> {
        let (path, code) = self.error_code.iter().find_map(|path| Some((path, path.text(tree)?)))?;
        // The code of a SOAP fault is a qualified name, and its prefix says nothing.
        let code = if path.leads_to("faultcode") { code.rsplit(':').next().unwrap_or_default() } else { &code };
        (!code.is_empty()).then(|| words(code))
    }

    fn told(&self, answer: &HttpAnswer, tree: Option<Tree<'_>>, scope: &Scope<'_>) -> Reading {
        let extract = &self.extract;
        if extract.raw {
            let answer = Some(Answer::Raw(RawAnswer(answer.body.clone())));
            return Reading::Done(Told { answer, ..Told::default() });
        }
        let Some(tree) = tree else {
            return match extract.reads() {
                true => Reading::Not(Meaning::Unclear, unreadable(answer, "it is empty")),
                false => Reading::Done(Told::default()),
            };
        };
        match extract.tell(tree, scope) {
            Ok(told) => Reading::Done(told),
            Err(why) => Reading::Not(Meaning::Unclear, unreadable(answer, why)),
        }
    }
}

/// An answer's body, read.
enum Body {
    Empty,
    Json(serde_json::Value),
    Xml(Box<Element>),
}

impl Body {
    fn parse(format: FormatTable, answer: &HttpAnswer) -> Result<Self, Failure> {
        if answer.body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::Empty);
        }
        match format {
            FormatTable::None => Ok(Self::Empty),
            FormatTable::Json => crate::http::answer::json::<Strict>(answer).map(|Strict(value)| Self::Json(value)),
            FormatTable::Xml => match xml::parse(&answer.body, LIMIT) {
                Ok(root) => Ok(Self::Xml(Box::new(root))),
                Err(error) => Err(unreadable(answer, error)),
            },
        }
    }

    const fn tree(&self) -> Option<Tree<'_>> {
        match self {
            Self::Empty => None,
            Self::Json(value) => Some(Tree::Json(value)),
            Self::Xml(root) => Some(Tree::Xml(root)),
        }
    }
}

impl Test {
    fn holds(&self, tree: Tree<'_>) -> bool {
        let mut places = self.at.all(tree).into_iter();
        if self.is.is_empty() {
            places.any(Tree::is_something)
        } else {
            places.find_map(Tree::text).is_some_and(|text| self.is.contains(&text))
        }
    }
}

/// A platform's words, not longer than anybody reads, on one line.
fn words(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(WORDS).collect()
}

/// The longest pause that a profile may ask for.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_hours(24);
