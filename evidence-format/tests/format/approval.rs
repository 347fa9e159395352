//! What persons sign, and what is found out when it is changed, dropped, moved or too little.

use remint_evidence_format::approval::{Approval, Disclosed};
use remint_evidence_format::bundle::{BuildError, Bundle, Parts, Trust};
use remint_evidence_format::note::SigningKey;
use remint_evidence_format::outcome::{Outcome, Proof};
use remint_evidence_format::report::Report;
use remint_evidence_format::tree::sha256;
use serde_json::json;
use zeroize::Zeroizing;

use crate::sample::{PLAN, RESET, Story, key, parts, verifier};

fn person(name: &str, seed: u8) -> SigningKey {
    SigningKey::from_seed(name, Zeroizing::new([seed; 32])).unwrap()
}

fn yes(name: &str) -> Approval {
    Approval {
        about: format!("reset {RESET}"),
        digest: "demo".to_owned(),
        file: sha256(PLAN),
        person: name.to_owned(),
        additions: "none".to_owned(),
        at: "2026-01-31T08:30:00Z".to_owned(),
        until: "2026-01-31T16:30:00Z".to_owned(),
    }
}

/// One person's word: the entry and, where he signed it, what goes into the bundle.
struct Word {
    name: &'static str,
    approval: Option<(Approval, SigningKey)>,
}

fn signed(name: &'static str, seed: u8) -> Word {
    Word { name, approval: Some((yes(name), person(name, seed))) }
}

fn recorded(name: &'static str) -> Word {
    Word { name, approval: None }
}

/// A governed reset that took two persons and settled.
fn governed(words: &[Word]) -> (Story, Vec<Disclosed>) {
    let mut story = Story { entries: Vec::new() };
    story.tell(
        "reset.requested",
        None,
        &json!({ "governance": "governed", "requested-by": "dave", "person": "dave", "plan_sha256": sha256(PLAN).to_string() }),
    );
    let mut approvals = Vec::new();
    for word in words {
        let made = word.approval.as_ref().map(|(approval, key)| Disclosed {
            entry: story.entries.len() as u64 + 1,
            key: key.verifier().to_string(),
            note: approval.sign(key).unwrap(),
        });
        let mut body = json!({ "plan": "demo", "by": word.name, "person": word.name, "grade": "recorded" });
        if let Some(made) = &made {
            body["grade"] = json!("signed");
            body["approval_sha256"] = json!(made.hashes().0.to_string());
            body["signer_sha256"] = json!(made.hashes().1.to_string());
        }
        story.tell("reset.signed", None, &body);
        approvals.extend(made);
    }
    let started = json!({ "plan": "demo", "plan_sha256": sha256(PLAN).to_string(), "needs": 2, "approved-by": "them" });
    story.tell("reset.started", None, &started);
    story.reached("Credential/ci");
    story.became("Credential/ci", &Outcome::Settled { proof: Proof::Refused, confirm: None });
    (story.closed(), approvals)
}

fn bundled(story: &Story, approvals: &[Disclosed]) -> Result<Bundle, BuildError> {
    let (entries, checkpoint) = story.placed();
    Bundle::build(&Parts { approvals, ..parts(&entries, &checkpoint) }, &key())
}

fn verified(bundle: &Bundle, persons: &[SigningKey]) -> Report {
    let persons = persons.iter().map(|key| key.verifier().clone()).collect();
    bundle.verify_with(&Trust { persons, ..Trust::in_key(Some(&verifier())) })
}

#[test]
fn an_approval_is_read_back_as_it_was_signed_and_any_flipped_byte_is_refused() {
    let alice = person("alice", 1);
    let note = yes("alice").sign(&alice).unwrap();
    assert_eq!(Approval::open(&note, alice.verifier()).unwrap(), yes("alice"));
    for at in 0..note.len() {
        let mut bytes = note.clone().into_bytes();
        bytes[at] ^= 1;
        let Ok(text) = String::from_utf8(bytes) else { continue };
        assert!(Approval::open(&text, alice.verifier()).is_err(), "byte {at}");
    }
    assert!(yes("bob").sign(&alice).is_err(), "nobody signs as somebody else");
    assert!(Approval { about: "reset r\nperson bob".to_owned(), ..yes("alice") }.sign(&alice).is_err());
}

#[test]
fn two_signatures_over_exactly_the_plan_verify_offline_and_are_said_in_words() {
    let (story, approvals) = governed(&[signed("alice", 1), signed("bob", 2)]);
    let bundle = bundled(&story, &approvals).unwrap();
    assert_eq!(Bundle::from_archive(&bundle.to_archive().unwrap()).unwrap(), bundle);
    let report = verified(&bundle, &[person("alice", 1), person("bob", 2)]);
    let text = report.render();
    assert!(report.ok && report.governed, "{text}");
    assert!(
        text.contains(
            "2 approved it, none of whom asked for it; 2 signed exactly it with keys of their own: alice, bob"
        ),
        "{text}"
    );
    assert!(!text.contains("Ungoverned") && !text.contains("pass --person"), "{text}");
    // Without the keys that the auditor knows, the log's word for them is a limit.
    assert!(verified(&bundle, &[]).render().contains("pass --person"));
    let text = String::from_utf8(bundle.files()["completeness.json"].clone()).unwrap();
    assert!(text.contains("\"governance\":\"governed\""), "{text}");
}

#[test]
fn an_approval_that_was_dropped_is_named() {
    let (story, approvals) = governed(&[signed("alice", 1), signed("bob", 2)]);
    let report = verified(&bundled(&story, &approvals[..1]).unwrap(), &[]);
    assert!(!report.ok && report.integrity, "{}", report.render());
    let found = &report.findings[0];
    assert_eq!(found.place, "approvals.json of entry 3");
    assert!(found.what.contains("what bob signed is not in the bundle"), "{}", found.what);
    // From a bundle that was signed with both, it is the manifest that says so.
    let mut files = bundled(&story, &approvals).unwrap().files().clone();
    files.insert("approvals.json".to_owned(), b"[]\n".to_vec());
    let report = verified(&Bundle::from_files(files), &[]);
    assert!(!report.integrity && report.findings.iter().any(|found| found.place == "approvals.json"));
}

#[test]
fn an_approval_that_was_flipped_exchanged_or_added_is_no_bundle() {
    let (story, approvals) = governed(&[signed("alice", 1), signed("bob", 2)]);
    let flipped = |change: &dyn Fn(&mut Vec<Disclosed>)| {
        let mut approvals = approvals.clone();
        change(&mut approvals);
        match bundled(&story, &approvals) {
            Err(BuildError::Refused(findings)) => findings[0].to_string(),
            other => panic!("{other:?}"),
        }
    };
    let said = flipped(&|all| all[0].note = all[0].note.replace("until 2026-01-31T16", "until 2026-01-31T17"));
    assert_eq!(said, "approvals.json of entry 2: it is not the approval, or not the key, that the entry names");
    let said = flipped(&|all| all[1].note = approvals[0].note.clone());
    assert!(said.starts_with("approvals.json of entry 3"), "{said}");
    let said = flipped(&|all| all.push(Disclosed { entry: 5, ..all[0].clone() }));
    assert_eq!(said, "approvals.json of entry 5: no entry says that anybody signed this");
}

#[test]
fn a_signature_over_another_plan_or_reset_or_by_another_key_is_named() {
    let other_plan = Word {
        name: "bob",
        approval: Some((Approval { digest: "another".to_owned(), ..yes("bob") }, person("bob", 2))),
    };
    let other_reset = Word {
        name: "bob",
        approval: Some((Approval { about: "reset r-1".to_owned(), ..yes("bob") }, person("bob", 2))),
    };
    for (word, why) in
        [(other_plan, "it is of the plan another, and the entry of demo"), (other_reset, "it is about reset r-1")]
    {
        let (story, approvals) = governed(&[signed("alice", 1), word]);
        let Err(BuildError::Refused(findings)) = bundled(&story, &approvals) else { panic!("{why}") };
        assert_eq!(findings[0].to_string(), format!("approvals.json of entry 3: {why}"));
    }
    let (story, approvals) = governed(&[signed("alice", 1), signed("bob", 2)]);
    let report = verified(&bundled(&story, &approvals).unwrap(), &[person("alice", 1), person("bob", 9)]);
    assert!(!report.integrity, "{}", report.render());
    assert!(report.findings[0].what.contains("none of those that you know bob by"), "{}", report.render());
}

#[test]
fn one_person_twice_and_what_was_withdrawn_before_the_start_are_too_few() {
    let (story, approvals) = governed(&[signed("alice", 1), signed("alice", 1)]);
    let report = verified(&bundled(&story, &approvals).unwrap(), &[]);
    assert!(
        !report.ok && report.render().contains("on the word of 1 of the 2 persons that it took"),
        "{}",
        report.render()
    );
    let (story, approvals) = governed(&[signed("alice", 1), recorded("bob")]);
    let report = verified(&bundled(&story, &approvals).unwrap(), &[]);
    let text = report.render();
    assert!(
        report.ok && text.contains("2 approved it, none of whom asked for it (1 with a signature that was checked)"),
        "{text}"
    );
    assert!(text.contains("1 approvals are recorded only"), "{text}");
}

#[test]
fn who_asked_and_signs_himself_is_not_counted_among_the_others() {
    let (story, approvals) = governed(&[signed("alice", 1), signed("bob", 2), signed("dave", 4)]);
    let text = verified(&bundled(&story, &approvals).unwrap(), &[]).render();
    assert!(text.contains("2 approved it, none of whom asked for it; 2 signed exactly it"), "{text}");
    let (story, approvals) = governed(&[signed("alice", 1), signed("dave", 4)]);
    let text = verified(&bundled(&story, &approvals).unwrap(), &[]).render();
    assert!(text.contains("2 approved it, who asked for it among them"), "{text}");
}

#[test]
fn a_bundle_that_says_ungoverned_over_a_governed_reset_is_broken() {
    let (story, approvals) = governed(&[signed("alice", 1), signed("bob", 2)]);
    let bundle = bundled(&story, &approvals).unwrap();
    let mut files = bundle.files().clone();
    let manifest = String::from_utf8(files["manifest"].clone()).unwrap();
    let text = manifest.split("\n\n").next().unwrap().replace("governance governed", "governance ungoverned") + "\n";
    let note = remint_evidence_format::note::sign(&text, &key()).unwrap();
    files.insert("manifest".to_owned(), note.into_bytes());
    let report = verified(&Bundle::from_files(files), &[]);
    assert!(
        !report.integrity && report.render().contains("it says ungoverned, and the entries governed"),
        "{}",
        report.render()
    );
}
