//! What people and programs read.

use remint_evidence_format::bundle;
use remint_evidence_format::outcome::{Outcome, Proof};

use crate::sample::{Story, complete, verifier};

#[test]
fn a_complete_reset_reads_so() {
    let text = complete().bundle().verify(Some(&verifier())).render();
    assert_eq!(text, include_str!("golden/complete.txt"), "\n{text}");
}

#[test]
fn an_open_reset_reads_so() {
    let mut story = Story::started();
    story.reached("Credential/ci");
    story.became("Credential/db", &Outcome::Open { why: "Workload/shop never confirmed".to_owned() });
    let until = "2026-02-01T00:00:00Z".to_owned();
    story.became("Credential/web", &Outcome::Provisional { proof: Proof::Refused, confirm: None, until });
    story.became("System/pg:role#x9", &Outcome::Foreign { decided: None });
    let text = story.bundle().verify(Some(&verifier())).render();
    assert_eq!(text, include_str!("golden/open.txt"), "\n{text}");
}

#[test]
fn a_bundle_without_a_key_reads_so() {
    let text = complete().bundle().verify(None).render();
    assert!(text.starts_with("Evidence of reset-7: whole, but its origin is NOT checked.\n"), "{text}");
}

#[test]
fn a_broken_bundle_reads_so() {
    let text = bundle::verify(b"not a bundle", None).render();
    assert_eq!(
        text,
        "Evidence of an unknown reset: NOT verified; do not rely on it.\n\n\
         What does not hold\n  - the archive: not a bundle archive: it is cut off\n"
    );
}

#[test]
fn programs_read_the_same() {
    let mut story = Story::started();
    story.reached("Credential/ci");
    let json = story.closed().bundle().verify(Some(&verifier())).to_json();
    assert_eq!(json["ok"], false);
    assert_eq!(json["integrity"], true);
    assert_eq!(json["findings"][0]["kind"], "incomplete");
    assert_eq!(json["findings"][0]["place"], "Credential/ci");
}

#[test]
fn nothing_in_a_bundle_can_write_control_characters_to_a_terminal() {
    let mut story = Story::started();
    story.became("Credential/\u{1b}[2J", &Outcome::Open { why: "\u{9b}31m\r\nok".to_owned() });
    let text = story.closed().bundle().verify(Some(&verifier())).render();
    assert!(!text.chars().any(|letter| letter.is_control() && letter != '\n'), "{text:?}");
}

#[test]
fn a_bundle_over_a_gap_verifies_and_says_so() {
    let gap = |to: Option<u64>| {
        let mut body = serde_json::json!({"before": "remint", "origin": "remint-2", "from": 12, "approval": "void"});
        if let Some(to) = to {
            body["to"] = to.into();
        }
        let mut story = Story::started();
        story.reached("Credential/ci");
        story.tell("reset.recovered", None, &body);
        story.became("Credential/ci", &Outcome::Settled { proof: Proof::Refused, confirm: None });
        let report = story.closed().bundle().verify(Some(&verifier()));
        assert!(report.ok, "{report:?}");
        report.render()
    };
    let text = gap(Some(40));
    assert!(text.contains("  - GAP: the log remint had 40 entries and only 12 are left; it goes on as remint-2. What was recorded of this reset in between is not in this bundle.\n"), "{text}");
    assert!(gap(None).contains("nobody knows how many it had"));
    assert!(gap(Some(12)).contains("lost none of its 12 entries"));
}
