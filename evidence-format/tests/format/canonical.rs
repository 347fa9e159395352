//! One form for a value, and no panic on anything.

use proptest::prelude::*;
use remint_evidence_format::bundle::Bundle;
use remint_evidence_format::checkpoint::Checkpoint;
use remint_evidence_format::note::{Note, SigningKey, VerifierKey};
use remint_evidence_format::tree::Hash;
use remint_evidence_format::{Draft, bundle, entry};
use serde_json::{Map, Value};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_sealed_reads_back_and_seals_to_the_same_bytes(
        body in object(),
        number in 2..9_007_199_254_740_991_u64,
        subject in proptest::option::of("\\PC{1,20}"),
    ) {
        let previous = Hash([7; 32]);
        let draft = Draft {
            kind: "effect.done".to_owned(),
            at: "2026-01-31T08:30:00Z".to_owned(),
            reset: Some("reset-1".to_owned()),
            subject,
            body,
        };
        let bytes = entry::seal(&draft, number, previous).unwrap();
        let read = entry::parse(&bytes).unwrap();
        prop_assert_eq!(&read.body().unwrap(), &draft.body);
        prop_assert_eq!(read.subject.as_deref(), draft.subject.as_deref());
        let again = entry::seal(&draft, read.number, read.previous).unwrap();
        prop_assert_eq!(again, bytes);
    }

    /// The reader has no form of its own: whatever it accepts after a mutation, writing gives back byte for byte.
    #[test]
    fn whatever_is_accepted_is_the_form_that_writing_gives(
        body in object(),
        at in any::<proptest::sample::Index>(),
        byte in proptest::sample::select(b" \"\\{}[],:09-+.eEnu/\x01\x7fabc".to_vec()),
        insert in any::<bool>(),
    ) {
        let draft = Draft { kind: "k".to_owned(), at: "2026-01-31T08:30:00Z".to_owned(), reset: None, subject: None, body };
        let mut bytes = entry::seal(&draft, 1, entry::FIRST).unwrap();
        let at = at.index(bytes.len());
        if insert { bytes.insert(at, byte) } else { bytes[at] = byte }
        if let Ok(read) = entry::parse(&bytes) {
            let draft = Draft {
                kind: read.kind.to_string(),
                at: read.at.to_string(),
                reset: read.reset.as_deref().map(str::to_owned),
                subject: read.subject.as_deref().map(str::to_owned),
                body: read.body().unwrap(),
            };
            prop_assert_eq!(entry::seal(&draft, read.number, read.previous).unwrap(), bytes);
        }
    }

    #[test]
    fn no_reader_panics_on_random_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = entry::parse(&bytes);
        let _ = entry::parse(&[entry::DOMAIN.as_bytes(), &bytes].concat());
        let _ = Note::parse(&bytes);
        let _ = Bundle::from_archive(&bytes);
        let _ = bundle::verify(&bytes, None);
        let text = String::from_utf8_lossy(&bytes);
        let _ = Checkpoint::parse(&text);
        let _ = VerifierKey::parse(&text);
        let _ = SigningKey::parse(&text);
    }

    #[test]
    fn no_reader_panics_on_bytes_that_look_right(
        text in "([\\[\\]{}:,\"\\\\u0019af.e\n +—-]|true|\"at\"|\"body\"|\"number\"|\n\n— |origin){0,80}",
    ) {
        let _ = entry::parse(format!("{}{text}", entry::DOMAIN).as_bytes());
        let _ = entry::parse(format!("{}{{\"at\":\"x\",\"body\":{text}", entry::DOMAIN).as_bytes());
        let _ = Note::parse(text.as_bytes());
        let _ = Checkpoint::parse(&text);
        let _ = VerifierKey::parse(&text);
    }
}

fn object() -> impl Strategy<Value = Map<String, Value>> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        (-9_007_199_254_740_991..=9_007_199_254_740_991_i64).prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(text(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    proptest::collection::btree_map(text(), value, 0..6).prop_map(|members| members.into_iter().collect())
}

/// With control characters, quotes, and letters on both sides of the surrogates.
fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![any::<char>(), proptest::char::range('\0', '\x7f'), proptest::char::range('\u{e000}', '\u{ffff}')],
        0..8,
    )
    .prop_map(|letters| letters.into_iter().collect())
}
