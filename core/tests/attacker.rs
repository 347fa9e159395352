//! The modelled attacker: a plan's steps are done in any legal order while somebody reads, mints and overwrites, after
//! every step, all that any live value lets him. He must end with nothing alive, and nobody clean may be without a
//! working value outside a cut or a contained credential.
#![allow(clippy::unwrap_used, reason = "a test that cannot make its estate has failed")]

#[path = "world/world.rs"]
mod world;

use std::collections::BTreeMap;

use jiff::Timestamp;
use remint_contract::Kind;
use remint_core::estate::Estate;
use remint_core::plan::{Node, Refusal, Request, Row, Rows, plan_with};
use world::{Dice, Fault, TestKinds, r, random, run};

/// How many estates the ordinary run tries; `REMINT_ESTATES` asks for more.
const ESTATES: u64 = 1_000;

#[expect(clippy::disallowed_methods, reason = "how long to search is said by who runs it")]
fn estates() -> u64 {
    std::env::var("REMINT_ESTATES").ok().and_then(|text| text.parse().ok()).unwrap_or(ESTATES)
}

fn request(seed: u64, dice: &mut Dice, estate: &Estate) -> Request {
    let start = match dice.below(5) {
        0 => Node::Doc(estate.credentials.keys().nth(dice.below(estate.credentials.len())).unwrap().clone()),
        1 => Node::Place(estate.credentials.values().next().unwrap().delivered_to[0].at.clone()),
        2 => Node::Doc(r(Kind::System, ["h0", "s0", "i0"][dice.below(3)])),
        _ => Node::Doc(r(Kind::Workload, "w0")),
    };
    let mut request = Request::new(vec![start]);
    match seed % 4 {
        0 => request.contain = Some("*".parse().unwrap()),
        1 => request.contain = Some(format!("name=c{}", dice.below(4)).parse().unwrap()),
        _ => {}
    }
    request
}

/// What became of one estate.
enum Outcome {
    Held { cut: bool },
    Refused(Vec<Refusal>),
    Broken(Fault),
}

fn try_one(seed: u64, rows: Rows) -> Outcome {
    let mut dice = Dice::new(seed);
    let estate = random(&mut dice);
    let request = request(seed, &mut dice, &estate);
    match plan_with(&estate, &request, &TestKinds, Timestamp::UNIX_EPOCH, rows) {
        Ok(plan) => match run(&estate, &plan, &request, &mut dice) {
            Ok(()) => Outcome::Held { cut: !plan.cuts.is_empty() },
            Err(fault) => Outcome::Broken(fault),
        },
        Err(refusals) => Outcome::Refused(refusals),
    }
}

#[test]
fn the_modelled_attacker_ends_with_nothing_alive_and_nobody_clean_is_without_a_value() {
    let all = estates();
    let (mut cut, mut refused) = (0, BTreeMap::<&str, u64>::new());
    for seed in 0..all {
        match try_one(seed, Rows::ALL) {
            Outcome::Held { cut: with_cut } => cut += u64::from(with_cut),
            Outcome::Broken(fault) => panic!("seed {seed}: {fault:?}"),
            Outcome::Refused(refusals) => {
                for refusal in refusals {
                    let reason = match refusal {
                        Refusal::DiesWithItself { .. } => "a credential dies with itself",
                        other => panic!("seed {seed} has no ground for: {other}"),
                    };
                    *refused.entry(reason).or_default() += 1;
                }
            }
        }
    }
    println!("{all} estates, {cut} with an announced cut, refused: {refused:?}");
    assert!(refused.values().sum::<u64>() * 50 <= all, "more than 2 % refused: {refused:?}");
    assert!(cut * 3 <= all * 2, "{cut} of {all} need a cut: too many to be the smallest outage");
}

/// Without one row, does some estate come to this harm? A refusal is none.
fn harms_without(row: Row, harm: impl Fn(&Fault) -> bool) -> bool {
    (0..estates()).any(|seed| matches!(try_one(seed, Rows::ALL.without(row)), Outcome::Broken(fault) if harm(&fault)))
}

#[test]
fn without_the_read_row_the_attacker_survives() {
    assert!(harms_without(Row::Read, |fault| matches!(fault, Fault::Survives(_))));
}

#[test]
fn without_the_minter_row_the_attacker_survives() {
    assert!(harms_without(Row::Minter, |fault| matches!(fault, Fault::Survives(_))));
}

#[test]
fn without_the_every_below_row_somebody_is_without_a_value() {
    assert!(harms_without(Row::EveryBelow, |fault| matches!(fault, Fault::Outage(_))));
}

#[test]
fn without_the_outlives_row_the_old_minter_overwrites_the_new_value() {
    assert!(harms_without(Row::Outlives, |fault| matches!(fault, Fault::Survives(_) | Fault::Outage(_))));
}

#[test]
fn a_deadline_that_cannot_be_met_exposes_and_one_that_can_does_not() {
    let mut exposed = 0;
    for seed in 0..estates() / 4 {
        let mut dice = Dice::new(seed);
        let estate = random(&mut dice);
        let mut request = request(2, &mut dice, &estate);
        request.deadline = Some("1970-01-01T00:00:03Z".parse().unwrap());
        if let Ok(plan) = plan_with(&estate, &request, &TestKinds, Timestamp::UNIX_EPOCH, Rows::ALL) {
            let forced = plan.members.iter().any(|member| member.exposed_by.is_some());
            exposed += u64::from(forced);
            let ended = run(&estate, &plan, &request, &mut dice);
            assert!(!matches!(ended, Err(Fault::Stuck(_))), "seed {seed}: {ended:?}");
            assert!(forced || ended.is_ok(), "seed {seed}: {ended:?}");
        }
        request.deadline = Some("1971-01-01T00:00:00Z".parse().unwrap());
        if let Ok(plan) = plan_with(&estate, &request, &TestKinds, Timestamp::UNIX_EPOCH, Rows::ALL) {
            assert!(plan.members.iter().all(|member| member.exposed_by.is_none()), "seed {seed}");
        }
    }
    assert!(exposed > 0);
}
