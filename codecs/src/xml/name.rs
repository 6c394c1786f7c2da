//! Names as a document says them: few, again and again, so each is kept once.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Most names that a document's elements share. Looking through a longer list would take longer than another copy.
const SHARED: usize = 32;

/// A local name or a namespace. A clone is the same text, not a copy of it.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(Arc<str>);

impl Name {
    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        Self::from(&*name.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The names of one document.
#[derive(Default)]
pub(super) struct Names(Vec<Name>);

impl Names {
    /// The name, shared with those before it that are the same.
    pub(super) fn share(&mut self, name: &str) -> Name {
        // What was said last is said again soonest.
        if let Some(known) = self.0.iter().rev().find(|known| **known == *name) {
            return known.clone();
        }
        let fresh = Name(Arc::from(name));
        if self.0.len() < SHARED {
            self.0.push(fresh.clone());
        }
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_is_kept_once_and_many_are_no_trouble() {
        let mut names = Names::default();
        let (first, again) = (names.share("a"), names.share("a"));
        assert!(Arc::ptr_eq(&first.0, &again.0) && first == "a");
        for number in 0..100 {
            assert_eq!(names.share(&number.to_string()).as_str(), number.to_string());
        }
        assert_eq!(names.0.len(), SHARED);
    }
}
