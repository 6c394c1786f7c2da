//! What an operator can set in a provider's `settings` table.

use std::collections::{BTreeMap, BTreeSet};

use headgate_core::provider::Provider;
use headgate_core::text::Secret;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::http::CallSettings;
use crate::registry::{SettingsError, read_settings};
use crate::template::{Context, Environment, Profile, ProfileTable, Unsigned};

/// The profile that the protocol ships.
pub const SHIPPED: &str = include_str!("profile.toml");

/// The name of [`Settings::sequence_number`] in a profile's placeholders: `{vars.sequence_number}`.
const SEQUENCE_NUMBER: &str = "sequence_number";

/// Settings of a provider that speaks `conax-web`. All are optional.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Which calls carry the commands. Default: the profile that is shipped; print it by
    /// `headgate profile show conax-web`.
    pub profile: Option<ProfileTable>,
    /// Texts for the placeholders `{vars.NAME}` of a profile. Default: none but `sequence_number`.
    pub vars: BTreeMap<String, String>,
    /// `SequenceNumber` of every message, 0 to 2147483647. Its meaning is not known; one client always sends 11
    /// \[S:SC\]. Default 11.
    #[schemars(range(max = 2_147_483_647))]
    pub sequence_number: Option<u32>,
    /// Most cards of one call, 1 to 10000, for operations that take several. Default: as the profile says; in the one
    /// that is shipped, 500 \[S:SC\].
    #[schemars(range(min = 1, max = 10_000))]
    pub cards_per_call: Option<usize>,
    /// Most bytes of a bark's text, repeating or not, 1 to 10000. One client keeps to 74 \[S:SC\]. Default: as the profile
    /// says; in the one that is shipped, 129 \[S:W3\].
    #[schemars(range(min = 1, max = 10_000))]
    pub bark_limit: Option<usize>,
    /// Most bytes of a mail's text, 1 to 10000. Default: likewise, 141 \[S:W3\].
    #[schemars(range(min = 1, max = 10_000))]
    pub mail_limit: Option<usize>,
    /// Whether messages may have a start. One client left `StartIndicationTime` out on the vendor's advice \[S:SC\].
    /// `false`: messages with one are refused. Default true.
    pub start_time: Option<bool>,
    /// The zone of times in calls and answers, as in `"Europe/Oslo"`; which one the platform means is not known.
    /// Default: as the profile says, else `UTC`.
    pub time_zone: Option<String>,
    /// After how many months services end where the request does not say, 1 to 1200. Default: they have no end.
    #[schemars(range(min = 1, max = 1_200))]
    pub default_period_months: Option<u32>,
    /// Whom the simulated platform admits by Basic authentication: users and their passwords. Default: everybody. The
    /// gateway's own are under the provider's `connection`.
    pub simulated_users: BTreeMap<String, Secret>,
    /// How calls are made.
    pub calls: CallSettings,
}

/// Settings that were checked, and the profile they choose.
#[derive(Clone, Debug)]
pub struct Site {
    /// The settings.
    pub settings: Settings,
    /// The profile.
    pub profile: Profile,
    /// What the profile's placeholders get of the settings.
    pub context: Context,
}

impl Site {
    /// Reads and checks settings.
    ///
    /// # Errors
    /// The path of the first mistake, and what would be right.
    pub fn read(value: &Value) -> Result<Self, SettingsError> {
        let value = if value.is_null() { &Value::Object(serde_json::Map::new()) } else { value };
        let settings: Settings = read_settings(value)?;
        settings.check()?;
        let mut table = match &settings.profile {
            Some(table) => table.clone(),
            None => ProfileTable::from_toml(SHIPPED)?,
        };
        settings.adjust(&mut table);
        let mut vars = settings.vars.clone();
        vars.insert(SEQUENCE_NUMBER.to_owned(), settings.sequence_number.unwrap_or(11).to_string());
        let names: BTreeSet<_> = vars.keys().cloned().collect();
        let environment = Environment { vars: names, signer: &Unsigned };
        let profile = Profile::compile(&table, &environment)?;
        let zone = profile.zone.clone();
        let context = Context { vars, zone, default_months: settings.default_period_months, ..Context::default() };
        Ok(Self { settings, profile, context })
    }
}

impl Settings {
    fn check(&self) -> Result<(), SettingsError> {
        let number = |path: &str, value: Option<usize>, most: usize| match value {
            Some(value) if !(1..=most).contains(&value) => {
                Err(SettingsError::new(path, format!("is {value}; it must be 1 to {most}")))
            }
            _ => Ok(()),
        };
        number("cards_per_call", self.cards_per_call, 10_000)?;
        number("bark_limit", self.bark_limit, 10_000)?;
        number("mail_limit", self.mail_limit, 10_000)?;
        number("default_period_months", self.default_period_months.map(|months| months as usize), 1_200)?;
        if self.sequence_number.is_some_and(|number| i32::try_from(number).is_err()) {
            return Err(SettingsError::new("sequence_number", "must be 0 to 2147483647"));
        }
        if self.vars.contains_key(SEQUENCE_NUMBER) {
            return Err(SettingsError::new("vars.sequence_number", "has a setting of its own: `sequence_number`"));
        }
        self.calls.check()
    }

    /// What the settings say goes before what the profile says.
    fn adjust(&self, table: &mut ProfileTable) {
        if let Some(most) = self.cards_per_call {
            for operation in table.operations.values_mut().filter(|operation| operation.smartcards_per_call.is_some()) {
                operation.smartcards_per_call = Some(most);
            }
        }
        let limits = &mut table.messages;
        for (limit, own) in [
            (&mut limits.mail, self.mail_limit),
            (&mut limits.bark, self.bark_limit),
            (&mut limits.repeating_bark, self.bark_limit),
        ] {
            // A kind of message that the profile has no operation for stays without.
            if limit.is_some() && own.is_some() {
                *limit = own;
            }
        }
        if self.time_zone.is_some() {
            table.time_zone.clone_from(&self.time_zone);
        }
    }
}

/// Checks the platform's ids of services: digits only \[S:W1\].
///
/// # Errors
/// The service that has another one.
pub fn check_services(provider: &Provider) -> Result<(), SettingsError> {
    let odd = provider.services.iter().find(|(_, id)| !id.as_str().bytes().all(|b| b.is_ascii_digit()));
    odd.map_or(Ok(()), |(code, id)| {
        let text = format!("the provider's services: {code:?} = {id:?} must have nothing but digits");
        Err(SettingsError::new("", text))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_shipped_profile_is_in_order() {
        let site = Site::read(&Value::Null).unwrap();
        assert!(site.profile.operations().count() >= 12);
        let table = ProfileTable::from_toml(SHIPPED).unwrap();
        let confirmed: Vec<_> = table.operations.iter().filter(|(_, operation)| operation.confirmed).collect();
        assert_eq!(confirmed.len(), 1, "one call is known from a source");
        // Namespaces and paths are known for that one, and the path of authorisations; all others say whose they are.
        for (name, operation) in &table.operations {
            let xml = operation.xml.as_deref().unwrap();
            assert_eq!(xml.contains("http://www.conax.com/"), name == "send_bark", "{name}");
            let known = operation.path.starts_with("/ca-server/webservices/");
            assert!(known || operation.path.starts_with("/ca-server/stand-in/"), "{name}");
        }
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (settings, words) in [
            (json!({ "cards_per_call": 0 }), "cards_per_call: is 0; it must be 1 to 10000"),
            (json!({ "bark_limit": 20_000 }), "bark_limit: is 20000"),
            (json!({ "mail_limit": 0 }), "mail_limit: is 0"),
            (json!({ "default_period_months": 0 }), "default_period_months: is 0"),
            (json!({ "sequence_number": 4_000_000_000_u32 }), "sequence_number: must be"),
            (json!({ "vars": { "sequence_number": "1" } }), "vars.sequence_number: has a setting"),
            (json!({ "time_zone": "Mars" }), "profile.time_zone: is no time zone"),
            (json!({ "calls": { "at_once": 0 } }), "calls.at_once: must be"),
            (json!({ "end_point": "" }), "end_point: unknown field"),
            (json!({ "profile": { "operations": { "pair": { "path": "x" } } } }), "profile.operations.pair.path: "),
            (
                json!({ "profile": { "operations": { "pair": { "path": "/x", "xml": "<a>{vars.zone}</a>" } } } }),
                "profile.operations.pair.xml: ",
            ),
        ] {
            let error = Site::read(&settings).unwrap_err().to_string();
            assert!(error.starts_with(words), "{error}");
        }
    }

    #[test]
    fn services_have_ids_of_digits() {
        use crate::test_support::provider;
        assert!(check_services(&provider(&[("A", "0042")])).is_ok());
        assert!(check_services(&provider(&[("A", "4x")])).unwrap_err().text.contains("\"4x\" must have"));
    }
}
