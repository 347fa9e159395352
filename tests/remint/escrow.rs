//! Sealed values, and the key file.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};

use proptest::prelude::*;
use remint::escrow::{Escrow, EscrowError, Kek, KekError, NoRandomness, Randomness};
use remint::store::Sealed;
use remint_contract::SecretValue;

/// Other bytes at every call, the same in every run.
#[derive(Default)]
pub(crate) struct Counting(AtomicU8);

impl Randomness for Counting {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        bytes.fill(self.0.fetch_add(1, Ordering::Relaxed));
        Ok(())
    }
}

/// An escrow with a new key file in that folder.
pub(crate) fn escrow(folder: &Path) -> Escrow {
    let path = folder.join("kek");
    Kek::create(&path, &folder.join("state"), false, &Counting::default()).unwrap();
    open(&path)
}

fn open(path: &Path) -> Escrow {
    let kek = Kek::load(path, Path::new("/nowhere/state"), false).unwrap();
    Escrow::new(kek, Box::new(Counting::default()))
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn key(of: char) -> String {
    format!("{}=", String::from(of).repeat(43))
}

#[test]
fn a_sealed_value_opens_only_under_its_own_id_scope_and_generation() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kek");
    let text = format!("remint-kek-v1\n# kept in the safe\nfingerprint {}\ngeneration 1 {}\n", key('A'), key('Q'));
    write(&path, &text);
    let old = open(&path).seal("a", "r1", &SecretValue::from("s3cret"), None).unwrap();
    assert_eq!(old.generation, 1);

    write(&path, &format!("{text}generation 2 {}\n", key('g')));
    let escrow = open(&path);
    assert_eq!(escrow.open(&old).unwrap(), SecretValue::from("s3cret"), "older generations open");
    assert_eq!(escrow.seal("a", "r1", &SecretValue::from("s3cret"), None).unwrap().generation, 2, "the newest seals");

    let refused = |change: &dyn Fn(&mut Sealed)| {
        let mut sealed = old.clone();
        change(&mut sealed);
        escrow.open(&sealed).unwrap_err()
    };
    assert!(matches!(refused(&|sealed| sealed.id = "b".to_owned()), EscrowError::Open { .. }));
    assert!(matches!(refused(&|sealed| sealed.scope = "r2".to_owned()), EscrowError::Open { .. }));
    assert!(matches!(refused(&|sealed| sealed.generation = 2), EscrowError::Open { .. }));
    assert!(matches!(refused(&|sealed| sealed.generation = 3), EscrowError::Generation { generation: 3, .. }));
    // The border between id and scope is part of what is bound.
    assert!(matches!(
        refused(&|sealed| (sealed.id, sealed.scope) = ("ar".to_owned(), "1".to_owned())),
        EscrowError::Open { .. }
    ));
}

#[test]
fn a_sealed_value_with_any_byte_changed_or_missing_does_not_open() {
    let folder = tempfile::tempdir().unwrap();
    let escrow = escrow(folder.path());
    let sealed = escrow.seal("a", "r1", &SecretValue::from("s3cret"), None).unwrap();
    for place in 0..sealed.bytes.len() {
        let mut changed = sealed.clone();
        changed.bytes[place] ^= 1;
        assert!(escrow.open(&changed).is_err(), "byte {place}");
        changed.bytes.truncate(place);
        assert!(escrow.open(&changed).is_err(), "cut at {place}");
    }
}

proptest! {
    #[test]
    fn every_value_comes_back_and_no_two_seals_are_alike(bytes: Vec<u8>, id: String, scope: String) {
        let folder = tempfile::tempdir().unwrap();
        let escrow = escrow(folder.path());
        let value = SecretValue::new(bytes);
        let (one, two) = (escrow.seal(&id, &scope, &value, None).unwrap(), escrow.seal(&id, &scope, &value, None).unwrap());
        prop_assert_ne!(&one.bytes, &two.bytes);
        prop_assert_eq!(escrow.open(&one).unwrap(), value.clone());
        prop_assert_eq!(escrow.open(&two).unwrap(), value);
    }
}

#[test]
fn a_fingerprint_tells_values_apart_and_depends_on_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let fingerprint = |of: char, value: &str| {
        let path = folder.path().join("kek");
        write(&path, &format!("remint-kek-v1\nfingerprint {}\ngeneration 1 {}\n", key(of), key('A')));
        open(&path).keyed_fingerprint(&SecretValue::from(value))
    };
    assert_eq!(fingerprint('A', "one"), fingerprint('A', "one"));
    assert_ne!(fingerprint('A', "one"), fingerprint('A', "two"));
    assert_ne!(fingerprint('A', "one"), fingerprint('Q', "one"));
    assert_eq!(fingerprint('A', "one").len(), "hmac-sha256:".len() + 32);
}

#[test]
fn a_key_file_is_made_for_its_owner_once_and_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let (path, state) = (folder.path().join("config/remint/kek"), folder.path().join("state"));
    assert!(Kek::create(&path, &state, false, &Counting::default()).unwrap());
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!Kek::create(&path, &state, false, &Counting(AtomicU8::new(9))).unwrap());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    Kek::load(&path, &state, false).unwrap();
}

#[test]
fn a_key_file_in_the_state_folder_is_refused_whatever_links_lead_there() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let inside = state.join("deep/kek");
    let refused = Kek::create(&inside, &state, false, &Counting::default()).unwrap_err();
    assert!(matches!(refused, KekError::SameFolder { .. }));
    assert!(!state.exists(), "a refusal leaves nothing behind");

    assert!(Kek::create(&inside, &state, true, &Counting::default()).unwrap(), "allowed in the demo");
    Kek::load(&inside, &state, true).unwrap();
    let (to_file, to_folder) = (folder.path().join("kek"), folder.path().join("elsewhere"));
    symlink(&inside, &to_file).unwrap();
    symlink(&state, &to_folder).unwrap();
    for (path, state) in [
        (inside.clone(), state.clone()),
        (to_file, state.clone()),
        (to_folder.join("deep/kek"), state.clone()),
        (inside.clone(), to_folder.clone()),
        (state.join("../state/deep/kek"), state.clone()),
    ] {
        let refused = Kek::load(&path, &state, false).unwrap_err();
        assert!(matches!(refused, KekError::SameFolder { .. }), "{}: {refused}", path.display());
    }
    let beside = folder.path().join("state-2/kek");
    Kek::create(&beside, &state, false, &Counting::default()).unwrap();
    Kek::load(&beside, &state, false).unwrap();
}

#[test]
fn a_key_file_that_others_can_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kek");
    Kek::create(&path, Path::new("/nowhere"), false, &Counting::default()).unwrap();
    for mode in [0o640, 0o604, 0o620, 0o602] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let refused = Kek::load(&path, Path::new("/nowhere"), false).unwrap_err();
        assert!(matches!(refused, KekError::Mode { mode: found, .. } if found == mode), "{mode:o}");
    }
}

#[test]
fn a_key_file_that_is_wrong_is_refused_by_line_without_a_byte_of_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kek");
    let good = key('A');
    for (text, line, why) in [
        (String::new(), 1, "it must be `remint-kek-v1`; a newer file needs a newer remint"),
        (
            format!("remint-kek-v2\ngeneration 1 {good}"),
            1,
            "it must be `remint-kek-v1`; a newer file needs a newer remint",
        ),
        (format!("remint-kek-v1\ngeneration 1 {good}\n"), 2, "there is no `fingerprint` line"),
        (format!("remint-kek-v1\nfingerprint {good}\n"), 2, "there is no `generation` line"),
        (format!("remint-kek-v1\n\ngeneration one {good}\n"), 3, "a generation is a number"),
        (format!("remint-kek-v1\ngeneration 1 {good}\ngeneration 1 {good}\n"), 3, "it is there twice"),
        ("remint-kek-v1\ngeneration 1 AAAA\n".to_owned(), 2, "a key is 32 bytes in base64"),
        (format!("remint-kek-v1\nkey {good}\n"), 2, "it must be `generation NUMBER KEY` or `fingerprint KEY`"),
    ] {
        write(&path, &text);
        let refused = Kek::load(&path, Path::new("/nowhere"), false).unwrap_err();
        let expected = format!("the key file {} cannot be used, line {line}: {why}", path.display());
        assert_eq!(refused.to_string(), expected);
    }
    let missing = Kek::load(&folder.path().join("none"), Path::new("/nowhere"), false).unwrap_err();
    assert!(matches!(missing, KekError::Missing(_)));
}
