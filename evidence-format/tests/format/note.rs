//! Keys, notes and checkpoints: text forms, refusals, and that a key does not show itself.

use remint_evidence_format::FormatError;
use remint_evidence_format::checkpoint::Checkpoint;
use remint_evidence_format::note::{Note, SigningKey, VerifierKey, sign};
use remint_evidence_format::tree::leaf_hash;
use zeroize::Zeroizing;

use crate::sample::{key, verifier};

#[test]
fn the_example_of_the_signed_note_documentation_verifies() {
    let key = VerifierKey::parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW").unwrap();
    let note = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n\n\
        \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    Note::parse(note.as_bytes()).unwrap().verify(&key).unwrap();
    let changed = note.replace("answer", "Answer");
    let refused = Note::parse(changed.as_bytes()).unwrap().verify(&key);
    assert_eq!(refused, Err(FormatError::BadSignature { name: "PeterNeumann".to_owned() }));
}

#[test]
fn keys_read_back_from_their_text() {
    let key = key();
    let again = SigningKey::parse(&key.to_text()).unwrap();
    assert_eq!(again.verifier(), key.verifier());
    assert_eq!(VerifierKey::parse(&key.verifier().to_string()).unwrap(), *key.verifier());
    let note = sign("text\n", &again).unwrap();
    Note::parse(note.as_bytes()).unwrap().verify(key.verifier()).unwrap();
}

#[test]
fn a_key_with_any_letter_changed_is_refused_or_another_key() {
    let text = verifier().to_string();
    for at in 0..text.len() {
        let mut changed = text.clone().into_bytes();
        changed[at] ^= 1;
        let Ok(changed) = String::from_utf8(changed) else { continue };
        assert!(VerifierKey::parse(&changed).is_err(), "{changed}");
    }
}

#[test]
fn a_signing_key_does_not_show_itself() {
    let key = SigningKey::from_seed("log", Zeroizing::new(*b"MARKERMARKERMARKERMARKERMARKERMA")).unwrap();
    let shown = format!("{key:?} {key:#?} {}", key.verifier());
    let text = key.to_text();
    let secret = text.rsplit('+').next().unwrap();
    assert!(!shown.contains("MARKER") && !shown.contains(secret) && !shown.contains("77, 65"), "{shown}");
    let error = SigningKey::parse(&text.replace("log+", "gol+")).unwrap_err();
    assert!(!format!("{error} {error:?}").contains(secret));
}

#[test]
fn names_with_white_space_or_plus_are_refused() {
    for name in ["", "a b", "a+b", "a\nb", "a\u{a0}b"] {
        assert!(SigningKey::from_seed(name, Zeroizing::new([1; 32])).is_err(), "{name:?}");
    }
}

#[test]
fn another_key_of_the_same_name_has_not_signed() {
    let other = SigningKey::from_seed(verifier().name(), Zeroizing::new([8; 32])).unwrap();
    let note = sign("text\n", &key()).unwrap();
    let refused = Note::parse(note.as_bytes()).unwrap().verify(other.verifier());
    assert_eq!(refused, Err(FormatError::Unsigned { name: verifier().name().to_owned() }));
}

#[test]
fn signatures_of_unknown_keys_are_passed_over() {
    let witness = SigningKey::from_seed("witness", Zeroizing::new([9; 32])).unwrap();
    let line = sign("text\n", &witness).unwrap();
    let note = sign("text\n", &key()).unwrap() + line.strip_prefix("text\n\n").unwrap();
    let note = Note::parse(note.as_bytes()).unwrap();
    assert_eq!(note.signatures.len(), 2);
    note.verify(&verifier()).unwrap();
    note.verify(witness.verifier()).unwrap();
}

#[test]
fn what_is_not_a_note_is_refused() {
    let good = sign("text\n", &key()).unwrap();
    Note::parse(good.as_bytes()).unwrap();
    for bad in [
        String::new(),
        "text\n".to_owned(),
        "text\n\n".to_owned(),
        good.trim_end().to_owned(),
        good.clone() + "\n",
        good.replace("\n\n", "\n"),
        good.replace('\u{2014}', "-"),
        good.replace("text", "te\txt"),
        good.replace("=\n", "\n"),
        good.replace("remint ", "remint  "),
    ] {
        assert!(Note::parse(bad.as_bytes()).is_err(), "{bad:?}");
    }
    for bad in ["", "text", "te\u{1}xt\n"] {
        assert!(sign(bad, &key()).is_err(), "{bad:?}");
    }
}

#[test]
fn a_checkpoint_is_three_lines_under_the_key_of_its_origin() {
    let checkpoint = Checkpoint { origin: verifier().name().to_owned(), size: 12, root: leaf_hash(b"x") };
    let signed = checkpoint.sign(&key()).unwrap();
    assert_eq!(Checkpoint::open(signed.as_bytes(), &verifier()).unwrap(), checkpoint);
    let other = Checkpoint { origin: "elsewhere".to_owned(), ..checkpoint.clone() };
    assert!(other.sign(&key()).is_err());
    let signed = sign(&other.body(), &key()).unwrap();
    assert!(Checkpoint::open(signed.as_bytes(), &verifier()).is_err(), "signed under another origin");
}

#[test]
fn what_is_not_a_checkpoint_is_refused() {
    let root = "LcWGwPWeJPwHT26MScyWtX7o2hQpCpqfVwmkvQ7JCxg=";
    Checkpoint::parse(&format!("log\n0\n{root}\n")).unwrap();
    for bad in [
        format!("log\n0\n{root}"),
        format!("\n0\n{root}\n"),
        format!("log\n00\n{root}\n"),
        format!("log\n+1\n{root}\n"),
        format!("log\n-1\n{root}\n"),
        format!("log\n\n{root}\n"),
        format!("log\n18446744073709551616\n{root}\n"),
        "log\n1\nAAAA\n".to_owned(),
        format!("log\n1\n{}\n", root.replace("g=", "h=")),
        format!("log\n1\n{root}\nextension\n"),
    ] {
        assert!(Checkpoint::parse(&bad).is_err(), "{bad:?}");
    }
}
