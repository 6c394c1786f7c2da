//! The queue table as data: the vendor's own is not public, so every provider can bring its own.
//!
//! A profile is written as a [`ProfileTable`] and compiled by [`Profile::compile`], which refuses what can not work
//! and names the place. The shipped one is [`SHIPPED`].

mod check;
mod names;
mod table;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use headgate_core::table::{Column, Identifier, TableName, TableShape, Value};

pub use self::names::{CommandName, ParameterName};
pub use self::table::{Literal, ProfileTable, Strategy};
use crate::registry::SettingsError;

/// The profile that is used unless the settings bring another.
pub const SHIPPED: &str = include_str!("../profile.toml");

/// A profile, checked, in the form the codec runs on.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// The table.
    pub table: TableName,
    /// The column by which we find our entries again: the id, or where the database makes that, our own.
    pub key: Place,
    /// The column that tells the order of entries: the id.
    pub order: Column,
    /// Who numbers the entries.
    pub strategy: Strategy,
    /// What stands before a number, where ids are text.
    pub prefix: String,
    /// The command's code.
    pub command: Column,
    /// The state.
    pub state: Column,
    /// What states mean.
    pub states: States,
    /// What is read back.
    pub answer: AnswerColumns,
    /// When the entry was made.
    pub created: Option<Column>,
    /// Where the parameters stand.
    pub encoding: Encoding,
    /// Columns in which every entry has the same value.
    pub constants: Vec<(Column, Value)>,
    /// The columns that we write, the key first.
    pub written: Arc<[Column]>,
    /// The channel on which the database tells.
    pub channel: Option<Identifier>,
    /// Whether the platform takes processed entries away.
    pub purges: bool,
    columns: Vec<Column>,
    commands: BTreeMap<CommandName, CommandForm>,
    codes: BTreeMap<String, Code>,
}

/// A column with its limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The column.
    pub column: Column,
    /// Most characters of a text.
    pub max: Option<usize>,
}

/// What the literals of states mean.
#[derive(Clone, Debug)]
pub struct States {
    /// What we write.
    pub unprocessed: Value,
    /// Still open; the first is what the simulator writes.
    pub processing: Vec<Value>,
    /// Done; likewise.
    pub done: Vec<Value>,
    /// Refused; likewise.
    pub failed: Vec<Value>,
}

/// What a state means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Unprocessed, or being worked on.
    Open,
    /// Processed, and done.
    Done,
    /// Processed, and refused.
    Failed,
    /// The profile does not say.
    Unknown,
}

/// Columns that the platform writes.
#[derive(Clone, Debug, Default)]
pub struct AnswerColumns {
    /// The code of a failure.
    pub code: Option<Column>,
    /// The words of a failure.
    pub text: Option<Column>,
    /// The platform's own number.
    pub reference: Option<Column>,
    /// When it was processed.
    pub processed: Option<Column>,
}

/// Where the parameters of commands stand.
#[derive(Clone, Debug)]
pub enum Encoding {
    /// Each in a column.
    Columns(BTreeMap<ParameterName, Place>),
    /// All in one text.
    Delimited {
        /// The text's column.
        place: Place,
        /// Between two parameters.
        delimiter: char,
        /// Before a delimiter that is part of a parameter.
        escape: Option<char>,
    },
}

/// One command's form.
#[derive(Clone, Debug)]
pub struct CommandForm {
    /// What stands in the command's column.
    pub code: Value,
    /// Its parameters, in order.
    pub parameters: Vec<ParameterName>,
    /// Whether the operator says it was checked against the vendor's platform.
    pub confirmed: bool,
}

/// One code of failures.
#[derive(Clone, Debug)]
pub struct Code {
    /// What stands in its column.
    pub code: Value,
    /// What it means.
    pub text: String,
}

impl Profile {
    /// The profile Headgate ships with.
    ///
    /// # Errors
    /// None, as long as the tests pass: the shipped profile is compiled in.
    pub fn shipped() -> Result<Self, SettingsError> {
        Self::from_toml(SHIPPED)
    }

    /// Reads and compiles a profile written in TOML.
    ///
    /// # Errors
    /// [`SettingsError`] with the path of the first mistake, below `profile`.
    pub fn from_toml(text: &str) -> Result<Self, SettingsError> {
        let value: serde_json::Value =
            toml::from_str(text).map_err(|error| SettingsError::new("profile", error.message()))?;
        let table: ProfileTable = crate::registry::read_settings(&value)
            .map_err(|error| SettingsError { path: format!("profile.{}", error.path), ..error })?;
        Self::compile(&table)
    }

    /// Checks a profile and brings it into the form the codec runs on.
    ///
    /// # Errors
    /// [`SettingsError`] with the path of the first mistake.
    pub fn compile(table: &ProfileTable) -> Result<Self, SettingsError> {
        check::compile(table)
    }

    /// A command's form, if the profile has the command.
    #[must_use]
    pub fn command(&self, name: CommandName) -> Option<&CommandForm> {
        self.commands.get(&name)
    }

    /// Every command the profile has.
    pub fn commands(&self) -> impl Iterator<Item = (CommandName, &CommandForm)> {
        self.commands.iter().map(|(name, form)| (*name, form))
    }

    /// What stands for which command.
    #[must_use]
    pub fn command_of(&self, code: &Value) -> Option<(CommandName, &CommandForm)> {
        self.commands().find(|(_, form)| form.code == *code)
    }

    /// Whether a command has a parameter.
    #[must_use]
    pub fn takes(&self, command: CommandName, parameter: ParameterName) -> bool {
        self.command(command).is_some_and(|form| form.parameters.contains(&parameter))
    }

    /// The code of that name, for the platform's side.
    #[must_use]
    pub fn code_named(&self, name: &str) -> Option<&Code> {
        self.codes.get(name)
    }

    /// What a failure's code means, if the profile lists it.
    #[must_use]
    pub fn meaning(&self, code: &Value) -> Option<&str> {
        self.codes.values().find(|known| known.code == *code).map(|known| known.text.as_str())
    }

    /// Most characters of a message's text, where there is a limit.
    #[must_use]
    pub fn text_limit(&self) -> Option<usize> {
        match &self.encoding {
            Encoding::Columns(places) => places.get(&ParameterName::Text).and_then(|place| place.max),
            Encoding::Delimited { place, .. } => place.max,
        }
    }

    /// The columns of an entry's answer: key, state, and what the platform writes.
    #[must_use]
    pub fn answered(&self) -> Arc<[Column]> {
        let AnswerColumns { code, text, reference, .. } = &self.answer;
        let told = [code, text, reference].into_iter().flatten();
        [&self.key.column, &self.state].into_iter().chain(told).cloned().collect()
    }

    /// The table, as the simulator makes it.
    #[must_use]
    pub fn shape(&self) -> TableShape {
        let at = |column: &Column| self.columns.iter().position(|known| known == column).unwrap_or_default();
        let generated = self.strategy == Strategy::Database;
        TableShape {
            name: self.table.clone(),
            columns: self.columns.clone(),
            key: at(&self.order),
            generated,
            unique: if generated { vec![at(&self.key.column)] } else { Vec::new() },
        }
    }
}

impl States {
    /// What a state means.
    #[must_use]
    pub fn meaning(&self, state: &Value) -> State {
        if self.done.contains(state) {
            State::Done
        } else if self.failed.contains(state) {
            State::Failed
        } else if *state == self.unprocessed || self.processing.contains(state) {
            State::Open
        } else {
            State::Unknown
        }
    }

    /// Every literal that means that an entry is still open.
    #[must_use]
    pub fn open(&self) -> Vec<Value> {
        std::iter::once(&self.unprocessed).chain(&self.processing).cloned().collect()
    }
}
