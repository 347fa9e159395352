//! `vectors/entries.json` was written by another implementation (Python's `json` and `hashlib`). It never changes; a new
//! version of the format gets a file of its own.

use remint_evidence_format::tree::Hash;
use remint_evidence_format::{Draft, FormatError, entry};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    accepted: Vec<Accepted>,
    refused_drafts: Vec<RefusedDraft>,
    refused_bytes: Vec<RefusedBytes>,
}

#[derive(Deserialize)]
struct Accepted {
    name: String,
    draft: Draft,
    number: u64,
    previous: String,
    bytes: String,
    leaf: String,
}

#[derive(Deserialize)]
struct RefusedDraft {
    name: String,
    draft: Draft,
    number: u64,
    previous: String,
    reason: String,
}

#[derive(Deserialize)]
struct RefusedBytes {
    name: String,
    bytes: String,
    reason: String,
}

#[test]
fn every_accepted_vector_seals_to_its_bytes_and_reads_back() {
    let vectors = vectors();
    assert!(vectors.accepted.len() >= 20);
    for vector in vectors.accepted {
        let name = &vector.name;
        let previous = Hash::from_hex(&vector.previous).unwrap();
        let bytes = entry::seal(&vector.draft, vector.number, previous).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(String::from_utf8_lossy(&bytes), String::from_utf8_lossy(&unhex(&vector.bytes)), "{name}");
        assert_eq!(entry::hash(&bytes).to_string(), vector.leaf, "{name}");
        let read = entry::parse(&bytes).unwrap();
        assert_eq!(read.number, vector.number, "{name}");
        assert_eq!(read.previous, previous, "{name}");
        assert_eq!(read.kind, vector.draft.kind, "{name}");
        assert_eq!(read.at, vector.draft.at, "{name}");
        assert_eq!(read.reset.as_deref(), vector.draft.reset.as_deref(), "{name}");
        assert_eq!(read.subject.as_deref(), vector.draft.subject.as_deref(), "{name}");
        assert_eq!(read.body().unwrap(), vector.draft.body, "{name}");
    }
}

#[test]
fn every_refused_draft_is_refused_for_its_reason() {
    for vector in vectors().refused_drafts {
        let previous = Hash::from_hex(&vector.previous).unwrap();
        let error = entry::seal(&vector.draft, vector.number, previous).expect_err(&vector.name);
        assert_eq!(reason(&error), vector.reason, "{}", vector.name);
    }
}

#[test]
fn every_refused_vector_of_bytes_is_refused_for_its_reason() {
    for vector in vectors().refused_bytes {
        let bytes = unhex(&vector.bytes);
        let error = entry::parse(&bytes).expect_err(&vector.name);
        assert_eq!(reason(&error), vector.reason, "{}: {error}", vector.name);
    }
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../vectors/entries.json")).unwrap()
}

fn reason(error: &FormatError) -> String {
    let shown = format!("{error:?}");
    shown.split([' ', '{']).next().unwrap().to_owned()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn an_entry_is_at_most_what_two_bytes_can_say() {
    let mut draft = vectors().accepted.remove(0).draft;
    let around = entry::seal(&draft, 1, entry::FIRST).unwrap().len() + r#""a":"""#.len();
    draft.body.insert("a".to_owned(), "x".repeat(entry::MAX_SIZE - around).into());
    assert_eq!(entry::seal(&draft, 1, entry::FIRST).unwrap().len(), entry::MAX_SIZE);
    draft.body.insert("a".to_owned(), "x".repeat(entry::MAX_SIZE - around + 1).into());
    let error = entry::seal(&draft, 1, entry::FIRST).unwrap_err();
    assert_eq!(error.to_string(), "the entry is larger than 65535 bytes");
}

#[test]
fn thirty_thousand_levels_are_refused_and_not_followed() {
    let bytes = format!("{}{{\"at\":\"x\",\"body\":{{\"a\":{}", entry::DOMAIN, "[".repeat(30_000));
    assert_eq!(entry::parse(bytes.as_bytes()), Err(FormatError::TooDeep { limit: 32 }));
}

/// `vectors/recovered.json`: the kinds of entry of a log that was begun anew, written by the same other implementation.
#[test]
fn every_entry_of_a_recovered_log_seals_to_its_bytes() {
    #[derive(Deserialize)]
    struct Recovered {
        accepted: Vec<Accepted>,
    }
    let text = include_str!("../../vectors/recovered.json");
    let vectors: Recovered = serde_json::from_str(text).unwrap();
    assert_eq!(vectors.accepted.len(), 4);
    for vector in vectors.accepted {
        let previous = Hash::from_hex(&vector.previous).unwrap();
        let bytes = entry::seal(&vector.draft, vector.number, previous).unwrap();
        assert_eq!(bytes, unhex(&vector.bytes), "{}", vector.name);
        assert_eq!(entry::hash(&bytes).to_string(), vector.leaf, "{}", vector.name);
    }
}
