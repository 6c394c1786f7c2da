//! Where values come from: the request, or the part of it that one call is about, and the provider's settings.

use std::collections::BTreeMap;
use std::time::Duration;

use headgate_core::Now;
use headgate_core::command::{Address, Audience, Command, Devices, Message, MessageKind, Period, Subscriber};
use headgate_core::provider::ServiceMap;
use headgate_core::request::Request;
use headgate_core::text::{PersonalText, Secret, Serial, ServiceCode};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use super::values::{Name, Plain, Value};
use crate::registry::SettingsError;

/// What the settings of a provider give to placeholders.
#[derive(Clone, Debug)]
pub struct Context {
    /// `settings.user`.
    pub user: Option<String>,
    /// `settings.password`.
    pub password: Option<Secret>,
    /// `vars.NAME`.
    pub vars: BTreeMap<String, String>,
    /// The zone in which `|date:FORMAT` writes.
    pub zone: TimeZone,
    /// After how many months a period without an end ends; absent: it has none.
    pub default_months: Option<u32>,
}

impl Context {
    /// A context without a user.
    ///
    /// # Errors
    /// [`SettingsError`] for a number of months out of its range, and for a name that no placeholder can have.
    pub fn of(vars: &BTreeMap<String, String>, default_period_months: Option<u32>) -> Result<Self, SettingsError> {
        if default_period_months.is_some_and(|months| !(1..=1_200).contains(&months)) {
            return Err(SettingsError::new("default_period_months", "must be 1 to 1200"));
        }
        if let Some(name) = vars.keys().find(|name| Name::parse(&format!("vars.{name}")).is_none()) {
            let text = "a name has nothing but letters, digits, `_`, `-` and `.`";
            return Err(SettingsError::new(format!("vars.{name}"), text));
        }
        Ok(Self { vars: vars.clone(), default_months: default_period_months, ..Self::default() })
    }
}

impl Default for Context {
    fn default() -> Self {
        Self { user: None, password: None, vars: BTreeMap::new(), zone: TimeZone::UTC, default_months: None }
    }
}

/// A request, and the part of it that one call is about.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// The time of the call.
    pub now: Now,
    /// The request.
    pub request: &'a Request,
    /// The CRM's services and the platform's ids.
    pub map: &'a ServiceMap,
    /// What the settings give.
    pub context: &'a Context,
    /// The smartcards of this call; `smartcard` is the first of them.
    pub smartcards: &'a [Serial],
    /// The set-top boxes of this call.
    pub stbs: &'a [Serial],
    /// The services of this call.
    pub services: &'a [ServiceCode],
    /// What earlier answers told.
    pub kept: &'a BTreeMap<String, String>,
    /// What the login gave.
    pub session: Option<&'a str>,
}

/// Nothing was told yet.
pub static NOTHING_KEPT: BTreeMap<String, String> = BTreeMap::new();

impl<'a> Scope<'a> {
    /// The whole of a request.
    #[must_use]
    pub fn of(now: Now, request: &'a Request, map: &'a ServiceMap, context: &'a Context) -> Self {
        let devices = request.command.devices();
        Self {
            now,
            request,
            map,
            context,
            smartcards: devices.map_or(&[], |devices| &devices.smartcards),
            stbs: devices.map_or(&[], |devices| &devices.stbs),
            services: request.command.services(),
            kept: &NOTHING_KEPT,
            session: None,
        }
    }

    /// The value of that name, if it is there.
    #[must_use]
    pub fn value(&self, name: &Name) -> Option<Value> {
        match name {
            Name::Plain(plain) => self.plain(*plain),
            Name::Attribute(name) => {
                let text = self.subscriber()?.attributes.get(name)?;
                Some(Value::Text(text.as_str().to_owned()))
            }
            Name::Kept(name) => self.kept.get(name).cloned().map(Value::Text),
            Name::Var(name) => self.context.vars.get(name).cloned().map(Value::Text),
        }
    }

    fn plain(&self, plain: Plain) -> Option<Value> {
        let text = |text: &str| Some(Value::Text(text.to_owned()));
        let serials =
            |serials: &[Serial]| Value::List(serials.iter().map(|serial| serial.as_str().to_owned()).collect());
        let personal = |field: fn(&Subscriber) -> Option<&PersonalText>| {
            self.subscriber().and_then(field).map(|text| Value::Text(text.as_str().to_owned()))
        };
        let secret = |secret: Option<&Secret>| secret.map(|secret| Value::Text(secret.reveal().to_owned()));
        let address = |field: fn(&Address) -> Option<&PersonalText>| {
            let text = self.subscriber()?.address.as_ref().and_then(field)?;
            Some(Value::Text(text.as_str().to_owned()))
        };
        match plain {
            Plain::Account => self.request.account_number().and_then(text),
            Plain::CaId => self.services.first().and_then(|code| self.map.ca_id(code)).and_then(|id| text(id.as_str())),
            Plain::CaIds => {
                let ids = self.services.iter().map(|code| self.map.ca_id(code).map(|id| id.as_str().to_owned()));
                ids.collect::<Option<Vec<_>>>().map(Value::List)
            }
            Plain::Count => match self.message()?.kind {
                MessageKind::RepeatingBark { count, .. } => Some(Value::Number(count.into())),
                _ => None,
            },
            Plain::Device => self.smartcards.first().or_else(|| self.stbs.first()).and_then(|one| text(one.as_str())),
            Plain::Duration => self.duration(),
            Plain::End => self.end().map(Value::Time),
            Plain::Interval => match self.message()?.kind {
                MessageKind::RepeatingBark { interval, .. } => seconds(interval),
                _ => None,
            },
            Plain::Login => match &self.request.command {
                Command::Authenticate(credentials) => credentials.login.as_ref().and_then(|login| text(login.as_str())),
                _ => None,
            },
            Plain::NewSmartcard => self.replacement(|devices| devices.smartcards.first()),
            Plain::NewStb => self.replacement(|devices| devices.stbs.first()),
            Plain::Now => Some(Value::Time(self.now.wall)),
            Plain::Password => match &self.request.command {
                Command::Authenticate(credentials) => secret(credentials.password.as_ref()),
                _ => None,
            },
            Plain::Pin => match &self.request.command {
                Command::SetPin { pin, .. } => secret(Some(pin)),
                _ => None,
            },
            Plain::Reason => match &self.request.command {
                Command::DisableDevice { reason, .. } => text(reason.name()),
                _ => None,
            },
            Plain::Reference => self.request.reference.as_ref().and_then(|reference| text(reference.as_str())),
            Plain::Region => match &self.message()?.audience {
                Audience::Region(region) => text(region.as_str()),
                _ => None,
            },
            Plain::RequestId => Some(Value::Text(self.request.id.to_string())),
            Plain::RequestNumber => i64::try_from(self.request.number).ok().map(Value::Number),
            Plain::Service => self.services.first().and_then(|code| text(code.as_str())),
            Plain::Services => Some(Value::List(self.services.iter().map(|code| code.as_str().to_owned()).collect())),
            Plain::Session => self.session.and_then(text),
            Plain::SettingsPassword => secret(self.context.password.as_ref()),
            Plain::SettingsUser => self.context.user.as_deref().and_then(text),
            Plain::Smartcard => self.smartcards.first().and_then(|card| text(card.as_str())),
            Plain::Smartcards => Some(serials(self.smartcards)),
            Plain::Start => match self.message() {
                Some(message) => message.start.map(Value::Time),
                None => self.period()?.start.map(Value::Time),
            },
            Plain::Stb => self.stbs.first().and_then(|stb| text(stb.as_str())),
            Plain::Stbs => Some(serials(self.stbs)),
            Plain::City => address(|address| address.city.as_ref()),
            Plain::Country => address(|address| address.country.as_ref()),
            Plain::Email => personal(|subscriber| subscriber.email.as_ref()),
            Plain::FirstName => personal(|subscriber| subscriber.first_name.as_ref()),
            Plain::Language => personal(|subscriber| subscriber.language.as_ref()),
            Plain::LastName => personal(|subscriber| subscriber.last_name.as_ref()),
            Plain::SubscriberLogin => personal(|subscriber| subscriber.login.as_ref()),
            Plain::SubscriberPassword => secret(self.subscriber()?.password.as_ref()),
            Plain::Phone => personal(|subscriber| subscriber.phone.as_ref()),
            Plain::SubscriberPin => secret(self.subscriber()?.pin.as_ref()),
            Plain::PostalCode => address(|address| address.postal_code.as_ref()),
            Plain::SubscriberRegion => self.subscriber()?.region.as_ref().and_then(|region| text(region.as_str())),
            Plain::Since => self.subscriber()?.since.map(Value::Time),
            Plain::Street => address(|address| address.street.as_ref()),
            Plain::Subscription => self.request.subscription.as_ref().and_then(|number| text(number.as_str())),
            Plain::Text => self.message().map(|message| Value::Text(message.text.clone())),
            Plain::Usage => match &self.request.command {
                Command::AddUsage(usage) => text(usage.usage.as_str()),
                Command::CancelUsage(usage) => text(usage.usage.as_str()),
                _ => None,
            },
        }
    }

    const fn subscriber(&self) -> Option<&'a Subscriber> {
        match &self.request.command {
            Command::CreateSubscriber(subscriber) | Command::UpdateSubscriber(subscriber) => Some(subscriber),
            _ => None,
        }
    }

    const fn message(&self) -> Option<&'a Message> {
        match &self.request.command {
            Command::SendMessage { message, .. } => Some(message),
            _ => None,
        }
    }

    const fn period(&self) -> Option<Period> {
        match &self.request.command {
            Command::ActivateServices(entitlement) | Command::SetServices(entitlement) => Some(entitlement.period),
            Command::AddUsage(usage) => Some(usage.period),
            _ => None,
        }
    }

    fn end(&self) -> Option<Timestamp> {
        let period = self.period()?;
        period.end.or_else(|| {
            let months = self.context.default_months?;
            let start = period.start.unwrap_or(self.now.wall).to_zoned(TimeZone::UTC);
            let span = Span::new().try_months(months).ok()?;
            start.checked_add(span).ok().map(|end| end.timestamp())
        })
    }

    fn duration(&self) -> Option<Value> {
        match &self.request.command {
            Command::Fingerprint { duration, .. } => seconds(*duration),
            Command::SendMessage { message, .. } => match message.kind {
                MessageKind::Bark { duration } | MessageKind::RepeatingBark { duration, .. } => seconds(duration),
                MessageKind::Mail => None,
            },
            _ => None,
        }
    }

    fn replacement(&self, of: fn(&Devices) -> Option<&Serial>) -> Option<Value> {
        match &self.request.command {
            Command::SwapDevice { replacement, .. } => {
                of(replacement).map(|serial| Value::Text(serial.as_str().to_owned()))
            }
            _ => None,
        }
    }
}

fn seconds(duration: Duration) -> Option<Value> {
    i64::try_from(duration.as_secs()).ok().map(Value::Number)
}
