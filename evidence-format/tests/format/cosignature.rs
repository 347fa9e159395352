//! Witness keys, cosignatures and quorums.

use remint_evidence_format::FormatError;
use remint_evidence_format::checkpoint::Checkpoint;
use remint_evidence_format::cosignature::{CosigningKey, Quorum, WitnessKey};
use remint_evidence_format::note::{Note, SigningKey, VerifierKey};
use remint_evidence_format::tree::leaf_hash;
use zeroize::Zeroizing;

use crate::sample::{key, verifier};

/// 2026-01-31T08:30:00Z.
pub(crate) const TIME: u64 = 1_769_848_200;

pub(crate) fn witness(number: u8) -> CosigningKey {
    CosigningKey::from_seed(&format!("w{number}.example.org"), Zeroizing::new([number; 32])).unwrap()
}

pub(crate) fn checkpoint(size: u64) -> Checkpoint {
    Checkpoint { origin: verifier().name().to_owned(), size, root: leaf_hash(&size.to_be_bytes()) }
}

fn cosigned(by: &[(u8, u64)]) -> String {
    let checkpoint = checkpoint(7);
    let lines = by.iter().map(|(number, at)| witness(*number).cosign(&checkpoint.body(), *at).unwrap());
    checkpoint.sign(&key()).unwrap() + &lines.collect::<String>()
}

fn quorum(need: usize, numbers: &[u8]) -> Quorum {
    Quorum::new(need, numbers.iter().map(|number| witness(*number).public().clone()).collect()).unwrap()
}

#[test]
fn a_cosignature_is_the_time_and_a_signature_over_its_two_lines_and_the_checkpoint() {
    use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
    let note = cosigned(&[(1, TIME)]);
    let note = Note::parse(note.as_bytes()).unwrap();
    let line = &note.signatures[1];
    assert_eq!((line.name, line.bytes.len()), ("w1.example.org", 72));
    assert_eq!(line.bytes[..8], TIME.to_be_bytes());
    let message = format!("cosignature/v1\ntime {TIME}\n{}", checkpoint(7).body());
    let public = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap().public_key().as_ref().to_vec();
    UnparsedPublicKey::new(&ED25519, public).verify(message.as_bytes(), &line.bytes[8..]).unwrap();
    assert_eq!(witness(1).public().verify(&note), Ok(TIME));
    note.verify(&verifier()).unwrap();
}

#[test]
fn every_byte_of_a_cosigned_checkpoint_counts() {
    let note = cosigned(&[(1, TIME)]);
    let known = (verifier(), witness(1).public().clone());
    let holds = |bytes: &[u8]| {
        let Ok(note) = Note::parse(bytes) else { return false };
        note.verify(&known.0).is_ok() && known.1.verify(&note).is_ok()
    };
    assert!(holds(note.as_bytes()));
    for at in 0..note.len() {
        for bit in 0..8 {
            let mut changed = note.clone().into_bytes();
            changed[at] ^= 1 << bit;
            assert!(!holds(&changed), "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn a_key_of_a_witness_is_no_key_of_a_log_and_the_other_way_round() {
    let (log, witness) = (key(), witness(1));
    assert!(WitnessKey::parse(&log.verifier().to_string()).is_err());
    assert!(VerifierKey::parse(&witness.public().to_string()).is_err());
    assert!(CosigningKey::parse(&log.to_text()).is_err());
    assert!(SigningKey::parse(&witness.to_text()).is_err());
    assert_eq!(WitnessKey::parse(&witness.public().to_string()).unwrap(), *witness.public());
    assert_eq!(CosigningKey::parse(&witness.to_text()).unwrap().public(), witness.public());
    // The same seed and name: still another id, so neither's line is taken for the other's.
    let twin = SigningKey::from_seed("w1.example.org", Zeroizing::new([1; 32])).unwrap();
    assert_ne!(twin.verifier().id(), witness.public().id());
}

#[test]
fn a_cosigning_key_does_not_show_itself() {
    let key = CosigningKey::from_seed("w", Zeroizing::new(*b"MARKERMARKERMARKERMARKERMARKERMA")).unwrap();
    let shown = format!("{key:?} {}", key.public());
    let text = key.to_text();
    let secret = text.rsplit('+').next().unwrap();
    assert!(!shown.contains("MARKER") && !shown.contains(secret) && !shown.contains("77, 65"), "{shown}");
}

#[test]
fn a_witness_that_saw_a_checkpoint_twice_counts_once_and_with_its_newest_time() {
    let note = cosigned(&[(1, TIME + 5), (1, TIME)]);
    let note = Note::parse(note.as_bytes()).unwrap();
    assert_eq!(witness(1).public().verify(&note), Ok(TIME + 5));
    let witnessed = quorum(2, &[1, 2]).check(&note).unwrap();
    assert_eq!((witnessed.by.len(), witnessed.holds(), witnessed.since()), (1, false, None));
}

#[test]
fn a_quorum_holds_from_when_the_last_of_those_needed_saw_it() {
    let note = cosigned(&[(3, TIME + 9), (1, TIME), (2, TIME + 4), (9, TIME)]);
    let witnessed = quorum(2, &[1, 2, 3]).check(&Note::parse(note.as_bytes()).unwrap()).unwrap();
    assert!(witnessed.holds());
    assert_eq!(witnessed.since(), Some(TIME + 4));
    assert_eq!(
        witnessed.sentence(),
        "3 of 3 witnesses saw this tree, 2 are needed: w1.example.org at 2026-01-31T08:30:00Z, \
         w2.example.org at 2026-01-31T08:30:04Z, w3.example.org at 2026-01-31T08:30:09Z."
    );
    let witnessed = quorum(3, &[1, 4, 5]).check(&Note::parse(note.as_bytes()).unwrap()).unwrap();
    assert!(!witnessed.holds());
    assert_eq!(
        witnessed.sentence(),
        "1 of 3 witnesses saw this tree and 3 are needed: w1.example.org at 2026-01-31T08:30:00Z; until then whoever has \
         the log's key can show others another one."
    );
}

#[test]
fn a_line_that_claims_a_witness_and_does_not_fit_is_an_error_and_not_passed_over() {
    let other = witness(1).cosign(&checkpoint(8).body(), TIME).unwrap();
    let note = cosigned(&[(2, TIME)]) + &other;
    let refused = quorum(1, &[1, 2]).check(&Note::parse(note.as_bytes()).unwrap());
    assert_eq!(refused, Err(FormatError::BadSignature { name: "w1.example.org".to_owned() }));
}

#[test]
fn quorums_that_cannot_be_meant_are_refused() {
    let keys = |numbers: &[u8]| numbers.iter().map(|number| witness(*number).public().clone()).collect::<Vec<_>>();
    assert!(Quorum::new(0, keys(&[1])).is_err());
    assert!(Quorum::new(2, keys(&[1])).is_err());
    assert!(Quorum::new(1, keys(&[1, 1])).is_err());
    // One key under two names would be two voices of one.
    let alias = CosigningKey::from_seed("alias", Zeroizing::new([1; 32])).unwrap();
    assert!(Quorum::new(2, vec![witness(1).public().clone(), alias.public().clone()]).is_err());
}

#[test]
fn nothing_but_a_checkpoint_is_cosigned_and_no_time_beyond_the_format() {
    assert!(witness(1).cosign("a text\n", TIME).is_err());
    assert!(witness(1).cosign(&checkpoint(1).body(), 1 << 63).is_err());
    let others = format!("{}extension\n", checkpoint(1).body());
    witness(1).cosign(&others, TIME).unwrap();
}

#[test]
fn moments_are_those_of_the_calendar() {
    for (at, expected) in [
        (0, "1970-01-01T00:00:00Z"),
        (951_782_399, "2000-02-28T23:59:59Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (1_735_689_599, "2024-12-31T23:59:59Z"),
        (4_107_542_400, "2100-03-01T00:00:00Z"),
    ] {
        let note = cosigned(&[(1, at)]);
        let sentence = quorum(1, &[1]).check(&Note::parse(note.as_bytes()).unwrap()).unwrap().sentence();
        assert!(sentence.contains(expected), "{sentence}");
    }
}
