//! Escrow's expiry: a sealed value past it is forgotten by whoever runs.

use std::collections::BTreeSet;

use remint_contract::{CredentialId, ResetId};
use remint_core::machine::{Facts, State, Version};
use serde_json::json;

use crate::engine::record::{IntentOutcome, IntentRecord, ResetStatus, entry, kind, read};
use crate::engine::{Engine, EngineError};
use crate::store::pages::Pages;
use crate::store::{Change, Sealed};

impl Engine {
    /// Forgets sealed values past their expiry, with one entry that counts them. What a reset that is not over still needs
    /// outlives its expiry: a value is never lost because a person took a day longer.
    ///
    /// # Errors
    /// The store failed.
    pub async fn purge(&self) -> Result<usize, EngineError> {
        let now = self.context.clock.now();
        let mut expired: Vec<Sealed> = Vec::new();
        let mut pages = Pages::of(&*self.store);
        while let Some(page) = pages.next().await? {
            expired.extend(page.into_iter().filter(|sealed| sealed.expires.is_some_and(|expires| expires < now)));
        }
        if expired.is_empty() {
            return Ok(0);
        }
        let needed = self.needed().await?;
        let kept = expired.iter().filter(|sealed| needed.contains(&sealed.id)).count();
        let unseals: Vec<String> =
            expired.into_iter().map(|sealed| sealed.id).filter(|id| !needed.contains(id)).collect();
        let forgotten = unseals.len();
        if forgotten > 0 {
            let entries = vec![entry("escrow.forgot", now, None, None, &json!({ "values": forgotten, "kept": kept }))];
            self.store.commit(Change { unseals, entries, ..Change::default() }).await?;
        }
        Ok(forgotten)
    }

    /// Sealed values that a reset which is not over goes on with.
    async fn needed(&self) -> Result<BTreeSet<String>, EngineError> {
        let mut needed = BTreeSet::new();
        for reset in self.resets().await? {
            if matches!(reset.status, ResetStatus::Complete | ResetStatus::Rejected) {
                continue;
            }
            for record in self.rotations(&reset.id).await? {
                needed.extend(sealed(&record.rotation.facts));
            }
        }
        for record in self.store.list(kind::INTENT, None).await? {
            let intent: IntentRecord = read(record)?;
            needed.extend(intent.sealed);
            if let IntentOutcome::Minted(Version { sealed, .. }) = intent.outcome {
                needed.extend(sealed);
            }
        }
        Ok(needed)
    }
}

impl Engine {
    /// Sealed values that rotations of other resets still go on with: a rotation that was vouched for, or that took over,
    /// has its values from another one's. And the credentials of those rotations.
    pub(crate) async fn needed_beside(
        &self,
        id: &ResetId,
    ) -> Result<(BTreeSet<String>, BTreeSet<CredentialId>), EngineError> {
        let (mut needed, mut open) = (BTreeSet::new(), BTreeSet::new());
        for reset in self.resets().await? {
            if reset.id == *id || matches!(reset.status, ResetStatus::Complete | ResetStatus::Rejected) {
                continue;
            }
            for record in self.rotations(&reset.id).await? {
                let over = matches!(record.rotation.state, State::Settled { last: true } | State::Superseded { .. });
                if !over {
                    needed.extend(sealed(&record.rotation.facts));
                    open.insert(record.credential);
                }
            }
        }
        Ok((needed, open))
    }
}

/// What is sealed of a rotation's versions.
fn sealed(facts: &Facts) -> impl Iterator<Item = String> + '_ {
    facts.old.iter().chain(&facts.new).chain(&facts.also).filter_map(|version| version.sealed.clone())
}
