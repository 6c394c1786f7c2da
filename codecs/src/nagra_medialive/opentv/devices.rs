//! Devices, one after the other.

use std::collections::VecDeque;

use headgate_core::failure::Failure;
use headgate_core::http::{HttpAnswer, HttpCall, Method};
use headgate_core::outcome::{Answer, KnownDevice};
use headgate_core::text::{AccountNumber, Serial};

use super::wire::{self, Created, DEVICES, NewDevice, Said, by_id, said, with_body};
use crate::http::tally::Tally;
use crate::http::{Step, answer};
use crate::nagra_medialive::members::{self, Object};
use crate::nagra_medialive::settings::DeviceSettings;

/// What a device's `status` says when it may be used.
const ENABLED: &str = "ENABLED";

/// Something done with each of some devices.
pub(super) struct DeviceWork {
    settings: DeviceSettings,
    what: What,
    /// The account they are under; absent: any.
    account: Option<String>,
    left: VecDeque<Serial>,
    stage: Stage,
    tally: Tally,
    known: Vec<KnownDevice>,
}

/// What is done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// They are put under the account.
    Add,
    /// They are taken out of it.
    Remove,
    /// Their status becomes this.
    Status(&'static str),
    /// They are told of.
    Tell,
}

impl What {
    /// They may be used.
    pub(super) const ENABLE: Self = Self::Status(ENABLED);
    /// They may not.
    pub(super) const DISABLE: Self = Self::Status("DISABLED");
}

/// Where it stands with one device.
enum Stage {
    /// It is made.
    Post,
    /// It is read: before it is changed, or, with a refusal, because it may have been made already.
    Read(Option<Failure>),
    /// It is changed.
    Put(Object),
    /// It is taken away.
    Delete,
}

impl DeviceWork {
    pub(super) fn new(settings: &DeviceSettings, what: What, account: Option<String>, devices: &[Serial]) -> Self {
        Self {
            settings: settings.clone(),
            what,
            account,
            left: devices.iter().cloned().collect(),
            stage: first_stage(what),
            tally: Tally::default(),
            known: Vec::new(),
        }
    }

    pub(super) fn call(&self) -> HttpCall {
        let id = self.left.front().map_or("", Serial::as_str);
        match &self.stage {
            Stage::Post => {
                let device = NewDevice {
                    id,
                    status: ENABLED,
                    device_type: self.settings.kind,
                    account_uid: self.account.as_deref().unwrap_or_default(),
                    ca_sn: self.settings.ca_sn.then_some(id),
                };
                with_body(Method::Post, DEVICES, &device)
            }
            Stage::Read(_) => HttpCall::get(by_id(DEVICES, id)),
            Stage::Put(whole) => with_body(Method::Put, by_id(DEVICES, id), whole),
            Stage::Delete => HttpCall::new(Method::Delete, by_id(DEVICES, id)),
        }
    }

    pub(super) fn read(&mut self, answer: &HttpAnswer) -> Step {
        self.answered(answer).unwrap_or_else(|step| step)
    }

    fn answered(&mut self, answer: &HttpAnswer) -> Result<Step, Step> {
        let said = said(answer)?;
        Ok(match (&self.stage, said) {
            (Stage::Post, Said::Yes) => {
                answer::json::<Created>(answer).map_err(Step::failed)?;
                self.done()
            }
            (Stage::Post, Said::No(failure)) if self.settings.by_id && wire::may_exist(answer) => {
                self.stage = Stage::Read(Some(failure));
                Step::Next
            }
            (Stage::Read(None), Said::No(_)) if self.what == What::Remove && answer.status == 404 => self.done(),
            (Stage::Read(Some(before)), Said::No(_)) => {
                let before = before.clone();
                self.refused(before)
            }
            (Stage::Delete, Said::No(_)) if answer.status == 404 => self.done(),
            (Stage::Put(_), Said::Yes) if !wire::matched(answer)? => self.refused(wire::nothing_matched()),
            (Stage::Put(_) | Stage::Delete, Said::Yes) => self.done(),
            (Stage::Read(before), Said::Yes) => {
                let before = before.clone();
                self.found(answer::json(answer).map_err(Step::failed)?, before)
            }
            (_, Said::No(failure)) => self.refused(failure),
        })
    }

    /// The device is there: what now?
    fn found(&mut self, mut device: Object, before: Option<Failure>) -> Step {
        let owner = members::text(&device, "accountUid");
        let is_ours = self.account.is_none() || owner == self.account;
        match (self.what, before) {
            (What::Tell, _) => {
                if let Some(serial) = self.left.front() {
                    self.known.push(known(serial, &device));
                }
                self.done()
            }
            (What::Add, _) if is_ours => self.done(),
            (_, Some(before)) => self.refused(before),
            _ if !is_ours => self.refused(Failure::refused("other_account", "the device is under another account")),
            (What::Remove, None) => {
                self.stage = Stage::Delete;
                Step::Next
            }
            (What::Status(status), None) => {
                members::set(&mut device, "status", &status);
                self.stage = Stage::Put(device);
                Step::Next
            }
            (What::Add, None) => self.done(),
        }
    }

    fn done(&mut self) -> Step {
        self.tally.done();
        self.next()
    }

    fn refused(&mut self, failure: Failure) -> Step {
        if let Some(device) = self.left.front() {
            self.tally.refused(device, failure);
        }
        self.next()
    }

    fn next(&mut self) -> Step {
        self.left.pop_front();
        self.stage = first_stage(self.what);
        if !self.left.is_empty() {
            return Step::Next;
        }
        match (self.tally.end(), self.what) {
            (Step::End(end), What::Tell) if end.verdict == headgate_core::outcome::Verdict::Completed(None) => {
                Step::answered(Answer::Devices(std::mem::take(&mut self.known)))
            }
            (end, _) => end,
        }
    }
}

const fn first_stage(what: What) -> Stage {
    match what {
        What::Add => Stage::Post,
        What::Remove | What::Status(_) | What::Tell => Stage::Read(None),
    }
}

fn known(serial: &Serial, device: &Object) -> KnownDevice {
    KnownDevice {
        serial: serial.clone(),
        enabled: members::text(device, "status").map(|status| status == ENABLED),
        account: members::text(device, "accountUid").and_then(|account| AccountNumber::new(&account).ok()),
        paired: Vec::new(),
        attributes: members::attributes(device, &["_id", "status", "accountUid"]),
    }
}
