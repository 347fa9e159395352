//! One person's yes to one plan, and what it reaches.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use remint_contract::Ref;
use serde::{Deserialize, Serialize};

use crate::approval::Party;
use crate::digest::{Digest, is_default};
use crate::estate::Tier;
use crate::plan::Plan;

/// A yes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    pub by: Party,
    /// The groups that he was in when he signed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub roles: BTreeSet<String>,
    pub at: Timestamp,
    pub strength: Strength,
    /// The plan that he signed, by its place in the case: 0 is the first, 1 its first revision.
    pub plan: usize,
    /// It was given while that revision waited: it is of what the revision changes, and of nothing else.
    #[serde(default, skip_serializing_if = "is_default")]
    pub delta: bool,
    /// What may be added later without asking him again.
    #[serde(default, skip_serializing_if = "is_default")]
    pub additions: Option<Additions>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub withdrawn: Option<Timestamp>,
    /// He said that it counts no longer than that.
    #[serde(default, skip_serializing_if = "is_default")]
    pub until: Option<Timestamp>,
    /// What he signed with a key of his own, on its way in; it is kept as a record of its own, which can be erased.
    #[serde(skip)]
    pub signed: Option<Signed>,
}

/// A signed note, and the key that it was checked with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    pub note: String,
    pub key: String,
}

/// How strongly the signer was known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Strength {
    /// When he last proved who he is; `None`: nobody can say.
    #[serde(default, skip_serializing_if = "is_default")]
    pub auth_time: Option<Timestamp>,
    /// `recorded`: a word that nobody outside can check. `signed`, `id-token`: anybody can.
    pub grade: String,
}

/// Additions that were allowed in advance; in words `3 standard,privileged`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Additions {
    pub most: usize,
    /// Of these tiers only.
    pub tiers: BTreeSet<Tier>,
}

impl fmt::Display for Additions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tiers: Vec<&str> = self.tiers.iter().map(|tier| word(*tier)).collect();
        write!(f, "{} {}", self.most, tiers.join(","))
    }
}

impl FromStr for Additions {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` does not say what may be added: write a number and tiers, like `3 standard`");
        let (most, tiers) = text.split_once([' ', ':']).ok_or_else(wrong)?;
        let most = most.parse().ok().filter(|most| *most > 0).ok_or_else(wrong)?;
        let tier = |name: &str| Tier::ALL.into_iter().find(|tier| word(*tier) == name);
        let tiers = tiers.split(',').map(tier).collect::<Option<BTreeSet<_>>>().ok_or_else(wrong)?;
        Ok(Self { most, tiers })
    }
}

const fn word(tier: Tier) -> &'static str {
    match tier {
        Tier::Standard => "standard",
        Tier::Privileged => "privileged",
    }
}

/// What a revision changes: an approval of it signs this.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Delta {
    /// Credentials whose leaf is another one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub changed: BTreeSet<Ref>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub added: BTreeSet<Ref>,
    /// Something that is no credential's leaf is different, the limits or what is left out: nothing that was signed before counts.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: bool,
}

impl Delta {
    /// Between a plan and the one that it revises.
    #[must_use]
    pub fn between(parent: &Plan, plan: &Plan) -> Self {
        let leaves = |plan: &Plan| -> std::collections::BTreeMap<Ref, Digest> {
            let leaf = |(index, member): (usize, &crate::plan::Member)| (member.credential.clone(), plan.leaf(index));
            plan.members.iter().enumerate().map(leaf).collect()
        };
        let (before, after) = (leaves(parent), leaves(plan));
        let mut delta =
            Self { limits: parent.limits != plan.limits || parent.exceptions != plan.exceptions, ..Self::default() };
        for (credential, leaf) in after {
            match before.get(&credential) {
                None => drop(delta.added.insert(credential)),
                Some(old) if *old != leaf => drop(delta.changed.insert(credential)),
                Some(_) => {}
            }
        }
        delta
    }

    /// True when what was signed before does not speak of this credential as it is now.
    #[must_use]
    pub fn touches(&self, credential: &Ref) -> bool {
        self.limits || self.changed.contains(credential) || self.added.contains(credential)
    }
}

impl Signature {
    /// True while it counts at `now`.
    #[must_use]
    pub fn counts(&self, now: Timestamp, expires: Duration) -> bool {
        let until = self.at.checked_add(expires).unwrap_or(self.at);
        self.withdrawn.is_none() && self.at <= now && now < until && self.until.is_none_or(|own| now < own)
    }

    /// True when the signer had proven who he is at most so long before.
    #[must_use]
    pub fn fresh(&self, step_up: Option<Duration>) -> bool {
        let Some(step_up) = step_up else { return true };
        let Some(proven) = self.strength.auth_time else { return false };
        let earliest = self.at.checked_sub(step_up).unwrap_or(self.at);
        earliest <= proven && proven <= self.at
    }
}
