//! Accounts of ADM.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use headgate_core::http::HttpAnswer;
use headgate_core::platform::Holdings;
use serde_json::Value;

use super::opentv::{Account, Members, OpenTv, changed, created, demand, demand_one_of, replace, text};
use super::{answer, error};
use crate::nagra_medialive::settings::AccountForm;

const STATUSES: [&str; 4] = ["ACTIVE", "SUSPENDED", "RESTRICTED", "CANCELLED"];

impl OpenTv {
    pub(super) fn create_account(
        &mut self,
        place: &str,
        form: AccountForm,
        mut members: Members,
        holdings: &mut Holdings,
    ) -> Result<HttpAnswer, HttpAnswer> {
        demand(&members, &["billingAddress", "pvrStatus"])?;
        demand_one_of(&members, "pvrStatus", &["ENABLED", "DISABLED"])?;
        match form {
            AccountForm::Plain => demand(&members, &["_id", "status"])?,
            AccountForm::PreHashed => {
                demand(
                    &members,
                    &["accountProfileId", "npvrProfileName", "signonId", "password", "salt", "geoBlockExempt"],
                )?;
                if BASE64_STANDARD.decode(text(&members, "salt")).is_err() {
                    return Err(error(400, "salt is not Base64"));
                }
            }
        }
        members.entry("status").or_insert_with(|| "ACTIVE".into());
        demand_one_of(&members, "status", &STATUSES)?;
        let id = self.new_id(&members);
        let sign_on = text(&members, "signonId").to_owned();
        let accounts = self.accounts.entry(place.to_owned()).or_default();
        // A cancelled one keeps its id.
        if accounts.contains_key(&id) {
            return Err(error(400, "an account of that id exists"));
        }
        if place.is_empty() && !sign_on.is_empty() {
            if self.sign_ons.contains_key(&sign_on) {
                return Err(error(400, "the signonId is taken"));
            }
            self.sign_ons.insert(sign_on, id.clone());
        }
        members.insert("_id".into(), id.clone().into());
        accounts.insert(id.clone(), Account { members, ..Account::default() });
        self.show(place, &id, holdings);
        Ok(created(&id))
    }

    pub(super) fn account(&self, place: &str, id: &str) -> Result<HttpAnswer, HttpAnswer> {
        let account = self.accounts.get(place).and_then(|accounts| accounts.get(id));
        let account = account.ok_or_else(|| error(404, "the account is not known"))?;
        Ok(answer(200, &Value::Object(account.members.clone())))
    }

    pub(super) fn put_account(
        &mut self,
        place: &str,
        form: AccountForm,
        id: &str,
        by: Members,
        holdings: &mut Holdings,
    ) -> Result<HttpAnswer, HttpAnswer> {
        let account = self.accounts.get_mut(place).and_then(|accounts| accounts.get_mut(id));
        let account = account.ok_or_else(|| error(404, "the account is not known"))?;
        if account.status() == "CANCELLED" {
            return Err(error(400, "the account is cancelled, for good"));
        }
        if by.contains_key("status") {
            demand_one_of(&by, "status", &STATUSES)?;
        }
        if by.get("_id").is_some_and(|given| given != id) {
            return Err(error(400, "an id can not be changed"));
        }
        let status_alone = form == AccountForm::Plain && by.len() == 1 && by.contains_key("status");
        if status_alone {
            account.members.extend(by);
        } else {
            replace(&mut account.members, by);
        }
        let sign_on = text(&account.members, "signonId").to_owned();
        if place.is_empty() {
            self.sign_ons.retain(|_, of| of != id);
            if !sign_on.is_empty() {
                self.sign_ons.insert(sign_on, id.to_owned());
            }
        }
        self.show(place, id, holdings);
        Ok(changed(1))
    }

    pub(super) fn has_sign_on(&self, name: &str) -> bool {
        self.sign_ons.contains_key(name)
    }

    /// Whether a subscriber's credentials are good.
    pub(super) fn signs_on(&self, name: &str, password: &str) -> bool {
        let account = self.sign_ons.get(name).and_then(|id| self.accounts.get("")?.get(id));
        account.is_some_and(|account| {
            let (hash, salt) = (text(&account.members, "password"), text(&account.members, "salt"));
            account.status() == "ACTIVE" && self.settings.password_hash.matches(password, hash, salt)
        })
    }

    /// An account of the main place that is not cancelled.
    pub(super) fn living(&mut self, id: &str) -> Result<&mut Account, HttpAnswer> {
        let account = self.accounts.get_mut("").and_then(|accounts| accounts.get_mut(id));
        account.filter(|account| account.status() != "CANCELLED").ok_or_else(|| error(404, "the account is not known"))
    }
}
