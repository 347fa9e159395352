//! What a prober signs, and what that changes for whoever trusts him.

use remint_evidence_format::bundle::{Bundle, Trust};
use remint_evidence_format::note::SigningKey;
use remint_evidence_format::observation::{Observation, Verdict};
use remint_evidence_format::outcome::{Outcome, Proof};
use remint_evidence_format::report::Report;
use remint_evidence_format::tree::sha256;
use serde_json::json;
use zeroize::Zeroizing;

use crate::sample::{RESET, Story, verifier};

fn prober() -> SigningKey {
    SigningKey::from_seed("prober.example.org/far", Zeroizing::new([9; 32])).unwrap()
}

fn saw(verdict: Verdict, value: &str, minute: u8) -> Observation {
    Observation {
        reset: RESET.to_owned(),
        credential: "Credential/ci".to_owned(),
        system: "System/git".to_owned(),
        endpoint: "https://git.example.org".to_owned(),
        version: "v3".to_owned(),
        value: value.to_owned(),
        verdict,
        at: format!("2026-01-31T08:{minute:02}:00Z"),
        request: sha256(b"asked"),
    }
}

fn told(observations: &[(Observation, SigningKey)]) -> Bundle {
    let mut story = Story::started();
    story.reached("Credential/ci");
    for (saw, key) in observations {
        let note = saw.sign(key).unwrap();
        story.tell("old.observed", Some("Credential/ci"), &json!({ "note": note }));
    }
    story.became("Credential/ci", &Outcome::Settled { proof: Proof::Refused, confirm: None });
    story.closed().bundle()
}

fn trusting(bundle: &Bundle) -> Report {
    let probers = vec![prober().verifier().clone()];
    bundle.verify_with(&Trust { key: Some(verifier()), seen: None, probers, ..Trust::default() })
}

#[test]
fn an_observation_is_read_back_as_it_was_signed() {
    let one = saw(Verdict::Denied, "5f0c", 10);
    let note = one.sign(&prober()).unwrap();
    assert_eq!(Observation::open(&note, prober().verifier()).unwrap(), one);
    for at in 0..note.len() {
        let mut bytes = note.clone().into_bytes();
        bytes[at] ^= 1;
        let Ok(text) = String::from_utf8(bytes) else { continue };
        assert!(Observation::open(&text, prober().verifier()).is_err(), "byte {at}");
    }
    assert!(Observation { endpoint: "a\nverdict accepted".to_owned(), ..one.clone() }.sign(&prober()).is_err());
    assert!(Observation { version: String::new(), ..one }.sign(&prober()).is_err());
}

#[test]
fn a_value_that_was_seen_alive_and_then_refused_is_worth_the_most() {
    let both = [(saw(Verdict::Accepted, "5f0c", 1), prober()), (saw(Verdict::Denied, "5f0c", 20), prober())];
    let report = trusting(&told(&both));
    assert!(report.ok, "{}", report.render());
    let text = report.render();
    assert!(text.contains("1 old values were seen refused by a prober that you trust; 1 of them"), "{text}");
    assert!(!text.contains("Remint's word"), "{text}");
}

#[test]
fn a_worthless_value_that_was_refused_is_said_to_be_unknown() {
    for before in [vec![], vec![(saw(Verdict::Accepted, "another", 1), prober())]] {
        let all: Vec<_> = before.into_iter().chain([(saw(Verdict::Denied, "5f0c", 20), prober())]).collect();
        let text = trusting(&told(&all)).render();
        assert!(text.contains("1 old values no prober saw alive"), "{text}");
    }
}

#[test]
fn without_an_observation_of_a_trusted_prober_there_is_doubt() {
    let other = SigningKey::from_seed("somebody.example", Zeroizing::new([3; 32])).unwrap();
    let alive_again =
        vec![(saw(Verdict::Denied, "5f0c", 20), prober()), (saw(Verdict::Accepted, "5f0c", 40), prober())];
    for (observations, why) in [
        (vec![], "no prober that you trust tried its old value"),
        (vec![(saw(Verdict::Denied, "5f0c", 20), other)], "no prober that you trust tried its old value"),
        (alive_again, "when a prober tried its old value last, at 2026-01-31T08:40:00Z, it was accepted"),
    ] {
        let report = trusting(&told(&observations));
        assert!(report.integrity && !report.ok, "{}", report.render());
        assert_eq!((report.findings[0].place.as_str(), report.findings[0].what.as_str()), ("Credential/ci", why));
    }
    let unasked = told(&[(saw(Verdict::Denied, "5f0c", 20), prober())]).verify(Some(&verifier()));
    assert!(unasked.ok && unasked.render().contains("1 observations of probers are in it and were not checked"));
}

#[test]
fn a_control_counts_when_the_same_prober_saw_another_value_accepted_at_the_same_place() {
    let somebody = || SigningKey::from_seed("somebody.example", Zeroizing::new([3; 32])).unwrap();
    let elsewhere = Observation { endpoint: "https://other".to_owned(), ..saw(Verdict::Accepted, "77aa", 21) };
    for (control, key, counts) in [
        (saw(Verdict::Accepted, "77aa", 21), prober(), true),
        (saw(Verdict::Accepted, "5f0c", 1), prober(), false),
        (saw(Verdict::Denied, "77aa", 21), prober(), false),
        (elsewhere, prober(), false),
        (saw(Verdict::Accepted, "77aa", 21), somebody(), false),
    ] {
        let mut story = Story::started();
        story.reached("Credential/ci");
        let old = saw(Verdict::Denied, "5f0c", 20).sign(&prober()).unwrap();
        story.tell("old.observed", Some("Credential/ci"), &json!({ "note": old }));
        let note = control.sign(&key).unwrap();
        story.tell("new.observed", Some("Credential/ci"), &json!({ "note": note }));
        story.became("Credential/ci", &Outcome::Settled { proof: Proof::Refused, confirm: None });
        let report = trusting(&story.closed().bundle());
        assert!(report.ok, "{}", report.render());
        assert_eq!(report.render().contains("the system itself refused"), counts, "{control:?}");
    }
}

#[test]
fn an_observation_under_a_probers_name_that_he_did_not_sign_is_broken() {
    let forger = SigningKey::from_seed("prober.example.org/far", Zeroizing::new([4; 32])).unwrap();
    let report = trusting(&told(&[(saw(Verdict::Denied, "5f0c", 20), forger)]));
    assert!(!report.integrity, "{}", report.render());
    assert_eq!(report.findings[0].place, "entry 3");
}
