//! What became of each subject, and when: the old value dead, the new one in use.

use std::collections::BTreeMap;

use jiff::Timestamp;
use remint_evidence_format::outcome::{Confirm, Outcome, Proof};

use super::story::Story;

/// One credential, task or stranger of a reset.
pub(super) struct Course<'a> {
    pub(super) subject: &'a str,
    pub(super) outcome: &'a Outcome,
    /// The entry that says what became of it.
    pub(super) entry: u64,
    /// Since when the old value is known to be refused, and the entry that says so.
    pub(super) dead: Option<(Timestamp, u64)>,
    /// Since when every consumer is known to use the new one.
    pub(super) used: Option<(Timestamp, u64)>,
    /// The way from a compromised node, both ends included.
    pub(super) path: Vec<String>,
    /// Is it one that the plan replaces?
    pub(super) member: bool,
}

impl Course<'_> {
    pub(super) fn proof(&self) -> Option<Proof> {
        match self.outcome {
            Outcome::Settled { proof, .. } | Outcome::Provisional { proof, .. } => Some(*proof),
            _ => None,
        }
    }

    pub(super) fn confirm(&self) -> Option<Confirm> {
        match self.outcome {
            Outcome::Settled { confirm, .. } | Outcome::Provisional { confirm, .. } => *confirm,
            _ => None,
        }
    }
}

/// All of a story, in the order of the statement: by subject.
pub(super) fn of(story: &Story) -> Vec<Course<'_>> {
    let mut dead: BTreeMap<&str, (Timestamp, u64)> = BTreeMap::new();
    let mut used: BTreeMap<&str, (Timestamp, u64)> = BTreeMap::new();
    for told in &story.told {
        let Some(subject) = told.subject.as_deref() else { continue };
        let here = (told.at, told.number);
        match told.kind.as_str() {
            "old.refused" => {
                dead.entry(subject).or_insert(here);
            }
            // Whatever was known of its death is wrong.
            "rotation.reopened" => drop(dead.remove(subject)),
            _ => {}
        }
        if told.established("confirmed").is_some() {
            used.insert(subject, here);
        }
    }
    let mut paths: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (index, found) in story.plan.reached.iter().enumerate() {
        let name = found.node.to_string();
        if story.ledger.rows().contains_key(&name) {
            paths.insert(name, story.plan.path(index).iter().map(ToString::to_string).collect());
        }
    }
    let members: std::collections::BTreeSet<String> =
        story.plan.members.iter().map(|member| member.credential.to_string()).collect();
    let rows = story.ledger.rows().iter();
    rows.map(|(subject, row)| Course {
        subject,
        outcome: &row.outcome,
        entry: row.entry,
        dead: dead.get(subject.as_str()).copied(),
        used: used.get(subject.as_str()).copied(),
        path: paths.remove(subject).unwrap_or_default(),
        member: members.contains(subject),
    })
    .collect()
}

/// When the last old value of what is replaced was first refused; `None` while one is not.
pub(super) fn contained(courses: &[Course<'_>]) -> Option<Timestamp> {
    last(courses, |course| course.dead)
}

/// When the last of what is replaced was both refused and known to be in use anew; `None` while one is not.
pub(super) fn recovered(courses: &[Course<'_>]) -> Option<Timestamp> {
    // What nobody reads has nobody to be seen with it.
    last(courses, |course| match (course.dead, course.used, course.confirm()) {
        (Some(dead), Some(used), _) => Some(dead.max(used)),
        (Some(dead), None, None) if course.proof().is_some() => Some(dead),
        _ => None,
    })
}

fn last(courses: &[Course<'_>], known: impl Fn(&Course<'_>) -> Option<(Timestamp, u64)>) -> Option<Timestamp> {
    let members = courses.iter().filter(|course| course.member);
    let times: Option<Vec<Timestamp>> = members.map(|course| known(course).map(|(at, _)| at)).collect();
    times?.into_iter().max()
}
