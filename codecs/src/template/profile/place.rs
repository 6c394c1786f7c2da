//! What placeholders of an operation may name: what its command gives, what the settings have, what was kept.

use std::collections::BTreeSet;

use headgate_core::command::CommandKind;

use super::Environment;
use crate::template::body::AllowedEach;
use crate::template::table::{CountTable, EachTable, OperationTable};
use crate::template::text::Allowed;
use crate::template::values::{Name, Plain};

/// By whom an operation is reached, and what is there then.
#[derive(Clone, Debug, Default)]
pub(super) struct Reach {
    pub(super) commands: BTreeSet<CommandKind>,
    pub(super) kept: BTreeSet<String>,
    /// What there is exactly one of.
    pub(super) single: BTreeSet<EachTable>,
    /// Whether an operation leads to it.
    pub(super) follows: bool,
    /// Whether it opens sessions.
    pub(super) login: bool,
}

/// What placeholders of one operation may name.
pub(super) struct Place<'a> {
    pub(super) reach: &'a Reach,
    pub(super) environment: &'a Environment<'a>,
    pub(super) login: bool,
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
    pub(super) fn check_giver(&self, name: &Name) -> Result<(), String> {
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
pub(super) fn singles(table: &OperationTable) -> BTreeSet<EachTable> {
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
