//! May one credential start now? Counted from what was said, each time anew.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use remint_contract::{ConfirmGrade, ProofGrade, Ref};

use crate::approval::{Case, Executor, Obligations, Person, Separate, Signature, Way};
use crate::digest::Digest;
use crate::estate::Tier;
use crate::plan::Member;

/// A credential of the plan that is about to start.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    pub credential: &'a Ref,
    pub tier: Tier,
    pub least_confirm: ConfirmGrade,
    pub least_proof: ProofGrade,
    /// Members of the plan's first wave; `None` where everything is stopped at once.
    pub canary: Option<usize>,
    /// What is done to it, whichever others are in the plan; `None`: no approval in advance covers it.
    pub itself: Option<Digest>,
}

impl<'a> Candidate<'a> {
    /// A member of a plan with this first wave.
    #[must_use]
    pub fn of(member: &'a Member, tier: Tier, canary: usize) -> Self {
        let contained = member.path == crate::step::Path::Contain;
        Self {
            credential: &member.credential,
            tier,
            least_confirm: member.least_confirm,
            least_proof: member.least_proof,
            canary: (!contained).then_some(canary),
            itself: Some(member.itself()),
        }
    }
}

/// It may start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Met {
    /// Whose signatures count.
    pub by: Vec<Person>,
}

/// What is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    /// So many different persons more; why others that signed do not count.
    Persons {
        missing: usize,
        of: u32,
        not_counted: Vec<String>,
    },
    Roles(BTreeSet<String>),
    /// The requester and who carries it out may be one person.
    SamePerson,
    CoolDown {
        until: Timestamp,
    },
    ClockBack {
        latest: Timestamp,
    },
    /// The plan asks for less than the policy.
    Grade {
        what: &'static str,
    },
    Canary {
        most: usize,
    },
    /// What was approved in advance does not cover it.
    Standing {
        id: String,
        why: &'static str,
    },
}

impl Case {
    /// Whether this credential may start at `now`, carried out by `executor`.
    ///
    /// # Errors
    /// What is missing.
    pub fn standing(
        &self,
        candidate: &Candidate<'_>,
        needs: &Obligations,
        executor: &Executor,
        now: Timestamp,
    ) -> Result<Met, Lack> {
        if now < self.latest {
            return Err(Lack::ClockBack { latest: self.latest });
        }
        if let Some(met) = self.by_its_way(candidate, now) {
            return met;
        }
        bounds(candidate, needs)?;
        let more = Obligations { approvals: needs.approvals.saturating_add(1), ..needs.clone() };
        let needs = if self.carried { &more } else { needs };
        let separate = |what| needs.separate.contains(&what);
        if let (true, Executor::By(executor)) = (separate(Separate::RequesterExecutor), executor)
            && self.requester.overlaps(executor)
        {
            return Err(Lack::SamePerson);
        }
        let mut counted: Vec<&Signature> = Vec::new();
        let mut not_counted = Vec::new();
        for signature in self.signatures.iter().filter(|signature| self.speaks_of(signature, candidate)) {
            match self.why_not(signature, needs, executor, now) {
                None => counted.push(signature),
                Some(why) => not_counted.push(format!("{}: {why}", signature.by)),
            }
        }
        counted.sort_by_key(|signature| signature.at);
        enough(&counted, needs, not_counted, now)
    }

    /// What the way says that it came by; `None`: it takes the yes of persons.
    fn by_its_way(&self, candidate: &Candidate<'_>, now: Timestamp) -> Option<Result<Met, Lack>> {
        match self.way.as_ref()? {
            Way::BreakGlass { by, until } => (now < *until).then(|| Ok(Met { by: vec![by.clone()] })),
            Way::Standing { id, until, covers } => {
                // What it does not speak of takes what it always takes.
                let covered = covers.get(candidate.credential)?;
                let why = if now >= *until {
                    "it is over"
                } else if candidate.itself.as_ref() != Some(covered) {
                    "it is of something else than is to be done now"
                } else {
                    return Some(Ok(Met { by: Vec::new() }));
                };
                Some(Err(Lack::Standing { id: id.clone(), why }))
            }
        }
    }

    /// True when the signature is of this credential's leaf as it is.
    fn speaks_of(&self, signature: &Signature, candidate: &Candidate<'_>) -> bool {
        let origin = self.origin(candidate.credential);
        if signature.plan == origin || !signature.delta && signature.plan > origin {
            return true;
        }
        let Some(additions) = signature.additions.as_ref().filter(|_| signature.plan < origin) else { return false };
        let later = self.plans.get(signature.plan + 1..).unwrap_or_default();
        let added: BTreeSet<&Ref> = later.iter().flat_map(|(_, delta)| &delta.added).collect();
        let only_added = later.iter().all(|(_, delta)| !delta.limits && !delta.changed.contains(candidate.credential));
        only_added
            && added.contains(candidate.credential)
            && added.len() <= additions.most
            && additions.tiers.contains(&candidate.tier)
    }

    /// Why a signature does not count.
    fn why_not(
        &self,
        signature: &Signature,
        needs: &Obligations,
        executor: &Executor,
        now: Timestamp,
    ) -> Option<&'static str> {
        let separate = |what| needs.separate.contains(&what);
        if signature.withdrawn.is_some() {
            return Some("withdrawn");
        }
        if !signature.counts(now, needs.expires) {
            return Some("expired");
        }
        if !signature.fresh(needs.step_up) {
            return Some("did not prove lately enough who he is");
        }
        let Some(person) = signature.by.person() else {
            // Nobody can say that it is another person than the others.
            let alone = needs.approvals <= 1 && needs.separate.is_empty() && !needs.privileged;
            return (!alone || matches!(signature.by, crate::approval::Party::Service { .. }))
                .then_some("no person that the table knows");
        };
        if separate(Separate::RequesterApprover) && self.requester.may_be(person) {
            return Some("asked for it, or may stand behind who did");
        }
        if let (true, Executor::By(executor)) = (separate(Separate::ApproverExecutor), executor)
            && executor.may_be(person)
        {
            return Some("would carry it out");
        }
        None
    }
}

/// What the plan itself has to promise.
fn bounds(candidate: &Candidate<'_>, needs: &Obligations) -> Result<(), Lack> {
    if needs.least_confirm.is_some_and(|least| candidate.least_confirm > least) {
        return Err(Lack::Grade { what: "confirmation" });
    }
    if needs.least_proof.is_some_and(|least| candidate.least_proof > least) {
        return Err(Lack::Grade { what: "proof" });
    }
    match (needs.canary, candidate.canary) {
        (Some(most), Some(canary)) if canary > most => Err(Lack::Canary { most }),
        _ => Ok(()),
    }
}

/// The shortest beginning of the signatures that suffices, and whether it has rested long enough.
fn enough(counted: &[&Signature], needs: &Obligations, not_counted: Vec<String>, now: Timestamp) -> Result<Met, Lack> {
    let mut persons: BTreeSet<&str> = BTreeSet::new();
    let mut roles: BTreeSet<&String> = needs.roles.iter().collect();
    let wanted = needs.approvals as usize;
    let mut since = None;
    let mut by = Vec::new();
    for signature in counted {
        if persons.len() >= wanted && roles.is_empty() {
            break;
        }
        let name = signature.by.person().map_or_else(|| signature.by.principal(), |person| person.0.as_str());
        if persons.insert(name) {
            by.extend(signature.by.person().cloned());
        }
        roles.retain(|role| !signature.roles.contains(*role));
        since = Some(signature.at);
    }
    if persons.len() < wanted {
        return Err(Lack::Persons { missing: wanted - persons.len(), of: needs.approvals, not_counted });
    }
    if !roles.is_empty() {
        return Err(Lack::Roles(roles.into_iter().cloned().collect()));
    }
    let rested = |since: Timestamp| since.checked_add(needs.cool_down).unwrap_or(Timestamp::MAX);
    match since.map(rested).filter(|until| needs.cool_down > Duration::ZERO && now < *until) {
        Some(until) => Err(Lack::CoolDown { until }),
        None => Ok(Met { by }),
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Persons { missing, of, not_counted } => {
                let persons = if *missing == 1 { "person" } else { "persons" };
                write!(f, "{missing} more {persons} of {of} must approve")?;
                if !not_counted.is_empty() {
                    write!(f, " (not counted: {})", not_counted.join("; "))?;
                }
                Ok(())
            }
            Self::Roles(roles) => {
                let roles = roles.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
                write!(f, "nobody of these groups approved: {roles}")
            }
            Self::SamePerson => f.write_str("whoever asked for it may not carry it out"),
            Self::CoolDown { until } => write!(f, "approved, and may start at {until}"),
            Self::ClockBack { latest } => {
                write!(f, "the clock is behind {latest}, which was seen already; set it right")
            }
            Self::Grade { what } => {
                write!(
                    f,
                    "the plan asks for a weaker {what} than the policy; say the grade in an ApprovalPolicy, and plan again"
                )
            }
            Self::Standing { id, why } => {
                write!(f, "the standing approval {id} does not cover it: {why}; approve it anew")
            }
            Self::Canary { most } => write!(f, "the plan's first wave has more than {most} credentials; plan again"),
        }
    }
}
