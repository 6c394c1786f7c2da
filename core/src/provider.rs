//! A provider: one platform, as an operator configured it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::text::{CaId, ProviderName, ServiceCode};

/// What the engine needs to know of a provider. How to reach it is the gateway's business, how to
/// speak with it the protocol's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Its name.
    pub name: ProviderName,
    /// The CRM's services and the platform's ids for them.
    pub services: ServiceMap,
    /// How much at once.
    pub limits: Limits,
    /// How often again.
    pub retry: RetryPolicy,
    /// When to leave it alone.
    pub breaker: BreakerPolicy,
}

/// The CRM's service codes and the platform's CA IDs, both ways.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(from = "BTreeMap<ServiceCode, CaId>", into = "BTreeMap<ServiceCode, CaId>")]
pub struct ServiceMap {
    #[schemars(flatten)]
    by_code: BTreeMap<ServiceCode, CaId>,
    #[schemars(skip)]
    by_ca_id: BTreeMap<CaId, ServiceCode>,
}

impl ServiceMap {
    /// The platform's id of a service.
    #[must_use]
    pub fn ca_id(&self, code: &ServiceCode) -> Option<&CaId> {
        self.by_code.get(code)
    }

    /// The CRM's code of a platform's id; the first by name where several codes share an id.
    #[must_use]
    pub fn code(&self, ca_id: &CaId) -> Option<&ServiceCode> {
        self.by_ca_id.get(ca_id)
    }

    /// Every pair, by code.
    pub fn iter(&self) -> impl Iterator<Item = (&ServiceCode, &CaId)> {
        self.by_code.iter()
    }
}

impl From<BTreeMap<ServiceCode, CaId>> for ServiceMap {
    fn from(by_code: BTreeMap<ServiceCode, CaId>) -> Self {
        let by_ca_id = by_code.iter().rev().map(|(code, ca_id)| (ca_id.clone(), code.clone())).collect();
        Self { by_code, by_ca_id }
    }
}

impl From<ServiceMap> for BTreeMap<ServiceCode, CaId> {
    fn from(map: ServiceMap) -> Self {
        map.by_code
    }
}

/// How much a provider gets at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Most requests sent and not yet answered, 1 to 1,000,000. Default 1,000.
    pub window: usize,
    /// Most requests accepted and not yet ended. When it is reached, new ones are answered with 503
    /// and `Retry-After`. Default 200,000.
    pub queue: usize,
    /// Most requests sent in any stretch of time of the given length, as in `"100 per 1s"` or
    /// `"1 per 10s"`. Default: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { window: 1_000, queue: 200_000, rate: None }
    }
}

/// So many in any stretch of time of that length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate {
    /// How many, 1 to 1,000,000.
    pub count: u32,
    /// In how long, 1 ms to 1 day.
    pub per: Duration,
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a rate; write it as in \"100 per 1s\" or \"1 per 10s\"");
        let (count, per) = text.split_once(" per ").ok_or_else(wrong)?;
        let count: u32 = count.trim().parse().map_err(|_| wrong())?;
        let per = per.trim().parse::<jiff::SignedDuration>().map_err(|_| wrong())?;
        let per = Duration::try_from(per).map_err(|_| wrong())?;
        if !(1..=1_000_000).contains(&count) || !(Duration::from_millis(1)..=Duration::from_hours(24)).contains(&per) {
            return Err(format!("{text:?} is out of range: 1 to 1000000 per 1ms to 24h"));
        }
        Ok(Self { count, per })
    }
}

impl TryFrom<String> for Rate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} per {:?}", self.count, self.per)
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> Self {
        rate.to_string()
    }
}

impl schemars::JsonSchema for Rate {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[0-9]+ per .+$", "examples": ["100 per 1s", "1 per 10s"] })
    }
}

/// When a request is tried again. Delays double from `first_delay` up to `longest_delay`, less a
/// random part of up to a quarter, so that requests that failed together do not come back together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetryPolicy {
    /// Most attempts of one request, the first included. Default 5.
    pub attempts: u32,
    /// Before the second attempt. Default 1 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub first_delay: Duration,
    /// Never longer than this. Default 5 min.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub longest_delay: Duration,
    /// The platform's codes that are not final, and how they are tried again.
    pub codes: BTreeMap<String, CodeRule>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 5,
            first_delay: Duration::from_secs(1),
            longest_delay: Duration::from_mins(5),
            codes: BTreeMap::new(),
        }
    }
}

/// How a refusal with a certain code is tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CodeRule {
    /// How long to wait before the next attempt.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub after: Duration,
    /// Most attempts, the first included. Default: the provider's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
}

/// When a provider that does not answer is left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerPolicy {
    /// So many failures in a row open the breaker; refusals are answers and do not count. 0: never. Default 10.
    pub failures: u32,
    /// How long it stays open before one request is let through as a probe. Default 10 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub open_for: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self { failures: 10, open_for: Duration::from_secs(10) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_they_are_written() {
        let rate: Rate = "1 per 10s".parse().unwrap();
        assert_eq!(rate, Rate { count: 1, per: Duration::from_secs(10) });
        assert_eq!(rate.to_string().parse(), Ok(rate));
        assert!("0 per 1s".parse::<Rate>().is_err());
        assert!("fast".parse::<Rate>().is_err());
    }
}
