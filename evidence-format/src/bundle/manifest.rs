//! The manifest: which files there are, and the one signature over all of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::MANIFEST;
use crate::entry::{GOVERNED, UNGOVERNED};
use crate::note::Note;
use crate::tree::sha256;
use crate::{FormatError, report::Finding};

/// What is to be signed.
pub(super) fn unsigned(
    reset: &str,
    governance: &str,
    files: &BTreeMap<String, Vec<u8>>,
) -> Result<String, FormatError> {
    if reset.is_empty() || reset.chars().any(char::is_control) {
        return Err(FormatError::Field { field: "reset", why: "it is empty or has a control character" });
    }
    Ok(text(reset, governance, files))
}

/// The reset that a manifest is of, and its governance; its files are compared by [`compare`].
pub(super) fn reset_of<'a>(note: &Note<'a>) -> Result<(&'a str, &'a str), FormatError> {
    let mut lines = note.text.lines();
    if lines.next() != Some(FORMAT) {
        return Err(FormatError::NotUnderstood { what: "the version of the bundle".to_owned() });
    }
    let reset = lines.next().and_then(|line| line.strip_prefix("reset ")).filter(|reset| !reset.is_empty());
    let governance = lines.next().and_then(|line| line.strip_prefix("governance "));
    match (reset, governance) {
        (Some(reset), Some(governance @ (UNGOVERNED | GOVERNED))) => Ok((reset, governance)),
        (Some(_), Some(_)) => Err(FormatError::NotUnderstood { what: "the governance of the bundle".to_owned() }),
        _ => Err(FormatError::Malformed { what: "manifest", why: "it does not name its reset and governance" }),
    }
}

/// What differs between the manifest and the files that are there. Nothing is found only where both agree in every byte.
pub(super) fn compare(
    (reset, governance): (&str, &str),
    found: &str,
    files: &BTreeMap<String, Vec<u8>>,
) -> Vec<Finding> {
    let expected = text(reset, governance, files);
    if found == expected {
        return Vec::new();
    }
    let mut findings: Vec<Finding> = Vec::new();
    for (name, bytes) in listed(files) {
        let listed = found.lines().any(|line| line.strip_suffix(name.as_str()).is_some_and(|rest| rest.ends_with(' ')));
        let (sum, length) = lines_of(name, bytes);
        if !listed {
            findings.push(Finding::broken(name, "the manifest does not list it"));
        } else if !found.lines().any(|line| line == sum) || !found.lines().any(|line| line == length) {
            findings.push(Finding::broken(name, "it is not the file that the manifest was signed over"));
        }
    }
    for line in found.lines().skip(3) {
        let Some((_, name)) = line.rsplit_once(' ') else { continue };
        if !files.contains_key(name) && !findings.iter().any(|finding| finding.place == name) {
            findings.push(Finding::broken(name, "the manifest lists it and it is not there"));
        }
    }
    if findings.is_empty() {
        findings.push(Finding::broken(MANIFEST, "it is not the one form of a manifest"));
    }
    findings
}

fn text(reset: &str, governance: &str, files: &BTreeMap<String, Vec<u8>>) -> String {
    let mut text = format!("{FORMAT}\nreset {reset}\ngovernance {governance}\n");
    let mut lengths = String::new();
    for (name, bytes) in listed(files) {
        let (sum, length) = lines_of(name, bytes);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{sum}");
        let _ = writeln!(lengths, "{length}");
    }
    text + &lengths
}

/// As `sha256sum` and `wc -c` print them.
fn lines_of(name: &str, bytes: &[u8]) -> (String, String) {
    (format!("{}  {name}", sha256(bytes)), format!("{} {name}", bytes.len()))
}

fn listed(files: &BTreeMap<String, Vec<u8>>) -> impl Iterator<Item = (&String, &Vec<u8>)> {
    files.iter().filter(|(name, _)| *name != MANIFEST)
}

const FORMAT: &str = "remint.dev/bundle/v1";
