//! Whose yes it took: that every approval that an entry names is there, says what the entry says, and has the signature of
//! its person; and that enough different persons stood behind every plan that came into force.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{APPROVALS, EXCEPTIONS, plan_name};
use crate::approval::{self, Approval, Disclosed, Excepted, Said};
use crate::ledger::{Begun, Ledger};
use crate::note::VerifierKey;
use crate::report::{Finding, Report};
use crate::tree::{Hash, sha256};

/// What persons signed: of the plans, and of exceptions.
pub(super) struct Signed {
    plans: Vec<Disclosed>,
    exceptions: Vec<Disclosed>,
}

pub(super) fn read(files: &BTreeMap<String, Vec<u8>>, report: &mut Report) -> Signed {
    let mut of = |name: &str| {
        let read = approval::read(files.get(name).map(Vec::as_slice).unwrap_or_default());
        read.unwrap_or_else(|error| {
            report.find(Finding::broken(name, error));
            Vec::new()
        })
    };
    Signed { plans: of(APPROVALS), exceptions: of(EXCEPTIONS) }
}

/// Checks them; `keys` are those that whoever verifies knows the persons by.
pub(super) fn check(
    files: &BTreeMap<String, Vec<u8>>,
    ledger: &Ledger,
    signed: &Signed,
    keys: &[VerifierKey],
    report: &mut Report,
) {
    let plans = Plans::of(files);
    let mut good: BTreeSet<u64> = BTreeSet::new();
    let named: BTreeSet<u64> = ledger.approvals().iter().map(|said| said.entry).collect();
    for stray in signed.plans.iter().filter(|one| !named.contains(&one.entry)) {
        report.find(Finding::broken(&place(stray.entry), "no entry says that anybody signed this"));
    }
    for said in ledger.approvals() {
        let mut of_entry = signed.plans.iter().filter(|one| one.entry == said.entry);
        let (one, second) = (of_entry.next(), of_entry.next());
        let wrong = match (said.signed, one) {
            _ if second.is_some() => Some("two approvals are said to be of this one entry".to_owned()),
            (None, Some(_)) => Some("the entry names no signature".to_owned()),
            (None, None) => None,
            (Some(_), None) => {
                let what = format!(
                    "what {} signed is not in the bundle: it was dropped, or erased with the name",
                    said.whose()
                );
                report.find(Finding::incomplete(&place(said.entry), what));
                None
            }
            (Some(hashes), Some(one)) => match holds(ledger, said, hashes, one, &plans, keys) {
                Ok(()) => {
                    good.insert(said.entry);
                    None
                }
                Err(why) => Some(why),
            },
        };
        if let Some(what) = wrong {
            report.find(Finding::broken(&place(said.entry), what));
        }
    }
    let mut own = BTreeSet::new();
    exceptions(ledger, signed, keys, &mut own, report);
    if !report.integrity {
        return;
    }
    for begun in ledger.begun() {
        told(ledger, begun, &good, report);
    }
    if ledger.is_governed() && ledger.is_started() && ledger.begun().is_empty() {
        report.find(Finding::incomplete(ledger.reset(), "it is governed, and no entry says how many persons it took"));
    }
    let recorded: Vec<&Said> = ledger.approvals().iter().filter(|said| !good.contains(&said.entry)).collect();
    if !recorded.is_empty() {
        report.limit(format!(
            "{} approvals are recorded only: that those persons gave them is the word of the log, which nobody outside can check.",
            recorded.len()
        ));
    }
    if (!good.is_empty() || !own.is_empty()) && keys.is_empty() {
        report.limit(
            "The keys of the persons are those that the log had for them; pass --person with the keys that you know them by."
                .to_owned(),
        );
    }
}

/// Whose yes each exception has; `own` gets the persons whose signature holds.
fn exceptions(ledger: &Ledger, signed: &Signed, keys: &[VerifierKey], own: &mut BTreeSet<String>, report: &mut Report) {
    let place = |entry: u64| format!("{EXCEPTIONS} of entry {entry}");
    let mut used = 0;
    for excepted in ledger.excepted() {
        let mut persons = BTreeSet::new();
        for hashes in &excepted.signed {
            let mut rows =
                signed.exceptions.iter().filter(|one| one.entry == excepted.entry && one.hashes() == *hashes);
            let Some(one) = rows.next() else {
                let what = "what somebody signed of it is not in the bundle: it was dropped, or erased with the name";
                report.find(Finding::incomplete(&place(excepted.entry), what));
                continue;
            };
            used += 1;
            match holds_exception(excepted, one, keys) {
                Ok(person) => drop(persons.insert(person)),
                Err(why) => report.find(Finding::broken(&place(excepted.entry), why)),
            }
        }
        if !persons.is_empty() {
            let names = persons.iter().cloned().collect::<Vec<_>>().join(", ");
            let what = format!(
                "{}: {} signed with keys of their own that it is left as it is, owned by {}.",
                excepted.subject, names, excepted.owner
            );
            report.hold(what);
        }
        own.extend(persons);
    }
    if used != signed.exceptions.len() {
        report.find(Finding::broken(EXCEPTIONS, "it holds what no entry says that anybody signed"));
    }
}

fn holds_exception(excepted: &Excepted, one: &Disclosed, keys: &[VerifierKey]) -> Result<String, String> {
    let key = VerifierKey::parse(&one.key).map_err(|error| format!("its key: {error}"))?;
    let approval = Approval::open(&one.note, &key).map_err(|error| error.to_string())?;
    if approval.about != format!("exception {}", excepted.id) {
        return Err(format!("it is about {}", approval.about));
    }
    if approval.file != excepted.digest {
        return Err("it is of another owner, reason or end than the entry says".to_owned());
    }
    if !keys.is_empty() && !keys.contains(&key) {
        return Err(format!("it is signed with a key that is none of those that you know {} by", key.name()));
    }
    Ok(approval.person)
}

/// That a signed approval is what its entry says.
fn holds(
    ledger: &Ledger,
    said: &Said,
    hashes: (Hash, Hash),
    one: &Disclosed,
    plans: &Plans,
    keys: &[VerifierKey],
) -> Result<(), String> {
    if one.hashes() != hashes {
        return Err("it is not the approval, or not the key, that the entry names".to_owned());
    }
    let key = VerifierKey::parse(&one.key).map_err(|error| format!("its key: {error}"))?;
    let approval = Approval::open(&one.note, &key).map_err(|error| error.to_string())?;
    if approval.about != format!("reset {}", ledger.reset()) {
        return Err(format!("it is about {}", approval.about));
    }
    if approval.digest != said.plan {
        return Err(format!("it is of the plan {}, and the entry of {}", approval.digest, said.plan));
    }
    if let Some(digest) = plans.0.get(&approval.file).filter(|digest| **digest != approval.digest) {
        return Err(format!("the plan's file that it names has the digest {digest}"));
    }
    if !keys.is_empty() && !keys.contains(&key) {
        return Err(format!("it is signed with a key that is none of those that you know {} by", key.name()));
    }
    Ok(())
}

/// How many different persons stood behind one plan when it came into force.
fn told(ledger: &Ledger, begun: &Begun, good: &BTreeSet<u64>, report: &mut Report) {
    if let Some(way) = &begun.by_way_of {
        report.limit(format!(
            "Entry {}: the plan {} came into force by way of {way}, not by the yes of persons to it alone.",
            begun.entry, begun.plan
        ));
        let reviewed = |said: &crate::ledger::Said| said.kind == "break-glass.reviewed" && said.entry > begun.entry;
        if way == "break-glass" && !ledger.said().iter().any(reviewed) {
            let what = "the glass was broken for it, and nobody reviewed that yet";
            report.find(Finding::incomplete(&format!("entry {}", begun.entry), what));
        }
        return;
    }
    let counts = |said: &&Said| {
        said.plan == begun.plan
            && said.entry < begun.entry
            && said.withdrawn.is_none_or(|withdrawn| withdrawn > begun.entry)
    };
    let of = |wanted: &dyn Fn(&Said) -> bool| -> BTreeSet<&str> {
        ledger.approvals().iter().filter(counts).filter(|said| wanted(said)).map(Said::whose).collect()
    };
    let asked = |said: &Said| ledger.asked() == Some(said.whose());
    let others = of(&|said| !asked(said));
    // Who asked counts only where the policies let him, and then that is said.
    let apart = others.len() as u64 >= begun.needs;
    let all = if apart { others } else { of(&|_| true) };
    let own = of(&|said| good.contains(&said.entry) && all.contains(said.whose()));
    let names = all.iter().copied().collect::<Vec<_>>().join(", ");
    if (all.len() as u64) < begun.needs {
        let what =
            format!("it came into force on the word of {} of the {} persons that it took", all.len(), begun.needs);
        return report.find(Finding::incomplete(&format!("entry {}", begun.entry), what));
    }
    let apart = if apart { "none of whom asked for it" } else { "who asked for it among them" };
    let took = format!("The plan {} took {} different persons, and {}", begun.plan, begun.needs, all.len());
    report.hold(if own.len() as u64 >= begun.needs && begun.needs > 0 {
        format!("{took} approved it, {apart}; {} signed exactly it with keys of their own: {names}.", own.len())
    } else {
        format!("{took} approved it, {apart} ({} with a signature that was checked): {names}.", own.len())
    });
}

/// The digest that each plan's file says it has, by the hash of the file.
struct Plans(BTreeMap<Hash, String>);

impl Plans {
    fn of(files: &BTreeMap<String, Vec<u8>>) -> Self {
        #[derive(Deserialize)]
        struct Plan {
            digest: String,
        }
        let files = (1..).map_while(|number| files.get(&plan_name(number)));
        let digest = |bytes: &Vec<u8>| {
            let plan: Plan = serde_json::from_slice(bytes).ok()?;
            Some((sha256(bytes), plan.digest))
        };
        Self(files.filter_map(digest).collect())
    }
}

fn place(entry: u64) -> String {
    format!("{APPROVALS} of entry {entry}")
}
