//! What a verification says: to people in words, to programs as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::ledger::{Gap, Ledger, Said};
use crate::outcome::{Confirm, Outcome, Proof};
use crate::person;

/// The result of a verification. `ok` only when there is no finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(clippy::struct_excessive_bools, reason = "four questions of an auditor, each with its own answer")]
pub struct Report {
    pub ok: bool,
    /// Nothing is changed, missing, exchanged or added.
    pub integrity: bool,
    /// The signature is by the key that was given.
    pub origin: bool,
    /// The reset is closed and nothing reached is open, provisional, unattested or undecided.
    pub complete: bool,
    pub reset: Option<String>,
    /// Policies and persons stood behind the reset.
    pub governed: bool,
    /// What is wrong, with its place.
    pub findings: Vec<Finding>,
    /// What holds, in words.
    pub holds: Vec<String>,
    /// What no verification of this bundle can show.
    pub limits: Vec<String>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub kind: FindingKind,
    /// The file, its line, or the credential.
    pub place: String,
    pub what: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// The bundle is not what was written.
    Broken,
    /// Who wrote it is not known.
    Origin,
    /// Too few witnesses saw the log.
    Unwitnessed,
    /// The bundle is sound and says that something is not done.
    Incomplete,
}

impl Finding {
    pub(crate) fn broken(place: &str, what: impl std::fmt::Display) -> Self {
        Self { kind: FindingKind::Broken, place: place.to_owned(), what: what.to_string() }
    }

    pub(crate) fn origin(place: &str, what: impl Into<String>) -> Self {
        Self { kind: FindingKind::Origin, place: place.to_owned(), what: what.into() }
    }

    pub(crate) fn unwitnessed(what: impl Into<String>) -> Self {
        Self { kind: FindingKind::Unwitnessed, place: "the witnesses".to_owned(), what: what.into() }
    }

    pub(crate) fn incomplete(place: &str, what: impl Into<String>) -> Self {
        Self { kind: FindingKind::Incomplete, place: place.to_owned(), what: what.into() }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

impl Report {
    pub(crate) fn new() -> Self {
        Self {
            ok: false,
            integrity: true,
            origin: false,
            complete: false,
            reset: None,
            governed: false,
            findings: Vec::new(),
            holds: Vec::new(),
            limits: Vec::new(),
        }
    }

    /// Of bytes that are no bundle at all.
    pub fn unreadable(error: &dyn std::fmt::Display) -> Self {
        let mut report = Self::new();
        report.find(Finding::broken("the archive", error));
        report.close()
    }

    pub(crate) fn find(&mut self, finding: Finding) {
        self.integrity &= finding.kind != FindingKind::Broken;
        self.findings.push(finding);
    }

    /// A finding after which a check cannot go on.
    pub(crate) fn broken<T>(&mut self, place: &str, what: &dyn std::fmt::Display) -> Option<T> {
        self.find(Finding::broken(place, what));
        None
    }

    pub(crate) fn limit(&mut self, what: String) {
        self.limits.push(what);
    }

    pub(crate) fn hold(&mut self, what: String) {
        self.holds.push(what);
    }

    /// What the entries say became of everything reached.
    pub(crate) fn tell(&mut self, ledger: &Ledger) {
        // A plan that reaches what the entries do not tell of has been found by now.
        self.governed = ledger.is_governed();
        self.complete = ledger.is_complete() && self.findings.iter().all(|known| known.kind != FindingKind::Incomplete);
        for said in ledger.said() {
            self.told(said);
        }
        if !ledger.is_started() {
            self.find(Finding::incomplete(ledger.reset(), "it was never started: nothing was done"));
        }
        if ledger.is_closed() {
            self.hold(format!(
                "The reset is closed over {} reached and found, each of which is accounted for.",
                ledger.rows().len()
            ));
        } else {
            self.find(Finding::incomplete(ledger.reset(), "it was not closed when this bundle was made"));
        }
        // What the limits of every bundle are joined with.
        self.limits.extend(ledger.gaps().iter().map(gap_in_words));
        for proof in Proof::ALL {
            let settled = ledger.rows().values().filter(|row| is_settled(&row.outcome, *proof)).count();
            if settled > 0 {
                self.hold(format!("{settled} settled, the old value {}.", proof_in_words(*proof)));
            }
        }
        for confirm in Confirm::ALL {
            let confirmed = ledger.rows().values().filter(|row| confirmed(&row.outcome) == Some(*confirm)).count();
            if confirmed > 0 {
                self.hold(format!("{confirmed} confirmed in use, {}.", confirm_in_words(*confirm)));
            }
        }
        for (subject, row) in ledger.rows() {
            match &row.outcome {
                Outcome::Settled { .. } => {}
                Outcome::Open { why } => self.find(Finding::incomplete(subject, format!("open: {why}"))),
                Outcome::Provisional { proof, until, .. } => self.find(Finding::incomplete(
                    subject,
                    format!(
                        "settled only until it is proven again at {until}; the old value is {}",
                        proof_in_words(*proof)
                    ),
                )),
                Outcome::Task { why, by: None } => {
                    self.find(Finding::incomplete(subject, format!("a task that nobody attested: {why}")));
                }
                Outcome::Foreign { decided: None } => {
                    self.find(Finding::incomplete(subject, "foreign, and nobody decided: adopt, revoke or except"));
                }
                Outcome::Task { why, by: Some(by) } => {
                    self.hold(format!("{subject}: done by hand, on the word of {by}: {why}."));
                }
                Outcome::Exception { by, until, why } if row.outcome.has_ended(ledger.at()) => {
                    let what = format!("NOT replaced; the exception of {by} ended at {until}: {why}");
                    self.find(Finding::incomplete(subject, what));
                }
                Outcome::Exception { by, until, why } => {
                    self.hold(format!("{subject}: NOT replaced, excepted by {by} until {until}: {why}."));
                }
                Outcome::Foreign { decided: Some((decision, by)) } => {
                    self.hold(format!("{subject}: foreign, decided by {by}: {}.", decision.word()));
                }
            }
        }
    }

    /// Who asked, who approved and who stopped it.
    fn told(&mut self, said: &Said) {
        let by = said.by.as_deref().unwrap_or("nobody who is named");
        let why = said.why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        let grade = match said.grade.as_deref() {
            Some("recorded") => " (grade recorded: a word that nobody verified)".to_owned(),
            Some(grade) => format!(" (grade {grade})"),
            None => String::new(),
        };
        let act = match said.kind.as_str() {
            "reset.requested" => "asked for",
            "reset.started" => "approved",
            "reset.revised" => "approved as revised",
            "reset.aborted" => "aborted",
            "break-glass.used" => "started at once, the glass being broken,",
            "break-glass.reviewed" => "reviewed afterwards",
            "reset.rejected" => {
                let what = format!("it was rejected by {by}{why}");
                return self.find(Finding::incomplete("the reset", what));
            }
            _ => return,
        };
        self.hold(format!("It was {act} by {by}, {}{grade}{why}.", said.at));
    }

    /// Writes names where commitments stand.
    pub(crate) fn tell_names(&mut self, names: &BTreeMap<String, String>) {
        for finding in &mut self.findings {
            finding.what = person::told(&finding.what, names);
        }
        for line in self.holds.iter_mut().chain(&mut self.limits) {
            *line = person::told(line, names);
        }
    }

    pub(crate) fn close(mut self) -> Self {
        self.ok = self.findings.is_empty();
        let own = std::mem::take(&mut self.limits);
        if self.integrity {
            let ungoverned = (!self.governed).then(|| UNGOVERNED.to_owned());
            self.limits = ungoverned.into_iter().chain(own).collect();
        }
        self
    }

    /// The report for people.
    pub fn render(&self) -> String {
        let reset = self.reset.as_deref().unwrap_or("an unknown reset");
        let verdict = match (self.ok, self.integrity, self.complete) {
            (true, ..) => "verified",
            (false, false, _) => "NOT verified; do not rely on it",
            (false, true, false) => "NOT complete",
            (false, true, true) if self.origin => "whole, but too few witnesses saw it",
            (false, true, true) => "whole, but its origin is NOT checked",
        };
        let mut text = format!("Evidence of {reset}: {verdict}.\n");
        section(&mut text, "What does not hold", self.findings.iter());
        section(&mut text, "What holds", self.holds.iter());
        section(&mut text, "What this cannot show", self.limits.iter());
        text
    }

    /// The report for programs.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

fn section(text: &mut String, title: &str, lines: impl ExactSizeIterator<Item = impl std::fmt::Display>) {
    if lines.len() == 0 {
        return;
    }
    // Writing to a string cannot fail.
    let _ = writeln!(text, "\n{title}");
    let more = lines.len().saturating_sub(MOST_LINES);
    for line in lines.take(MOST_LINES) {
        let line = line.to_string().replace(char::is_control, "\u{fffd}");
        let _ = writeln!(text, "  - {line}");
    }
    if more > 0 {
        let _ = writeln!(text, "  - and {more} more; -o json has all of them");
    }
}

fn is_settled(outcome: &Outcome, grade: Proof) -> bool {
    matches!(outcome, Outcome::Settled { proof, .. } if *proof == grade)
}

fn confirmed(outcome: &Outcome) -> Option<Confirm> {
    match outcome {
        Outcome::Settled { confirm, .. } => *confirm,
        _ => None,
    }
}

fn gap_in_words(gap: &Gap) -> String {
    let Gap { before, origin, from, to } = gap;
    match to {
        Some(to) if to <= from => {
            format!("The log {before} was restored, lost none of its {from} entries, and goes on as {origin}.")
        }
        Some(to) => format!(
            "GAP: the log {before} had {to} entries and only {from} are left; it goes on as {origin}. What was recorded of this reset in between is not in this bundle."
        ),
        None => format!(
            "GAP: {from} entries of the log {before} are left, and nobody knows how many it had; it goes on as {origin}. What was recorded of this reset in between is not in this bundle."
        ),
    }
}

fn proof_in_words(proof: Proof) -> &'static str {
    match proof {
        Proof::Refused => "refused (tried before and after, with the new one as control)",
        Proof::RefusedUncontrolled => "refused-uncontrolled (tried after, without the whole control)",
        Proof::Published => "published (on the issuer's revocation list, not tried)",
        Proof::Absent => "absent (the issuer says that it is gone, not tried)",
        Proof::Attested => "attested (a person says that it is dead, not tried)",
    }
}

fn confirm_in_words(confirm: Confirm) -> &'static str {
    match confirm {
        Confirm::IssuerSeen => "issuer-seen (the issuer saw it used)",
        Confirm::SelfReported => "self-reported (the consumer says which value it uses)",
        Confirm::Served => "served (the new one was seen on the wire)",
        Confirm::RolledOut => "rolled-out (the roll-out ended; use was not seen)",
        Confirm::Attested => "attested (a person says so)",
    }
}

/// A terminal's worth; a broken bundle of a million entries must not bury its first finding.
const MOST_LINES: usize = 50;

const UNGOVERNED: &str = "Ungoverned: no approval of a second person stands behind this reset.";
