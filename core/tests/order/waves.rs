//! Waves: canary first, and nobody waits for a later one.

use jiff::Timestamp;
use remint_core::plan::plan;

use super::small::{empty, intruder, leaked, planned};
use crate::world::{Dice, TestKinds, random};

#[test]
fn the_first_wave_has_the_size_of_the_canary_and_the_next_grow() {
    let mut make = empty();
    for index in 0..10 {
        make.credential(&format!("c{index}"), "i0", &[&format!("s0:c{index}")], &[]);
    }
    let mut request = leaked();
    request.canary = 1;
    request.growth = 4;
    let sizes = |request: &_| planned(&make, request).waves.iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(sizes(&request), [1, 4, 5]);
    request.canary = 3;
    request.growth = 2;
    assert_eq!(sizes(&request), [3, 6, 1]);
}

#[test]
fn no_member_waits_for_a_later_wave_and_a_cut_and_a_group_lie_within_one() {
    for seed in 0..300 {
        let estate = random(&mut Dice::new(seed));
        let Ok(plan) = plan(&estate, &intruder(), &TestKinds, Timestamp::UNIX_EPOCH) else { continue };
        let wave = |member: usize| plan.waves.iter().position(|wave| wave.contains(&member)).unwrap();
        let listed: usize = plan.waves.iter().map(Vec::len).sum();
        assert_eq!(listed, plan.members.len(), "seed {seed}: each member is in one wave");
        for edge in &plan.precedences {
            assert!(wave(edge.before.0) <= wave(edge.after.0), "seed {seed}: {edge:?}");
        }
        for cut in &plan.cuts {
            assert!(cut.members.iter().all(|&member| wave(member) == wave(cut.members[0])), "seed {seed}: {cut:?}");
        }
        for (one, first) in plan.members.iter().enumerate() {
            for (other, second) in plan.members.iter().enumerate() {
                let group = first.group.is_some() && first.group == second.group && !first.dark && !second.dark;
                assert!(!group || wave(one) == wave(other), "seed {seed}: {:?}", first.group);
            }
        }
    }
}
