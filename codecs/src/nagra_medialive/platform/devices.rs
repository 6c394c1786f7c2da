//! Devices of ADM.

use headgate_core::http::HttpAnswer;
use headgate_core::platform::Holdings;
use serde_json::Value;

use super::opentv::{Members, OpenTv, changed, created, demand, demand_one_of, replace, text};
use super::{answer, error};

impl OpenTv {
    pub(super) fn create_device(
        &mut self,
        mut members: Members,
        holdings: &mut Holdings,
    ) -> Result<HttpAnswer, HttpAnswer> {
        demand(&members, &["status", "deviceType", "accountUid"])?;
        demand_one_of(&members, "status", &["ENABLED", "DISABLED"])?;
        demand_one_of(&members, "deviceType", &["MANAGED", "OPEN"])?;
        let id = self.new_id(&members);
        if !self.knows_device(&id) {
            return Err(error(404, "the device is not known"));
        }
        if self.devices.contains_key(&id) {
            return Err(error(400, "a device of that id exists"));
        }
        let account = text(&members, "accountUid").to_owned();
        self.living(&account)?.devices.insert(id.clone());
        members.insert("_id".into(), id.clone().into());
        self.devices.insert(id.clone(), members);
        self.show("", &account, holdings);
        Ok(created(&id))
    }

    pub(super) fn device(&self, id: &str) -> Result<HttpAnswer, HttpAnswer> {
        let members = self.devices.get(id).ok_or_else(|| error(404, "the device is not known"))?;
        Ok(answer(200, &Value::Object(members.clone())))
    }

    pub(super) fn put_device(
        &mut self,
        id: &str,
        by: Members,
        holdings: &mut Holdings,
    ) -> Result<HttpAnswer, HttpAnswer> {
        demand_one_of(&by, "status", &["ENABLED", "DISABLED"])?;
        let members = self.devices.get_mut(id).ok_or_else(|| error(404, "the device is not known"))?;
        let account = text(members, "accountUid").to_owned();
        if text(&by, "accountUid") != account {
            return Err(error(400, "a device stays under its account"));
        }
        replace(members, by);
        self.show("", &account, holdings);
        Ok(changed(1))
    }

    pub(super) fn delete_device(&mut self, id: &str, holdings: &mut Holdings) -> Result<HttpAnswer, HttpAnswer> {
        let members = self.devices.remove(id).ok_or_else(|| error(404, "the device is not known"))?;
        let owner = text(&members, "accountUid").to_owned();
        if let Some(account) = self.accounts.get_mut("").and_then(|accounts| accounts.get_mut(&owner)) {
            account.devices.remove(id);
            account.entitlements.retain(|entitlement, members| {
                let stays = text(members, "deviceId") != id;
                if !stays {
                    self.owners.remove(entitlement);
                }
                stays
            });
        }
        holdings.cards.remove(id);
        self.show("", &owner, holdings);
        Ok(HttpAnswer { status: 204, ..HttpAnswer::default() })
    }
}
