//! A profile, checked: everything that could be wrong with it is told when it is read, with its place.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use headgate_core::capabilities::{Capabilities, CommandRules, Count, MessageLimits};
use headgate_core::command::{Audience, Command, CommandKind, MessageKind, Services};
use headgate_core::http::Method;
use jiff::tz::TimeZone;

use super::answer::{AnswerForm, LONGEST_PAUSE};
use super::body::{AllowedEach, Json, Node, Pairs};
use super::draft::Signer;
use super::table::{
    AudienceTable, CountTable, EachTable, ErrorTable, MessageKindTable, MessagesTable, OperationTable, ProfileTable,
    ServicesTable, SignTable, WhenTable,
};
use super::text::{Allowed, Template};
use super::values::{Kind, Name, Plain, Scope};
use crate::registry::{SettingsError, read_settings};

/// Most services, or devices, of one request.
const MOST: usize = 10_000;

/// Where a profile stands in a provider's settings.
const PROFILE: &str = "profile";

/// A profile, checked.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// The zone in which `|date:FORMAT` writes.
    pub zone: TimeZone,
    pub(super) operations: Vec<Operation>,
    pub(super) login: Option<(usize, Option<Duration>)>,
    pub(super) raw: Option<Raw>,
    pub(super) soap: bool,
    pub(super) prefixes: BTreeMap<String, String>,
    messages: MessageLimits,
}

/// One call of a platform.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Its name.
    pub name: String,
    /// The command that it carries out, or begins to; absent: others lead to it.
    pub command: Option<CommandKind>,
    pub(super) when: When,
    pub(super) for_each: BTreeSet<EachTable>,
    pub(super) per_call: PerCall,
    pub(super) then: Option<usize>,
    pub(super) endpoint: String,
    pub(super) method: Method,
    pub(super) path: Template,
    pub(super) query: Pairs,
    pub(super) headers: Pairs,
    pub(super) body: Body,
    pub(super) sign: Option<SignTable>,
    pub(super) harmless: bool,
    pub(super) rules: CommandRules,
    pub(super) answer: AnswerForm,
}

/// How many of each go into one call; absent: all.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PerCall {
    pub(super) smartcards: Option<usize>,
    pub(super) stbs: Option<usize>,
    pub(super) services: Option<usize>,
}

/// How raw messages are sent.
#[derive(Clone, Debug)]
pub(super) struct Raw {
    pub(super) path: Option<String>,
    pub(super) sign: Option<SignTable>,
}

/// A body.
#[derive(Clone, Debug)]
pub(super) enum Body {
    None,
    Json(Json),
    Xml(Node),
    Form(Pairs),
}

/// When an operation carries out its command.
#[derive(Clone, Debug)]
pub(super) struct When {
    table: WhenTable,
    given: Vec<Name>,
    absent: Vec<Name>,
}

/// What a profile is read for: the settings that its placeholders and signatures need.
pub struct Environment<'a> {
    /// Whether the settings have a user.
    pub user: bool,
    /// Whether the settings have a password.
    pub password: bool,
    /// The names of the settings' `vars`.
    pub vars: BTreeSet<String>,
    /// What can be signed.
    pub signer: &'a dyn Signer,
}

/// By whom an operation is reached, and what is there then.
#[derive(Clone, Debug, Default)]
struct Reach {
    commands: BTreeSet<CommandKind>,
    kept: BTreeSet<String>,
    /// What there is exactly one of.
    single: BTreeSet<EachTable>,
    /// Whether an operation leads to it.
    follows: bool,
    /// Whether it opens sessions.
    login: bool,
}

impl Profile {
    /// Reads a profile from TOML.
    ///
    /// # Errors
    /// [`SettingsError`] with the path of the first mistake, below `profile`.
    pub fn from_toml(text: &str, environment: &Environment<'_>) -> Result<Self, SettingsError> {
        Self::compile(&ProfileTable::from_toml(text)?, environment)
    }

    /// Checks a profile.
    ///
    /// # Errors
    /// [`SettingsError`] with the path of the first mistake, below `profile`.
    pub fn compile(table: &ProfileTable, environment: &Environment<'_>) -> Result<Self, SettingsError> {
        Compiler::new(table, environment)?.compile()
    }

    /// The operations, in alphabetical order.
    pub fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.operations.iter()
    }

    /// What the operations can do.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        let mut commands: BTreeMap<CommandKind, CommandRules> = BTreeMap::new();
        for operation in &self.operations {
            let Some(command) = operation.command else { continue };
            let rules = self.chain(operation).fold(operation.rules.clone(), |rules, next| CommandRules {
                safe_to_repeat: rules.safe_to_repeat && next.rules.safe_to_repeat,
                confirmed: rules.confirmed && next.rules.confirmed,
                account: rules.account || next.rules.account,
                ..rules
            });
            match commands.get_mut(&command) {
                None => {
                    commands.insert(command, rules);
                }
                Some(known) => {
                    known.services = either(known.services, rules.services);
                    known.smartcards = either(known.smartcards, rules.smartcards);
                    known.stbs = either(known.stbs, rules.stbs);
                    known.account &= rules.account;
                    known.safe_to_repeat &= rules.safe_to_repeat;
                    known.confirmed &= rules.confirmed;
                }
            }
        }
        if self.raw.is_some() {
            commands.insert(CommandKind::Raw, CommandRules::new().unsafe_to_repeat());
        }
        Capabilities { commands, messages: self.messages, resumes: false }
    }

    /// The operation that carries out a request; its place.
    pub(super) fn operation_for(&self, scope: &Scope<'_>) -> Option<usize> {
        let kind = scope.request.command.kind();
        let of_command = |operation: &&(usize, &Operation)| operation.1.command == Some(kind);
        let all: Vec<_> = self.operations.iter().enumerate().collect();
        let conditional = all.iter().filter(of_command).find(|(_, o)| !o.when.is_always() && o.when.holds(scope));
        conditional.or_else(|| all.iter().filter(of_command).find(|(_, o)| o.when.is_always())).map(|(index, _)| *index)
    }

    pub(super) fn operation(&self, index: usize) -> Option<&Operation> {
        self.operations.get(index)
    }

    /// What follows an operation.
    fn chain<'a>(&'a self, first: &'a Operation) -> impl Iterator<Item = &'a Operation> {
        std::iter::successors(first.then.and_then(|next| self.operation(next)), |operation| {
            operation.then.and_then(|next| self.operation(next))
        })
    }
}

impl ProfileTable {
    /// Reads a profile's table from TOML, without checking what it says.
    ///
    /// # Errors
    /// [`SettingsError`] with the path of the first value that does not fit, below `profile`.
    pub fn from_toml(text: &str) -> Result<Self, SettingsError> {
        let value: serde_json::Value =
            toml::from_str(text).map_err(|error| SettingsError::new(PROFILE, error.to_string()))?;
        read_settings(&value).map_err(|error| SettingsError { path: format!("{PROFILE}.{}", error.path), ..error })
    }
}

impl When {
    fn is_always(&self) -> bool {
        self.table == WhenTable::default()
    }

    pub(super) fn holds(&self, scope: &Scope<'_>) -> bool {
        let WhenTable { message, to, reason, services, .. } = &self.table;
        let command = &scope.request.command;
        let of_message = || match command {
            Command::SendMessage { message, .. } => Some((kind_of(&message.kind), audience_of(&message.audience))),
            _ => None,
        };
        let reason_given = match command {
            Command::DisableDevice { reason, .. } => Some(*reason),
            _ => None,
        };
        let which = match command {
            Command::DeactivateServices(s) | Command::Suspend(s) | Command::Resume(s) => match s.services {
                Services::All => ServicesTable::All,
                Services::These(_) => ServicesTable::Listed,
            },
            _ => ServicesTable::Listed,
        };
        message.is_none_or(|kind| of_message().is_some_and(|(known, _)| known == kind))
            && to.is_none_or(|to| of_message().is_some_and(|(_, known)| known == to))
            && reason.is_none_or(|reason| reason_given == Some(reason))
            && services.is_none_or(|services| which == services)
            && self.given.iter().all(|name| is_there(name, scope))
            && !self.absent.iter().any(|name| is_there(name, scope))
    }
}

/// Whether a value is there; an empty list is not.
fn is_there(name: &Name, scope: &Scope<'_>) -> bool {
    scope.value(name).is_some_and(|value| !matches!(value, super::values::Value::List(items) if items.is_empty()))
}

const fn kind_of(kind: &MessageKind) -> MessageKindTable {
    match kind {
        MessageKind::Mail => MessageKindTable::Mail,
        MessageKind::Bark { .. } => MessageKindTable::Bark,
        MessageKind::RepeatingBark { .. } => MessageKindTable::RepeatingBark,
    }
}

const fn audience_of(audience: &Audience) -> AudienceTable {
    match audience {
        Audience::Devices => AudienceTable::Devices,
        Audience::Subscriber => AudienceTable::Subscriber,
        Audience::HoldersOf(_) => AudienceTable::HoldersOf,
        Audience::Region(_) => AudienceTable::Region,
        Audience::Everybody => AudienceTable::Everybody,
    }
}

fn either(a: Count, b: Count) -> Count {
    Count { min: a.min.min(b.min), max: a.max.max(b.max) }
}

/// Checks a profile, step by step.
struct Compiler<'a> {
    table: &'a ProfileTable,
    environment: &'a Environment<'a>,
    names: Vec<&'a String>,
    reaches: BTreeMap<&'a str, Reach>,
}

impl<'a> Compiler<'a> {
    fn new(table: &'a ProfileTable, environment: &'a Environment<'a>) -> Result<Self, SettingsError> {
        let names = table.operations.keys().collect();
        let mut this = Self { table, environment, names, reaches: BTreeMap::new() };
        this.follow_all()?;
        Ok(this)
    }

    fn compile(self) -> Result<Profile, SettingsError> {
        let table = self.table;
        let zone = match &table.time_zone {
            None => TimeZone::UTC,
            Some(name) => TimeZone::get(name).map_err(|_| {
                let text = "is no time zone of the IANA database, as in \"Europe/Nicosia\"";
                SettingsError::new(format!("{PROFILE}.time_zone"), text)
            })?,
        };
        check_prefixes(&table.prefixes)?;
        check_errors(&table.errors, &format!("{PROFILE}.errors"))?;
        if let Some(sign) = &table.sign {
            self.check_sign(sign, &format!("{PROFILE}.sign"))?;
        }
        let mut operations = Vec::with_capacity(table.operations.len());
        for (name, operation) in &table.operations {
            operations.push(self.operation(name, operation)?);
        }
        let login = match &table.login {
            None => None,
            Some(login) => {
                let path = format!("{PROFILE}.login.operation");
                let index = self.place(&login.operation, &path)?;
                if table.operations.get(&login.operation).is_some_and(|operation| operation.extract.session.is_none()) {
                    let path = format!("{PROFILE}.operations.{}.extract.session", login.operation);
                    return Err(SettingsError::new(
                        path,
                        "the operation that opens a session must say where it is told",
                    ));
                }
                Some((index, login.renew_after))
            }
        };
        let raw = match &table.raw {
            None => None,
            Some(raw) => {
                if let Some(sign) = &raw.sign {
                    self.check_sign(sign, &format!("{PROFILE}.raw.sign"))?;
                }
                if let Some(path) = &raw.path {
                    check_path_literal(path).map_err(|text| SettingsError::new(format!("{PROFILE}.raw.path"), text))?;
                }
                Some(Raw { path: raw.path.clone(), sign: signed(raw.sign.as_ref().or(table.sign.as_ref())) })
            }
        };
        self.check_messages(&table.messages)?;
        Ok(Profile {
            name: table.name.clone(),
            zone,
            operations,
            login,
            raw,
            soap: table.soap,
            prefixes: table.prefixes.clone(),
            messages: limits(&table.messages),
        })
    }

    /// Finds out by which commands every operation is reached, from the operations of commands along `then`.
    fn follow_all(&mut self) -> Result<(), SettingsError> {
        for (name, operation) in &self.table.operations {
            let own = CommandKind::from_name(name);
            let command = operation.command.or(own);
            if let Some(command) = command {
                if command == CommandKind::Raw {
                    let text = "raw messages are sent as `raw` says; there is no operation for them";
                    return Err(SettingsError::new(format!("{PROFILE}.operations.{name}"), text));
                }
                let single = singles(operation);
                let reach = Reach { commands: [command].into(), single, ..Reach::default() };
                self.follow(name, operation, reach)?;
            } else if self.table.login.as_ref().is_some_and(|login| login.operation == *name) {
                self.follow(name, operation, Reach { login: true, ..Reach::default() })?;
            }
        }
        match self.table.operations.keys().find(|name| !self.reaches.contains_key(name.as_str())) {
            None => Ok(()),
            Some(name) => {
                let text =
                    "nothing leads to this operation; say which command it carries out: `command = \"add_device\"`";
                Err(SettingsError::new(format!("{PROFILE}.operations.{name}"), text))
            }
        }
    }

    fn follow(&mut self, name: &'a str, operation: &'a OperationTable, reach: Reach) -> Result<(), SettingsError> {
        let (mut name, mut operation, mut reach) = (name, operation, reach);
        for _ in 0..=self.table.operations.len() {
            match self.reaches.get_mut(name) {
                None => {
                    self.reaches.insert(name, reach.clone());
                }
                Some(known) => {
                    known.commands.extend(&reach.commands);
                    known.kept.extend(reach.kept.iter().cloned());
                    known.single.retain(|each| reach.single.contains(each));
                    known.follows |= reach.follows;
                    known.login &= reach.login;
                }
            }
            let Some(next) = &operation.then else { return Ok(()) };
            let path = format!("{PROFILE}.operations.{name}.then");
            let found = self.table.operations.get_key_value(next);
            let (next, table) = found.ok_or_else(|| SettingsError::new(path, self.no_operation(next)))?;
            reach.kept.extend(operation.extract.keep.keys().cloned());
            reach.follows = true;
            (name, operation) = (next, table);
        }
        let text = "the operations lead back to this one, without end";
        Err(SettingsError::new(format!("{PROFILE}.operations.{name}.then"), text))
    }

    fn operation(&self, name: &str, table: &OperationTable) -> Result<Operation, SettingsError> {
        let base = format!("{PROFILE}.operations.{name}");
        let at = |member: &str| format!("{base}.{member}");
        let reach = self.reaches.get(name).cloned().unwrap_or_default();
        let command = table.command.or_else(|| CommandKind::from_name(name));
        let rules = self.rules(table, command, &reach, &base)?;
        let place = Place { reach: &reach, environment: self.environment, login: self.table.login.is_some() };
        let path = Template::parse(&table.path, &place)
            .map_err(|mistake| SettingsError::new(at("path"), mistake.in_words(&table.path, 0)))?;
        check_path(&path).map_err(|text| SettingsError::new(at("path"), text))?;
        let mut headers = self.table.headers.clone();
        headers.extend(table.headers.iter().cloned());
        for (index, (header, _)) in headers.iter().enumerate() {
            let own = index.checked_sub(self.table.headers.len());
            let path =
                own.map_or_else(|| format!("{PROFILE}.headers[{index}][0]"), |own| at(&format!("headers[{own}][0]")));
            check_header(header).map_err(|text| SettingsError::new(path, text))?;
        }
        let Pairs(mut compiled) = Pairs::compile(&self.table.headers, &format!("{PROFILE}.headers"), &place)?;
        compiled.extend(Pairs::compile(&table.headers, &at("headers"), &place)?.0);
        let method = table.method.unwrap_or(Method::Post);
        let body = self.body(table, method, &place, &base)?;
        let sign = table.sign.as_ref().or(self.table.sign.as_ref());
        if let Some(sign) = &table.sign {
            self.check_sign(sign, &at("sign"))?;
        }
        check_errors(&table.errors, &at("errors"))?;
        let answer = AnswerForm::compile(
            &table.answer,
            &self.table.answer,
            [&table.errors, &self.table.errors],
            &table.extract,
            [&base, PROFILE],
        )?;
        let asks = !reach.commands.is_empty() && reach.commands.iter().all(|command| command.is_query());
        Ok(Operation {
            name: name.to_owned(),
            command,
            when: self.when(&table.when, &place, &base)?,
            for_each: table.for_each.iter().copied().collect(),
            per_call: PerCall {
                smartcards: table.smartcards_per_call,
                stbs: table.stbs_per_call,
                services: table.services_per_call,
            },
            then: table.then.as_ref().and_then(|next| self.names.iter().position(|name| *name == next)),
            endpoint: table.endpoint.clone().unwrap_or_default(),
            method,
            path,
            query: Pairs::compile(&table.query, &at("query"), &place)?,
            headers: Pairs(compiled),
            body,
            sign: signed(sign),
            harmless: table.harmless.unwrap_or(asks || reach.login),
            rules,
            answer,
        })
    }

    /// What one operation takes.
    fn rules(
        &self,
        table: &OperationTable,
        command: Option<CommandKind>,
        reach: &Reach,
        base: &str,
    ) -> Result<CommandRules, SettingsError> {
        let wrong = |member: &str, text: String| Err(SettingsError::new(format!("{base}.{member}"), text));
        let mut rules = CommandRules {
            account: table.account,
            safe_to_repeat: table.safe_to_repeat.unwrap_or(true),
            confirmed: table.confirmed,
            ..CommandRules::new()
        };
        for (member, given, count, name) in [
            ("services", table.services, &mut rules.services, Plain::Services),
            ("smartcards", table.smartcards, &mut rules.smartcards, Plain::Smartcards),
            ("stbs", table.stbs, &mut rules.stbs, Plain::Stbs),
        ] {
            let Some(given) = given else { continue };
            *count = match given {
                CountTable::Exactly(exactly) => Count { min: exactly, max: exactly },
                CountTable::Range(least, most) => Count { min: least, max: most },
            };
            if count.min > count.max || count.max > MOST {
                return wrong(member, format!("must be a number, or [least, most], up to {MOST}"));
            }
            let Some(command) = command else {
                return wrong(member, "is said by the operation that carries out a command".to_owned());
            };
            if !Name::Plain(name).is_given_by(command) {
                return wrong(member, format!("{command} has no {member}"));
            }
        }
        let follows = reach.follows || command.is_none();
        for (member, block, count, each) in [
            ("services_per_call", table.services_per_call, rules.services, EachTable::Service),
            ("smartcards_per_call", table.smartcards_per_call, rules.smartcards, EachTable::Smartcard),
            ("stbs_per_call", table.stbs_per_call, rules.stbs, EachTable::Stb),
        ] {
            let one_by_one = table.for_each.contains(&each);
            if (block.is_some() || one_by_one) && follows {
                let member = if one_by_one { "for_each" } else { member };
                return wrong(
                    member,
                    "only the first operation of a command goes through services or devices".to_owned(),
                );
            }
            if one_by_one && block.is_some() {
                return wrong(member, "`for_each` makes one call for each already".to_owned());
            }
            if block == Some(0) {
                return wrong(member, "must be at least 1".to_owned());
            }
            let member = if one_by_one { "for_each" } else { member };
            if (block.is_some() || one_by_one) && count == Count::NONE {
                let what = ["service", "smartcard", "stb"].get(each as usize).copied().unwrap_or_default();
                return wrong(member, format!("the operation takes no {what}s; say how many: `{what}s = [1, 100]`"));
            }
        }
        if table.for_each.contains(&EachTable::Smartcard) && table.for_each.contains(&EachTable::Stb) {
            return wrong("for_each", "goes through smartcards or set-top boxes, not through both".to_owned());
        }
        Ok(rules)
    }

    fn body(
        &self,
        table: &OperationTable,
        method: Method,
        place: &Place<'_>,
        base: &str,
    ) -> Result<Body, SettingsError> {
        let body = match (&table.json, &table.xml, &table.form) {
            (None, None, None) => Body::None,
            (Some(json), None, None) => Body::Json(Json::compile(json, &format!("{base}.json"), place)?),
            (None, Some(xml), None) => {
                Body::Xml(Node::compile(xml, &format!("{base}.xml"), &self.table.prefixes, place)?)
            }
            (None, None, Some(form)) => Body::Form(Pairs::compile(form, &format!("{base}.form"), place)?),
            _ => return Err(SettingsError::new(base, "has more than one body; give one of json, xml, form")),
        };
        if method == Method::Get && !matches!(body, Body::None) {
            return Err(SettingsError::new(
                format!("{base}.method"),
                "GET carries no body; put the values into `query`",
            ));
        }
        Ok(body)
    }

    fn when(&self, table: &WhenTable, place: &Place<'_>, base: &str) -> Result<When, SettingsError> {
        let wrong = |member: &str, text: String| SettingsError::new(format!("{base}.when.{member}"), text);
        let only = |given: bool, member: &str, commands: &[CommandKind]| {
            let other = place.reach.commands.iter().find(|command| !commands.contains(command));
            match other {
                Some(command) if given => Err(wrong(member, format!("{command} has no such thing"))),
                _ => Ok(()),
            }
        };
        only(table.message.is_some(), "message", &[CommandKind::SendMessage])?;
        only(table.to.is_some(), "to", &[CommandKind::SendMessage])?;
        only(table.reason.is_some(), "reason", &[CommandKind::DisableDevice])?;
        let selecting = [CommandKind::DeactivateServices, CommandKind::Suspend, CommandKind::Resume];
        only(table.services.is_some(), "services", &selecting)?;
        let names = |member: &str, texts: &[String]| {
            let named = texts.iter().enumerate().map(|(index, text)| {
                let member = format!("{member}[{index}]");
                let name = Name::parse(text).ok_or_else(|| wrong(&member, format!("there is no value {text:?}")))?;
                place.check_giver(&name).map_err(|why| wrong(&member, why))?;
                Ok(name)
            });
            named.collect::<Result<Vec<_>, SettingsError>>()
        };
        Ok(When { table: table.clone(), given: names("given", &table.given)?, absent: names("absent", &table.absent)? })
    }

    fn check_sign(&self, sign: &SignTable, path: &str) -> Result<(), SettingsError> {
        if sign.by == "none" {
            return Ok(());
        }
        self.environment.signer.check(sign).map_err(|why| SettingsError::new(path, why))
    }

    fn check_messages(&self, messages: &MessagesTable) -> Result<(), SettingsError> {
        let sends = self.reaches.values().any(|reach| reach.commands.contains(&CommandKind::SendMessage));
        let any = messages.mail.is_some() || messages.bark.is_some() || messages.repeating_bark.is_some();
        match (sends, any) {
            (true, false) => Err(SettingsError::new(
                format!("{PROFILE}.messages"),
                "an operation sends messages; say how long they may be: `mail = 160`, `bark = 160`, `repeating_bark = 160`",
            )),
            (false, true) => Err(SettingsError::new(format!("{PROFILE}.messages"), "no operation sends messages")),
            _ => Ok(()),
        }
    }

    fn place(&self, name: &String, path: &str) -> Result<usize, SettingsError> {
        let index = self.names.iter().position(|known| *known == name);
        index.ok_or_else(|| SettingsError::new(path, self.no_operation(name)))
    }

    fn no_operation(&self, name: &str) -> String {
        let known: Vec<_> = self.names.iter().map(|name| name.as_str()).collect();
        format!("there is no operation {name:?}; there are {}", known.join(", "))
    }
}

/// What placeholders of one operation may name.
struct Place<'a> {
    reach: &'a Reach,
    environment: &'a Environment<'a>,
    login: bool,
}

/// The same, within a repetition.
struct Within<'a> {
    place: &'a dyn AllowedSingle,
    each: EachTable,
}

/// A place that knows what there is exactly one of.
trait AllowedSingle {
    fn check_with(&self, name: &Name, singles: &BTreeSet<EachTable>) -> Result<(), String>;
}

impl Place<'_> {
    /// Whether every command that leads here gives the value.
    fn check_giver(&self, name: &Name) -> Result<(), String> {
        if self.reach.commands.is_empty() && !name.is_given_by(CommandKind::TestConnection) {
            return Err(format!("a login has no {name}"));
        }
        let commands: Vec<_> = self.reach.commands.iter().copied().collect();
        commands.as_slice().check(name)
    }
}

impl AllowedSingle for Place<'_> {
    fn check_with(&self, name: &Name, singles: &BTreeSet<EachTable>) -> Result<(), String> {
        let environment = self.environment;
        let single = |each, what: &str| match singles.contains(&each) || self.reach.single.contains(&each) {
            true => Ok(()),
            false => Err(format!(
                "there can be several {what}s; say `for_each = [\"{what}\"]`, or repeat the part of the body with `each`"
            )),
        };
        match name {
            Name::Var(var) if !environment.vars.contains(var) => {
                return Err(format!("the settings have no vars.{var}; add it: `vars.{var} = \"...\"`"));
            }
            Name::Kept(kept) if !self.reach.kept.contains(kept) => {
                return Err(format!("no operation before this one keeps {kept}"));
            }
            Name::Plain(Plain::Session) if !self.login || self.reach.login => {
                return Err("there is no session here; say which operation opens one: `login`".to_owned());
            }
            Name::Plain(Plain::SettingsUser) if !environment.user => {
                return Err("the settings have no `user`".to_owned());
            }
            Name::Plain(Plain::SettingsPassword) if !environment.password => {
                return Err("the settings have no `password`".to_owned());
            }
            _ => {}
        }
        self.check_giver(name)?;
        match name {
            Name::Plain(Plain::Smartcard) => single(EachTable::Smartcard, "smartcard"),
            Name::Plain(Plain::Stb) => single(EachTable::Stb, "stb"),
            Name::Plain(Plain::Device) => {
                single(EachTable::Smartcard, "smartcard").and_then(|()| single(EachTable::Stb, "stb"))
            }
            Name::Plain(Plain::Service | Plain::CaId) => single(EachTable::Service, "service"),
            _ => Ok(()),
        }
    }
}

impl Allowed for Place<'_> {
    fn check(&self, name: &Name) -> Result<(), String> {
        self.check_with(name, &BTreeSet::new())
    }
}

impl AllowedEach for Place<'_> {
    fn within(&self, each: EachTable) -> Box<dyn AllowedEach + '_> {
        Box::new(Within { place: self, each })
    }
}

impl AllowedSingle for Within<'_> {
    fn check_with(&self, name: &Name, singles: &BTreeSet<EachTable>) -> Result<(), String> {
        let mut singles = singles.clone();
        singles.insert(self.each);
        self.place.check_with(name, &singles)
    }
}

impl Allowed for Within<'_> {
    fn check(&self, name: &Name) -> Result<(), String> {
        self.check_with(name, &BTreeSet::new())
    }
}

impl AllowedEach for Within<'_> {
    fn within(&self, each: EachTable) -> Box<dyn AllowedEach + '_> {
        Box::new(Within { place: self, each })
    }
}

/// What there is at most one of, by the counts and the fan-out of an operation. A message to a service's holders is about
/// one service.
fn singles(table: &OperationTable) -> BTreeSet<EachTable> {
    let at_most_one = |count: Option<CountTable>, block: Option<usize>| {
        let most = match count {
            None => 0,
            Some(CountTable::Exactly(most) | CountTable::Range(_, most)) => most,
        };
        most <= 1 || block == Some(1)
    };
    let mut singles: BTreeSet<_> = table.for_each.iter().copied().collect();
    for (count, block, each) in [
        (table.services, table.services_per_call, EachTable::Service),
        (table.smartcards, table.smartcards_per_call, EachTable::Smartcard),
        (table.stbs, table.stbs_per_call, EachTable::Stb),
    ] {
        if at_most_one(count, block) {
            singles.insert(each);
        }
    }
    singles
}

fn signed(sign: Option<&SignTable>) -> Option<SignTable> {
    sign.filter(|sign| sign.by != "none").cloned()
}

fn limits(table: &MessagesTable) -> MessageLimits {
    MessageLimits {
        mail: table.mail,
        bark: table.bark,
        repeating_bark: table.repeating_bark,
        to_subscriber: table.to_subscriber,
        to_holders: table.to_holders,
        to_region: table.to_region,
        to_everybody: table.to_everybody,
    }
}

/// A path's placeholders write text, and the text around them is a path.
fn check_path(path: &Template) -> Result<(), String> {
    let (literals, places) = path.around();
    if let Some(place) = places.iter().find(|place| place.optional) {
        let name = place.names.first().map(ToString::to_string).unwrap_or_default();
        return Err(format!("{{{name}?}} may be absent, and a path can not be without it; use `default`"));
    }
    if places.iter().any(|place| place.kind == Kind::List) {
        return Err("a list can not stand in a path; write it with `join`".to_owned());
    }
    check_path_literal(&literals.concat())?;
    match literals.first() {
        Some(first) if first.starts_with('/') => Ok(()),
        _ => Err("must begin with `/`".to_owned()),
    }
}

pub(super) fn check_path_literal(path: &str) -> Result<(), String> {
    if !path.starts_with('/') {
        return Err("must begin with `/`".to_owned());
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@%".contains(&b);
    match path.chars().find(|c| !u8::try_from(*c).is_ok_and(allowed)) {
        None => Ok(()),
        Some('?') => Err("`?` can not stand in a path; put the query into `query`".to_owned()),
        Some(c) => Err(format!("{c:?} can not stand in a path")),
    }
}

pub(super) fn check_header(name: &str) -> Result<(), String> {
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !plain {
        return Err("a header field's name is of lower-case letters, digits and hyphens".to_owned());
    }
    if matches!(name, "host" | "content-length" | "transfer-encoding" | "connection") {
        return Err(format!("{name} is made by the driver"));
    }
    Ok(())
}

fn check_prefixes(prefixes: &BTreeMap<String, String>) -> Result<(), SettingsError> {
    for (prefix, uri) in prefixes {
        let path = || format!("{PROFILE}.prefixes.{prefix}");
        let mut bytes = prefix.bytes();
        let plain = bytes.next().is_some_and(|b| b.is_ascii_alphabetic())
            && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if !plain || prefix.to_ascii_lowercase().starts_with("xml") || prefix == "soap" {
            return Err(SettingsError::new(path(), "is no prefix: letters, digits, `_` and `-`; not soap, not xml"));
        }
        if uri.is_empty() {
            return Err(SettingsError::new(path(), "must be a namespace"));
        }
    }
    Ok(())
}

fn check_errors(errors: &BTreeMap<String, ErrorTable>, path: &str) -> Result<(), SettingsError> {
    for (code, error) in errors {
        let wrong = |text: &str| Err(SettingsError::new(format!("{path}.{code}.after"), text));
        match error.after {
            Some(_) if error.meaning != super::table::Meaning::RetryLater => {
                return wrong("is only for `retry_later`");
            }
            Some(after) if after.is_zero() || after > LONGEST_PAUSE => return wrong("must be 1 ms to 24 h"),
            _ => {}
        }
    }
    Ok(())
}
