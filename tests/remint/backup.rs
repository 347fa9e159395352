//! Backups: whole, without a secret, and every changed byte is found.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remint::store::Store;
use remint::store::dump::{self, BackupError};
use remint::store::postgres::{Address, PostgresStore};
use remint::store::sqlite::{SqliteStore, dump_beside};
use tokio::sync::mpsc;

use crate::rig::Rig;
use crate::store::postgres::Databases;

/// As the command makes it, beside whoever has the store open: of a folder, or of a database.
pub(crate) async fn backup(folder: &Path, address: Option<&Address>, file: &Path) -> dump::Tally {
    let (sender, receiver) = mpsc::channel(dump::QUEUE);
    let dumped = async {
        match address {
            None => dump_beside(folder, sender).await,
            Some(address) => PostgresStore::open(address.clone()).await?.dump(false, sender).await,
        }
    };
    let (sent, written) = tokio::join!(dumped, dump::write(file, receiver));
    sent.unwrap();
    written.unwrap()
}

#[tokio::test]
async fn a_backup_of_a_busy_store_holds_no_sealed_value_and_no_secret() {
    no_secret(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_does_one_of_a_database() {
    let Some(databases) = Databases::find("a backup of a database").await else { return };
    no_secret(Some(databases.fresh().await)).await;
}

async fn no_secret(address: Option<Address>) {
    let rig = Rig::start(3).await;
    let engine = match &address {
        None => rig.engine(),
        Some(address) => rig.engine_over(Arc::new(PostgresStore::open(address.clone()).await.unwrap())),
    };
    let mut secrets: Vec<Vec<u8>> = (0..3).map(|index| rig.value(index).secret.expose().to_vec()).collect();
    rig.reset(&engine, rig.plan()).await;
    secrets.extend((0..3).map(|index| rig.value(index).secret.expose().to_vec()));
    let sealed = engine.store.sealed_after(None, 1000).await.unwrap();
    assert!(sealed.len() >= 6);
    secrets.extend(sealed.into_iter().map(|sealed| sealed.bytes));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup");
    // The engine holds the state folder all along.
    let tally = backup(rig.folder.path(), address.as_ref(), &file).await;
    assert!(tally.entries > 20 && tally.records > 5, "{tally:?}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let bytes = std::fs::read(&file).unwrap();
    // Entries are base64 in the file: what they say is searched, too.
    let mut said = bytes.clone();
    for stored in engine.store.unsequenced(10_000).await.unwrap() {
        said.extend(stored.bytes);
    }
    for secret in &secrets {
        assert_eq!(found(&said, secret), None);
        for form in forms(secret) {
            let planted = [said.as_slice(), &form].concat();
            assert!(found(&planted, secret).is_some(), "the search would not find it");
        }
    }
}

/// Raw, as hexadecimal digits of both cases, and as base64 at each of its three places.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let hex = secret.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let mut forms = vec![secret.to_vec(), hex.clone().into_bytes(), hex.to_uppercase().into_bytes()];
    for shift in 0..3 {
        let text = STANDARD.encode([&vec![0; shift], secret].concat());
        // What stands at the borders depends on the neighbours.
        let text = &text[(shift * 8).div_ceil(6)..text.len() - 4];
        forms.push(text.as_bytes().to_vec());
    }
    forms
}

fn found(text: &[u8], secret: &[u8]) -> Option<usize> {
    forms(secret).iter().position(|form| text.windows(form.len()).any(|window| window == form))
}

#[tokio::test]
async fn every_changed_missing_or_added_byte_of_a_backup_is_found_before_anything_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let store = SqliteStore::open(&state).unwrap();
    let mut change = crate::store::put("task", "a", remint::store::Rule::Insert);
    change.entries.push(crate::store::draft(Some("r1"), 1));
    store.commit(change).await.unwrap();
    let file = folder.path().join("backup");
    backup(&state, None, &file).await;
    let good = std::fs::read(&file).unwrap();
    dump::check(&file).unwrap();
    let bad = folder.path().join("bad");
    let refused = |bytes: &[u8], what: &str| {
        std::fs::write(&bad, bytes).unwrap();
        assert!(matches!(dump::check(&bad), Err(BackupError::Format { .. })), "{what}");
    };
    for place in 0..good.len() {
        for flip in [1, 0x20, 0x80] {
            let mut bytes = good.clone();
            bytes[place] ^= flip;
            refused(&bytes, &format!("byte {place} ^ {flip}"));
        }
        refused(&good[..place], &format!("cut at {place}"));
    }
    refused(&[good.as_slice(), b"\n"].concat(), "a byte more");
    let empty = SqliteStore::open(&folder.path().join("other")).unwrap();
    assert!(dump::restore(&bad, &empty).await.is_err());
    assert!(empty.list("task", None).await.unwrap().is_empty());
    dump::restore(&file, &empty).await.unwrap();
    assert_eq!(empty.list("task", None).await.unwrap(), store.list("task", None).await.unwrap());
}
