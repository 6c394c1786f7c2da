//! What is wrong with a configuration: where, what, and what to do about it.

use std::fmt;
use std::ops::Range;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource};
use serde::Serialize;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The gateway does not start.
    Error,
    /// It starts, but somebody should look.
    Warning,
}

/// One thing that is wrong. Its text holds no secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The setting, as in `provider[1].settings.profile`; empty: the file as a whole.
    pub path: String,
    /// What is wrong.
    pub text: String,
    /// What to do; empty: the text says it.
    pub help: String,
    /// Which bytes of the file; absent: no place in it is to blame.
    pub span: Option<Range<usize>>,
}

impl Problem {
    /// An error at `path`. Its place in the file is added when it is reported.
    #[must_use]
    pub fn error(path: impl Into<String>, text: impl Into<String>, help: impl Into<String>) -> Self {
        Self { severity: Severity::Error, path: path.into(), text: text.into(), help: help.into(), span: None }
    }

    /// A warning at `path`.
    #[must_use]
    pub fn warning(path: impl Into<String>, text: impl Into<String>, help: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(path, text, help) }
    }

    /// The same, at this place in the file.
    #[must_use]
    pub fn at(mut self, span: Range<usize>) -> Self {
        self.span = Some(span);
        self
    }
}

/// Everything that is wrong with one configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// The file's name.
    pub file: String,
    /// Its text, with secrets masked.
    source: String,
    /// The problems, in the order of the file.
    pub list: Vec<Problem>,
}

impl Problems {
    /// The problems of a file. `source` is shown to people: mask its secrets first.
    #[must_use]
    pub fn new(file: impl Into<String>, source: impl Into<String>, mut list: Vec<Problem>) -> Self {
        list.sort_by_key(|problem| problem.span.as_ref().map_or(0, |span| span.start));
        Self { file: file.into(), source: source.into(), list }
    }

    /// Whether the gateway can not start with this file.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// Each problem with the lines around it, for people. Ends with a line break.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme).with_width(100).with_context_lines(1);
        let mut out = String::new();
        for problem in &self.list {
            let shown = Shown { problem, source: NamedSource::new(&self.file, self.source.clone()) };
            // Writing to a String can not fail.
            let _ = handler.render_report(&mut out, &shown);
        }
        out
    }

    /// The problems as data, with lines and columns.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let list = self.list.iter().map(|problem| {
            let (line, column) = self.place(problem).unzip();
            serde_json::json!({
                "severity": problem.severity, "path": problem.path, "line": line, "column": column,
                "text": problem.text, "help": problem.help,
            })
        });
        serde_json::json!({ "file": self.file, "problems": list.collect::<Vec<_>>() })
    }

    /// Line and column of a problem, both counted from one, columns in characters.
    fn place(&self, problem: &Problem) -> Option<(usize, usize)> {
        let before = self.source.get(..problem.span.as_ref()?.start)?;
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Some((before.matches('\n').count() + 1, before[line_start..].chars().count() + 1))
    }
}

impl fmt::Display for Problems {
    /// One line for each problem, as compilers write them: for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&self.file)?;
            if let Some((line, column)) = self.place(problem) {
                write!(f, ":{line}:{column}")?;
            }
            if problem.severity == Severity::Warning {
                f.write_str(": warning")?;
            }
            if !problem.path.is_empty() {
                write!(f, ": {}", problem.path)?;
            }
            write!(f, ": {}", problem.text)?;
            if !problem.help.is_empty() {
                write!(f, " ({})", problem.help)?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// One problem beside its source, in the form miette draws.
#[derive(Debug)]
struct Shown<'a> {
    problem: &'a Problem,
    source: NamedSource<String>,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problem.path.as_str() {
            "" => f.write_str(&self.problem.text),
            path => write!(f, "{path}: {}", self.problem.text),
        }
    }
}

impl std::error::Error for Shown<'_> {}

impl miette::Diagnostic for Shown<'_> {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.problem.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        (!self.problem.help.is_empty()).then(|| Box::new(&self.problem.help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.problem.span.as_ref().map(|_| &self.source as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.problem.span.clone()?;
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(Some("here".into()), span))))
    }
}
