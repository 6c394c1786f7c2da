//! Why a subcommand did not do what was asked, and what to do next.

/// A subcommand failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    text: String,
    help: String,
    status: u8,
}

impl Failure {
    /// What happened. The exit status is 2: it could not be done. (1 means: done, and the answer is no.)
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), help: String::new(), status: 2 }
    }

    /// The same, with what to do next.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    /// What happened.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// What to do next; empty: the text says it.
    pub(super) fn remedy(&self) -> &str {
        &self.help
    }

    /// The exit status.
    pub(super) const fn status(&self) -> u8 {
        self.status
    }
}
