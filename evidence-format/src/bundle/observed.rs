//! What probers saw: whose signature holds, and which old values nobody but Remint has tried.

use crate::ledger::Ledger;
use crate::note::VerifierKey;
use crate::observation::{Observation, Observed, Verdict};
use crate::outcome::{Outcome, Proof};
use crate::report::{Finding, Report};

/// Checks the observations against the keys of probers; without one they are only counted.
pub(super) fn check(ledger: &Ledger, probers: &[VerifierKey], report: &mut Report) {
    let mut signed = |observed: &'_ &Observed| match check_one(observed, probers) {
        Signed::Well => true,
        Signed::Wrong(why) => {
            report.find(Finding::broken(&format!("entry {}", observed.entry), why));
            false
        }
        Signed::ByOthers => false,
    };
    let seen: Vec<&Observed> = ledger.observed().iter().filter(&mut signed).collect();
    let controls: Vec<&Observed> = ledger.controls().iter().filter(&mut signed).collect();
    if probers.is_empty() {
        return if ledger.observed().is_empty() {
            report.limit("The entries say what Remint recorded; nobody else tried the old values.".to_owned());
        } else {
            report.limit(format!(
                "{} observations of probers are in it and were not checked; pass --prober with a key that you trust.",
                ledger.observed().len()
            ));
        };
    }
    let (mut refused, mut alive_before, mut controlled) = (0, 0, 0);
    for (subject, row) in ledger.rows() {
        let (Outcome::Settled { proof, .. } | Outcome::Provisional { proof, .. }) = &row.outcome else { continue };
        if !matches!(proof, Proof::Refused | Proof::RefusedUncontrolled) {
            continue;
        }
        let of = || seen.iter().filter(|seen| seen.saw.credential == *subject);
        // The last word of a prober counts: what was refused and is accepted again is alive.
        match of().max_by(|one, other| {
            if crate::entry::is_before(&one.saw.at, &other.saw.at) {
                std::cmp::Ordering::Less
            } else {
                std::cmp::Ordering::Greater
            }
        }) {
            None => report.find(Finding::incomplete(subject, "no prober that you trust tried its old value")),
            Some(Observed { saw: last, .. }) if last.verdict != Verdict::Denied => report.find(Finding::incomplete(
                subject,
                format!("when a prober tried its old value last, at {}, it was {}", last.at, last.verdict.word()),
            )),
            Some(Observed { saw: last, by, .. }) => {
                refused += 1;
                let same = |seen: &&Observed| seen.saw.value == last.value && seen.saw.verdict == Verdict::Accepted;
                alive_before += usize::from(of().any(|seen| same(seen)));
                // Another value, at the same place, by the same eyes.
                controlled += usize::from(controls.iter().any(|control| {
                    let Observed { saw, by: eyes, .. } = control;
                    let place = eyes == by && saw.credential == *subject && saw.endpoint == last.endpoint;
                    place && saw.value != last.value && saw.verdict == Verdict::Accepted
                }));
            }
        }
    }
    if refused > 0 {
        report.hold(format!(
            "{refused} old values were seen refused by a prober that you trust; {alive_before} of them the same prober had seen accepted before."
        ));
    }
    if controlled > 0 {
        report.hold(format!(
            "{controlled} of them where the same prober saw the new value accepted: the system itself refused."
        ));
    }
    if alive_before < refused {
        report.limit(format!(
            "{} old values no prober saw alive: that what it was given was the live value is Remint's word.",
            refused - alive_before
        ));
    }
}

enum Signed {
    Well,
    Wrong(String),
    /// By somebody whose key was not given.
    ByOthers,
}

fn check_one(observed: &Observed, probers: &[VerifierKey]) -> Signed {
    let mut named = probers.iter().filter(|key| key.name() == observed.by).peekable();
    if named.peek().is_none() {
        return Signed::ByOthers;
    }
    let mut last = None;
    for key in named {
        match Observation::open(&observed.note, key) {
            Ok(_) => return Signed::Well,
            Err(error) => last = Some(error),
        }
    }
    last.map_or(Signed::ByOthers, |error| Signed::Wrong(format!("the observation of {}: {error}", observed.by)))
}
