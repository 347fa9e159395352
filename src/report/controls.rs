//! The control matrix: each control of the frameworks, and the entries that bear on it, or "not covered".
//!
//! An entry is evidence *for* a control, never compliance *with* one: the row says what of the control it speaks to.

use std::fmt::Write as _;

use remint_evidence_format::outcome::Outcome;

use super::courses::Course;
use super::entries::Links;
use super::html::Text;
use super::story::{Story, Told};

/// Which entries bear on a control.
#[derive(Clone, Copy)]
enum Rule {
    /// Entries of which this is true.
    Entries(fn(&Told) -> bool),
    /// What says that a credential is settled.
    Settled,
    /// The closing entry, and with it the chain, the tree and the signature.
    Log,
    /// Requester and approver are two names.
    Separated,
    /// Nothing in a bundle of this version speaks to it, and why.
    Never(&'static str),
}

struct Control {
    frame: &'static str,
    id: &'static str,
    about: &'static str,
    rule: Rule,
}

pub(super) fn section(out: &mut String, story: &Story, courses: &[Course<'_>], links: &mut Links) {
    out.push_str("<section class=\"controls\" aria-labelledby=\"controls\">\n<h2 id=\"controls\">Controls</h2>\n");
    out.push_str(
        "<p>Which entries of this reset speak to which control. That they do is not a finding of compliance; where none \
         does, it says so.</p>\n<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">Framework</th>\
         <th scope=\"col\">Control</th><th scope=\"col\">What of it</th><th scope=\"col\">Evidence</th></tr></thead>\n<tbody>\n",
    );
    let mut covered = 0;
    for control in &CONTROLS {
        let evidence = match numbers(control.rule, story, courses) {
            Ok(numbers) if !numbers.is_empty() => {
                covered += 1;
                format!("<td>{}</td>", links.to_some(&numbers))
            }
            Ok(_) => "<td class=\"not\">not covered: no entry of this reset speaks to it</td>".to_owned(),
            Err(why) => format!("<td class=\"not\">not covered: {}</td>", Text(why)),
        };
        let _ = writeln!(
            out,
            "<tr><td>{}</td><th scope=\"row\">{}</th><td>{}</td>{evidence}</tr>",
            control.frame, control.id, control.about
        );
    }
    let _ = writeln!(
        out,
        "</tbody>\n</table></div>\n<p class=\"note\">{covered} of {} have evidence here.</p>\n</section>",
        CONTROLS.len()
    );
}

fn numbers(rule: Rule, story: &Story, courses: &[Course<'_>]) -> Result<Vec<u64>, &'static str> {
    let found = |wanted: &dyn Fn(&Told) -> bool| {
        story.told.iter().filter(|told| wanted(told)).map(|told| told.number).collect()
    };
    match rule {
        Rule::Entries(wanted) => Ok(found(&wanted)),
        Rule::Settled => {
            let settled = courses.iter().filter(|course| matches!(course.outcome, Outcome::Settled { .. }));
            let mut numbers: Vec<u64> = settled.map(|course| course.entry).collect();
            numbers.sort_unstable();
            Ok(numbers)
        }
        Rule::Log => Ok(found(&|told| told.kind == "reset.closed")),
        Rule::Separated => {
            let said = story.ledger.said();
            let by = |kind: &str| {
                said.iter().find(|said| said.kind == kind).and_then(|said| Some((said.by.clone()?, said.entry)))
            };
            match (by("reset.requested"), by("reset.started")) {
                (Some((asked, first)), Some((approved, second))) if asked != approved => Ok(vec![first, second]),
                _ => Err("one name asked and approved"),
            }
        }
        Rule::Never(why) => Err(why),
    }
}

fn is(kinds: &[&str], told: &Told) -> bool {
    kinds.contains(&told.kind.as_str())
}

const fn row(frame: &'static str, id: &'static str, about: &'static str, rule: Rule) -> Control {
    Control { frame, id, about, rule }
}

const REQUESTED: Rule = Rule::Entries(|told| is(&["reset.requested", "reset.started", "reset.revised"], told));
const CHANGED: Rule = Rule::Entries(|told| {
    ["mint", "disable", "revoke", "revoke-value", "destroy-version"].iter().any(|verb| told.did(verb))
});
const MINTED: Rule = Rule::Entries(|told| told.did("mint"));
const ENDED: Rule =
    Rule::Entries(|told| ["revoke", "revoke-value", "disable", "end-derived"].iter().any(|verb| told.did(verb)));
const REFUSED: Rule = Rule::Entries(|told| is(&["old.refused", "old.refused-again", "old.observed"], told));
const CONFIRMED: Rule = Rule::Entries(|told| told.established("confirmed").is_some());
const STRANGERS: Rule = Rule::Entries(|told| told.kind.starts_with("foreign."));
const ALL: Rule = Rule::Entries(|_| true);
const UNVERIFIED: Rule = Rule::Never("the requester was not verified; this version governs nothing");
const NO_DRILL: Rule = Rule::Never("it was no drill");

const CSF: &str = "NIST CSF 2.0";
const OWASP: &str = "OWASP NHI 2025";
const SP53: &str = "NIST SP 800-53";
const PCI: &str = "PCI DSS 4.0.1";
const SOC: &str = "SOC 2";
const ISO: &str = "ISO 27001";
const DORA: &str = "DORA RTS";

const CONTROLS: [Control; 44] = [
    row(CSF, "PR.AA-01", "credentials are managed: each was replaced", Rule::Settled),
    row(CSF, "PR.AA-03", "who asked was authenticated", UNVERIFIED),
    row(CSF, "PR.AA-05", "access that should not be was taken away", ENDED),
    row(CSF, "PR.PS-04", "what happened was logged", ALL),
    row(CSF, "GV.RR-02", "policy, execution and business owner are named", Rule::Never("the entries name no owners")),
    row(CSF, "RS.MA-01", "a response was asked for, approved and carried out", REQUESTED),
    row(CSF, "RS.MI-01", "contained: the old values are refused", REFUSED),
    row(CSF, "RS.MI-02", "eradicated: strangers found and decided, everything proven again", STRANGERS),
    row(CSF, "RS.AN-06", "what was done is recorded and cannot be changed unseen", Rule::Log),
    row(CSF, "RS.AN-07", "records keep their integrity and origin", Rule::Log),
    row(CSF, "RC.RP-05", "normal operation confirmed: consumers use the new values", CONFIRMED),
    row(CSF, "ID.IM-02", "improved by exercises", NO_DRILL),
    row(OWASP, "NHI1:2025", "offboarding: old values refused", REFUSED),
    row(OWASP, "NHI2:2025", "leaked secrets replaced", Rule::Settled),
    row(OWASP, "NHI5:2025", "too many rights", Rule::Never("a reset gives the same rights; it judges none")),
    row(OWASP, "NHI7:2025", "long-lived secrets ended", ENDED),
    row(OWASP, "NHI9:2025", "one identity used by several", Rule::Entries(|told| is(&["old.used"], told))),
    row(OWASP, "NHI10:2025", "use by people", Rule::Never("nobody here can tell a person from a program")),
    row("NIST SP 800-63", "IAL / AAL", "strength of the requester's identity and authentication", UNVERIFIED),
    row(
        "NIST SP 800-207",
        "tenets 3, 6",
        "sessions and tokens of the old value ended",
        Rule::Entries(|told| told.did("end-derived")),
    ),
    row(SP53, "IA-5", "authenticators changed, distributed and revoked", CHANGED),
    row(SP53, "IA-5(7)", "no static authenticator embedded", Rule::Never("what programs embed was not looked at")),
    row(SP53, "AC-5", "separation of duties: two names, grade recorded", Rule::Separated),
    row(SP53, "AU-9(3)", "the record is protected by signatures", Rule::Log),
    row(SP53, "AU-10", "nobody can deny what he approved", Rule::Never("approvals are words, not signatures")),
    row(PCI, "8.6.3", "application credentials changed upon suspicion", Rule::Settled),
    row(PCI, "6.5.1", "a change with its reason and approval", REQUESTED),
    row(PCI, "10.2.1.5", "every change of credentials is logged", CHANGED),
    row(PCI, "10.3.4", "a changed log is noticed", Rule::Log),
    row(PCI, "12.10.2", "the response plan is tested", NO_DRILL),
    row(SOC, "CC6.1", "logical access: credentials replaced", Rule::Settled),
    row(SOC, "CC6.2", "credentials issued on approval", MINTED),
    row(SOC, "CC6.3", "access removed", ENDED),
    row(SOC, "CC7.4", "response to an incident", REQUESTED),
    row(SOC, "CC8.1", "changes authorised and recorded", REQUESTED),
    row(ISO, "A.5.3", "segregation of duties: two names, grade recorded", Rule::Separated),
    row(ISO, "A.5.17", "authentication information allocated and changed", MINTED),
    row(ISO, "A.5.18", "access rights removed", ENDED),
    row(ISO, "A.5.26", "response to incidents", REQUESTED),
    row(ISO, "A.5.28", "collection of evidence", Rule::Log),
    row(ISO, "A.8.15", "logging", ALL),
    row(DORA, "Art. 7.3-7.5", "keys replaced when compromised", Rule::Settled),
    row(DORA, "Art. 20", "identities: credentials managed over their life", Rule::Settled),
    row(DORA, "Art. 21", "access rights withdrawn", ENDED),
];
