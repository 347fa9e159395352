//! The life of a key-encryption key over one state: who needs a generation, wrapping anew, and letting a generation go.
//!
//! Flow: [`needs`] counts; [`rewrap`] exchanges, batch by batch, what is not wrapped for the recipients of today;
//! [`destroy`] deletes a generation that nothing needs any more.
//!
//! Guarantees: a re-wrap that stops anywhere leaves every value openable, and the next one goes on with the rest; two at
//! once are refused; a value that was forgotten meanwhile does not come back. A generation that anything here needs is not
//! destroyed, and `key.destroyed` is recorded for every one that was, also when the machine stopped in between.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::app::Places;
use crate::context::Context;
use crate::engine::record::{entry, put};
use crate::escrow::kek::edit;
use crate::escrow::{Escrow, Kek, KekError, NoRandomness};
use crate::evidence::key::{self, KeyError};
use crate::store::pages::Pages;
use crate::store::{Change, Key, Rule, Sealed, Store, StoreError};

/// Why the keys stay as they are.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error(transparent)]
    Kek(#[from] KekError),
    #[error(transparent)]
    Signing(#[from] KeyError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Random(#[from] NoRandomness),
    #[error("the values are being wrapped anew by somebody else; that claim ends within {} s of its last sign of life", HELD.as_secs())]
    Busy,
    #[error("generation {generation} is still needed by {}; remint keys rewrap moves them, then try again", who(*.values, *.signing))]
    Needed { generation: u64, values: usize, signing: bool },
}

fn who(values: usize, signing: bool) -> String {
    let values = match values {
        0 => None,
        1 => Some("1 sealed value".to_owned()),
        many => Some(format!("{many} sealed values")),
    };
    let signing = signing.then(|| "the signing key".to_owned());
    values.into_iter().chain(signing).collect::<Vec<_>>().join(" and ")
}

/// How many sealed values each generation holds (0: only recovery keys), and which one the signing key is under.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    pub values: BTreeMap<u64, usize>,
    pub signing: Option<u64>,
}

impl Needs {
    /// The newest generation that anything was ever sealed under, as far as it is still there.
    pub fn newest(&self) -> u64 {
        self.values.keys().copied().chain(self.signing).max().unwrap_or(0)
    }
}

/// What a re-wrap did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Rewrapped {
    pub values: usize,
    pub signing_key: bool,
    /// Values that this key does not open: they stay as they are.
    pub unopened: Vec<String>,
}

/// Counts who needs which generation.
pub async fn needs(store: &dyn Store, folder: &Path) -> Result<Needs, KeysError> {
    let mut needs = Needs { signing: key::generation(folder)?, ..Needs::default() };
    let mut pages = Pages::of(store);
    while let Some(page) = pages.next().await? {
        for sealed in &page {
            *needs.values.entry(sealed.generation).or_default() += 1;
        }
    }
    Ok(needs)
}

/// Wraps every live sealed value and the signing key for the recipients of today, and records how many that were.
///
/// # Errors
/// Somebody else does it now; the store fails; the signing key does not open.
pub async fn rewrap(
    store: &dyn Store,
    escrow: &Escrow,
    folder: &Path,
    context: &Context,
) -> Result<Rewrapped, KeysError> {
    // A name of its own for every run: the same process may be asked twice, too.
    let holder = context.operation()?.0;
    let hold = || async {
        let now = context.clock.now();
        store.lease(LEASE, &holder, now, now + HELD).await?.ok_or(KeysError::Busy)
    };
    let mut fence = hold().await?;
    let mut done = Rewrapped::default();
    let mut pages = Pages::of(store);
    while let Some(page) = pages.next().await? {
        let mut pairs: Vec<(Sealed, Sealed)> = Vec::new();
        for before in page.into_iter().filter(|sealed| !escrow.is_current(sealed)) {
            match escrow.rewrap(&before) {
                Ok(anew) => pairs.push((before, anew)),
                Err(_) => done.unopened.push(before.id),
            }
        }
        fence = hold().await?;
        if !pairs.is_empty() {
            done.values += store.rewrap(&fence, pairs).await?;
        }
    }
    done.signing_key = key::rewrap(folder, escrow)?;
    if done.values > 0 || done.signing_key {
        let body = json!({
            "generation": escrow.kek().generations().max().unwrap_or(0),
            "recovery-keys": escrow.kek().recoveries().len(),
            "values": done.values,
            "signing-key": done.signing_key,
        });
        let entries = vec![entry("key.rewrapped", context.clock.now(), None, None, &body)];
        store.commit(Change { entries, fence: Some(fence.clone()), ..Change::default() }).await?;
    }
    store.release(&fence).await?;
    Ok(done)
}

/// Destroys a generation that nothing here needs: after this nobody opens what was sealed under it and no recovery key,
/// wherever a copy of it lies.
///
/// # Errors
/// It is needed, the newest, not there, or not in a file that is Remint's to change.
pub async fn destroy(
    store: &dyn Store,
    places: &Places,
    kek: &Kek,
    generation: u64,
    by: &str,
    context: &Context,
) -> Result<(), KeysError> {
    let begun = Key { kind: "key", id: format!("destroying-{generation}") };
    match edit::check_removal(&places.kek, kek, generation) {
        // Gone from the file already, and the machine stopped before that was recorded.
        Err(KekError::NoGeneration { .. }) if store.get(&begun).await?.is_some() => {}
        Err(error) => return Err(error.into()),
        Ok(()) => {
            let needs = needs(store, &places.state).await?;
            let values = needs.values.get(&generation).copied().unwrap_or(0);
            let signing = needs.signing == Some(generation);
            if values > 0 || signing {
                return Err(KeysError::Needed { generation, values, signing });
            }
            let puts = vec![put(begun.kind, begun.id.clone(), "", &json!({ "by": by }), Rule::Upsert)?];
            store.commit(Change { puts, ..Change::default() }).await?;
            edit::remove_generation(&places.kek, kek, generation)?;
        }
    }
    let body = json!({ "generation": generation, "by": by });
    let entries = vec![entry("key.destroyed", context.clock.now(), None, None, &body)];
    store.commit(Change { deletes: vec![begun], entries, ..Change::default() }).await?;
    Ok(())
}

const LEASE: &str = "rewrap";
/// How long a claim lasts without a sign of life.
const HELD: Duration = Duration::from_secs(30);
