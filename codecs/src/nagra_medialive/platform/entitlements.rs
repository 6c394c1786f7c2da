//! Entitlements of RMG.

use headgate_core::http::HttpAnswer;
use headgate_core::platform::Holdings;
use jiff::Timestamp;
use serde_json::json;

use super::opentv::{Members, OpenTv, changed, created, demand, demand_one_of, text};
use super::{answer, error};
use crate::http::form;

impl OpenTv {
    pub(super) fn grant(&mut self, mut members: Members, holdings: &mut Holdings) -> Result<HttpAnswer, HttpAnswer> {
        demand(&members, &["accountId", "productId", "validityType", "productType", "validFrom", "expiryDate"])?;
        demand_one_of(&members, "validityType", &["ABSOLUTE", "RELATIVE"])?;
        demand_one_of(&members, "productType", &["TRANSACTIONAL", "SUBSCRIPTION", "FREE", "CAPABILITY"])?;
        demand_period(&members)?;
        let product = text(&members, "productId");
        if !self.stock.products.is_empty() && !self.stock.products.iter().any(|known| known == product) {
            return Err(error(400, "the product is not known"));
        }
        let id = self.new_id(&members);
        if self.owners.contains_key(&id) {
            return Err(error(409, "an entitlement of that id exists"));
        }
        let owner = text(&members, "accountId").to_owned();
        let account = self.living(&owner)?;
        let device = text(&members, "deviceId");
        if !device.is_empty() && !account.devices.contains(device) {
            return Err(error(400, "the account has no such device"));
        }
        members.insert("_id".into(), id.clone().into());
        members.insert("status".into(), "SUBSCRIBED".into());
        account.entitlements.insert(id.clone(), members);
        self.owners.insert(id.clone(), owner.clone());
        self.show("", &owner, holdings);
        Ok(created(&id))
    }

    pub(super) fn change_entitlement(
        &mut self,
        id: &str,
        by: Members,
        holdings: &mut Holdings,
    ) -> Result<HttpAnswer, HttpAnswer> {
        let Some(owner) = self.owners.get(id).cloned() else { return Ok(changed(0)) };
        demand_one_of(&by, "status", &["SUBSCRIBED", "UNSUBSCRIBED"])?;
        let Some(members) = self.living(&owner)?.entitlements.get_mut(id) else { return Ok(changed(0)) };
        let mut after = members.clone();
        after.extend(by);
        demand_period(&after)?;
        *members = after;
        self.show("", &owner, holdings);
        Ok(changed(1))
    }

    pub(super) fn list(&self, query: &str) -> Result<HttpAnswer, HttpAnswer> {
        let fields = form::parse(query.as_bytes());
        let field = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let number = |name, default| match field(name) {
            None => Ok(default),
            Some(text) => text.parse::<usize>().map_err(|_| error(400, &format!("{name} is not a number"))),
        };
        let (limit, page) = (number("limit", 100)?, number("page", 1)?.max(1));
        let of = field("accountId");
        let accounts = self.accounts.get("").into_iter().flatten();
        let wanted = accounts.filter(|(id, _)| of.is_none_or(|of| of == id.as_str()));
        let all: Vec<_> = wanted.flat_map(|(_, account)| account.entitlements.values()).collect();
        if limit == 0 {
            return Ok(answer(200, &json!({ "totalRecords": all.len() })));
        }
        let from = (page - 1).saturating_mul(limit);
        let shown: Vec<_> = all.iter().skip(from).take(limit).collect();
        Ok(answer(200, &json!({ "totalRecords": all.len(), "resourceSet": shown })))
    }
}

fn demand_period(members: &Members) -> Result<(), HttpAnswer> {
    let time = |name| {
        text(members, name)
            .parse::<Timestamp>()
            .map_err(|_| error(400, &format!("{name} is not a time of ISO 8601 in UTC")))
    };
    if time("expiryDate")? <= time("validFrom")? {
        return Err(error(400, "expiryDate is not after validFrom"));
    }
    Ok(())
}
