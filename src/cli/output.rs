//! Printing: data to stdout, words to stderr. Nothing else in the crate prints.

use std::io::{IsTerminal as _, Write as _};

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, LineStyle, Table};
use serde::Serialize;

use crate::cli::exit::Failure;
use crate::terminal::columns;

/// Writes data as it is.
pub(crate) fn data(text: &str) {
    let mut out = std::io::stdout().lock();
    // Whoever closed the pipe has seen enough.
    let _ = out.write_all(text.as_bytes());
    if !text.ends_with('\n') {
        let _ = out.write_all(b"\n");
    }
    let _ = out.flush();
}

/// Writes data as JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::new(super::Exit::Failed, error))?;
    data(&text);
    Ok(())
}

/// Says something to a person.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// A number and what it counts, as a sentence.
pub(crate) fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}.", if count == 1 { one } else { many })
}

/// The last words of a run.
pub(crate) fn next(text: &str) {
    say(&format!("\nWhat to do now: {text}"));
}

/// An error and its causes, once, at the edge.
pub fn complain(error: &(dyn std::error::Error + 'static)) {
    let mut text = format!("remint: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str("\n  because ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    say(&text);
}

/// A table that fits the terminal: a rule under the header, and none between rows, so that a long list stays a list.
#[must_use]
pub(crate) fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table
        .load_style(NOTHING.header_separator(LineStyle::none().fill('─').junction('─')))
        .set_content_arrangement(ContentArrangement::Dynamic);
    if let Some(columns) = columns(&std::io::stdout()) {
        table.set_width(columns);
    }
    table.set_header(header);
    for row in rows {
        table.add_row(row);
    }
    table.trim_fmt()
}

/// True when a person watches.
#[must_use]
pub(crate) fn watched() -> bool {
    std::io::stderr().is_terminal()
}
