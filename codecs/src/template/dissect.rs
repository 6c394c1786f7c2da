//! Messages explained by a profile: the start line tells the operation.

use super::profile::Profile;
use crate::http::dissect::Describe;

/// What a protocol knows of its messages.
pub struct Described<'a> {
    /// The profile.
    pub profile: &'a Profile,
    /// Where the profile's paths begin in a message's path, for protocols that put something before them.
    pub tail: fn(&str) -> &str,
    /// What fields mean, by the last name of their path.
    pub meanings: &'static [(&'static str, &'static str)],
}

impl Describe for Described<'_> {
    fn title(&self, start_line: &str, names: &[String]) -> Option<String> {
        let target = start_line.split(' ').nth(1).filter(|target| target.starts_with('/'))?;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = (self.tail)(path);
        let mut operations = self.profile.operations().filter(|operation| operation.has_path(path));
        let first = operations.next()?;
        let named: Vec<_> = std::iter::once(first).chain(operations).collect();
        // Several operations on one path are told apart by a parameter that always has the same value.
        let of_query = crate::http::form::parse(query.as_bytes());
        let told = named.iter().find(|operation| operation.has_constant(&of_query)).unwrap_or(&first);
        let parts = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
        Some(format!("call {}{parts}", told.name))
    }

    fn meaning(&self, path: &str, _: &str) -> String {
        let last = path.rsplit(['/', '@']).next().unwrap_or_default();
        let known = self.meanings.iter().find(|(name, _)| *name == last);
        known.map(|(_, meaning)| (*meaning).to_owned()).unwrap_or_default()
    }
}
