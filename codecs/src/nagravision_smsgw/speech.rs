//! Headgate's commands in the platform's words: which messages carry a command, and what each holds.

#[cfg(test)]
mod tests;

use bytes::{Bytes, BytesMut};
use headgate_core::adapter::Rules;
use headgate_core::body::Refusal;
use headgate_core::capabilities::Capabilities;
use headgate_core::command::{Command, Devices, Entitlement, Message, MessageKind, Selection, Services};
use headgate_core::provider::ServiceMap;
use headgate_core::request::Request;
use headgate_core::text::{CaId, Serial, ServiceCode};
use jiff::civil::Date;

use super::capabilities::capabilities;
use super::days::{day_of, days_after};
use super::profile::{CommandForm, CommandName, FieldName, Profile};
use super::settings::Checked;
use super::wire::{EncodeError, Header, Values, Written, encode_command, encode_raw};

/// Everything about one provider that does not change while it runs.
#[derive(Clone, Debug)]
pub struct Speech {
    /// The settings, the wire layout, the time zone.
    pub checked: Checked,
    services: ServiceMap,
    capabilities: Capabilities,
}

/// One message of a command.
#[derive(Debug)]
pub struct Part<'a> {
    /// What is written.
    pub content: Content<'a>,
    /// The card it is about; empty: none.
    pub card: &'a str,
}

/// What one message holds.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly always the large one, and never kept")]
pub enum Content<'a> {
    /// A command of the profile.
    Command(&'a CommandForm, Values<'a>),
    /// Section and body as the caller wrote them.
    Raw(&'a Bytes),
}

impl Speech {
    /// The speech of a provider with these settings and services.
    #[must_use]
    pub fn new(checked: Checked, services: ServiceMap) -> Self {
        let capabilities = capabilities(&checked.profile);
        Self { checked, services, capabilities }
    }

    /// The wire layout.
    #[must_use]
    pub const fn profile(&self) -> &Profile {
        &self.checked.profile
    }

    /// The provider's services.
    #[must_use]
    pub const fn services(&self) -> &ServiceMap {
        &self.services
    }

    /// How many messages carry `command`; zero, if it can not be said.
    #[must_use]
    pub fn parts(&self, command: &Command) -> usize {
        let cards = command.devices().map_or(1, |devices| devices.smartcards.len());
        cards.saturating_mul(self.parts_per_card(command))
    }

    /// Whether each message must be answered before the next is sent.
    #[must_use]
    pub fn in_order(&self, command: &Command) -> bool {
        matches!(command, Command::SetServices(_)) && !self.has(CommandName::ReplaceProducts)
    }

    /// The message of `command` with that index, on that day.
    ///
    /// # Errors
    /// [`Refusal`], if the profile or the provider's services can not say it.
    pub fn part<'a>(&'a self, command: &'a Command, index: usize, today: Date) -> Result<Part<'a>, Refusal> {
        let per_card = self.parts_per_card(command).max(1);
        let (card, step) = (index / per_card, index % per_card);
        let card = command.devices().and_then(|devices| devices.smartcards.get(card)).map_or("", Serial::as_str);
        if let Command::Raw(raw) = command {
            return Ok(Part { content: Content::Raw(&raw.payload), card });
        }
        let values = Values::default();
        let values = if card.is_empty() { values } else { values.text(FieldName::Card, card) };
        let (name, values) = self.words(command, step, today, values)?;
        let form = self.profile().command(name).ok_or_else(|| unsupported(command, name))?;
        Ok(Part { content: Content::Command(form, values), card })
    }

    /// Writes a part as a frame at the end of `out`.
    ///
    /// # Errors
    /// [`EncodeError`]; `out` is then as before.
    pub fn write(&self, part: &Part<'_>, number: u64, today: Date, out: &mut BytesMut) -> Result<Written, EncodeError> {
        match &part.content {
            Content::Command(form, values) => {
                encode_command(self.profile(), &self.header(number, form.command_type, today), form, values, out)
            }
            Content::Raw(payload) => {
                let header = self.header(number, self.profile().command_type, today);
                encode_raw(self.profile(), &header, payload, out)
            }
        }
    }

    fn header(&self, transaction_number: u64, command_type: u64, today: Date) -> Header {
        let settings = &self.checked.settings;
        Header {
            transaction_number,
            command_type,
            source_id: settings.source_id,
            dest_id: settings.dest_id,
            mop_ppid: settings.mop_ppid,
            creation_date: Some(today),
        }
    }

    fn has(&self, name: CommandName) -> bool {
        self.profile().command(name).is_some()
    }

    fn parts_per_card(&self, command: &Command) -> usize {
        match command {
            Command::ActivateServices(entitlement) => self.adding_parts(entitlement),
            Command::SetServices(_) if self.has(CommandName::ReplaceProducts) => 1,
            Command::SetServices(entitlement) => 1 + self.adding_parts(entitlement),
            Command::DeactivateServices(Selection { services: Services::These(services), .. })
            | Command::Suspend(Selection { services: Services::These(services), .. })
            | Command::Resume(Selection { services: Services::These(services), .. }) => services.len(),
            _ => 1,
        }
    }

    /// How many messages add an entitlement's services to one card.
    fn adding_parts(&self, entitlement: &Entitlement) -> usize {
        let services = entitlement.services.len();
        if self.adds_as_list(services) { 1 } else { services }
    }

    /// A single product has its own command; several go into one list, where the profile has it.
    fn adds_as_list(&self, services: usize) -> bool {
        self.has(CommandName::AddProducts) && (services > 1 || (services == 1 && !self.has(CommandName::AddProduct)))
    }

    /// The platform's command and what it says, for one step of `command` on one card.
    fn words<'a>(
        &'a self,
        command: &'a Command,
        step: usize,
        today: Date,
        values: Values<'a>,
    ) -> Result<(CommandName, Values<'a>), Refusal> {
        Ok(match command {
            Command::ActivateServices(entitlement) => self.adding(entitlement, step, today, values)?,
            Command::SetServices(entitlement) if self.has(CommandName::ReplaceProducts) => {
                (CommandName::ReplaceProducts, self.listing(entitlement, today, values)?)
            }
            Command::SetServices(entitlement) => match step.checked_sub(1) {
                None => (CommandName::CancelAll, values),
                Some(step) => self.adding(entitlement, step, today, values)?,
            },
            Command::DeactivateServices(selection) => {
                self.selecting(selection, step, values, CommandName::CancelProduct, CommandName::CancelAll)?
            }
            Command::Suspend(selection) => {
                self.selecting(selection, step, values, CommandName::SuspendProduct, CommandName::SuspendAll)?
            }
            Command::Resume(selection) => {
                self.selecting(selection, step, values, CommandName::ReactivateProduct, CommandName::ReactivateAll)?
            }
            Command::RefreshServices(_) => (CommandName::Refresh, values),
            Command::EnableDevice(_) => (CommandName::EnableCard, values),
            Command::DisableDevice { reason, .. } => {
                (CommandName::DisableCard, values.number(FieldName::Reason, self.profile().reason(*reason)))
            }
            Command::Pair(Devices { stbs, .. }) => {
                let stb = stbs.first().map_or("", Serial::as_str);
                (CommandName::Pair, values.text(FieldName::Stb, stb))
            }
            Command::Unpair(_) => (CommandName::Unpair, values),
            Command::SetPin { pin, .. } => (CommandName::SetPin, values.text(FieldName::Pin, pin.reveal())),
            Command::ResetPin(_) => {
                (CommandName::ResetPin, values.text(FieldName::Pin, self.checked.settings.pin_default.reveal()))
            }
            Command::ClearPin(_) => (CommandName::ClearPin, values),
            Command::SendMessage { message, .. } => self.showing(message, values),
            Command::Fingerprint { duration, .. } => {
                (CommandName::Fingerprint, values.number(FieldName::Duration, duration.as_secs()))
            }
            Command::GetServices(_) => (CommandName::HeldProducts, values),
            Command::GetPairing(_) => (CommandName::HeldPairing, values),
            Command::TestConnection => (CommandName::ConnectionTest, values),
            other => {
                let detail = format!("this provider does not support {}", other.kind());
                return Err(Refusal::new("command", "unsupported_command", detail));
            }
        })
    }

    fn adding<'a>(
        &'a self,
        entitlement: &'a Entitlement,
        step: usize,
        today: Date,
        values: Values<'a>,
    ) -> Result<(CommandName, Values<'a>), Refusal> {
        if self.adds_as_list(entitlement.services.len()) {
            return Ok((CommandName::AddProducts, self.listing(entitlement, today, values)?));
        }
        let values = values.text(FieldName::Product, self.product(&entitlement.services, step)?.as_str());
        Ok((CommandName::AddProduct, self.lasting(entitlement, today, values)))
    }

    fn listing<'a>(
        &'a self,
        entitlement: &'a Entitlement,
        today: Date,
        values: Values<'a>,
    ) -> Result<Values<'a>, Refusal> {
        let products = (0..entitlement.services.len())
            .map(|index| {
                let product = self.product(&entitlement.services, index)?;
                let item = Values::default().text(FieldName::Product, product.as_str());
                Ok(self.lasting(entitlement, today, item))
            })
            .collect::<Result<_, Refusal>>()?;
        Ok(self.lasting(entitlement, today, values.list(FieldName::Products, products)))
    }

    /// The entitlement's first and last day.
    fn lasting<'a>(&self, entitlement: &Entitlement, today: Date, values: Values<'a>) -> Values<'a> {
        let day = |at| day_of(at, &self.checked.zone);
        let begin = entitlement.period.start.map_or(today, day);
        let end = match entitlement.period.end {
            Some(end) => day(end),
            None => days_after(begin, self.checked.settings.default_period_days),
        };
        values.date(FieldName::BeginDate, Some(begin)).date(FieldName::EndDate, Some(end))
    }

    fn selecting<'a>(
        &'a self,
        selection: &'a Selection,
        step: usize,
        values: Values<'a>,
        one: CommandName,
        all: CommandName,
    ) -> Result<(CommandName, Values<'a>), Refusal> {
        match &selection.services {
            Services::All => Ok((all, values)),
            Services::These(services) => {
                Ok((one, values.text(FieldName::Product, self.product(services, step)?.as_str())))
            }
        }
    }

    fn showing<'a>(&self, message: &'a Message, values: Values<'a>) -> (CommandName, Values<'a>) {
        let start = message.start.map(|at| day_of(at, &self.checked.zone));
        let values = values.text(FieldName::Text, &*message.text).date(FieldName::ShowDate, start);
        match message.kind {
            MessageKind::Mail => (CommandName::Mail, values),
            MessageKind::Bark { duration } => {
                (CommandName::Bark, values.number(FieldName::Duration, duration.as_secs()))
            }
            MessageKind::RepeatingBark { duration, count, interval } => {
                let values = values
                    .number(FieldName::Duration, duration.as_secs())
                    .number(FieldName::RepeatCount, u64::from(count))
                    .number(FieldName::RepeatInterval, interval.as_secs());
                (CommandName::RepeatingBark, values)
            }
        }
    }

    fn product(&self, services: &[ServiceCode], index: usize) -> Result<&CaId, Refusal> {
        services.get(index).and_then(|code| self.services.ca_id(code)).ok_or_else(|| {
            let detail = "has no CA ID at this provider; add it under the provider's services";
            Refusal::new(format!("services/{index}"), "unknown_service", detail)
        })
    }
}

impl Rules for Speech {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Writes every message of the command and throws it away: what can be written can be sent.
    fn check(&self, request: &Request) -> Result<(), Refusal> {
        let command = &request.command;
        let mut scratch = BytesMut::with_capacity(256);
        for index in 0..self.parts(command) {
            let part = self.part(command, index, Date::ZERO)?;
            self.write(&part, 0, Date::ZERO, &mut scratch).map_err(|error| refusal(&error))?;
            scratch.clear();
        }
        Ok(())
    }
}

/// The refusal of a command whose message can not be written, in the request's own words.
pub(super) fn refusal(error: &EncodeError) -> Refusal {
    let EncodeError::Unfit { field, what } = error else {
        return Refusal::new("command", "too_long", format!("{error}; ask for less at once"));
    };
    let place = match field {
        FieldName::Card => "smartcards",
        FieldName::Stb | FieldName::Stbs => "stbs",
        FieldName::Product | FieldName::Products => "services",
        FieldName::Pin => "pin",
        FieldName::Text => "message/text",
        FieldName::ShowDate => "message/start",
        FieldName::Duration => "duration_seconds",
        FieldName::RepeatCount => "message/repeat_count",
        FieldName::RepeatInterval => "message/repeat_interval_seconds",
        _ => "command",
    };
    Refusal::new(place, "does_not_fit", format!("{what}, says this provider's profile"))
}

fn unsupported(command: &Command, name: CommandName) -> Refusal {
    let detail = format!("{} needs {}, which this provider's profile does not have", command.kind(), name.name());
    let field = match name {
        CommandName::SuspendAll | CommandName::ReactivateAll | CommandName::CancelAll => "services",
        _ => "command",
    };
    Refusal::new(field, "unsupported_command", detail)
}
