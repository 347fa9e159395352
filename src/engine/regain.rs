//! Regaining: a reset that its re-proof reopened acts on a credential that another one has rotated since.

use std::collections::BTreeMap;

use remint_contract::ResetId;
use remint_core::machine::{Rotation, State, Version};

use crate::engine::record::{Owner, Reset, RotationRecord, kind, put};
use crate::engine::takeover::{Other, stands};
use crate::engine::{Engine, EngineError};
use crate::store::{Change, Rule};

impl Engine {
    /// A member that was settled, and is open again because its old value lives, may have been rotated by another reset
    /// meanwhile: when that one has ended, it is this reset's again, with the value that the other one made.
    pub(super) async fn regain(
        &self,
        reset: &Reset,
        mine: &RotationRecord,
        owner: Option<&(Owner, u64)>,
        others: &BTreeMap<ResetId, Other>,
        change: &mut Change,
    ) -> Result<Rotation, EngineError> {
        let row =
            |rule| put(kind::OWNER, mine.credential.to_string(), &reset.id.0, &Owner { reset: reset.id.clone() }, rule);
        match owner {
            Some((held, revision)) => {
                let other = others.get(&held.reset);
                let theirs = other.and_then(|other| Some((other, other.rotations.get(&mine.credential)?)));
                if theirs.is_some_and(|(other, (record, _))| stands(other, &record.rotation)) {
                    return Ok(mine.rotation.clone());
                }
                change.puts.push(row(Rule::Revision(*revision))?);
            }
            None => change.puts.push(row(Rule::Insert)?),
        }
        let mut next = mine.rotation.clone();
        let mut later = Vec::new();
        for other in self.resets().await?.into_iter().filter(|other| other.id != reset.id) {
            let theirs = self.rotations(&other.id).await?;
            later.extend(theirs.into_iter().filter(|record| record.credential == mine.credential));
        }
        // Whose old version was this one's new one came after it; or its old one, where that lived again by then.
        let first = next.facts.old.clone();
        while let Some(new) = &next.facts.new
            && let Some(at) = later.iter().position(|other| {
                let before = |old: &Version| {
                    old.id.is_some() && (old.id == new.id || first.as_ref().is_some_and(|first| old.id == first.id))
                };
                let settled = matches!(other.rotation.state, State::Settled { .. });
                settled && other.rotation.facts.old.as_ref().is_some_and(before)
            })
        {
            next.facts.new = later.swap_remove(at).rotation.facts.new;
        }
        // The other one may be over, and its values forgotten: then the new value is known by its name alone, and the
        // proof has no control after.
        if let Some(new) = &mut next.facts.new
            && let Some(sealed) = &new.sealed
            && self.store.sealed(sealed).await?.is_none()
        {
            new.sealed = None;
        }
        Ok(next)
    }
}
