//! A profile checked: every mistake is told with its path.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::Arc;

use headgate_core::table::{Column, Identifier, Value, ValueKind};

use super::table::{EncodingKind, IdRow, ParametersRow, ProfileTable};
use super::{
    AnswerColumns, Code, CommandForm, CommandName, Encoding, Literal, ParameterName, Place, Profile, States, Strategy,
};
use crate::registry::SettingsError;

/// Most characters that a column may be said to take.
const MOST_TEXT: usize = 65_536;
/// Characters of a UUID.
const UUID_LENGTH: usize = 36;
/// Digits of a number that we make.
const NUMBER_LENGTH: usize = 16;
/// Most characters of a prefix: with its number it must fit a recorded reference.
const MOST_PREFIX: usize = 100;

type Checked<T> = Result<T, SettingsError>;

pub(super) fn compile(table: &ProfileTable) -> Checked<Profile> {
    let mut columns = Columns::new(table)?;
    let order = columns.take("profile.id.column", &table.id.column)?;
    let key = key(&table.id, &order, &mut columns)?;
    let command = columns.take("profile.roles.command", &table.roles.command)?.column;
    only(&command, &[ValueKind::Text, ValueKind::Integer], "profile.roles.command")?;
    let state = columns.take("profile.state.column", &table.state.column)?.column;
    let states = states(table, &state)?;
    let mut role = |name: &str, column: &Option<Identifier>, kinds: &[ValueKind]| -> Checked<Option<Column>> {
        let Some(column) = column else { return Ok(None) };
        let path = format!("profile.roles.{name}");
        let column = columns.take(&path, column)?.column;
        only(&column, kinds, &path)?;
        Ok(Some(column))
    };
    let worded = [ValueKind::Text, ValueKind::Integer];
    let roles = &table.roles;
    let created = role("created", &roles.created, &[ValueKind::Timestamp])?;
    let answer = AnswerColumns {
        code: role("error_code", &roles.error_code, &worded)?,
        text: role("error_text", &roles.error_text, &[ValueKind::Text])?,
        reference: role("reference", &roles.reference, &worded)?,
        processed: role("processed", &roles.processed, &[ValueKind::Timestamp])?,
    };
    let constants = constants(table, &mut columns)?;
    let encoding = encoding(&table.parameters, &mut columns)?;
    let commands = commands(table, &command, &encoding)?;
    let codes = codes(table, answer.code.as_ref())?;
    if let Some(unused) = columns.unused() {
        return wrong(format!("profile.columns.{unused}"), "nothing says what stands in it; remove it");
    }
    let mut written = vec![key.column.clone(), command.clone(), state.clone()];
    written.extend(created.iter().cloned());
    written.extend(constants.iter().map(|(column, _)| column.clone()));
    match &encoding {
        Encoding::Columns(places) => written.extend(places.values().map(|place| place.column.clone())),
        Encoding::Delimited { place, .. } => written.push(place.column.clone()),
    }
    Ok(Profile {
        name: table.name.clone(),
        table: table.table.clone(),
        key,
        order: order.column,
        strategy: table.id.strategy,
        prefix: table.id.prefix.clone(),
        codes,
        command,
        state,
        states,
        answer,
        created,
        encoding,
        constants,
        written: Arc::from(written),
        channel: table.channel.clone(),
        purges: table.purges,
        columns: columns.all(),
        commands,
    })
}

/// The columns there are, and which of them are spoken for.
struct Columns {
    places: BTreeMap<Identifier, Place>,
    taken: BTreeSet<Identifier>,
}

impl Columns {
    fn new(table: &ProfileTable) -> Checked<Self> {
        let mut places = BTreeMap::new();
        for (name, row) in &table.columns {
            let path = format!("profile.columns.{name}.max");
            if row.max.is_some() && row.kind != ValueKind::Text {
                return wrong(path, format!("a column of type {} does not take it; remove it", row.kind.name()));
            }
            if row.max.is_some_and(|max| !(1..=MOST_TEXT).contains(&max)) {
                return wrong(path, format!("must be 1 to {MOST_TEXT}"));
            }
            let column = Column { name: name.clone(), kind: row.kind };
            places.insert(name.clone(), Place { column, max: row.max });
        }
        Ok(Self { places, taken: BTreeSet::new() })
    }

    /// The column of that name, which nothing else may be in.
    fn take(&mut self, path: &str, name: &Identifier) -> Checked<Place> {
        let Some(place) = self.places.get(name) else {
            let known = list(self.places.keys());
            return wrong(path, format!("{name} is none of profile.columns; known: {known}"));
        };
        if !self.taken.insert(name.clone()) {
            return wrong(path, format!("the column {name} has something else in it already"));
        }
        Ok(place.clone())
    }

    fn unused(&self) -> Option<&Identifier> {
        self.places.keys().find(|name| !self.taken.contains(*name))
    }

    fn all(self) -> Vec<Column> {
        self.places.into_values().map(|place| place.column).collect()
    }
}

/// The column by which we find our entries again.
fn key(row: &IdRow, order: &Place, columns: &mut Columns) -> Checked<Place> {
    let numbered = row.strategy == Strategy::Sequence && order.column.kind == ValueKind::Text;
    if !row.prefix.is_empty() && !numbered {
        return wrong("profile.id.prefix", "only numbers in a text column have one; remove it");
    }
    if row.prefix.chars().count() > MOST_PREFIX || row.prefix.chars().any(|c| c.is_control() || c == '/') {
        return wrong("profile.id.prefix", "must be at most 100 characters, none of them / or a control character");
    }
    let (path, place) = match (row.strategy, &row.own) {
        (Strategy::Database, Some(own)) => ("profile.id.own", columns.take("profile.id.own", own)?),
        (Strategy::Database, None) => {
            return wrong("profile.id.own", "missing: name a column for an id of our own, to find entries again");
        }
        (_, Some(_)) => return wrong("profile.id.own", "is only for the strategy \"database\"; remove it"),
        (_, None) => ("profile.id.column", order.clone()),
    };
    if row.strategy == Strategy::Database {
        only(&order.column, &[ValueKind::Integer], "profile.id.column")?;
    }
    let kinds: &[ValueKind] = match row.strategy {
        Strategy::Uuid => &[ValueKind::Text],
        Strategy::Sequence | Strategy::Database => &[ValueKind::Integer, ValueKind::Text],
    };
    only(&place.column, kinds, path)?;
    let needed = match row.strategy {
        Strategy::Sequence => row.prefix.chars().count() + NUMBER_LENGTH,
        Strategy::Uuid | Strategy::Database => UUID_LENGTH,
    };
    if place.max.is_some_and(|max| max < needed) {
        return wrong(path, format!("our ids have {needed} characters; the column {} takes fewer", place.column.name));
    }
    Ok(place)
}

fn states(table: &ProfileTable, column: &Column) -> Checked<States> {
    let row = &table.state;
    only(column, &[ValueKind::Text, ValueKind::Integer, ValueKind::Bool], "profile.state.column")?;
    let mut seen: Vec<Value> = Vec::new();
    let mut one = |path: String, literal: &Literal| {
        let value = literal_of(&path, literal, column)?;
        if seen.contains(&value) {
            return wrong(path, "this literal already means another state");
        }
        seen.push(value.clone());
        Ok(value)
    };
    let unprocessed = one("profile.state.unprocessed".into(), &row.unprocessed)?;
    let mut several = |name: &str, literals: &[Literal]| -> Checked<Vec<Value>> {
        let path = |index| format!("profile.state.{name}[{index}]");
        literals.iter().enumerate().map(|(index, literal)| one(path(index), literal)).collect()
    };
    let processing = several("processing", &row.processing)?;
    let (done, failed) = (several("done", &row.done)?, several("failed", &row.failed)?);
    for (name, literals) in [("done", &done), ("failed", &failed)] {
        if literals.is_empty() {
            return wrong(format!("profile.state.{name}"), "give at least one literal");
        }
    }
    Ok(States { unprocessed, processing, done, failed })
}

fn constants(table: &ProfileTable, columns: &mut Columns) -> Checked<Vec<(Column, Value)>> {
    let mut constants = Vec::new();
    for (name, literal) in &table.constants {
        let path = format!("profile.constants.{name}");
        let column = columns.take(&path, name)?.column;
        let value = literal_of(&path, literal, &column)?;
        constants.push((column, value));
    }
    Ok(constants)
}

fn encoding(row: &ParametersRow, columns: &mut Columns) -> Checked<Encoding> {
    let at = |part: &str| format!("profile.parameters.{part}");
    if row.encoding == EncodingKind::Columns {
        for (name, given) in
            [("column", row.column.is_some()), ("delimiter", row.delimiter.is_some()), ("escape", row.escape.is_some())]
        {
            if given {
                return wrong(at(name), "only the encoding \"delimited\" has it; remove it");
            }
        }
        let mut places = BTreeMap::new();
        for (key, name) in &row.columns {
            let path = format!("profile.parameters.columns.{key}");
            let Some(parameter) = ParameterName::from_name(key).filter(|name| *name != ParameterName::EntryId) else {
                let known = ParameterName::ALL.iter().filter(|name| **name != ParameterName::EntryId);
                return wrong(path, format!("is no parameter; known: {}", list(known.map(|name| name.name()))));
            };
            places.insert(parameter, columns.take(&path, name)?);
        }
        return Ok(Encoding::Columns(places));
    }
    if !row.columns.is_empty() {
        return wrong(at("columns"), "only the encoding \"columns\" has it; remove it");
    }
    let Some(name) = &row.column else { return wrong(at("column"), "missing: name the column of the text") };
    let place = columns.take(&at("column"), name)?;
    only(&place.column, &[ValueKind::Text], &at("column"))?;
    let Some(delimiter) = row.delimiter else {
        return wrong(at("delimiter"), "missing: give the character between two parameters");
    };
    if row.escape == Some(delimiter) {
        return wrong(at("escape"), "must not be the delimiter itself");
    }
    Ok(Encoding::Delimited { place, delimiter, escape: row.escape })
}

fn commands(table: &ProfileTable, column: &Column, encoding: &Encoding) -> Checked<BTreeMap<CommandName, CommandForm>> {
    let mut commands: BTreeMap<CommandName, CommandForm> = BTreeMap::new();
    for (key, row) in &table.commands {
        let path = format!("profile.commands.{key}");
        let Some(name) = CommandName::from_name(key) else {
            let known = list(CommandName::ALL.iter().map(|name| name.name()));
            return wrong(path, format!("is no command; known: {known}"));
        };
        let code = literal_of(&format!("{path}.code"), &row.code, column)?;
        if let Some((other, _)) = commands.iter().find(|(_, form)| form.code == code) {
            return wrong(format!("{path}.code"), format!("is already the code of {}", other.name()));
        }
        let parameters = parameters(&path, name, &row.parameters, encoding)?;
        commands.insert(name, CommandForm { code, parameters, confirmed: row.confirmed });
    }
    Ok(commands)
}

fn parameters(path: &str, command: CommandName, names: &[String], encoding: &Encoding) -> Checked<Vec<ParameterName>> {
    let mut parameters = Vec::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        let at = format!("{path}.parameters[{index}]");
        let possible = || command.required().iter().chain(command.optional());
        let Some(parameter) = possible().copied().find(|parameter| parameter.name() == name) else {
            let known = list(possible().map(|parameter| parameter.name()));
            return wrong(at, format!("{name:?} has no value here; known: {known}"));
        };
        if parameters.contains(&parameter) {
            return wrong(at, format!("{name} stands here twice"));
        }
        match encoding {
            Encoding::Columns(_) if parameter == ParameterName::EntryId => {
                return wrong(at, "the entry's id has its own column, profile.id.column; remove it here");
            }
            Encoding::Columns(places) if !places.contains_key(&parameter) => {
                return wrong(at, format!("{name} has no column; give it one in profile.parameters.columns"));
            }
            Encoding::Columns(_) | Encoding::Delimited { .. } => parameters.push(parameter),
        }
    }
    match command.required().iter().find(|needed| !parameters.contains(needed)) {
        Some(missing) => wrong(format!("{path}.parameters"), format!("must have {}", missing.name())),
        None => Ok(parameters),
    }
}

fn codes(table: &ProfileTable, column: Option<&Column>) -> Checked<BTreeMap<String, Code>> {
    let mut codes: BTreeMap<String, Code> = BTreeMap::new();
    for (name, row) in &table.codes {
        let path = format!("profile.codes.{name}.code");
        let Some(column) = column else {
            return wrong(path, "can not be read: profile.roles names no column error_code");
        };
        let code = literal_of(&path, &row.code, column)?;
        if let Some((other, _)) = codes.iter().find(|(_, known)| known.code == code) {
            return wrong(path, format!("is already the code of {other}"));
        }
        codes.insert(name.clone(), Code { code, text: row.text.clone() });
    }
    Ok(codes)
}

fn literal_of(path: &str, literal: &Literal, column: &Column) -> Checked<Value> {
    let value = match literal {
        Literal::Integer(number) => Value::Integer(*number),
        Literal::Text(text) => Value::text(text),
        Literal::Bool(yes) => Value::Bool(*yes),
    };
    if value.fits(column.kind) {
        return Ok(value);
    }
    wrong(path, format!("must be of type {}, as the column {} is", column.kind.name(), column.name))
}

fn only(column: &Column, kinds: &[ValueKind], path: &str) -> Checked<()> {
    if kinds.contains(&column.kind) {
        return Ok(());
    }
    let wanted = kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(" or ");
    wrong(path, format!("the column {} is of type {}; it must be {wanted}", column.name, column.kind.name()))
}

fn list(names: impl Iterator<Item = impl Display>) -> String {
    names.map(|name| name.to_string()).collect::<Vec<_>>().join(", ")
}

fn wrong<T>(path: impl Into<String>, text: impl Into<String>) -> Checked<T> {
    Err(SettingsError::new(path, text))
}
