//! Commands as order files: which files a command needs, and what may be asked at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use headgate_core::adapter::Rules;
use headgate_core::body::Refusal;
use headgate_core::capabilities::{Capabilities, CommandRules, Count, MessageLimits};
use headgate_core::command::{self, Command, CommandKind, MessageKind, RawMessage};
use headgate_core::provider::ServiceMap;
use headgate_core::request::Request;
use headgate_core::text::{CaId, Serial, ServiceCode};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::registry::SettingsError;

use super::settings::Site;
use super::wire::{
    CLASS, DeviceNumber, Head, Message, OrderTime, OrderType, PackedTime, Period, ProductId, Repeat, TransactionNumber,
};

/// Most bytes of a mail's text \[S:CWS\].
const MAIL_LIMIT: usize = 141;
/// Most bytes of a bark's text \[S:CWS\].
const BARK_LIMIT: usize = 129;
/// Most cards or boxes of one command. More than a file holds are split over several.
const DEVICES_LIMIT: usize = 100_000;
/// Stands in a raw order for the transaction number.
pub const NUMBER_PLACEHOLDER: &[u8] = b"NNNNNN";

/// What one file asks for. Parts of different requests that ask the same share a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ask {
    /// An order in the known layouts.
    Order(Head),
    /// An order as the caller wrote it.
    Raw(RawOrder),
}

/// An order as the caller wrote it: two letters of its type on the first line, then the lines of the
/// file, with `NNNNNN` for the transaction number on the file's second line.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RawOrder {
    /// The type.
    pub order_type: OrderType,
    before: Bytes,
    after: Bytes,
}

impl std::fmt::Debug for RawOrder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RawOrder({}, <{} bytes>)", self.order_type.as_str(), self.before.len() + 6 + self.after.len())
    }
}

/// One part of a command: what goes into one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Parts of a later step wait until those of the earlier ones were accepted.
    pub step: u8,
    /// What is asked.
    pub ask: Ask,
    /// For whom.
    pub numbers: Vec<DeviceNumber>,
}

/// The services a provider maps, as products.
#[derive(Clone, Debug, Default)]
pub struct Products {
    by_code: BTreeMap<ServiceCode, ProductId>,
    by_product: BTreeMap<ProductId, (ServiceCode, CaId)>,
}

impl Products {
    /// Reads a provider's mapping.
    ///
    /// # Errors
    /// [`SettingsError`] if a CA ID is not a product of 1 to 8 digits.
    pub fn new(services: &ServiceMap) -> Result<Self, SettingsError> {
        let mut products = Self::default();
        for (code, ca_id) in services.iter() {
            let product = ProductId::parse(ca_id.as_str()).ok_or_else(|| {
                let text = format!("the provider's services: {code:?} = {ca_id:?} must be a product of 1 to 8 digits");
                SettingsError::new("", text)
            })?;
            products.by_code.insert(code.clone(), product);
            products.by_product.entry(product).or_insert_with(|| (code.clone(), ca_id.clone()));
        }
        Ok(products)
    }

    /// The code and the CA ID of a product, where it is mapped.
    #[must_use]
    pub fn service(&self, product: ProductId) -> Option<&(ServiceCode, CaId)> {
        self.by_product.get(&product)
    }

    fn listed(&self, codes: &[ServiceCode]) -> Result<Vec<ProductId>, Refusal> {
        let mut products = Vec::with_capacity(codes.len());
        for (index, code) in codes.iter().enumerate() {
            let product = self.by_code.get(code).copied().ok_or_else(|| {
                Refusal::new(format!("services/{index}"), "unknown_service", format!("{code:?} has no CA ID here"))
            })?;
            if !products.contains(&product) {
                products.push(product);
            }
        }
        Ok(products)
    }

    fn all(&self) -> impl Iterator<Item = ProductId> {
        self.by_product.keys().copied()
    }
}

/// The period of a command that leaves it open: from the first of the month to the last of a later one \[S:AB,AX\].
#[must_use]
pub fn default_period(site: &Site, wall: Timestamp) -> Option<Period> {
    let today = site.zone.to_datetime(wall).date();
    let months = i64::from(site.settings.add_end_months);
    let last = today.first_of_month().checked_add(jiff::Span::new().months(months)).ok()?.last_of_month();
    let start = OrderTime::new(today.first_of_month().at(0, 0, 0, 0))?;
    let end = OrderTime::new(last.at(23, 59, 0, 0))?;
    Some(Period { start, end })
}

/// The period of a command; what it leaves open is taken from `default`.
///
/// # Errors
/// [`Refusal`] if a time can not be written, or the end is not after the start.
pub fn period(site: &Site, command: &Command, default: Period) -> Result<Period, Refusal> {
    let given = match command {
        Command::ActivateServices(e) | Command::SetServices(e) => e.period,
        _ => command::Period::default(),
    };
    let time = |at: Option<Timestamp>, default, field: &'static str| match at {
        None => Ok(default),
        Some(at) => OrderTime::at(at, &site.zone)
            .ok_or_else(|| Refusal::new(field, "out_of_range", "must be in the years 1 to 9999")),
    };
    let period =
        Period { start: time(given.start, default.start, "start")?, end: time(given.end, default.end, "end")? };
    if period.end <= period.start {
        let detail = "ends, to the minute, before it starts; where the request gives no end, the provider's \
                      add_end_months does";
        return Err(Refusal::new("end", "out_of_range", detail));
    }
    Ok(period)
}

/// The parts of a command, in the order they go out. Empty for one that needs no file.
///
/// # Errors
/// [`Refusal`] that names the field that can not be written.
pub fn parts(site: &Site, products: &Products, command: &Command, period: Period) -> Result<Vec<Part>, Refusal> {
    let mut plan = Plan { site, parts: Vec::new() };
    match command {
        Command::ActivateServices(entitlement) => {
            let cards = plan.cards(&entitlement.devices.smartcards)?;
            for product in products.listed(&entitlement.services)? {
                plan.add(0, &Head::Authorise(product, period), &cards);
            }
        }
        Command::DeactivateServices(selection) => {
            let cards = plan.cards(&selection.devices.smartcards)?;
            let listed = match &selection.services {
                command::Services::All => products.all().collect(),
                command::Services::These(codes) => products.listed(codes)?,
            };
            for product in listed {
                plan.add(0, &Head::Cancel(product, period), &cards);
            }
        }
        Command::SetServices(entitlement) => {
            let cards = plan.cards(&entitlement.devices.smartcards)?;
            let listed = products.listed(&entitlement.services)?;
            for product in products.all().filter(|product| !listed.contains(product)) {
                plan.add(0, &Head::Cancel(product, period), &cards);
            }
            for product in listed {
                plan.add(1, &Head::Authorise(product, period), &cards);
            }
        }
        Command::GetServices(devices) => {
            let cards = plan.cards(&devices.smartcards)?;
            plan.add(0, &Head::Status, &cards);
        }
        Command::Pair(devices) => {
            let mut numbers = plan.cards(&devices.smartcards)?;
            numbers.extend(plan.stbs(&devices.stbs)?);
            plan.parts.push(Part { step: 0, ask: Ask::Order(Head::Pair), numbers });
        }
        Command::Unpair(devices) => {
            let stbs = plan.stbs(&devices.stbs)?;
            plan.add(0, &Head::Unpair, &stbs);
        }
        Command::SendMessage { devices, message } => {
            let cards = plan.cards(&devices.smartcards)?;
            plan.add(0, &Head::Message(payload(site, message)?), &cards);
        }
        Command::Raw(raw) => {
            plan.parts.push(Part { step: 0, ask: Ask::Raw(RawOrder::read(raw)?), numbers: Vec::new() });
        }
        Command::TestConnection => {}
        other => {
            let detail = format!("{} can not be written in this protocol", other.kind());
            return Err(Refusal::new("command", "unsupported_command", detail));
        }
    }
    Ok(plan.parts)
}

struct Plan<'a> {
    site: &'a Site,
    parts: Vec<Part>,
}

impl Plan<'_> {
    /// One part for as many numbers as a file holds.
    fn add(&mut self, step: u8, head: &Head, numbers: &[DeviceNumber]) {
        let ask = Ask::Order(head.clone());
        for numbers in numbers.chunks(ask.limit(self.site)) {
            self.parts.push(Part { step, ask: ask.clone(), numbers: numbers.to_vec() });
        }
    }

    fn cards(&self, serials: &[Serial]) -> Result<Vec<DeviceNumber>, Refusal> {
        sorted("smartcards", serials, |serial| self.site.numbers.card(serial))
    }

    fn stbs(&self, serials: &[Serial]) -> Result<Vec<DeviceNumber>, Refusal> {
        sorted("stbs", serials, |serial| self.site.numbers.stb(serial))
    }
}

/// Ascending, as both codings write them \[S:AX,SGA\], each once.
fn sorted(
    field: &str,
    serials: &[Serial],
    read: impl Fn(&str) -> Result<DeviceNumber, super::wire::NumberError>,
) -> Result<Vec<DeviceNumber>, Refusal> {
    let mut numbers = Vec::with_capacity(serials.len());
    for (index, serial) in serials.iter().enumerate() {
        let number = read(serial.as_str())
            .map_err(|error| Refusal::new(format!("{field}/{index}"), "bad_number", error.to_string()))?;
        numbers.push(number);
    }
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

fn payload(site: &Site, message: &command::Message) -> Result<Message, Refusal> {
    let text = site.settings.charset.encode(&message.text).ok_or_else(|| {
        let detail = format!("holds a character that the provider's charset {:?} lacks", site.settings.charset);
        Refusal::new("message/text", "bad_character", detail)
    })?;
    let limit = if message.kind == MessageKind::Mail { MAIL_LIMIT } else { BARK_LIMIT };
    if text.len() > limit {
        let detail = format!("is {} bytes long as sent; at most {limit} fit", text.len());
        return Err(Refusal::new("message/text", "text_too_long", detail));
    }
    let seconds = |duration: std::time::Duration| u16::try_from(duration.as_secs()).ok().filter(|s| *s > 0);
    let shown = |duration| {
        seconds(duration)
            .ok_or_else(|| Refusal::new("message/duration_seconds", "out_of_range", "must be 1 to 65535 seconds"))
    };
    let (display_seconds, repeat) = match message.kind {
        MessageKind::Mail if message.start.is_some() => {
            return Err(Refusal::new("message/start", "superfluous_field", "a mail is delivered at once here"));
        }
        MessageKind::Mail => (0, None),
        MessageKind::Bark { duration } => (shown(duration)?, None),
        MessageKind::RepeatingBark { duration, count, interval } => {
            let tens = interval.as_secs() / 10;
            let fits = interval.as_secs().is_multiple_of(10) && tens > 0;
            let interval = u8::try_from(tens).ok().filter(|_| fits).ok_or_else(|| {
                let detail = "must be 10 to 2550 seconds in steps of 10";
                Refusal::new("message/repeat_interval_seconds", "out_of_range", detail)
            })?;
            (shown(duration)?, Some(Repeat { count, interval }))
        }
    };
    let start = message
        .start
        .map(|at| {
            PackedTime::new(TimeZone::UTC.to_datetime(at))
                .ok_or_else(|| Refusal::new("message/start", "out_of_range", "must be in the years 1990 to 2069"))
        })
        .transpose()?;
    Ok(Message { text, class: CLASS, display_seconds, start, repeat })
}

impl Ask {
    /// The type of the order.
    #[must_use]
    pub const fn order_type(&self) -> OrderType {
        match self {
            Self::Order(head) => head.order_type(),
            Self::Raw(raw) => raw.order_type,
        }
    }

    /// Most numbers of one file.
    #[must_use]
    pub const fn limit(&self, site: &Site) -> usize {
        match self {
            Self::Order(Head::Message(_)) => site.settings.max_ids_per_message_file,
            Self::Order(_) | Self::Raw(_) => site.settings.max_ids_per_file,
        }
    }

    /// Whether parts of several requests may share a file.
    #[must_use]
    pub const fn gathers(&self) -> bool {
        !matches!(self, Self::Order(Head::Pair) | Self::Raw(_))
    }

    /// Whether its file holds a period.
    #[must_use]
    pub const fn has_period(&self) -> bool {
        matches!(self, Self::Order(Head::Authorise(..) | Head::Cancel(..)))
    }

    /// Whether it changes nothing, so that its answer may be asked for again.
    #[must_use]
    pub const fn is_query(&self) -> bool {
        matches!(self, Self::Order(Head::Status))
    }

    /// The bytes of a file that says it has `count` numbers and lists `numbers`.
    #[must_use]
    pub fn encode(&self, site: &Site, number: TransactionNumber, count: usize, numbers: &[DeviceNumber]) -> Vec<u8> {
        match self {
            Self::Order(head) => super::wire::encode(number, head, count, numbers, &site.style),
            Self::Raw(raw) => [&raw.before, number.to_string().as_bytes(), &raw.after].concat(),
        }
    }
}

impl RawOrder {
    fn read(raw: &RawMessage) -> Result<Self, Refusal> {
        let wrong = |detail: &str| Refusal::new("payload", "bad_payload", detail);
        let payload = &raw.payload;
        let line_end = |from: usize| payload.iter().skip(from).position(|b| *b == b'\n').map(|length| from + length);
        let first =
            line_end(0).ok_or_else(|| wrong("must begin with a line that holds the type of order, as in ps"))?;
        let letters = payload.get(..first).unwrap_or_default();
        let order_type = letters.strip_suffix(b"\r").unwrap_or(letters).try_into().ok().and_then(OrderType::new);
        let order_type =
            order_type.ok_or_else(|| wrong("must begin with two lower-case letters on their own line, as in ps"))?;
        let second = line_end(first + 1).map(|end| end + 1).unwrap_or(payload.len());
        let placeholder_end = second + NUMBER_PLACEHOLDER.len();
        if payload.get(second..placeholder_end) != Some(NUMBER_PLACEHOLDER) {
            return Err(wrong("must hold NNNNNN, for the transaction number, on the second line of the order"));
        }
        if !payload.is_ascii() {
            return Err(wrong("must be ASCII"));
        }
        Ok(Self { order_type, before: payload.slice(first + 1..second), after: payload.slice(placeholder_end..) })
    }
}

/// What may be asked of a provider.
#[derive(Debug)]
pub struct ConaxRules {
    site: Arc<Site>,
    products: Arc<Products>,
    capabilities: Capabilities,
}

impl ConaxRules {
    /// The rules at this site.
    #[must_use]
    pub fn new(site: Arc<Site>, products: Arc<Products>) -> Self {
        Self { capabilities: capabilities(products.by_code.len()), site, products }
    }
}

impl Rules for ConaxRules {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn check(&self, request: &Request) -> Result<(), Refusal> {
        let command = &request.command;
        // Any period does: what the request leaves open is filled in, and checked, when it goes out.
        let end = OrderTime::parse(b"999912312359").ok_or_else(|| Refusal::new("end", "out_of_range", ""))?;
        let start = OrderTime::parse(b"000101010000").unwrap_or(end);
        let period = period(&self.site, command, Period { start, end })?;
        parts(&self.site, &self.products, command, period).map(|_| ())
    }
}

fn capabilities(services: usize) -> Capabilities {
    let products = Count { min: 1, max: services.max(1) };
    let devices = Count::up_to(DEVICES_LIMIT);
    let cards = CommandRules::new().smartcards(devices);
    let commands = BTreeMap::from([
        (CommandKind::ActivateServices, cards.clone().services(products).confirmed()),
        (CommandKind::DeactivateServices, cards.clone().services(products).confirmed()),
        (CommandKind::SetServices, cards.clone().services(Count::optional(services)).confirmed()),
        (CommandKind::GetServices, cards.clone().confirmed()),
        (CommandKind::Pair, CommandRules::new().smartcards(Count::ONE).stbs(Count::ONE)),
        (CommandKind::Unpair, CommandRules::new().stbs(devices)),
        (CommandKind::SendMessage, cards.unsafe_to_repeat()),
        (CommandKind::TestConnection, CommandRules::new().confirmed()),
        (CommandKind::Raw, CommandRules::new().unsafe_to_repeat()),
    ]);
    let messages = MessageLimits {
        mail: Some(MAIL_LIMIT),
        bark: Some(BARK_LIMIT),
        repeating_bark: Some(BARK_LIMIT),
        ..MessageLimits::default()
    };
    Capabilities { commands, messages, resumes: true }
}
