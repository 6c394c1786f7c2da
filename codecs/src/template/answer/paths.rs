//! The paths of a profile, read: a mistake is told with its place.

use std::collections::BTreeMap;

use super::Test;
use super::extract::{Devices, Extract, Pairings, Services, Subscriber};
use crate::registry::SettingsError;
use crate::template::table::{
    AuthenticatedExtract, DevicesExtract, ExtractTable, PairingsExtract, ServicesExtract, SubscriberExtract, TestTable,
};
use crate::template::tree::Path;

/// Reads paths and names the place of a mistake.
pub(super) struct Reader<'a> {
    /// What stands before every path.
    pub(super) path: &'a str,
}

impl Reader<'_> {
    fn one(&self, name: &str, text: &str) -> Result<Path, SettingsError> {
        Path::parse(text).map_err(|why| SettingsError::new(format!("{}{name}", self.path), why))
    }

    fn optional(&self, name: &str, text: Option<&String>) -> Result<Option<Path>, SettingsError> {
        text.map(|text| self.one(name, text)).transpose()
    }

    pub(super) fn list(&self, name: &str, texts: &[String]) -> Result<Vec<Path>, SettingsError> {
        texts.iter().enumerate().map(|(index, text)| self.one(&format!("{name}[{index}]"), text)).collect()
    }

    fn named(&self, name: &str, texts: &BTreeMap<String, String>) -> Result<BTreeMap<String, Path>, SettingsError> {
        texts.iter().map(|(key, text)| Ok((key.clone(), self.one(&format!("{name}.{key}"), text)?))).collect()
    }

    pub(super) fn test(&self, name: &str, test: Option<&TestTable>) -> Result<Option<Test>, SettingsError> {
        let read = |test: &TestTable| Ok(Test { at: self.one(&format!("{name}.at"), &test.at)?, is: test.is.clone() });
        test.map(read).transpose()
    }

    pub(super) fn extract(&self, table: &ExtractTable) -> Result<Extract, SettingsError> {
        let ExtractTable { reference, session, keep, raw, services, pairings, devices, subscriber, authenticated } =
            table;
        let answers = [
            *raw,
            services.is_some(),
            pairings.is_some(),
            devices.is_some(),
            subscriber.is_some(),
            authenticated.is_some(),
        ];
        if answers.iter().filter(|given| **given).count() > 1 {
            let text = "an answer is one of raw, services, pairings, devices, subscriber, authenticated";
            return Err(SettingsError::new(self.path.trim_end_matches('.'), text));
        }
        let authenticated = match authenticated {
            None => None,
            Some(AuthenticatedExtract { account, token }) => Some((
                self.optional("authenticated.account", account.as_ref())?,
                self.optional("authenticated.token", token.as_ref())?,
            )),
        };
        Ok(Extract {
            reference: self.optional("reference", reference.as_ref())?,
            session: self.optional("session", session.as_ref())?,
            keep: self.named("keep", keep)?,
            raw: *raw,
            services: services.as_ref().map(|table| self.services("services", table)).transpose()?,
            pairings: pairings.as_ref().map(|table| self.pairings(table)).transpose()?,
            devices: devices.as_ref().map(|table| self.devices(table)).transpose()?,
            subscriber: subscriber.as_ref().map(|table| self.subscriber(table)).transpose()?,
            authenticated,
        })
    }

    fn services(&self, name: &str, table: &ServicesExtract) -> Result<Services, SettingsError> {
        let below = |member: &str| format!("{name}.{member}");
        Ok(Services {
            each: self.one(&below("each"), &table.each)?,
            ca_id: self.one(&below("ca_id"), &table.ca_id)?,
            smartcard: self.optional(&below("smartcard"), table.smartcard.as_ref())?,
            start: self.optional(&below("start"), table.start.as_ref())?,
            end: self.optional(&below("end"), table.end.as_ref())?,
            suspended: self.test(&below("suspended"), table.suspended.as_ref())?,
            times: table.times,
        })
    }

    fn pairings(&self, table: &PairingsExtract) -> Result<Pairings, SettingsError> {
        Ok(Pairings {
            each: self.one("pairings.each", &table.each)?,
            smartcard: self.optional("pairings.smartcard", table.smartcard.as_ref())?,
            stbs: self.one("pairings.stbs", &table.stbs)?,
        })
    }

    fn devices(&self, table: &DevicesExtract) -> Result<Devices, SettingsError> {
        Ok(Devices {
            each: self.one("devices.each", &table.each)?,
            serial: self.one("devices.serial", &table.serial)?,
            enabled: self.test("devices.enabled", table.enabled.as_ref())?,
            account: self.optional("devices.account", table.account.as_ref())?,
            paired: self.optional("devices.paired", table.paired.as_ref())?,
            attributes: self.named("devices.attributes", &table.attributes)?,
        })
    }

    fn subscriber(&self, table: &SubscriberExtract) -> Result<Subscriber, SettingsError> {
        Ok(Subscriber {
            account: self.optional("subscriber.account", table.account.as_ref())?,
            state: self.optional("subscriber.state", table.state.as_ref())?,
            devices: self.optional("subscriber.devices", table.devices.as_ref())?,
            services: table.services.as_ref().map(|table| self.services("subscriber.services", table)).transpose()?,
            attributes: self.named("subscriber.attributes", &table.attributes)?,
        })
    }
}
