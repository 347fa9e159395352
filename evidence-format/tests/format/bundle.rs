//! Whatever is done to a bundle shows, and the report says where.

use std::collections::BTreeMap;

use remint_evidence_format::bundle::{self, BuildError, Bundle};
use remint_evidence_format::note::SigningKey;
use remint_evidence_format::outcome::{Outcome, Proof};
use remint_evidence_format::report::{FindingKind, Report};
use remint_evidence_format::tree::sha256;
use serde_json::json;
use zeroize::Zeroizing;

use crate::sample::{RESET, Story, complete, key, parts, verifier};

#[test]
fn a_whole_bundle_verifies_as_archive_and_as_folder() {
    let bundle = complete().bundle();
    let archive = bundle.to_archive().unwrap();
    assert_eq!(Bundle::from_archive(&archive).unwrap(), bundle);
    let report = bundle::verify(&archive, Some(&verifier()));
    assert!(report.ok && report.integrity && report.origin && report.complete, "{}", report.render());
    assert_eq!(Bundle::from_files(bundle.files().clone()).verify(Some(&verifier())), report);
    assert_eq!(complete().bundle().to_archive().unwrap(), archive, "the same parts give the same bytes");
}

#[test]
fn without_a_key_only_integrity_is_known() {
    let report = bundle::verify(&complete().bundle().to_archive().unwrap(), None);
    assert!(report.integrity && report.complete && !report.origin && !report.ok);
    assert_eq!(report.findings.len(), 1);
    assert_eq!(report.findings[0].kind, FindingKind::Origin);
}

#[test]
fn another_key_is_refused() {
    let archive = complete().bundle().to_archive().unwrap();
    for name in ["other", verifier().name()] {
        let other = SigningKey::from_seed(name, Zeroizing::new([8; 32])).unwrap();
        assert_broken(&bundle::verify(&archive, Some(other.verifier())), "manifest");
    }
}

#[test]
fn every_byte_changed_is_detected() {
    let mut story = Story::started();
    story.reached("Credential/ci");
    let archive = story.closed().bundle().to_archive().unwrap();
    let key = verifier();
    for at in 0..archive.len() {
        for flip in [0x01, 0x80] {
            let mut changed = archive.clone();
            changed[at] ^= flip;
            let report = bundle::verify(&changed, Some(&key));
            assert!(!report.integrity && !report.ok, "byte {at} of {}", archive.len());
        }
    }
}

#[test]
fn every_byte_of_every_file_changed_is_found_in_its_file() {
    let bundle = complete().bundle();
    for (name, bytes) in bundle.files() {
        for at in (0..bytes.len()).step_by(7) {
            let report = changed(&bundle, |files| files.get_mut(name).unwrap()[at] ^= 1);
            assert!(!report.integrity, "{name} byte {at}");
            assert!(report.findings.iter().any(|finding| finding.place.starts_with(name.as_str())), "{name} byte {at}");
        }
    }
}

#[test]
fn every_length_but_the_whole_is_detected() {
    let archive = complete().bundle().to_archive().unwrap();
    for length in 0..archive.len() {
        assert!(!bundle::verify(&archive[..length], Some(&verifier())).integrity, "{length} bytes");
    }
    for more in [1, 512, 1024, archive.len()] {
        let mut longer = archive.clone();
        longer.resize(archive.len() + more, 0);
        assert!(!bundle::verify(&longer, Some(&verifier())).integrity, "{more} bytes more");
    }
    assert!(!bundle::verify(&[archive.clone(), archive].concat(), Some(&verifier())).integrity, "twice");
}

#[test]
fn a_file_taken_away_added_or_exchanged_is_named() {
    let bundle = complete().bundle();
    for name in bundle.files().keys() {
        assert_broken(&changed(&bundle, |files| drop(files.remove(name))), name);
    }
    assert_broken(&changed(&bundle, |files| drop(files.insert("notes".to_owned(), Vec::new()))), "notes");
    let report = changed(&bundle, |files| {
        let plan = files.insert(bundle::PLAN.to_owned(), b"[]\n".to_vec()).unwrap();
        files.insert(bundle::APPROVALS.to_owned(), plan);
    });
    assert_broken(&report, bundle::PLAN);
    assert_broken(&report, bundle::APPROVALS);
}

/// The strongest insider: he has the key, and signs what he changed.
#[test]
fn lines_dropped_doubled_swapped_or_cut_are_found_even_when_signed_again() {
    let bundle = complete().bundle();
    let count = lines(&bundle, bundle::ENTRIES).len();
    for at in 0..count {
        let both = |edit: &dyn Fn(&mut Vec<String>)| {
            let mut files = bundle.files().clone();
            for name in [bundle::ENTRIES, bundle::PROOFS] {
                let mut lines = lines(&bundle, name);
                edit(&mut lines);
                files.insert(name.to_owned(), (lines.join("\n") + "\n").into_bytes());
            }
            signed_again(files).verify(Some(&verifier()))
        };
        let dropped = both(&|lines| drop(lines.remove(at)));
        assert!(!dropped.ok, "entry {at} dropped");
        assert!(!both(&|lines| lines.insert(at, lines[at].clone())).integrity, "entry {at} doubled");
        assert!(!both(&|lines| lines.swap(at, (at + 1) % count)).integrity, "entry {at} swapped");
        assert!(!both(&|lines| lines.truncate(at)).ok, "cut at {at}");
    }
}

#[test]
fn a_better_completeness_statement_is_found_even_when_signed_again() {
    let mut story = Story::started();
    story.reached("Credential/ci");
    let bundle = story.closed().bundle();
    let mut files = bundle.files().clone();
    let stated = String::from_utf8(files[bundle::COMPLETENESS].clone()).unwrap();
    assert!(stated.contains("\"complete\":false"), "{stated}");
    files.insert(bundle::COMPLETENESS.to_owned(), stated.replace("\"complete\":false", "\"complete\":true").into());
    assert_broken(&signed_again(files).verify(Some(&verifier())), "completeness.json line 1");
}

#[test]
fn another_plan_or_a_filled_slot_is_found_even_when_signed_again() {
    for name in [bundle::PLAN, bundle::APPROVALS, bundle::EXCEPTIONS, bundle::PERSONS] {
        let mut files = complete().bundle().files().clone();
        files.insert(name.to_owned(), b"[{}]\n".to_vec());
        assert_broken(&signed_again(files).verify(Some(&verifier())), name);
    }
}

#[test]
fn a_checkpoint_of_another_tree_does_not_fit() {
    let mut story = Story::started();
    story.reached("Credential/ci");
    let (_, older) = story.placed();
    let (entries, _) = complete().placed();
    let refused = Bundle::build(&parts(&entries, &older), &key());
    let Err(BuildError::Refused(findings)) = refused else { panic!("{refused:?}") };
    assert!(findings.iter().any(|finding| finding.place == "proofs.jsonl line 1"), "{findings:?}");
}

#[test]
fn a_closing_entry_that_does_not_fit_is_refused() {
    for (key, value) in [("count", json!(99)), ("head", json!("00".repeat(32))), ("reached", json!("00".repeat(32)))] {
        let mut story = Story::started();
        story.reached("Credential/ci");
        let mut body = story.ledger().closing();
        body.insert(key.to_owned(), value);
        story.tell("reset.closed", None, &body.into());
        let (entries, checkpoint) = story.placed();
        let Err(BuildError::Entry { number, source }) =
            Bundle::build(&parts(&entries, &checkpoint), &crate::sample::key())
        else {
            panic!("{key} was not compared");
        };
        assert_eq!(number, 3);
        assert_eq!(
            source.to_string(),
            format!("it closes the reset over other entries than these: its `{key}` differs")
        );
    }
}

/// A reset with one parked, provisional or undecided credential can never produce a bundle that says complete.
#[test]
fn one_that_is_not_done_keeps_the_bundle_from_being_complete() {
    let why = || "why".to_owned();
    for outcome in [
        Outcome::Open { why: why() },
        Outcome::Provisional { proof: Proof::Refused, confirm: None, until: "2026-02-01T00:00:00Z".to_owned() },
        Outcome::Task { why: why(), by: None },
        Outcome::Foreign { decided: None },
    ] {
        let mut story = Story::started();
        story.became("Credential/done", &Outcome::Settled { proof: Proof::Refused, confirm: None });
        story.became("Credential/open", &outcome);
        let report = story.closed().bundle().verify(Some(&verifier()));
        assert!(report.integrity && report.origin && !report.complete && !report.ok, "{outcome:?}");
        assert_eq!(report.findings.len(), 1, "{outcome:?}");
        assert_eq!(report.findings[0].kind, FindingKind::Incomplete);
        assert_eq!(report.findings[0].place, "Credential/open");
    }
}

#[test]
fn what_was_reached_and_never_mentioned_again_is_open() {
    let mut story = Story::started();
    story.reached("Credential/forgotten");
    let report = story.closed().bundle().verify(Some(&verifier()));
    assert_eq!(report.findings[0].place, "Credential/forgotten");
}

#[test]
fn a_reset_that_goes_on_after_its_closing_is_open_until_closed_anew() {
    let mut story = complete();
    story.tell("rotation.reopened", Some("Credential/ci"), &json!({"why": "the old value is accepted again"}));
    let report = story.bundle().verify(Some(&verifier()));
    assert!(report.integrity && !report.complete && !report.ok);
    story.became("Credential/ci", &Outcome::Settled { proof: Proof::Refused, confirm: None });
    let report = story.closed().bundle().verify(Some(&verifier()));
    assert!(report.ok, "{}", report.render());
}

#[test]
fn outcomes_read_back_from_their_entries() {
    let story = complete();
    let ledger = story.ledger();
    assert!(ledger.is_complete());
    assert_eq!(ledger.rows().len(), 5);
    assert_eq!(ledger.rows()["Credential/db"].outcome, Outcome::Settled { proof: Proof::Absent, confirm: None });
}

#[test]
fn a_grade_that_is_not_known_is_not_understood() {
    let mut story = Story::started();
    story.tell("rotation.settled", Some("Credential/ci"), &json!({"proof": "certainly"}));
    let (entries, checkpoint) = story.placed();
    let refused = Bundle::build(&parts(&entries, &checkpoint), &key());
    let Err(BuildError::Entry { number: 2, source }) = refused else { panic!("{refused:?}") };
    assert_eq!(source.to_string(), "not understood: the grade of a proof; use the version of remint that wrote it");
}

#[test]
fn a_broken_bundle_is_not_quoted_on_what_became_of_its_credentials() {
    let bundle = complete().bundle();
    let report = changed(&bundle, |files| files.get_mut(bundle::PLAN).unwrap()[0] ^= 1);
    assert!(!report.complete);
    assert!(!report.render().contains("settled"), "{}", report.render());
}

/// `tar` and `sha256sum` are what an auditor has.
#[test]
fn ordinary_tools_open_the_archive_and_check_the_files() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("b.tar"), complete().bundle().to_archive().unwrap()).unwrap();
    let script =
        "tar xf b.tar && sed -n '/^[0-9a-f]\\{64\\}  /p' manifest | sha256sum -c --quiet --strict && ls | wc -l";
    let ran = std::process::Command::new("sh").arg("-ec").arg(script).current_dir(folder.path()).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(String::from_utf8_lossy(&ran.stdout).trim(), "11", "ten files and the archive");
}

pub(crate) fn changed(bundle: &Bundle, change: impl FnOnce(&mut BTreeMap<String, Vec<u8>>)) -> Report {
    let mut files = bundle.files().clone();
    change(&mut files);
    Bundle::from_files(files).verify(Some(&verifier()))
}

/// The manifest as its documentation says, made here a second time.
pub(crate) fn signed_again(mut files: BTreeMap<String, Vec<u8>>) -> Bundle {
    files.remove(bundle::MANIFEST);
    let sums = files.iter().map(|(name, bytes)| format!("{}  {name}\n", sha256(bytes)));
    let lengths = files.iter().map(|(name, bytes)| format!("{} {name}\n", bytes.len()));
    let head = format!("remint.dev/bundle/v1\nreset {RESET}\ngovernance ungoverned\n");
    let text: String = std::iter::once(head).chain(sums).chain(lengths).collect();
    let note = remint_evidence_format::note::sign(&text, &key()).unwrap();
    files.insert(bundle::MANIFEST.to_owned(), note.into_bytes());
    Bundle::from_files(files)
}

pub(crate) fn lines(bundle: &Bundle, name: &str) -> Vec<String> {
    std::str::from_utf8(&bundle.files()[name]).unwrap().lines().map(str::to_owned).collect()
}

pub(crate) fn assert_broken(report: &Report, place: &str) {
    assert!(!report.ok && !report.integrity, "{}", report.render());
    assert!(report.findings.iter().any(|finding| finding.place == place), "{place}: {}", report.render());
}
