//! A profile, checked: everything that could be wrong with it is told when it is read, with its place.

mod check;
mod compile;
mod place;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use headgate_core::capabilities::{Capabilities, CommandRules, Count, MessageLimits};
use headgate_core::command::{Audience, Command, CommandKind, MessageKind, Services};
use headgate_core::http::Method;
use jiff::tz::TimeZone;

pub(super) use self::check::{check_header, check_path_literal};
use self::compile::Compiler;
use super::answer::AnswerForm;
use super::body::{Json, Node, Pairs};
use super::draft::Signer;
use super::table::{AudienceTable, EachTable, MessageKindTable, ProfileTable, ServicesTable, SignTable, WhenTable};
use super::text::Template;
use super::values::{Context, Name, Scope, Value};
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
    /// The names of the settings' `vars`.
    pub vars: BTreeSet<String>,
    /// What can be signed.
    pub signer: &'a dyn Signer,
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

    /// Reads the profile of the settings, or else the one that the protocol ships. Without a user in the settings there is
    /// nobody to log in, and so there are no sessions.
    ///
    /// # Errors
    /// [`SettingsError`] with the path of the first mistake, below `profile`.
    pub fn read(
        shipped: &str,
        own: Option<&ProfileTable>,
        context: &Context,
        signer: &dyn Signer,
    ) -> Result<Self, SettingsError> {
        let vars = context.vars.keys().cloned().collect();
        let environment = Environment { vars, signer };
        let mut profile = match own {
            Some(table) => Self::compile(table, &environment)?,
            None => Self::from_toml(shipped, &environment)?,
        };
        if context.user.is_none() {
            profile.login = None;
        }
        Ok(profile)
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
    scope.value(name).is_some_and(|value| !matches!(value, Value::List(items) if items.is_empty()))
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
