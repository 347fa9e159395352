//! The edges of the machine's drawing, and which of them no run of the engine takes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// (from, event, to), in the words of the drawing.
pub(crate) type Edge = (String, String, String);

/// Every edge of the drawing, and why no simulated run takes it; `None`: one does, and every kind of fault has to meet it.
pub(crate) static EDGES: LazyLock<BTreeMap<Edge, Option<&'static str>>> = LazyLock::new(|| {
    let engine = engine();
    drawing().into_iter().map(|edge| (edge.clone(), untaken(&edge, &engine))).collect()
});

/// The edges of the drawing on top of the machine.
fn drawing() -> BTreeSet<Edge> {
    include_str!("../../../../core/src/machine.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//! "))
        .filter(|line| line.contains("--") && line.contains("-> "))
        .filter_map(|line| {
            let (from, rest) = line.split_once("--")?;
            let (event, rest) = rest.split_once("> ")?;
            let to = rest.split_whitespace().next()?;
            Some((from.trim().to_owned(), event.trim_end_matches('-').to_owned(), to.to_owned()))
        })
        .collect()
}

/// What the engine never says is read from its own files, so that an edge which it begins to take has to be covered.
fn untaken((from, event, _): &Edge, engine: &str) -> Option<&'static str> {
    let says = |event: &str| engine.contains(&format!("Event::{}", camel(event)));
    match (from.as_str(), event.as_str()) {
        _ if !says(event) => Some("no file of the engine says this event"),
        ("rolled-back", _) if !says("rolled-back") => Some("no file of the engine rolls back"),
        ("waiting", "drifted") => {
            Some("the engine compares a plan with the active estate before it starts, and not later")
        }
        ("dark", "superseded") => Some("what is dark is contained, and nothing is more urgent"),
        (_, "recovered") => Some("no store of the simulation is older than its world"),
        _ => None,
    }
}

/// `found-done` as the code writes it.
fn camel(event: &str) -> String {
    event.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

/// All of the engine's code, without its tests.
fn engine() -> String {
    let mut text = String::new();
    let mut folders = vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/engine"))];
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<PathBuf> =
            std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension() == Some(Path::new("rs").as_os_str()) {
                let code = std::fs::read_to_string(&path).unwrap();
                text.push_str(code.split("#[cfg(test)]").next().unwrap_or_default());
            }
        }
    }
    text
}
