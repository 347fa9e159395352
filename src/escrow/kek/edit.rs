//! Changing a key file: a generation more, a recipient more, a generation less.
//!
//! Guarantees: the file is there in full before and after, in whatever moment the machine stops; lines that are not
//! touched stay as they are, comments too. What is replaced is overwritten before it is let go, as far as the disk
//! overwrites in place.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::super::recovery::RecoveryKey;
use super::{FORMAT, Fresh, KEY, Keeping, Kek, KekError, LARGEST, parent, push, write_new};
use crate::escrow::Randomness;

/// Adds a generation that is newer than every other and than `above`; gives its number.
///
/// # Errors
/// The key is not in a file of its own, or that cannot be written.
pub fn add_generation(path: &Path, kek: &Kek, above: u64, key: &Fresh) -> Result<u64, KekError> {
    let number = kek.generations().max().unwrap_or(0).max(above) + 1;
    let how = format!("add a file generation-{number} there (32 random bytes in base64), then: remint keys rewrap");
    let path = own(path, how)?;
    change(path, |text| key.push(text, &format!("generation {number} ")))?;
    Ok(number)
}

/// Makes a recovery key file, or takes the one that is there; gives its public half. It opens everything alone, so it has
/// the key of the fingerprints too.
///
/// # Errors
/// The file cannot be made, or is no recovery key file.
pub fn recovery_file(path: &Path, kek: &Kek, state: &Path, randomness: &dyn Randomness) -> Result<String, KekError> {
    let mut key = Zeroizing::new([0_u8; KEY]);
    randomness.fill(key.as_mut()).map_err(KekError::Randomness)?;
    let failed = |source| KekError::Io { verb: "make", path: path.to_owned(), source };
    super::keeping::refuse_inside(path, &super::keeping::real(parent(path)).map_err(failed)?, state)?;
    let mut text = Zeroizing::new(String::with_capacity(LARGEST));
    text.push_str(FORMAT);
    text.push_str("\n# a recovery key: keep it away from the machine that it is for");
    push(&mut text, "\nfingerprint ", &kek.fingerprint_bytes);
    push(&mut text, "\nrecovery ", &key);
    text.push('\n');
    if write_new(path, &text)? {
        let wrong = |()| KekError::Format { path: path.to_owned(), line: 4, why: "it is no recovery key" };
        let public = RecoveryKey::new(&key).ok_or(()).map_err(wrong)?;
        return Ok(STANDARD.encode(public.recipient().public()));
    }
    let there = Kek::load(path, state, false)?;
    let wrong = KekError::Format { path: path.to_owned(), line: 1, why: "there is no `recovery` line" };
    there.recovery.first().map(|key| STANDARD.encode(key.recipient().public())).ok_or(wrong)
}

/// Has everything wrapped for this recovery key too, from now on. False when it was so already.
///
/// # Errors
/// The key is not in a file of its own, or that cannot be written.
pub fn add_recipient(path: &Path, kek: &Kek, public: &str) -> Result<bool, KekError> {
    if kek.recoveries().iter().any(|(known, _)| known == public) {
        return Ok(false);
    }
    let path = own(path, format!("add a file recipient-1 there with {public}, then: remint keys rewrap"))?;
    change(path, |text| {
        text.push_str("recipient ");
        text.push_str(public);
    })?;
    Ok(true)
}

/// Whether a generation may be deleted.
///
/// # Errors
/// It is the newest or not there; the key is not in a file of its own.
pub fn check_removal(path: &Path, kek: &Kek, generation: u64) -> Result<(), KekError> {
    if kek.generation(generation).is_none() {
        return Err(KekError::NoGeneration { kept: Keeping::of(path), generation });
    }
    if kek.newest().is_some_and(|(newest, _)| newest == generation) {
        return Err(KekError::Newest(generation));
    }
    own(path, format!("remove generation-{generation} where it comes from")).map(drop)
}

/// Deletes a generation: what is sealed under it and no recovery key cannot be opened any more, by anybody.
///
/// # Errors
/// As [`check_removal`], and when the file cannot be written.
pub fn remove_generation(path: &Path, kek: &Kek, generation: u64) -> Result<(), KekError> {
    check_removal(path, kek, generation)?;
    let other = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        words.next() != Some("generation") || words.next().and_then(|word| word.parse().ok()) != Some(generation)
    };
    rewrite(path, |_| None, other, |_| {})
}

/// Writes keys that stood there in the clear as a service wrapped them.
///
/// # Errors
/// The key is not in a file of its own, or that cannot be written.
pub fn wrap(path: &Path, wrapped: &[(Zeroizing<String>, String)]) -> Result<(), KekError> {
    let path = own(path, "put the wrapped keys there where it comes from".to_owned())?;
    rewrite(
        path,
        |line| {
            let (name, key) = line.rsplit_once(' ')?;
            let word = &wrapped.iter().find(|(plain, _)| plain.as_str() == key)?.1;
            Some(format!("{name} {word}"))
        },
        |_| true,
        |_| {},
    )
}

/// A file that is ours to change.
fn own(path: &Path, what: String) -> Result<&Path, KekError> {
    match Keeping::of(path) {
        Keeping::File(_) => Ok(path),
        kept => Err(KekError::Fixed { kept, what }),
    }
}

/// Adds a line.
fn change(path: &Path, add: impl FnOnce(&mut String)) -> Result<(), KekError> {
    rewrite(
        path,
        |_| None,
        |_| true,
        |text| {
            add(text);
            text.push('\n');
        },
    )
}

/// Writes the lines that are kept, some of them as others, and what is added under another name, puts that in place, and
/// wipes what was there.
fn rewrite(
    path: &Path,
    other: impl Fn(&str) -> Option<String>,
    keep: impl Fn(&str) -> bool,
    add: impl FnOnce(&mut String),
) -> Result<(), KekError> {
    let failed = |source| KekError::Io { verb: "change", path: path.to_owned(), source };
    // A link stays a link.
    let path = path.canonicalize().map_err(failed)?;
    let before = Zeroizing::new(std::fs::read_to_string(&path).map_err(failed)?);
    let mut text = Zeroizing::new(String::with_capacity(LARGEST.max(before.len() * 4 + 1024)));
    for line in before.lines().filter(|line| keep(line)) {
        match other(line) {
            Some(other) => text.push_str(&other),
            None => text.push_str(line),
        }
        text.push('\n');
    }
    add(&mut text);
    replace(&path, &text, before.len()).map_err(failed)
}

fn replace(path: &Path, text: &str, length: usize) -> io::Result<()> {
    let mut old = OpenOptions::new().write(true).open(path)?;
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&draft, path)?;
    File::open(parent(path))?.sync_all()?;
    old.write_all(&vec![0; length])?;
    old.sync_all()
}
