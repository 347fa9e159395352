//! The modelled attacker: a plan's steps are done in any legal order while somebody reads, mints and overwrites, after
//! every step, all that any live value lets him. He must end with nothing alive, and nobody clean may be without a
//! working value outside a cut or a contained credential.

#[path = "world/world.rs"]
mod world;

use std::collections::BTreeMap;

use jiff::Timestamp;
use remint_contract::Kind;
use remint_core::estate::Estate;
use remint_core::plan::{Node, Refusal, Request, Row, Rows, plan_with};
use world::{Dice, Fault, TestKinds, r, random, run};

/// How many estates the ordinary run tries; `REMINT_ESTATES` asks for more.
const ESTATES: u64 = 4_000;

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
    let (mut cut, mut refused, mut broken) = (0, BTreeMap::<&str, u64>::new(), Vec::new());
    for seed in 0..all {
        match try_one(seed, Rows::ALL) {
            Outcome::Held { cut: true } => cut += 1,
            Outcome::Held { cut: false } => {}
            Outcome::Broken(fault) => broken.push(format!("seed {seed}: {fault:?}")),
            Outcome::Refused(refusals) => {
                for refusal in refusals {
                    let reason = match refusal {
                        Refusal::DiesWithItself { .. } => "dies with itself",
                        other => {
                            broken.push(format!("seed {seed}: {other}"));
                            continue;
                        }
                    };
                    *refused.entry(reason).or_default() += 1;
                }
            }
        }
    }
    let told = format!(
        "{all} estates, {cut} with a cut, refused {refused:?}, broken {}: {:#?}",
        broken.len(),
        broken.iter().take(20).collect::<Vec<_>>()
    );
    println!("{told}");
    assert!(broken.is_empty(), "{told}");
}
