//! `consistency.jsonl`: that earlier checkpoints of the log are the beginning of this one. One line each, smallest first:
//! `{"path":["…"],"root":"…","size":7}`, canonical; an empty file has none.

use std::fmt::Write as _;

use super::Earlier;
use crate::FormatError;
use crate::canonical::Scanner;
use crate::checkpoint::Checkpoint;
use crate::report::{Finding, Report};
use crate::tree::{Hash, verify_consistency};

pub(super) fn write(earlier: &[Earlier]) -> Vec<u8> {
    let mut sorted: Vec<&Earlier> = earlier.iter().collect();
    sorted.sort_by_key(|one| one.size);
    sorted.dedup_by_key(|one| one.size);
    let mut out = String::new();
    for one in sorted {
        let path: Vec<String> = one.path.iter().map(|hash| format!("\"{hash}\"")).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{{\"path\":[{}],\"root\":\"{}\",\"size\":{}}}", path.join(","), one.root, one.size);
    }
    out.into_bytes()
}

/// Checks every line, and what was seen before against them.
pub(super) fn check(bytes: &[u8], seen: Option<&Checkpoint>, now: &Checkpoint, report: &mut Report) {
    let Some(earlier) = read(bytes, now, report) else { return };
    let Some(seen) = seen else { return };
    if seen.origin != now.origin {
        let what = format!("it is of the log {}, and the bundle of {}", seen.origin, now.origin);
        return report.find(Finding::origin(SEEN, what));
    }
    let known = if seen.size == now.size { Some(now.root) } else { root_of(&earlier, seen.size) };
    match known {
        Some(root) if root == seen.root => report.hold(format!(
            "The log goes on from the checkpoint that you saw, over {} entries: nothing of it was changed or taken away.",
            seen.size
        )),
        Some(_) => report.find(Finding::broken(
            super::CHECKPOINT,
            format!(
                "FORK: the log had another root at {} entries when you saw it; somebody is shown another log than you",
                seen.size
            ),
        )),
        None if seen.size > now.size => report.find(Finding::broken(
            super::CHECKPOINT,
            format!(
                "it is older than what you saw: it ends at entry {}, and you saw {}; ask for the bundle anew",
                now.size, seen.size
            ),
        )),
        None => report.find(Finding::origin(
            SEEN,
            format!(
                "the bundle has no proof from {} entries on; ask for it: remint evidence export --seen CHECKPOINT",
                seen.size
            ),
        )),
    }
}

fn read(bytes: &[u8], now: &Checkpoint, report: &mut Report) -> Option<Vec<Earlier>> {
    let Ok(text) = std::str::from_utf8(bytes) else { return report.broken(NAME, &"it is not UTF-8") };
    let mut earlier: Vec<Earlier> = Vec::new();
    let mut whole = true;
    for (place, line) in text.split_inclusive('\n').enumerate() {
        let wrong = match line.strip_suffix('\n').map(parse) {
            None => Some("it has no end".to_owned()),
            Some(Err(error)) => Some(error.to_string()),
            Some(Ok(one)) if earlier.last().is_some_and(|last| last.size >= one.size) => {
                Some("it does not follow the one before".to_owned())
            }
            Some(Ok(one)) => {
                let holds = verify_consistency(one.size, one.root, now.size, now.root, &one.path);
                earlier.push(one);
                (!holds).then(|| "it does not lead to the root of the checkpoint".to_owned())
            }
        };
        if let Some(what) = wrong {
            whole = false;
            report.find(Finding::broken(&format!("{NAME} line {}", place + 1), what));
        }
    }
    whole.then_some(earlier)
}

fn parse(line: &str) -> Result<Earlier, FormatError> {
    let malformed = |why| FormatError::Malformed { what: "consistency proof", why };
    let hash = |text: &str| Hash::from_hex(text).ok_or(malformed("a hash is not one"));
    let (mut path, mut root, mut size) = (None, None, None);
    let mut scanner = Scanner::new(line);
    scanner.object(1, |scanner, key| {
        match key.as_ref() {
            "path" => {
                let mut hashes = Vec::new();
                scanner.array(2, |scanner| {
                    hashes.push(hash(&scanner.string()?)?);
                    // A tree of 2^64 entries has no longer one.
                    if hashes.len() > 65 { Err(malformed("it is too long")) } else { Ok(()) }
                })?;
                path = Some(hashes);
            }
            "root" => root = Some(hash(&scanner.string()?)?),
            "size" => size = u64::try_from(scanner.integer()?).ok(),
            _ => return Err(FormatError::NotUnderstood { what: "a field of the consistency proof".to_owned() }),
        }
        Ok(())
    })?;
    scanner.end()?;
    match (path, root, size) {
        (Some(path), Some(root), Some(size)) => Ok(Earlier { size, root, path }),
        _ => Err(malformed("it must have path, root and size")),
    }
}

fn root_of(earlier: &[Earlier], size: u64) -> Option<Hash> {
    earlier.iter().find(|one| one.size == size).map(|one| one.root)
}

const NAME: &str = super::CONSISTENCY;
const SEEN: &str = "the checkpoint you saw";
