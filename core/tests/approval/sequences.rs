//! No sequence of calls starts a privileged rotation without the required distinct persons.
//!
//! The oracle knows what the case does not: which human sits behind each principal. After any sequence it counts, from the
//! calls alone, whose word stands for the leaf as it is.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use remint_core::approval::{Case, Delta, Executor, Obligations, Party, Person, Separate};
use remint_core::estate::Tier;

use super::case::{at, candidate, credential, person, plan, two, yes};

#[derive(Debug, Clone)]
enum Call {
    Sign { who: usize, plan: u8 },
    Withdraw { who: usize },
    Revise { plan: u8, touches: bool },
    Promote,
    Clock { to: i64 },
}

/// Principals, and the human behind each: several of one, one that nobody knows, one of a program.
fn parties() -> Vec<(Party, Option<&'static str>)> {
    let owners = BTreeSet::from([Person("bob".into())]);
    vec![
        (person("alice", "unix:1"), Some("alice")),
        (person("alice", "token:2"), Some("alice")),
        (person("bob", "unix:3"), Some("bob")),
        (person("bob", "oidc:bob"), Some("bob")),
        (person("carol", "unix:5"), Some("carol")),
        (person("dave", "unix:6"), Some("dave")),
        (Party::Unmapped { principal: "oidc:who".into() }, None),
        (Party::Service { principal: "token:ci".into(), name: "ci".into(), owners }, None),
    ]
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let one = prop_oneof![
        8 => (0_usize..8, 0_u8..4).prop_map(|(who, plan)| Call::Sign { who, plan }),
        1 => (0_usize..8).prop_map(|who| Call::Withdraw { who }),
        2 => (0_u8..4, proptest::bool::ANY).prop_map(|(plan, touches)| Call::Revise { plan, touches }),
        2 => Just(Call::Promote),
        1 => (0_i64..8000).prop_map(|to| Call::Clock { to }),
    ];
    proptest::collection::vec(one, 0..30)
}

/// What the oracle keeps: for the leaf as it is, whose word stands, and since when.
#[derive(Default)]
struct Oracle {
    standing: BTreeMap<&'static str, i64>,
    /// Of the revision that waits, where one does: the same, and whether it changes the leaf.
    pending: Option<(u8, bool, BTreeMap<&'static str, i64>)>,
    plan: u8,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn no_sequence_of_calls_starts_a_privileged_rotation_without_the_distinct_persons(
        asker in 0_usize..8,
        executor in proptest::option::of(0_usize..8),
        calls in calls(),
        start in 0_i64..9000,
        persons in 1_u32..4,
    ) {
        let parties = parties();
        let needs = Obligations { approvals: persons, ..two() };
        let key = credential("key");
        let mut case = Case::open(parties[asker].0.clone(), plan(0), at(0));
        let mut oracle = Oracle::default();
        let (mut clock, mut newest) = (0, 0);
        for call in calls {
            clock += 1;
            match call {
                Call::Clock { to } => clock = to,
                Call::Sign { who, plan: number } => {
                    let (party, human) = &parties[who];
                    let waits = oracle.pending.as_ref().map_or(oracle.plan, |(waiting, ..)| *waiting);
                    let taken = case.sign(plan(number), yes(party, clock)).is_ok();
                    prop_assert_eq!(taken, number == waits && clock >= newest);
                    if taken {
                        newest = clock;
                        if let Some(human) = human {
                            let of = oracle.pending.as_mut().map_or(&mut oracle.standing, |(.., of)| of);
                            of.insert(human, clock);
                        }
                    } else if clock >= newest {
                        newest = clock;
                    }
                }
                Call::Withdraw { who } => {
                    let (party, human) = &parties[who];
                    let _ = case.withdraw(party, at(clock));
                    if clock >= newest {
                        newest = clock;
                        if let Some(human) = human {
                            oracle.standing.remove(human);
                            if let Some((.., of)) = &mut oracle.pending {
                                of.remove(human);
                            }
                        }
                    }
                }
                Call::Revise { plan: number, touches } => {
                    let changed = if touches { BTreeSet::from([key.clone()]) } else { BTreeSet::new() };
                    let delta = Delta { changed, ..Delta::default() };
                    if case.revise(plan(number), delta, at(clock)).is_ok() {
                        newest = clock;
                        oracle.pending = Some((number, touches, BTreeMap::new()));
                    }
                }
                Call::Promote => {
                    if case.promote(at(clock)).is_ok() {
                        let (number, touches, of) = oracle.pending.take().unwrap();
                        oracle.plan = number;
                        if touches {
                            oracle.standing = of;
                        }
                    }
                    newest = newest.max(clock);
                }
            }
        }
        let executed = executor.map_or(Executor::Remint, |one| Executor::By(parties[one].0.clone()));
        let outcome = case.standing(&candidate(&key, Tier::Privileged), &needs, &executed, at(start));
        if outcome.is_ok() {
            prop_assert!(start >= newest, "a clock that was set back started something");
            let behind = |index: usize, human: &str| parties[index].0.may_be(&Person(human.to_owned()));
            let counted = oracle.standing.iter().filter(|(human, since)| {
                let lives = start - **since < 3600;
                lives && !behind(asker, human) && executor.is_none_or(|one| !behind(one, human))
            });
            prop_assert!(counted.count() >= persons as usize);
            if let Some(one) = executor {
                prop_assert!(!parties[asker].0.overlaps(&parties[one].0));
            }
            prop_assert!(needs.separate.contains(&Separate::RequesterExecutor));
        }
    }
}
