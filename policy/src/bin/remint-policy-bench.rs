//! What a decision costs at a thousand policies: `remint-policy-bench`, one line of JSON.
//!
//! The policies: 50 groups with 19 permits each, and 50 that speak of everybody, which every question has to ask. The
//! questions: persons in three groups, every fourth denied, over all acts. `all_us` is the median when every policy is
//! asked, for comparison.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Instant;

use jiff::Timestamp;
use remint_core::approval::{Party, Person};
use remint_core::estate::Tier;
use remint_core::gate::{Action, Caller, Decider as _, Entrance, Resource, Scope};
use remint_policy::Policies;
use serde_json::json;

const GROUPS: usize = 50;
const OF_A_GROUP: usize = 19;
const OF_EVERYBODY: usize = 50;
const QUESTIONS: usize = 20_000;

/// What is done to a reset.
const ACTS: [Action; 6] =
    [Action::Request, Action::Approve, Action::Execute, Action::Escalate, Action::Rollback, Action::Attest];

fn main() -> ExitCode {
    let text = text();
    let policies = match Policies::parse([("bench.cedar", text.as_str())]) {
        Ok(policies) => policies,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            return ExitCode::FAILURE;
        }
    };
    let sorted = times(QUESTIONS, |question| {
        policies.decide(&question.0, &question.1, &question.2, question.3, &question.4, Timestamp::UNIX_EPOCH).allowed
    });
    let all = times(QUESTIONS / 20, |question| {
        policies
            .decide_by_all(&question.0, &question.1, &question.2, question.3, &question.4, Timestamp::UNIX_EPOCH)
            .allowed
    });
    let result = json!({
        "policies": policies.len(),
        "questions": QUESTIONS,
        "allowed": sorted.1,
        "median_us": at(&sorted.0, 50),
        "p99_us": at(&sorted.0, 99),
        "all_us": at(&all.0, 50),
    });
    let _ = writeln!(std::io::stdout(), "{result}");
    ExitCode::SUCCESS
}

fn text() -> String {
    let mut text = String::new();
    for group in 0..GROUPS {
        for number in 0..OF_A_GROUP {
            let action = ACTS[number % ACTS.len()].word();
            let _ = writeln!(
                text,
                "@id(\"g{group}-{number}\") permit (principal in Remint::Group::\"g{group}\", action == Remint::Action::\"{action}\", resource) when {{ resource.namespaces.contains(\"n{}\") }};",
                number % 3
            );
        }
    }
    for number in 0..OF_EVERYBODY {
        let action = ACTS[number % ACTS.len()].word();
        let _ = writeln!(
            text,
            "@id(\"e{number}\") forbid (principal, action == Remint::Action::\"{action}\", resource) when {{ context.entrance == \"window\" && resource.environments.contains(\"e{number}\") }};"
        );
    }
    text
}

type Question = (Caller, Party, BTreeSet<String>, Action, Resource);

fn question(number: usize) -> Question {
    let caller = Caller::plain(format!("unix:{number}"), Entrance::Socket);
    let party = Party::Person { principal: caller.principal.clone(), person: Person(format!("p{number}")) };
    let groups = if number % 4 == 3 {
        BTreeSet::from(["nobodies".to_owned()])
    } else {
        (0..3).map(|step| format!("g{}", (number + step * 7) % GROUPS)).collect()
    };
    let scope = Scope {
        id: format!("r-{number}"),
        tiers: BTreeSet::from([Tier::Privileged]),
        namespaces: (0..3).map(|number| format!("n{number}")).collect(),
        environments: BTreeSet::from(["prod".to_owned()]),
        ..Scope::default()
    };
    (caller, party, groups, ACTS[number % ACTS.len()], Resource::Reset(scope))
}

/// Microseconds of each, sorted, and how many were allowed.
fn times(count: usize, decide: impl Fn(&Question) -> bool) -> (Vec<f64>, usize) {
    let mut allowed = 0;
    let mut times: Vec<f64> = (0..count)
        .map(|number| {
            let question = question(number);
            let began = Instant::now();
            allowed += usize::from(decide(&question));
            began.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    (times, allowed)
}

fn at(times: &[f64], percent: usize) -> f64 {
    let place = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(place).map_or(0.0, |time| (time * 10.0).round() / 10.0)
}
