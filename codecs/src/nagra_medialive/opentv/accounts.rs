//! Making and changing an account, at one platform or at both.

use headgate_core::failure::{FailedPart, Failure};
use headgate_core::http::{HttpAnswer, HttpCall, Method};
use headgate_core::outcome::Verdict;
use headgate_core::text::{PlatformReference, Serial};

use super::wire::{self, ACCOUNTS, AccountStatus, Created, PRE_HASHED, Said, by_id, said, with_body};
use crate::http::{End, Step, answer};
use crate::nagra_medialive::members::{self, Object};
use crate::nagra_medialive::settings::AccountForm;

/// A change of an account. It is made at each place in turn: where a twin is deployed, every change goes to both
/// \[S11\].
pub(super) struct AccountWork {
    form: AccountForm,
    id: String,
    change: Change,
    /// The end points, the first of them the main one.
    places: Vec<String>,
    at: usize,
    stage: Stage,
    reference: Option<PlatformReference>,
}

/// What is to become of the account.
pub(super) enum Change {
    /// It is made, with these members.
    Create(Object),
    /// It gets this status.
    Status(AccountStatus),
    /// These members are given these values, all others stay.
    Update(Object),
}

/// Where the change stands at one place.
enum Stage {
    /// The change itself is sent.
    Write,
    /// It was refused, which may be because it was made already: the account is read to find out.
    Compare(Failure),
    /// The account is read, because a member that is left out of a change is set to null \[S14, S15\].
    Read,
    /// The whole account is sent.
    Put(Object),
}

impl AccountWork {
    pub(super) fn new(form: AccountForm, id: String, change: Change, places: Vec<String>) -> Self {
        let stage = first_stage(form, &change);
        Self { form, id, change, places, at: 0, stage, reference: None }
    }

    pub(super) fn call(&self) -> HttpCall {
        let path = wire::account_path(self.form, &self.id);
        let call = match (&self.stage, &self.change) {
            (Stage::Compare(_) | Stage::Read, _) => HttpCall::get(by_id(ACCOUNTS, &self.id)),
            (Stage::Put(whole), _) => with_body(Method::Put, path, whole),
            (Stage::Write, Change::Create(members) | Change::Update(members)) => {
                let form = if self.form == AccountForm::PreHashed { PRE_HASHED } else { ACCOUNTS };
                with_body(Method::Post, form, members)
            }
            (Stage::Write, Change::Status(status)) => {
                let body = serde_json::json!({ "status": status.name() });
                with_body(Method::Put, by_id(ACCOUNTS, &self.id), &body)
            }
        };
        HttpCall { endpoint: self.place().to_owned().into(), ..call }
    }

    pub(super) fn read(&mut self, answer: &HttpAnswer) -> Step {
        let place = self.place().to_owned();
        let step = self.answered(answer).unwrap_or_else(|step| step);
        match step {
            // Who reads it must know that the first platform has the change already.
            Step::End(End { verdict: Verdict::Failed(failure), reference }) if !place.is_empty() => {
                let text = format!("the main end point has the change; `{place}` may not: {}", failure.text);
                Step::End(End { verdict: Verdict::Failed(Failure { text, ..failure }), reference })
            }
            step => step,
        }
    }

    /// Secret values in the account, which calls repeat and answers tell.
    pub(super) fn confidential(&self) -> Vec<String> {
        match (&self.stage, &self.change) {
            (Stage::Put(members), _) | (Stage::Write, Change::Create(members)) => members::secrets_of(members),
            _ => Vec::new(),
        }
    }

    fn answered(&mut self, answer: &HttpAnswer) -> Result<Step, Step> {
        match (&self.stage, said(answer)?) {
            (Stage::Write, Said::Yes) => self.written(answer),
            (Stage::Write, Said::No(failure)) => {
                let made_already = match self.change {
                    Change::Create(_) => wire::may_exist(answer),
                    Change::Status(_) | Change::Update(_) => true,
                };
                if made_already {
                    self.stage = Stage::Compare(failure);
                    return Ok(Step::Next);
                }
                Err(self.refused(failure))
            }
            (Stage::Compare(_), Said::No(_)) => Err(self.refused_before()),
            (Stage::Compare(_), Said::Yes) => {
                let status = members::text(&account(answer)?, "status");
                let as_wanted = match self.change {
                    // A cancelled one is no account; its id stays taken.
                    Change::Create(_) => status.as_deref() != Some(AccountStatus::Cancelled.name()),
                    Change::Status(wanted) => status.as_deref() == Some(wanted.name()),
                    Change::Update(_) => false,
                };
                if as_wanted { Ok(self.next_place()) } else { Err(self.refused_before()) }
            }
            (Stage::Read, Said::No(failure)) | (Stage::Put(_), Said::No(failure)) => Err(self.refused(failure)),
            (Stage::Read, Said::Yes) => {
                let mut whole = account(answer)?;
                match &self.change {
                    Change::Status(wanted) if members::text(&whole, "status").as_deref() == Some(wanted.name()) => {
                        return Ok(self.next_place());
                    }
                    Change::Status(wanted) => members::set(&mut whole, "status", &wanted.name()),
                    Change::Create(members) | Change::Update(members) => whole.extend(members.clone()),
                }
                self.stage = Stage::Put(whole);
                Ok(Step::Next)
            }
            (Stage::Put(_), Said::Yes) => self.matched(answer),
        }
    }

    fn written(&mut self, answer: &HttpAnswer) -> Result<Step, Step> {
        if !matches!(self.change, Change::Create(_)) {
            return self.matched(answer);
        }
        // The source shows the answer of the plain form alone.
        if self.form == AccountForm::Plain || !answer.body.is_empty() {
            let created: Created = answer::json(answer).map_err(Step::failed)?;
            // Our own id tells nothing new.
            let reference = Some(created.id).filter(|id| *id != self.id);
            self.reference = self.reference.take().or_else(|| PlatformReference::new(&reference?).ok());
        }
        Ok(self.next_place())
    }

    fn matched(&mut self, answer: &HttpAnswer) -> Result<Step, Step> {
        if wire::matched(answer)? { Ok(self.next_place()) } else { Err(self.refused(wire::nothing_matched())) }
    }

    fn next_place(&mut self) -> Step {
        self.at += 1;
        if self.at < self.places.len() {
            self.stage = first_stage(self.form, &self.change);
            return Step::Next;
        }
        Step::End(End { verdict: Verdict::Completed(None), reference: self.reference.take() })
    }

    fn refused_before(&mut self) -> Step {
        match std::mem::replace(&mut self.stage, Stage::Read) {
            Stage::Compare(failure) => self.refused(failure),
            _ => Step::failed(Failure::unspeakable("unspeakable", "nothing was refused")),
        }
    }

    /// It ends; what was done at the places before stays done, and is told.
    fn refused(&self, failure: Failure) -> Step {
        match Serial::new(self.place()) {
            Ok(part) if self.at > 0 => {
                let part = FailedPart { part, code: failure.code, text: failure.text };
                Step::rejected(Failure::partial(vec![part], self.places.len()))
            }
            _ => Step::rejected(failure),
        }
    }

    fn place(&self) -> &str {
        self.places.get(self.at).map_or("", String::as_str)
    }
}

fn first_stage(form: AccountForm, change: &Change) -> Stage {
    match (form, change) {
        (_, Change::Create(_)) | (AccountForm::Plain, Change::Status(_)) => Stage::Write,
        (AccountForm::PreHashed, Change::Status(_)) | (_, Change::Update(_)) => Stage::Read,
    }
}

/// The account that an answer tells.
pub(super) fn account(answer: &HttpAnswer) -> Result<Object, Step> {
    answer::json(answer).map_err(Step::failed)
}
