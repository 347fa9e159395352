//! What people said of one reset: a pure state machine over its plans and signatures.
//!
//! ```text
//! open      --sign(newest digest)----> open      one more signature, or the same person's newer one
//! open      --withdraw---------------> open      that person's signatures count no more
//! open      --revise(delta)----------> revising  a plan waits beside the one that runs
//! revising  --sign(its digest)-------> revising
//! revising  --promote----------------> open      the revision is the plan; leaves that it did not touch keep what they had
//! revising  --revise(other delta)----> revising  another revision in its place: what was said of the first is void
//! ```

use std::collections::BTreeMap;

use jiff::Timestamp;
use remint_contract::Ref;
use serde::{Deserialize, Serialize};

use crate::approval::{Delta, Party, Person, Signature};
use crate::digest::{Digest, is_default};

/// The case of one reset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    pub requester: Party,
    /// The plan's digest, then those of its revisions, each with what it changed.
    pub plans: Vec<(Digest, Delta)>,
    /// A revision that waits for its signatures; they are kept with the place that it will have.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pending: Option<(Digest, Delta)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signatures: Vec<Signature>,
    /// The newest time that was seen: nothing here believes an earlier one.
    pub latest: Timestamp,
    /// What else than the yes of persons to this plan alone lets it go on.
    #[serde(default, skip_serializing_if = "is_default")]
    pub way: Option<Way>,
    /// Brought by somebody who only carries what others wrote: it takes one person more.
    #[serde(default, skip_serializing_if = "is_default")]
    pub carried: bool,
}

/// How a reset goes on without the yes of persons to its plan alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Somebody who may broke the glass: nobody is waited for until then, and he is reviewed.
    BreakGlass { by: Person, until: Timestamp },
    /// Persons approved in advance what comes again: of each credential exactly what they saw.
    Standing { id: String, until: Timestamp, covers: BTreeMap<Ref, Digest> },
}

impl Way {
    /// Its word in entries.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::BreakGlass { .. } => "break-glass",
            Self::Standing { .. } => "standing",
        }
    }
}

/// Why something was not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("what was signed is plan {signed}, and plan {plan} waits; look at it, and sign that")]
    OtherPlan { signed: Digest, plan: Digest },
    #[error("{0} signed nothing here")]
    NotSigned(Party),
    #[error("the clock says {now}, and this case has seen {latest} already: set the clock right, then try again")]
    ClockBack { now: Timestamp, latest: Timestamp },
    #[error("no revision waits for approval")]
    NoRevision,
    #[error("{0} took this back at {1}; sign it again to say yes")]
    Withdrawn(Party, Timestamp),
}

impl Case {
    /// Somebody asked for a plan.
    #[must_use]
    pub fn open(requester: Party, plan: Digest, now: Timestamp) -> Self {
        Self {
            requester,
            plans: vec![(plan, Delta::default())],
            pending: None,
            signatures: Vec::new(),
            latest: now,
            way: None,
            carried: false,
        }
    }

    /// What waits to be signed: the revision where there is one, else the plan.
    #[must_use]
    pub fn newest(&self) -> Option<Digest> {
        self.pending.as_ref().or_else(|| self.plans.last()).map(|(digest, _)| *digest)
    }

    /// Takes in a yes to exactly `digest`. A person who signs again replaces what he said of that plan.
    ///
    /// # Errors
    /// It is of another plan, was taken back since it was written, or the clock went back.
    pub fn sign(&mut self, digest: Digest, mut signature: Signature) -> Result<(), Refusal> {
        self.see(signature.at)?;
        let newest = self.newest().unwrap_or(digest);
        if digest != newest {
            return Err(Refusal::OtherPlan { signed: digest, plan: newest });
        }
        signature.plan = if self.pending.is_some() { self.plans.len() } else { self.plans.len().saturating_sub(1) };
        signature.delta = self.pending.is_some();
        signature.withdrawn = None;
        let same = |known: &Signature| known.plan == signature.plan && known.by.overlaps_in_name(&signature.by);
        // What was signed before it was taken back may be shown again by anybody who has it.
        let written = signature.strength.auth_time.filter(|_| signature.signed.is_some());
        let back = self.signatures.iter().filter(|known| same(known)).filter_map(|known| known.withdrawn).max();
        if let (Some(written), Some(back)) = (written, back)
            && written <= back
        {
            return Err(Refusal::Withdrawn(signature.by, back));
        }
        self.signatures.retain(|known| !same(known));
        self.signatures.push(signature);
        Ok(())
    }

    /// Takes back everything that a party signed; true persons are told apart, not their principals.
    ///
    /// # Errors
    /// He signed nothing, or the clock went back.
    pub fn withdraw(&mut self, by: &Party, now: Timestamp) -> Result<(), Refusal> {
        self.see(now)?;
        let own = |known: &&mut Signature| known.withdrawn.is_none() && known.by.overlaps_in_name(by);
        let mut found = false;
        for signature in self.signatures.iter_mut().filter(own) {
            signature.withdrawn = Some(now);
            found = true;
        }
        if found { Ok(()) } else { Err(Refusal::NotSigned(by.clone())) }
    }

    /// A revision waits beside the plan.
    ///
    /// # Errors
    /// The clock went back.
    pub fn revise(&mut self, digest: Digest, delta: Delta, now: Timestamp) -> Result<(), Refusal> {
        self.see(now)?;
        let place = self.plans.len();
        self.signatures.retain(|signature| signature.plan < place);
        self.pending = Some((digest, delta));
        Ok(())
    }

    /// The revision takes the plan's place.
    ///
    /// # Errors
    /// None waits, or the clock went back.
    pub fn promote(&mut self, now: Timestamp) -> Result<(), Refusal> {
        self.see(now)?;
        let pending = self.pending.take().ok_or(Refusal::NoRevision)?;
        self.plans.push(pending);
        Ok(())
    }

    /// The case as it would be with the pending revision in place.
    #[must_use]
    pub fn promoted(&self) -> Self {
        let mut next = self.clone();
        next.plans.extend(next.pending.take());
        next
    }

    /// Takes note of the time.
    ///
    /// # Errors
    /// It was later already.
    pub fn see(&mut self, now: Timestamp) -> Result<(), Refusal> {
        if now < self.latest {
            return Err(Refusal::ClockBack { now, latest: self.latest });
        }
        self.latest = now;
        Ok(())
    }

    /// The place of the plan that last changed this credential's leaf.
    #[must_use]
    pub fn origin(&self, credential: &Ref) -> usize {
        let touched = self.plans.iter().rposition(|(_, delta)| delta.touches(credential));
        touched.unwrap_or(0)
    }
}

impl Party {
    /// The same person, or the same principal where no person is known.
    fn overlaps_in_name(&self, other: &Self) -> bool {
        match (self.person(), other.person()) {
            (Some(one), Some(other)) => one == other,
            _ => self.principal() == other.principal(),
        }
    }
}
