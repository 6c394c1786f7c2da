//! The wire layout as data: the vendor's own is not public, so every provider can bring its own.
//!
//! A profile is written as a [`ProfileTable`] and compiled by [`Profile::compile`], which refuses what
//! can not work and names the place. The shipped one is [`SHIPPED`]; only what the fact sheet marks
//! \[S\] or \[S-code\] in it comes from a source, everything else is our own assumption.

mod check;
mod names;
mod table;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use headgate_core::command::DisableReason;

pub use self::names::{CommandName, FieldName, ValueKind};
pub use self::table::{Alphabet, Charset, CodeKind, ProfileTable, Reasons};
use crate::framing::Framing;
use crate::registry::SettingsError;

/// The profile that is used unless the settings bring another.
pub const SHIPPED: &str = include_str!("profile.toml");

/// A profile, checked, in the form the codec runs on.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// How text is encoded.
    pub charset: Charset,
    /// How frames are told apart.
    pub framing: Framing,
    /// The root header.
    pub header: Layout,
    /// The command-specific section.
    pub section: Layout,
    /// The highest transaction number; numbers run from 1 to it and start again.
    pub highest_transaction: u64,
    /// The positive answer.
    pub ack: AnswerForm,
    /// The negative answer.
    pub nack: AnswerForm,
    /// What raw messages have as their command type.
    pub command_type: u64,
    commands: BTreeMap<CommandName, CommandForm>,
    by_number: BTreeMap<u64, Form>,
    codes: BTreeMap<u64, Code>,
    reasons: Reasons,
}

/// Fields, in order.
pub type Layout = Box<[Field]>;

/// One field: what it means and how it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// What it means.
    pub name: FieldName,
    /// How it is written.
    pub kind: Kind,
}

/// How a field is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Decimal digits with zeros before them, 1 to 18.
    Number {
        /// How many digits.
        width: usize,
    },
    /// Text with spaces behind it.
    Text {
        /// How many bytes.
        width: usize,
        /// Which characters.
        only: Alphabet,
    },
    /// A decimal count of bytes, then so much text.
    Counted {
        /// How many digits the count has.
        width: usize,
        /// Most bytes of text.
        max: usize,
        /// Which characters.
        only: Alphabet,
    },
    /// Hexadecimal digits with zeros before them.
    Hex {
        /// How many digits.
        width: usize,
    },
    /// `YYYYMMDD`; zeros: none.
    Date,
    /// A decimal count of items, then the items.
    List {
        /// How many digits the count has.
        width: usize,
        /// Most items.
        max: usize,
        /// The fields of one item.
        fields: Layout,
    },
    /// Always the same bytes.
    Literal(Box<[u8]>),
}

/// One command's form.
#[derive(Clone, Debug)]
pub struct CommandForm {
    /// Which command.
    pub name: CommandName,
    /// Its number.
    pub number: u64,
    /// Its command type.
    pub command_type: u64,
    /// What it carries.
    pub body: Layout,
    /// What its positive answer tells.
    pub answer: Layout,
    /// Whether the operator says it was checked against the vendor's platform.
    pub confirmed: bool,
}

/// One form of answer.
#[derive(Clone, Debug)]
pub struct AnswerForm {
    /// Its command number.
    pub number: u64,
    /// Its command type.
    pub command_type: u64,
    /// What it carries, before what the command's own answer tells.
    pub body: Layout,
}

/// What a command number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// This command.
    Command(CommandName),
    /// The positive answer.
    Ack,
    /// The negative answer.
    Nack,
}

/// One code of refusals.
#[derive(Clone, Debug)]
pub struct Code {
    /// Its name in the profile.
    pub name: String,
    /// What it means.
    pub text: String,
    /// What to do about it.
    pub kind: CodeKind,
    /// For [`CodeKind::RetryLater`]: how long to pause.
    pub pause: Duration,
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

    /// What a command number stands for.
    #[must_use]
    pub fn form(&self, number: u64) -> Option<Form> {
        self.by_number.get(&number).copied()
    }

    /// What a refusal's code means, if the profile lists it.
    #[must_use]
    pub fn code(&self, number: u64) -> Option<&Code> {
        self.codes.get(&number)
    }

    /// The code of that name, for the platform's side.
    #[must_use]
    pub fn code_named(&self, name: &str) -> Option<(u64, &Code)> {
        self.codes.iter().find(|(_, code)| code.name == name).map(|(number, code)| (*number, code))
    }

    /// The number that says why a card is disabled.
    #[must_use]
    pub const fn reason(&self, reason: DisableReason) -> u64 {
        match reason {
            DisableReason::Damaged => self.reasons.damaged,
            DisableReason::Lost => self.reasons.lost,
            DisableReason::Stolen => self.reasons.stolen,
        }
    }

    /// Why a card is disabled, told by its number.
    #[must_use]
    pub fn reason_of(&self, number: u64) -> Option<DisableReason> {
        [DisableReason::Damaged, DisableReason::Lost, DisableReason::Stolen]
            .into_iter()
            .find(|reason| self.reason(*reason) == number)
    }
}

/// The field of that name in a layout.
#[must_use]
pub fn find(layout: &[Field], name: FieldName) -> Option<&Field> {
    layout.iter().find(|field| field.name == name)
}
