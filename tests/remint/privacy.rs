//! Persons beside the tree, and secrets that are known without being told.

use std::sync::Arc;

use remint::context::Context;
use remint::engine::record::entry;
use remint::privacy::fingerprint::Fingerprints;
use remint::privacy::matching::matching;
use remint::privacy::persons::{Discreet, disclosed, erase};
use remint::store::sqlite::SqliteStore;
use remint::store::{Change, Store};
use remint_contract::ResetId;
use serde_json::{Value, json};

use crate::rig::Rig;
use crate::store::at;

fn discreet() -> (Arc<dyn Store>, Discreet) {
    let inner: Arc<dyn Store> = Arc::new(SqliteStore::open_in_memory().unwrap());
    (Arc::clone(&inner), Discreet::new(inner, Context::system()))
}

async fn says(store: &dyn Store, reset: &str, key: &str, by: &str) {
    let reset = ResetId(reset.to_owned());
    let entries = vec![entry("reset.requested", at(0), Some(&reset), None, &json!({ key: by, "reason": "runner" }))];
    store.commit(Change { entries, ..Change::default() }).await.unwrap();
}

/// Who every entry of a reset tells of.
async fn who(store: &dyn Store, reset: &str) -> Vec<String> {
    let entries = store.entries_of(&ResetId(reset.to_owned())).await.unwrap();
    let bodies =
        entries.iter().map(|stored| remint_evidence_format::entry::parse(&stored.bytes).unwrap().body().unwrap());
    bodies
        .flat_map(|body| ["by", "requested-by"].map(|key| body.get(key).and_then(Value::as_str).map(str::to_owned)))
        .flatten()
        .collect()
}

#[tokio::test]
async fn entries_commit_to_a_person_who_is_the_same_within_a_reset_and_another_in_the_next() {
    let (inner, store) = discreet();
    says(&store, "r1", "requested-by", "ada").await;
    says(&store, "r1", "by", "ada").await;
    says(&store, "r1", "by", "grace").await;
    says(&store, "r2", "by", "ada").await;
    let (one, two) = (who(&*inner, "r1").await, who(&*inner, "r2").await);
    assert!(one.iter().chain(&two).all(|name| name.starts_with("person:")), "{one:?}");
    assert_eq!(one[0], one[1]);
    assert!(one[0] != one[2] && one[0] != two[0]);
    for stored in inner.entries_of(&ResetId("r1".to_owned())).await.unwrap() {
        let text = String::from_utf8_lossy(&stored.bytes).into_owned();
        // With its quotes: the three letters alone are hexadecimal digits, which a commitment may hold by chance.
        assert!(!text.contains("\"ada\"") && !text.contains("grace"), "{text}");
    }
    let names: Vec<String> = disclosed(&*inner, "r1").await.unwrap().into_iter().map(|one| one.name).collect();
    assert_eq!(names.len(), 2);
    // Another process over the same store goes on with the same commitment.
    let again = Discreet::new(Arc::clone(&inner), Context::system());
    says(&again, "r1", "by", "grace").await;
    assert_eq!(who(&*inner, "r1").await[3], one[2]);
}

#[tokio::test]
async fn who_is_erased_is_in_no_record_and_the_tree_is_as_it_was() {
    let (inner, store) = discreet();
    says(&store, "r1", "requested-by", "ada").await;
    says(&store, "r1", "by", "grace").await;
    let before = inner.entries_of(&ResetId("r1".to_owned())).await.unwrap();
    assert_eq!(erase(&store, &Context::system(), "ada", "grace").await.unwrap(), 1);
    assert_eq!(inner.entries_of(&ResetId("r1".to_owned())).await.unwrap(), before);
    let left: Vec<String> = disclosed(&*inner, "r1").await.unwrap().into_iter().map(|one| one.name).collect();
    assert_eq!(left, ["grace"]);
    assert_eq!(erase(&store, &Context::system(), "ada", "grace").await.unwrap(), 0);
}

/// A whole reset leaves no name in the working records of a state that erased it.
#[tokio::test]
async fn what_a_reset_says_of_who_asked_is_overwritten_too() {
    let rig = Rig::start(1).await;
    let engine = rig.engine();
    let reset = rig.reset(&engine, rig.plan()).await;
    erase(&*engine.store, &engine.context, "tester", "grace").await.unwrap();
    let known = engine.reset(&reset.id).await.unwrap();
    assert_eq!((known.requested_by.as_str(), known.approval.unwrap().by.as_str()), ("erased", "erased"));
}

#[tokio::test]
async fn a_secret_that_was_pasted_is_matched_to_its_credential_by_every_generation_and_by_nothing_else() {
    let mut rig = Rig::start(2).await;
    let engine = rig.engine();
    let (store, context) = (Arc::clone(&engine.store), engine.context.clone());
    assert_eq!(Fingerprints::rotate(&*store, &engine.escrow, &context, "ada").await.unwrap(), 1);
    rig.settings.fingerprints = Fingerprints::open(&*store, &engine.escrow).await.unwrap();
    let old = rig.value(0);
    drop((engine, store));
    let engine = rig.engine();
    let reset = rig.reset(&engine, rig.plan()).await;
    let secret = old.secret.expose_str().unwrap().to_owned();
    let mut text = b"found in a ticket: TOKEN=".to_vec();
    text.extend_from_slice(secret.as_bytes());
    text.extend_from_slice(b" please rotate");
    let find = async |text: &[u8]| {
        let prints = Fingerprints::open(&*engine.store, &engine.escrow).await.unwrap();
        matching(&*engine.store, &prints, &engine.context, text, "ada").await.unwrap()
    };
    let found = find(&text).await;
    assert_eq!(found.matches.keys().collect::<Vec<_>>(), ["Credential/app0"], "{found:?}");
    assert_eq!(found.matches["Credential/app0"][0].reset, reset.id.to_string());
    assert!(find(b"found in a ticket: TOKEN=another-value-that-is-as-long").await.matches.is_empty());
    // A new generation: what was recorded under the old one is found still.
    assert_eq!(Fingerprints::rotate(&*engine.store, &engine.escrow, &engine.context, "ada").await.unwrap(), 2);
    assert_eq!(find(&text).await.matches.len(), 1);
    // Nothing of the text is kept, and that somebody asked is.
    let asked = engine.store.unsequenced(usize::MAX).await.unwrap();
    let told: Vec<String> = asked.iter().map(|stored| String::from_utf8_lossy(&stored.bytes).into_owned()).collect();
    assert_eq!(told.iter().filter(|text| text.contains("\"kind\":\"evidence.matched\"")).count(), 3);
    assert!(told.iter().all(|text| !text.contains(&secret)));
}
