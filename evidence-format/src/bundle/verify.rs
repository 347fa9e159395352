//! What holds of a bundle: signature, files, entries, places in the tree, completeness. Each check says what it found
//! and, only when it found nothing, what holds.

use std::collections::BTreeMap;

use super::{
    APPROVALS, CHECKPOINT, COMPLETENESS, CONSISTENCY, ENTRIES, EXCEPTIONS, MANIFEST, PERSONS, PROOFS, Trust, approvals,
    consistency, link_name, manifest, observed, plans, proof,
};
use crate::checkpoint::Checkpoint;
use crate::cosignature::Quorum;
use crate::entry::{self, DOMAIN, MAX_SIZE};
use crate::ledger::Ledger;
use crate::note::{Note, VerifierKey};
use crate::person;
use crate::report::{Finding, Report};
use crate::succession::{self, Followed};
use crate::tree::{Hash, verify_inclusion};
use crate::{FormatError, hex};

type Files = BTreeMap<String, Vec<u8>>;

pub(super) fn verify(files: &Files, trust: &Trust) -> Report {
    let mut report = Report::new();
    if !check_names(files, &mut report) {
        return report.close();
    }
    let followed = check_keys(files, trust.key.as_ref(), &mut report);
    let key = followed.as_ref();
    let Some((reset, governance)) = check_manifest(files, key, &mut report) else { return report.close() };
    report.reset = Some(reset.clone());
    let checkpoint = check_checkpoint(files, key, &mut report);
    check_witnesses(files, trust.witnesses.as_ref(), &mut report);
    let (ledger, leaves) = check_entries(files, &reset, &mut report);
    if let Some(checkpoint) = checkpoint {
        check_places(files, &leaves, &checkpoint, &mut report);
        consistency::check(bytes(files, CONSISTENCY), trust.seen.as_ref(), &checkpoint, &mut report);
    }
    if let Some(ledger) = ledger {
        plans::check(files, &ledger, &mut report);
        check_completeness(files, &ledger, &mut report);
        if governance != ledger.governance() {
            report.find(Finding::broken(
                MANIFEST,
                format!("it says {governance}, and the entries {}", ledger.governance()),
            ));
        }
        let signed = approvals::read(files, &mut report);
        // What a broken bundle says of itself is not told on.
        if report.integrity {
            approvals::check(files, &ledger, &signed, &trust.persons, &mut report);
            report.tell(&ledger);
            observed::check(&ledger, &trust.probers, &mut report);
        }
    }
    check_persons(files, &mut report);
    report.close()
}

fn check_names(files: &Files, report: &mut Report) -> bool {
    for name in NAMES {
        if !files.contains_key(name) {
            report.find(Finding::broken(name, "it is missing"));
        }
    }
    for name in files.keys().filter(|name| !NAMES.contains(&name.as_str()) && !plans::is_plan(name)) {
        if link_number(name).is_none_or(|number| number > links(files).len()) {
            report.find(Finding::broken(name, "it is not a file of a bundle"));
        }
    }
    report.integrity
}

/// The key that signs, which the one that was given leads to.
fn check_keys(files: &Files, given: Option<&VerifierKey>, report: &mut Report) -> Option<VerifierKey> {
    let given = given?;
    match follow(files, given) {
        Ok(followed) => {
            if !followed.checkpoints.is_empty() {
                let links = followed.checkpoints.len();
                report.hold(format!("The key that was given leads to the one that signs, link by link: {links}."));
            }
            Some(followed.key)
        }
        Err(error) => {
            report.find(Finding::broken(&link_name(1), error));
            Some(given.clone())
        }
    }
}

/// Where the links lead from a key.
pub(super) fn follow(files: &Files, key: &VerifierKey) -> Result<Followed, FormatError> {
    succession::follow(key, links(files))
}

/// The links between keys, numbered from 1 without a gap.
fn links(files: &Files) -> Vec<&[u8]> {
    (1..).map_while(|number| files.get(&link_name(number)).map(Vec::as_slice)).collect()
}

fn link_number(name: &str) -> Option<usize> {
    let number = name.strip_prefix("key-")?.strip_suffix(".tlog-proof")?.parse().ok()?;
    (number > 0 && link_name(number) == name).then_some(number)
}

fn check_manifest(files: &Files, key: Option<&VerifierKey>, report: &mut Report) -> Option<(String, String)> {
    let note = match Note::parse(bytes(files, MANIFEST)) {
        Ok(note) => note,
        Err(error) => return report.broken(MANIFEST, &error),
    };
    let (reset, governance) = match manifest::reset_of(&note) {
        Ok(named) => named,
        Err(error) => return report.broken(MANIFEST, &error),
    };
    let differences = manifest::compare((reset, governance), note.text, files);
    if differences.is_empty() {
        report.hold(format!(
            "Every file is the one that the manifest lists: {} files, none changed, missing or added.",
            files.len() - 1
        ));
    }
    for finding in differences {
        report.find(finding);
    }
    // A second signature would be bytes that nobody here can vouch for.
    if note.signatures.len() != 1 {
        report.find(Finding::broken(MANIFEST, "it must have exactly one signature"));
    }
    match key {
        Some(key) => match note.verify(key) {
            Ok(()) => {
                report.origin = true;
                report.hold(format!("The manifest is signed by {} (key {}).", key.name(), hex::encode(&key.id())));
            }
            Err(error) => report.find(Finding::broken(MANIFEST, error)),
        },
        None => report
            .find(Finding::origin("the key", "no key was given, so nobody knows who wrote this bundle; pass --key")),
    }
    Some((reset.to_owned(), governance.to_owned()))
}

fn check_checkpoint(files: &Files, key: Option<&VerifierKey>, report: &mut Report) -> Option<Checkpoint> {
    let signed = bytes(files, CHECKPOINT);
    let opened = match key {
        Some(key) => Checkpoint::open(signed, key),
        None => Note::parse(signed).and_then(|note| Checkpoint::parse(note.text)),
    };
    match opened {
        Ok(checkpoint) => {
            if key.is_some() {
                report.hold(format!("The checkpoint of the log, over {} entries, has its signature.", checkpoint.size));
            }
            Some(checkpoint)
        }
        Err(error) => report.broken(CHECKPOINT, &error),
    }
}

/// Whoever gave no quorum is told that there is something to ask for, or that nobody else saw this log.
fn check_witnesses(files: &Files, quorum: Option<&Quorum>, report: &mut Report) {
    // A checkpoint that is no note was found out before.
    let Ok(note) = Note::parse(bytes(files, CHECKPOINT)) else { return };
    let Some(quorum) = quorum else {
        return report.limit(match note.signatures.len() {
            0 | 1 => {
                "No witness signed the checkpoint: whoever holds the key could show another log to somebody else.".to_owned()
            }
            more => format!(
                "{} more signatures stand under the checkpoint; nobody asked whether they are those of witnesses: pass --witness.",
                more - 1
            ),
        });
    };
    match quorum.check(&note) {
        Err(error) => report.find(Finding::broken(CHECKPOINT, error)),
        Ok(seen) if seen.holds() => report.hold(seen.sentence()),
        Ok(seen) => report.find(Finding::unwitnessed(seen.sentence())),
    }
}

/// Reads the entries as far as each follows the one before, and hashes all of them.
fn check_entries(files: &Files, reset: &str, report: &mut Report) -> (Option<Ledger>, Vec<Hash>) {
    let Some(lines) = lines(files, ENTRIES, report) else { return (None, Vec::new()) };
    let mut ledger = Some(Ledger::new(reset));
    let mut leaves = Vec::new();
    for (place, line) in lines.enumerate() {
        let hash = entry::hash(&[DOMAIN, line].concat().into_bytes());
        leaves.push(hash);
        let read = if line.len() + DOMAIN.len() > MAX_SIZE {
            Err(FormatError::TooLarge { what: "the entry", limit: MAX_SIZE })
        } else {
            entry::parse_json(line)
        };
        let entry = match read {
            Ok(entry) => entry,
            Err(error) => {
                report.find(Finding::broken(&at_line(ENTRIES, place), error));
                ledger = None;
                continue;
            }
        };
        if let Some(Err(error)) = ledger.as_mut().map(|ledger| ledger.read(&entry, hash)) {
            report.find(Finding::broken(&at_line(ENTRIES, place), error));
            ledger = None;
        }
    }
    if leaves.is_empty() {
        report.find(Finding::broken(ENTRIES, "there is no entry in it"));
        return (None, leaves);
    }
    if let Some(ledger) = &ledger {
        report.hold(format!(
            "{} entries, numbered from 1 without a gap, each with the hash of the one before.",
            ledger.count()
        ));
    }
    (ledger, leaves)
}

fn check_places(files: &Files, leaves: &[Hash], checkpoint: &Checkpoint, report: &mut Report) {
    let Some(lines) = lines(files, PROOFS, report) else { return };
    let lines: Vec<&str> = lines.collect();
    if lines.len() != leaves.len() {
        return report
            .find(Finding::broken(PROOFS, format!("it has {} proofs for {} entries", lines.len(), leaves.len())));
    }
    let mut after = None;
    let mut all = true;
    for (at, (line, leaf)) in lines.into_iter().zip(leaves).enumerate() {
        let wrong = match proof::parse(line) {
            Err(error) => Some(error.to_string()),
            Ok(place) if usize::try_from(place.number) != Ok(at + 1) => Some("its number is another".to_owned()),
            Ok(place) if after.is_some_and(|after| place.index <= after) => {
                Some("its entry lies before the one that it follows".to_owned())
            }
            Ok(place) => {
                after = Some(place.index);
                let included = verify_inclusion(*leaf, place.index, checkpoint.size, &place.path, checkpoint.root);
                (!included).then(|| "it does not lead from its entry to the root of the checkpoint".to_owned())
            }
        };
        if let Some(what) = wrong {
            all = false;
            report.find(Finding::broken(&at_line(PROOFS, at), what));
        }
    }
    if all {
        report.hold("Every entry is in the tree of the checkpoint, at its own place and in order.".to_owned());
    }
}

/// The statement follows from the entries alone, so it is made anew and compared.
fn check_completeness(files: &Files, ledger: &Ledger, report: &mut Report) {
    let expected = match ledger.completeness() {
        Ok(expected) => expected,
        Err(error) => return report.find(Finding::broken(COMPLETENESS, error)),
    };
    let found = bytes(files, COMPLETENESS);
    if found == expected.as_bytes() {
        return report.hold("The completeness statement is what the entries add up to.".to_owned());
    }
    let same = expected.as_bytes().split(|byte| *byte == b'\n').zip(found.split(|byte| *byte == b'\n'));
    let line = same.take_while(|(expected, found)| expected == found).count();
    report.find(Finding::broken(&at_line(COMPLETENESS, line), "it does not say what the entries add up to"));
}

/// Every name fits its commitment, and every commitment stands in an entry; then the words of the report have the names.
fn check_persons(files: &Files, report: &mut Report) {
    let names = match person::read(bytes(files, PERSONS)) {
        Ok(names) => names,
        Err(error) => return report.find(Finding::broken(PERSONS, error)),
    };
    let entries = String::from_utf8_lossy(bytes(files, ENTRIES));
    if names.keys().any(|commitment| !entries.contains(&format!("\"{commitment}\""))) {
        return report.find(Finding::broken(PERSONS, "it names somebody of whom no entry tells"));
    }
    if !names.is_empty() {
        report.hold(format!("{} names are disclosed, and fit what the entries commit to.", names.len()));
    }
    report.tell_names(&names);
}

/// The lines of a file in which every line is ended and none is empty.
fn lines<'a>(files: &'a Files, name: &str, report: &mut Report) -> Option<std::str::Split<'a, char>> {
    let Ok(text) = std::str::from_utf8(bytes(files, name)) else {
        return report.broken(name, &"it is not UTF-8");
    };
    match text.strip_suffix('\n') {
        Some(text) => Some(text.split('\n')),
        None => report.broken(name, &"its last line has no end"),
    }
}

fn bytes<'a>(files: &'a Files, name: &str) -> &'a [u8] {
    files.get(name).map_or(&[], Vec::as_slice)
}

fn at_line(name: &str, place: usize) -> String {
    format!("{name} line {}", place + 1)
}

/// The files that every bundle has; plans come on top.
const NAMES: [&str; 9] =
    [APPROVALS, CHECKPOINT, COMPLETENESS, CONSISTENCY, ENTRIES, EXCEPTIONS, MANIFEST, PERSONS, PROOFS];
