//! A profile is checked operation by operation, in the order in which commands lead to them.

use std::collections::BTreeMap;

use headgate_core::capabilities::{CommandRules, Count, MessageLimits};
use headgate_core::command::CommandKind;
use headgate_core::http::Method;
use jiff::tz::TimeZone;

use super::check::{check_errors, check_header, check_path, check_path_literal, check_prefixes};
use super::place::{Place, Reach, singles};
use super::{Body, Environment, MOST, Operation, PROFILE, PerCall, Profile, Raw, When};
use crate::registry::SettingsError;
use crate::template::answer::AnswerForm;
use crate::template::body::{Json, Node, Pairs};
use crate::template::table::{
    CountTable, EachTable, MessagesTable, OperationTable, ProfileTable, SignTable, WhenTable,
};
use crate::template::text::Template;
use crate::template::values::{Name, Plain};

/// Checks a profile, step by step.
pub(super) struct Compiler<'a> {
    table: &'a ProfileTable,
    environment: &'a Environment<'a>,
    names: Vec<&'a String>,
    reaches: BTreeMap<&'a str, Reach>,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(table: &'a ProfileTable, environment: &'a Environment<'a>) -> Result<Self, SettingsError> {
        let names = table.operations.keys().collect();
        let mut this = Self { table, environment, names, reaches: BTreeMap::new() };
        this.follow_all()?;
        Ok(this)
    }

    pub(super) fn compile(self) -> Result<Profile, SettingsError> {
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
