//! What the program says: results on standard output, everything else on standard error. Colour only on
//! terminals. A reader that goes away (`| head`) ends the output, not the program.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use comfy_table::TableComponent::{
    HorizontalLines, LeftBorderIntersections, MiddleIntersections, RightBorderIntersections,
};
use comfy_table::{Attribute, Cell, ContentArrangement, Table, presets};
use serde::Serialize;

use super::failure::Failure;

/// Writes a result as it is.
pub(super) fn text(text: impl Display) {
    // A closed pipe is the reader's choice.
    let _ = write!(io::stdout().lock(), "{text}");
}

/// Writes one line of a result.
pub(super) fn line(text: impl Display) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// Writes a result for programs: indented on a terminal, one line elsewhere.
pub(super) fn json(value: &impl Serialize) {
    let json =
        if io::stdout().is_terminal() { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    line(json.unwrap_or_default());
}

/// Writes a remark for people.
pub(super) fn note(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Writes why the program stops.
pub(super) fn failure(failure: &Failure) {
    let (red, cyan, plain) = if colour(&io::stderr()) { ("\x1b[1;31m", "\x1b[36m", "\x1b[0m") } else { ("", "", "") };
    note(format_args!("{red}error{plain}: {}", failure.text()));
    if !failure.remedy().is_empty() {
        note(format_args!("{cyan}  help{plain}: {}", failure.remedy()));
    }
}

/// Whether to colour what goes to `stream`.
pub(super) fn colour(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// How narrow a table gets, in columns.
const NARROWEST: u16 = 60;

/// A table for people, as wide as the terminal at most.
pub(super) struct Listing(Table);

impl Listing {
    /// An empty one with these headings.
    pub(super) fn new(headings: &[&str]) -> Self {
        let mut table = Table::new();
        let style = if io::stdout().is_terminal() { presets::UTF8_HORIZONTAL_ONLY } else { presets::NOTHING };
        table.load_preset(style).set_content_arrangement(ContentArrangement::Dynamic);
        // A rule under the headings is enough: one under every row doubles the length.
        for rule in [HorizontalLines, LeftBorderIntersections, MiddleIntersections, RightBorderIntersections] {
            table.remove_style(rule);
        }
        // Terminals that nobody told their size say that they have no columns.
        if table.width().is_some_and(|columns| columns < NARROWEST) {
            table.set_width(NARROWEST);
        }
        let bold = colour(&io::stdout());
        table.set_header(headings.iter().map(|heading| {
            let cell = Cell::new(heading);
            if bold { cell.add_attribute(Attribute::Bold) } else { cell }
        }));
        Self(table)
    }

    /// Adds a row.
    pub(super) fn row<T: Display>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.0.add_row(cells.into_iter().map(|cell| shown(&cell.to_string())).collect::<Vec<_>>());
    }

    /// Writes it; `nothing` instead of an empty one.
    pub(super) fn print(&self, nothing: &str) {
        if self.0.is_empty() {
            note(nothing);
        } else {
            self.0.lines().for_each(|row| line(row.trim_end()));
        }
    }
}

/// A text from outside, without what could steer the terminal.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_from_outside_can_not_steer_the_terminal() {
        assert_eq!(shown("a\x1b[31mb\nc"), "a\u{fffd}[31mb\nc");
    }
}
