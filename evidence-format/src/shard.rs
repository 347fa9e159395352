//! One year of a log, by itself.
//!
//! The tree goes on for ever, so that every proof that was ever given stays good; a year of it is the entries between two
//! closing checkpoints. Its last entry is [`CLOSED`], and the closing checkpoint ends exactly there. Who has the checkpoint
//! that closed the year before, the right edge of the tree at that place and the entries of the year can verify the year
//! without those before it, which may lie in an archive (what c2sp.org/tlog-tiles calls pruning).

use serde_json::{Map, Value};

use crate::FormatError;
use crate::checkpoint::Checkpoint;
use crate::entry;
use crate::tree::{Frontier, Hash};

/// The kind of the last entry of a year: `year`, and the place `from` of its first entry.
pub const CLOSED: &str = "log.year-closed";

/// The body of the closing entry.
pub fn body(year: i64, from: u64) -> Map<String, Value> {
    Map::from_iter([("from".to_owned(), Value::from(from)), ("year".to_owned(), Value::from(year))])
}

/// The year that an entry closes, and the place of the first entry of that year.
pub fn closing(bytes: &[u8]) -> Result<(i64, u64), FormatError> {
    let entry = entry::parse(bytes)?;
    if entry.kind != CLOSED {
        return Err(FormatError::Field { field: "kind", why: "it is not the entry that closes a year" });
    }
    let body = entry.body()?;
    let wrong = |field| FormatError::Field { field, why: "this kind of entry must have it" };
    let year = body.get("year").and_then(Value::as_i64).ok_or_else(|| wrong("year"))?;
    Ok((year, body.get("from").and_then(Value::as_u64).ok_or_else(|| wrong("from"))?))
}

/// Checks the entries of one year against the checkpoints that close it and the year before (`None` for the first), whose
/// signatures are the caller's to check. `edge` are the roots of the perfect subtrees before the year, the largest first.
/// Gives the year.
pub fn verify<'b>(
    before: Option<&Checkpoint>,
    edge: Vec<Hash>,
    closed: &Checkpoint,
    entries: impl IntoIterator<Item = &'b [u8]>,
) -> Result<i64, FormatError> {
    let wrong = |why| FormatError::Malformed { what: "year of a log", why };
    let from = before.map_or(0, |before| before.size);
    let mut tree = Frontier::from_peaks(from, edge).ok_or(wrong("its left edge is of another size"))?;
    if before.is_some_and(|before| before.root != tree.root()) {
        return Err(wrong("its left edge is not that of the checkpoint before"));
    }
    if before.is_some_and(|before| before.origin != closed.origin) {
        return Err(wrong("its two checkpoints are of different logs"));
    }
    let mut last = None;
    for bytes in entries {
        tree.append(entry::hash(bytes));
        last = Some(bytes);
    }
    if tree.size() != closed.size {
        return Err(wrong("it has more or fewer entries than lie between its checkpoints"));
    }
    if tree.root() != closed.root {
        return Err(wrong("its entries do not give the root that was signed"));
    }
    let (year, first) = closing(last.ok_or(wrong("it is empty"))?)?;
    if first == from { Ok(year) } else { Err(wrong("it does not begin where its closing entry says")) }
}
