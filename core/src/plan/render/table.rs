//! The plan for a person: what is new first, then outages by name, then the waves, then what is left to people.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use remint_contract::{Kind, Ref};
use serde::Serialize;

use crate::estate::Estate;
use crate::step::Path;

use super::super::{Member, Node, Occasion, Plan, Row as Rule};
use super::columns::{Row, clean, columns, hang};
use super::names::{count, node, place, short, some, spoken};

/// The plan for a person: what is new first, then outages, waves, and what is left to people.
#[must_use]
pub fn render_plan(plan: &Plan, _estate: &Estate) -> String {
    let from: Vec<String> = plan.from.iter().map(ToString::to_string).collect();
    let mut text = format!("Plan of a reset from {}\n", clean(&some(from, SHOWN)));
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(text, "{}\n", tally(plan));
    text.extend(plan.occasion.iter().map(Occasion::spoken));
    news(plan, &mut text);
    outages(plan, &mut text);
    alive(plan, &mut text);
    text.push_str(&columns(&HEADER, &MOST, &rows(plan)));
    people(plan, &mut text);
    let members = count(plan.members.len(), "credential");
    let _ = writeln!(
        text,
        "\nAbout {} for {members} in {}.\nPlan   {}\nEstate {}",
        spoken(plan.eta),
        count(plan.waves.len(), "wave"),
        plan.digest,
        plan.estate
    );
    text
}

/// Nothing reached is left out: the parts add up to the whole.
fn tally(plan: &Plan) -> String {
    let is_credential = |item: &Node| matches!(item, Node::Doc(reference) if reference.kind == Kind::Credential);
    let others = plan.reached.iter().filter(|item| !is_credential(&item.node)).count();
    let started: BTreeSet<&Ref> = plan.from.iter().filter(|from| from.kind == Kind::Credential).collect();
    let total = plan.reached.len() + started.len();
    let mut parts = vec![
        format!("{} to replace", count(plan.members.len(), "credential")),
        count(plan.tasks.len(), "task"),
        count(plan.exceptions.len(), "exception"),
    ];
    parts.push(if others == 1 { "1 place or workload".to_owned() } else { format!("{others} places and workloads") });
    format!("{total} reached: {}.", parts.join(", "))
}

fn news(plan: &Plan, text: &mut String) {
    if plan.new_destinations.is_empty() {
        return;
    }
    let mut by_system: BTreeMap<&Ref, Vec<String>> = BTreeMap::new();
    for location in &plan.new_destinations {
        let full = place(location);
        let path = full.strip_prefix(&format!("{}:", short(&location.system))).unwrap_or(&full).to_owned();
        by_system.entry(&location.system).or_default().push(path);
    }
    let _ = writeln!(
        text,
        "NEW DESTINATIONS  {} where these credentials were not when they last settled. Read them first.",
        count(plan.new_destinations.len(), "place")
    );
    for (system, paths) in by_system {
        text.push_str(&hang(&short(system), &some(paths, 4 * SHOWN)));
    }
    text.push('\n');
}

/// Cuts, what is contained, and what has one slot: everybody who will be without a working value, and for how long.
fn outages(plan: &Plan, text: &mut String) {
    let mut found = String::new();
    for cut in &plan.cuts {
        let members: Vec<String> = cut.members.iter().map(|&member| short(&plan.members[member].credential)).collect();
        let because: Vec<&str> = cut.because.iter().map(|row| reason(*row)).collect();
        let words = format!(
            "{}, together, because {}. Without a working value: {}.",
            members.join(", "),
            because.join(", "),
            whom(cut.consumers.iter())
        );
        found.push_str(&hang(&format!("cut, up to {}", spoken(cut.outage)), &words));
    }
    for member in plan.members.iter().filter(|member| member.cut.is_none()) {
        if let Some(bound) = member.outage {
            let words = format!(
                "{} has one place for its value at the issuer. Without a working value: {}.",
                short(&member.credential),
                whom(member.consumers.iter())
            );
            found.push_str(&hang(&format!("in place, up to {}", spoken(bound)), &words));
        }
    }
    let contained: Vec<&Member> =
        plan.members.iter().filter(|member| member.path == Path::Contain && !member.dark).collect();
    if !contained.is_empty() {
        let consumers: BTreeSet<&Ref> = contained.iter().flat_map(|member| &member.consumers).collect();
        let words = format!(
            "{}. Killed first, replaced after. Without a working value until then: {}.",
            names(&contained),
            whom(consumers.into_iter())
        );
        found.push_str(&hang(&format!("{} contained", contained.len()), &words));
    }
    let dark: Vec<&Member> = plan.members.iter().filter(|member| member.dark && member.path != Path::Rolling).collect();
    if !dark.is_empty() {
        let words = format!("{}. Killed, and nothing new is minted before {}.", names(&dark), cleaned(plan, &dark));
        found.push_str(&hang(&format!("{} dark", dark.len()), &words));
    }
    if found.is_empty() {
        text.push_str("OUTAGES  None is announced: no clean workload is to be without a working value.\n\n");
        return;
    }
    let _ = writeln!(text, "ANNOUNCED OUTAGES\n{found}");
}

/// What the attacker keeps until somebody says `remint clean`: nobody must take it for dead.
fn alive(plan: &Plan, text: &mut String) {
    let held: Vec<&Member> = plan.members.iter().filter(|member| member.dark && member.path == Path::Rolling).collect();
    if held.is_empty() {
        return;
    }
    let words = format!(
        "{}. A clean consumer needs the old value, or a dirty node could mint it anew: it is replaced after {}.",
        names(&held),
        cleaned(plan, &held)
    );
    let _ = writeln!(text, "STILL ALIVE UNTIL CLEAN\n{}", hang(&format!("{} held", held.len()), &words));
}

fn names(members: &[&Member]) -> String {
    some(members.iter().map(|member| short(&member.credential)), 2 * SHOWN)
}

/// What ends the wait. Nobody can clean what was excepted: it lives on, and whoever has it reads on.
fn cleaned(plan: &Plan, members: &[&Member]) -> String {
    let readers: BTreeSet<&Node> = members.iter().flat_map(|member| &member.awaits).collect();
    let excepted = |node: &Node| matches!(node, Node::Doc(reference) if plan.exceptions.contains(reference));
    some(
        readers.into_iter().map(|node| {
            if excepted(node) { format!("a plan without `--except {node}`") } else { format!("`remint clean {node}`") }
        }),
        SHOWN,
    )
}

fn whom<'a>(consumers: impl Iterator<Item = &'a Ref>) -> String {
    let names = some(consumers.map(short), SHOWN);
    if names.is_empty() { "nobody clean".to_owned() } else { names }
}

const fn reason(row: Rule) -> &'static str {
    match row {
        Rule::Read => "one reads where the other lies",
        Rule::Minter => "one mints the other",
        Rule::DiesWith => "one dies with the other",
        Rule::EveryBelow => "what is below must move first",
        Rule::Outlives => "one can be overwritten by the other",
        Rule::RemintActs => "Remint acts through one",
        Rule::Trust => "one must be trusted first",
        Rule::Group => "they are one group",
        Rule::Cut => "they are one unit",
    }
}

fn rows(plan: &Plan) -> Vec<Row> {
    let waits = waits(plan);
    let mut rows = Vec::new();
    for (number, wave) in plan.waves.iter().enumerate() {
        let heading = format!("Wave {} of {}: {}", number + 1, plan.waves.len(), count(wave.len(), "credential"));
        if number > 0 {
            rows.push(Row::Heading(String::new()));
        }
        rows.push(Row::Heading(heading));
        for &index in wave {
            let member = &plan.members[index];
            rows.push(Row::Cells(vec![
                short(&member.credential),
                word(&member.strategy),
                mode(member),
                some(member.destinations.iter().map(|destination| place(&destination.at)), 3),
                some(member.consumers.iter().map(short), 3),
                waits[index].clone(),
            ]));
            rows.extend(notes(plan, member).into_iter().map(Row::Note));
        }
    }
    rows
}

fn mode(member: &Member) -> String {
    match (member.path, member.dark) {
        (Path::Rolling, true) => "rolling, held".to_owned(),
        (path, true) => format!("{path}, dark"),
        (path, false) => path.to_string(),
    }
}

/// What is unusual about a member, each in a line.
fn notes(plan: &Plan, member: &Member) -> Vec<String> {
    let mut notes = Vec::new();
    let name = |&index: &usize| short(&plan.members[index].credential);
    if let Some(by) = &member.exposed_by {
        notes
            .push(format!("EXPOSED: the deadline does not allow to wait; {by} can read it. A second pass is planned."));
    }
    if member.remint_acts {
        notes.push("Remint itself acts through it.".to_owned());
    }
    if !member.awaits.is_empty() {
        let nodes: Vec<String> = member.awaits.iter().map(node).collect();
        let places = some(member.withheld.iter().map(|destination| place(&destination.at)), 3);
        let then = if places.is_empty() { String::new() } else { format!(", then written to {places}") };
        notes.push(format!("minted only after {} is clean{then}", some(nodes, 3)));
    }
    for late in &member.late {
        notes.push(format!(
            "late: {} is written after {} is dead, which ends a cycle for nothing",
            place(&late.destination.at),
            some(late.after.iter().map(name), 3)
        ));
    }
    if !member.withheld.is_empty() && !member.dark {
        let places = some(member.withheld.iter().map(|destination| place(&destination.at)), 3);
        let after = some(member.withheld_after.iter().map(name), 3);
        let after = if after.is_empty() { String::new() } else { format!(" and {after} is dead") };
        notes.push(format!("withheld: {places} is written after its dirty reader is clean{after}"));
    }
    if !member.dirty_consumers.is_empty() && !member.dark {
        notes.push(format!("not waited for, because dirty: {}", some(member.dirty_consumers.iter().map(short), 3)));
    }
    notes
}

/// Per member, what must come before it: whom it waits for, and in which sense.
fn waits(plan: &Plan) -> Vec<String> {
    let mut found: Vec<BTreeMap<&str, BTreeSet<usize>>> = vec![BTreeMap::new(); plan.members.len()];
    for edge in &plan.precedences {
        let sense = match edge.row {
            Rule::Read | Rule::Minter | Rule::Outlives => "dead",
            Rule::DiesWith => "minted",
            Rule::EveryBelow => "moved",
            Rule::RemintActs => "Remint on",
            Rule::Trust => "trusted",
            Rule::Group | Rule::Cut => "together with",
        };
        if edge.before.0 != edge.after.0 {
            found[edge.after.0].entry(sense).or_default().insert(edge.before.0);
        }
    }
    found
        .into_iter()
        .map(|senses| {
            let parts: Vec<String> = senses
                .into_iter()
                .map(|(sense, members)| {
                    let names = members.into_iter().map(|member| short(&plan.members[member].credential));
                    format!("{sense}: {}", some(names, 2))
                })
                .collect();
            parts.join("; ")
        })
        .collect()
}

/// What people have to do, or have decided.
fn people(plan: &Plan, text: &mut String) {
    if plan.tasks.is_empty() && plan.exceptions.is_empty() && plan.dirty.is_empty() {
        return;
    }
    text.push('\n');
    for task in &plan.tasks {
        text.push_str(&hang("task", &format!("{}: {}", task.node, task.why)));
    }
    for exception in &plan.exceptions {
        let mut words = format!("{exception} stays as it is, on somebody's word");
        if plan.dirty.contains(exception) {
            words.push_str("; no new value is written where it can read");
        }
        text.push_str(&hang("exception", &words));
    }
    let dirty: Vec<&Ref> = plan.dirty.iter().filter(|node| !plan.exceptions.contains(node)).collect();
    if !dirty.is_empty() {
        let nodes = some(dirty.into_iter().map(ToString::to_string), SHOWN);
        text.push_str(&hang(
            "dirty",
            &format!("{nodes}: no new value is written where it can read, until `remint clean`"),
        ));
    }
}

fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(ToOwned::to_owned)).unwrap_or_default()
}

const HEADER: [&str; 6] = ["credential", "strategy", "mode", "goes to", "confirmed by", "waits for"];
/// No column is wider; together they fit a page.
const MOST: [usize; 6] = [22, 9, 13, 26, 16, 22];
/// More names than this are counted.
const SHOWN: usize = 10;
