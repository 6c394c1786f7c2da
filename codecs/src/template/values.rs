//! What a placeholder can stand for: a closed list of values, each of one kind, each given by certain commands.

use std::collections::BTreeMap;
use std::fmt;

use headgate_core::Now;
use headgate_core::command::{Audience, Command, CommandKind, Message, MessageKind, Period, Subscriber};
use headgate_core::provider::ServiceMap;
use headgate_core::request::Request;
use headgate_core::text::{PersonalText, Secret, Serial, ServiceCode};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// A value. Subscriber data: `Debug` shows only its kind.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// Several texts, in order.
    List(Vec<String>),
    /// A whole number.
    Number(i64),
    /// A text.
    Text(String),
    /// An instant.
    Time(Timestamp),
}

/// What kind of value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`Value::List`]
    List,
    /// [`Value::Number`]
    Number,
    /// [`Value::Text`]
    Text,
    /// [`Value::Time`]
    Time,
}

impl Value {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::List(_) => Kind::List,
            Self::Number(_) => Kind::Number,
            Self::Text(_) => Kind::Text,
            Self::Time(_) => Kind::Time,
        }
    }

    /// As a text: numbers in decimal, times as in `2026-01-15T12:00:00Z`, lists with commas between.
    #[must_use]
    pub fn into_text(self) -> String {
        match self {
            Self::List(items) => items.join(","),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text,
            Self::Time(time) => time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.kind())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::List => "list",
            Self::Number => "number",
            Self::Text => "text",
            Self::Time => "time",
        })
    }
}

/// The name of a value, as it stands in a placeholder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// `subscriber.attributes.NAME`: what only this platform knows of a subscriber.
    Attribute(String),
    /// `kept.NAME`: what an earlier answer told, see an operation's `extract.keep`.
    Kept(String),
    /// One of the table's.
    Plain(Plain),
    /// `vars.NAME`: a text from the provider's settings.
    Var(String),
}

/// Which commands give a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Giver {
    /// Every command: of the request, the clock or the settings.
    Any,
    /// `authenticate`.
    Credentials,
    /// Commands about devices.
    Devices,
    /// `send_message` and `fingerprint`.
    Duration,
    /// `send_message`.
    Message,
    /// `activate_services`, `set_services`, `add_usage`.
    Period,
    /// `set_pin`.
    Pin,
    /// `disable_device`.
    Reason,
    /// Commands about services, and a message to a service's holders.
    Services,
    /// Those of [`Giver::Period`], and `send_message`.
    Start,
    /// `create_subscriber` and `update_subscriber`.
    Subscriber,
    /// `swap_device`.
    Swap,
    /// `add_usage` and `cancel_usage`.
    Usage,
}

macro_rules! plain {
    ($($variant:ident $name:literal $kind:ident $giver:ident $field:literal $doc:literal;)*) => {
        /// A value with a name of its own.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Plain { $(#[doc = concat!("`", $name, "`: ", $doc, ".")] $variant,)* }

        impl Plain {
            /// All of them, in alphabetical order of their names.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Its kind.
            #[must_use]
            pub const fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind,)* }
            }

            /// Which commands give it.
            #[must_use]
            pub const fn giver(self) -> Giver {
                match self { $(Self::$variant => Giver::$giver,)* }
            }

            /// The field of a request that holds it.
            #[must_use]
            pub const fn field(self) -> &'static str {
                match self { $(Self::$variant => $field,)* }
            }

            /// What it is, in words.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $doc,)* }
            }
        }
    };
}

plain! {
    Account "account" Text Any "subscription" "the account's number at the platform, or else the subscription's";
    CaId "ca_id" Text Services "services/0" "the platform's id of the one service";
    CaIds "ca_ids" List Services "services" "the platform's ids of the services";
    Count "count" Number Message "message/repeat_count" "how many times a repeating bark is shown";
    Device "device" Text Devices "smartcards/0" "the one device: the smartcard, or else the set-top box";
    Duration "duration" Number Duration "message/duration_seconds" "for how long a bark or a fingerprint is shown, in seconds";
    End "end" Time Period "end" "the end of the period; absent: the provider's default";
    Interval "interval" Number Message "message/repeat_interval_seconds" "how far apart a bark is repeated, in seconds";
    Login "login" Text Credentials "login" "the name to sign in with";
    NewSmartcard "new_smartcard" Text Swap "new_smartcard" "the smartcard that comes";
    NewStb "new_stb" Text Swap "new_stb" "the set-top box that comes";
    Now "now" Time Any "" "the time of the call";
    Password "password" Text Credentials "password" "the password to sign in with";
    Pin "pin" Text Pin "pin" "the new PIN";
    Reason "reason" Text Reason "reason" "why a device is disabled: `damaged`, `lost`, `stolen`";
    Reference "reference" Text Any "reference" "the CRM's own reference of the request";
    Region "region" Text Message "message/to/region" "the part of the network that sees a message";
    RequestId "request.id" Text Any "" "the request's id, a UUID";
    RequestNumber "request.number" Number Any "" "the request's number";
    Service "service" Text Services "services/0" "the CRM's code of the one service";
    Services "services" List Services "services" "the CRM's codes of the services";
    Session "session" Text Any "" "what the login gave";
    SettingsPassword "settings.password" Text Any "" "the password of the provider's settings";
    SettingsUser "settings.user" Text Any "" "the user of the provider's settings";
    Smartcard "smartcard" Text Devices "smartcards/0" "the one smartcard";
    Smartcards "smartcards" List Devices "smartcards" "the smartcards";
    Start "start" Time Start "start" "the start of the period, or when a message is shown";
    Stb "stb" Text Devices "stbs/0" "the one set-top box";
    Stbs "stbs" List Devices "stbs" "the set-top boxes";
    City "subscriber.city" Text Subscriber "subscriber/address/city" "city";
    Country "subscriber.country" Text Subscriber "subscriber/address/country" "country, two letters of ISO 3166";
    Email "subscriber.email" Text Subscriber "subscriber/email" "e-mail address";
    FirstName "subscriber.first_name" Text Subscriber "subscriber/first_name" "given name";
    Language "subscriber.language" Text Subscriber "subscriber/language" "language, as in `en_US`";
    LastName "subscriber.last_name" Text Subscriber "subscriber/last_name" "family name";
    SubscriberLogin "subscriber.login" Text Subscriber "subscriber/login" "the name the subscriber signs in with";
    SubscriberPassword "subscriber.password" Text Subscriber "subscriber/password" "the subscriber's password";
    Phone "subscriber.phone" Text Subscriber "subscriber/phone" "telephone number";
    SubscriberPin "subscriber.pin" Text Subscriber "subscriber/pin" "the account's PIN";
    PostalCode "subscriber.postal_code" Text Subscriber "subscriber/address/postal_code" "postal code";
    SubscriberRegion "subscriber.region" Text Subscriber "subscriber/region" "the subscriber's part of the network";
    Since "subscriber.since" Time Subscriber "subscriber/since" "since when the subscriber is one";
    Street "subscriber.street" Text Subscriber "subscriber/address/street" "street and house number";
    Subscription "subscription" Text Any "subscription" "the CRM's number of the subscription";
    Text "text" Text Message "message/text" "a message's words";
    Usage "usage" Text Usage "usage" "the CRM's id of a use";
}

impl Name {
    /// The value of that name, if there is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
        for (prefix, make) in [
            ("subscriber.attributes.", Self::Attribute as fn(String) -> Self),
            ("kept.", Self::Kept),
            ("vars.", Self::Var),
        ] {
            if let Some(name) = text.strip_prefix(prefix) {
                return (!name.is_empty() && plain(name)).then(|| make(name.to_owned()));
            }
        }
        Plain::ALL.iter().copied().find(|plain| plain.name() == text).map(Self::Plain)
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Plain(plain) => plain.kind(),
            Self::Attribute(_) | Self::Kept(_) | Self::Var(_) => Kind::Text,
        }
    }

    /// Whether a command gives it.
    #[must_use]
    pub fn is_given_by(&self, command: CommandKind) -> bool {
        let giver = match self {
            Self::Plain(plain) => plain.giver(),
            Self::Attribute(_) => Giver::Subscriber,
            Self::Kept(_) | Self::Var(_) => Giver::Any,
        };
        giver.includes(command)
    }

    /// The field of a request that holds it.
    #[must_use]
    pub fn field(&self) -> String {
        match self {
            Self::Plain(plain) => plain.field().to_owned(),
            Self::Attribute(name) => format!("subscriber/attributes/{name}"),
            Self::Kept(_) | Self::Var(_) => String::new(),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(plain) => f.write_str(plain.name()),
            Self::Attribute(name) => write!(f, "subscriber.attributes.{name}"),
            Self::Kept(name) => write!(f, "kept.{name}"),
            Self::Var(name) => write!(f, "vars.{name}"),
        }
    }
}

impl Giver {
    fn includes(self, command: CommandKind) -> bool {
        use CommandKind as C;
        let period = matches!(command, C::ActivateServices | C::SetServices | C::AddUsage);
        match self {
            Self::Any => true,
            Self::Credentials => command == C::Authenticate,
            Self::Devices => !matches!(
                command,
                C::CreateSubscriber
                    | C::UpdateSubscriber
                    | C::RemoveSubscriber
                    | C::GetSubscriber
                    | C::Authenticate
                    | C::CancelUsage
                    | C::TestConnection
                    | C::Raw
            ),
            Self::Duration => matches!(command, C::SendMessage | C::Fingerprint),
            Self::Message => command == C::SendMessage,
            Self::Period => period,
            Self::Pin => command == C::SetPin,
            Self::Reason => command == C::DisableDevice,
            Self::Services => {
                period || matches!(command, C::DeactivateServices | C::Suspend | C::Resume | C::SendMessage)
            }
            Self::Start => period || command == C::SendMessage,
            Self::Subscriber => matches!(command, C::CreateSubscriber | C::UpdateSubscriber),
            Self::Swap => command == C::SwapDevice,
            Self::Usage => matches!(command, C::AddUsage | C::CancelUsage),
        }
    }
}

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
        let address = |field: fn(&headgate_core::command::Address) -> Option<&PersonalText>| {
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

    fn replacement(&self, of: fn(&headgate_core::command::Devices) -> Option<&Serial>) -> Option<Value> {
        match &self.request.command {
            Command::SwapDevice { replacement, .. } => {
                of(replacement).map(|serial| Value::Text(serial.as_str().to_owned()))
            }
            _ => None,
        }
    }
}

fn seconds(duration: std::time::Duration) -> Option<Value> {
    i64::try_from(duration.as_secs()).ok().map(Value::Number)
}
