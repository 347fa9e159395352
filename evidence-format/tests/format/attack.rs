//! What somebody does to a bundle, or shows instead of it, to whoever knows more than the key.

use remint_evidence_format::bundle::{self, BuildError, Bundle, Earlier, Parts, Trust};
use remint_evidence_format::checkpoint::Checkpoint;
use remint_evidence_format::outcome::{Outcome, Proof};
use remint_evidence_format::report::{FindingKind, Report};
use remint_evidence_format::tree::{Tree, leaf_hash, sha256};
use serde_json::json;

use crate::bundle::{assert_broken, changed, lines, signed_again};
use crate::sample::{PLAN, RESET, Story, complete, key, parts, verifier};

/// The first `size` entries of a log, as somebody saw it.
fn checkpoint(tree: &Tree, size: u64) -> Checkpoint {
    let root = tree.root(usize::try_from(size).unwrap()).unwrap();
    Checkpoint { origin: verifier().name().to_owned(), size, root }
}

fn after(seen: &Checkpoint, bundle: &Bundle) -> Report {
    bundle.verify_with(&Trust {
        key: Some(verifier()),
        seen: Some(seen.clone()),
        probers: Vec::new(),
        ..Trust::default()
    })
}

/// A bundle that proves the tree of 7 entries to be its beginning.
fn proven_from_seven(story: &Story) -> Bundle {
    let tree = story.tree();
    let earlier = [Earlier::new(&tree, 7, tree.size() as u64).unwrap()];
    let (entries, checkpoint) = story.placed();
    Bundle::build(&Parts { earlier: &earlier, ..parts(&entries, &checkpoint) }, &key()).unwrap()
}

#[test]
fn a_checkpoint_seen_before_is_continued() {
    let story = complete();
    let bundle = proven_from_seven(&story);
    let (tree, size) = (story.tree(), story.tree().size() as u64);
    for size in [7, size] {
        let report = after(&checkpoint(&tree, size), &bundle);
        assert!(report.ok, "{}", report.render());
        let said = format!("The log goes on from the checkpoint that you saw, over {size} entries");
        assert!(report.holds.iter().any(|held| held.starts_with(&said)), "{}", report.render());
    }
}

#[test]
fn a_fork_of_what_was_seen_is_called_one() {
    let bundle = proven_from_seven(&complete());
    let leaves = |count: usize| (0..count).map(|at| leaf_hash(format!("another {at}").as_bytes())).collect();
    let size = complete().tree().size();
    let fork = Tree::new(leaves(size));
    for seen in [7, size as u64] {
        let report = after(&checkpoint(&fork, seen), &bundle);
        assert_broken(&report, bundle::CHECKPOINT);
        assert!(report.findings[0].what.starts_with("FORK"), "{}", report.render());
    }
}

#[test]
fn a_bundle_that_is_older_than_what_was_seen_is_refused() {
    let mut story = complete();
    let older = story.bundle();
    story.tell("rotation.reopened", Some("Credential/ci"), &json!({"why": "the old value is accepted again"}));
    let tree = story.tree();
    let report = after(&checkpoint(&tree, tree.size() as u64), &older);
    assert_broken(&report, bundle::CHECKPOINT);
    assert!(report.findings[0].what.starts_with("it is older than what you saw"), "{}", report.render());
}

#[test]
fn what_was_seen_and_is_not_proven_is_a_doubt() {
    let story = complete();
    let report = after(&checkpoint(&story.tree(), 5), &story.bundle());
    assert!(report.integrity && !report.ok);
    assert_eq!(
        (report.findings[0].kind, report.findings[0].place.as_str()),
        (FindingKind::Origin, "the checkpoint you saw")
    );
    let mut other = checkpoint(&story.tree(), 5);
    "other.example".clone_into(&mut other.origin);
    assert!(!after(&other, &story.bundle()).ok);
}

/// Signed again by whoever has the key: the proof itself does not hold.
#[test]
fn a_consistency_proof_that_proves_nothing_is_named_by_its_line() {
    let bundle = proven_from_seven(&complete());
    let mut files = bundle.files().clone();
    let line = lines(&bundle, bundle::CONSISTENCY).remove(0);
    let root = sha256(b"another").to_string();
    let at = line.find("\"root\":\"").unwrap() + 8;
    let forged = format!("{}{root}{}\n", &line[..at], &line[at + 64..]);
    for text in [forged, format!("{line}\n{line}\n"), line.clone(), format!("{line}\n\n")] {
        files.insert(bundle::CONSISTENCY.to_owned(), text.into_bytes());
        let report = signed_again(files.clone()).verify(Some(&verifier()));
        assert!(!report.integrity, "{}", report.render());
        assert!(report.findings.iter().any(|finding| finding.place.starts_with("consistency.jsonl line ")));
    }
}

#[test]
fn an_older_checkpoint_in_a_newer_bundle_is_found() {
    let (mut story, older) = (complete(), complete().bundle());
    story.tell("rotation.reopened", Some("Credential/ci"), &json!({"why": "alive"}));
    let mut files = story.bundle().files().clone();
    files.insert(bundle::CHECKPOINT.to_owned(), older.files()[bundle::CHECKPOINT].clone());
    assert_broken(&Bundle::from_files(files.clone()).verify(Some(&verifier())), bundle::CHECKPOINT);
    assert_broken(&signed_again(files).verify(Some(&verifier())), "proofs.jsonl line 1");
}

#[test]
fn files_of_two_bundles_do_not_make_one() {
    let whole = complete().bundle();
    let mut other = Story::started();
    other.reached("Credential/ci");
    other.became("Credential/ci", &Outcome::Settled { proof: Proof::Refused, confirm: None });
    let other = other.closed().bundle();
    for name in whole.files().keys().filter(|name| whole.files()[*name] != other.files()[*name]) {
        let report = changed(&whole, |files| drop(files.insert(name.clone(), other.files()[name].clone())));
        assert!(!report.integrity, "{name}: {}", report.render());
    }
    for name in [bundle::ENTRIES, bundle::PROOFS] {
        let report = changed(&whole, |files| files.get_mut(name).unwrap().extend_from_slice(&other.files()[name]));
        assert_broken(&report, name);
    }
    // By whoever has the key: entries of the one behind those of the other, each with its proof.
    let mut files = whole.files().clone();
    for name in [bundle::ENTRIES, bundle::PROOFS] {
        files.get_mut(name).unwrap().extend_from_slice(&other.files()[name]);
    }
    let count = lines(&whole, bundle::ENTRIES).len();
    let report = signed_again(files).verify(Some(&verifier()));
    assert_broken(&report, &format!("entries.jsonl line {}", count + 1));
}

#[test]
fn every_plan_and_every_revision_is_in_the_bundle_and_no_other() {
    let revised = b"{\"members\":[{\"credential\":\"Credential/ci\"}]}".to_vec();
    let mut story = Story::started();
    story.reached("Credential/ci");
    story.tell("reset.revised", None, &json!({"plan_sha256": sha256(&revised).to_string(), "approved-by": "ada"}));
    story.became("Credential/ci", &Outcome::Settled { proof: Proof::Refused, confirm: None });
    let story = story.closed();
    let (entries, checkpoint) = story.placed();
    let build = |plans: &[Vec<u8>]| Bundle::build(&Parts { plans, ..parts(&entries, &checkpoint) }, &key());
    let report = build(&[PLAN.to_vec(), revised.clone()]).unwrap().verify(Some(&verifier()));
    assert!(report.ok, "{}", report.render());
    assert!(
        report.holds.iter().any(|held| held.starts_with("It was approved as revised by ada")),
        "{}",
        report.render()
    );
    for (plans, place) in [
        (vec![revised.clone(), PLAN.to_vec()], "plan-1.json"),
        (vec![PLAN.to_vec()], "plan-2.json"),
        (vec![PLAN.to_vec(), revised.clone(), PLAN.to_vec()], "plan-3.json"),
    ] {
        let Err(BuildError::Refused(findings)) = build(&plans) else { panic!("{place} was not missed") };
        assert!(findings.iter().any(|finding| finding.place == place), "{findings:?}");
    }
}

/// The writer forgets one: the plan that was approved tells on it.
#[test]
fn what_the_plan_reaches_and_no_entry_tells_of_keeps_a_bundle_from_being_complete() {
    for list in [
        r#""members":[{"credential":"Credential/lost"}]"#,
        r#""members":[],"tasks":[{"node":"Credential/lost","why":"w"}]"#,
        r#""members":[],"exceptions":["Credential/lost"]"#,
        r#""members":[],"reached":[{"node":"Credential/lost","verb":"read"}]"#,
    ] {
        let plan = format!("{{{list}}}").into_bytes();
        let mut story = Story::started_with(&plan);
        story.became("Credential/ci", &Outcome::Settled { proof: Proof::Refused, confirm: None });
        let (entries, checkpoint) = story.closed().placed();
        let plans = [plan];
        let bundle = Bundle::build(&Parts { plans: &plans, ..parts(&entries, &checkpoint) }, &key()).unwrap();
        let report = bundle.verify(Some(&verifier()));
        assert!(report.integrity && !report.complete && !report.ok, "{list}: {}", report.render());
        assert_eq!(report.findings[0].place, "Credential/lost");
    }
}

#[test]
fn an_exception_that_ended_before_the_reset_was_closed_is_open() {
    let mut story = Story::started();
    let by = || "grace".to_owned();
    let exception = |until: &str| Outcome::Exception { by: by(), until: until.to_owned(), why: "a week".to_owned() };
    story.became("Credential/vendor", &exception("2026-01-31T08:30:02.5Z"));
    let report = story.closed().bundle().verify(Some(&verifier()));
    assert!(report.integrity && !report.complete && !report.ok, "{}", report.render());
    assert_eq!(report.findings[0].place, "Credential/vendor");
    assert!(report.findings[0].what.contains("ended at 2026-01-31T08:30:02.5Z"));
}

#[test]
fn a_reset_that_was_rejected_or_never_started_has_a_bundle_that_says_so() {
    let mut story = Story { entries: Vec::new() };
    let hash = sha256(PLAN).to_string();
    story.tell("reset.requested", None, &json!({"plan_sha256": hash, "requested-by": "ada", "reason": "runner"}));
    story.reached("Credential/ci");
    story.tell("reset.rejected", None, &json!({"by": "grace", "reason": "the wrong runner"}));
    let report = story.bundle().verify(Some(&verifier()));
    assert!(report.integrity && !report.complete && !report.ok);
    let told = report.render();
    assert!(told.contains("it was rejected by grace: the wrong runner"), "{told}");
    assert!(told.contains("it was never started: nothing was done"), "{told}");
    assert!(told.contains("It was asked for by ada, 2026-01-31T08:30:01Z: runner."), "{told}");
    // And closing it does not help.
    let report = story.closed().bundle().verify(Some(&verifier()));
    assert!(!report.complete, "{}", report.render());
    assert_eq!(report.reset.as_deref(), Some(RESET));
}
