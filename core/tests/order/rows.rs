//! One small estate per row of the order table.

use remint_contract::Strategy;
use remint_core::plan::Row;
use remint_core::step::{Path, Step};

use super::small::{empty, index, leaked, member, planned, reads, waits};
use crate::world::{Make, cred};

#[test]
fn who_reads_a_place_is_dead_before_the_new_value_is_delivered_there() {
    let mut make = empty();
    make.credential("reader", "i0", &["s1:reader"], &[]);
    make.credential("read", "i0", &["s0:read"], &[]);
    reads(&mut make, "reader", "s0:read");
    let plan = planned(&make, &leaked());
    assert!(waits(&plan, Row::Read, ("reader", Step::Sweep), ("read", Step::Deliver)));
}

#[test]
fn a_minter_is_dead_before_what_it_minted_is_minted_anew_and_swept() {
    let mut make = empty();
    make.credential("minter", "i0", &["s1:minter"], &[]);
    make.credential("minted", "i0", &["s0:minted"], &[]).issued_by.by = Some(cred("minter"));
    let plan = planned(&make, &leaked());
    assert!(waits(&plan, Row::Minter, ("minter", Step::Sweep), ("minted", Step::Sweep)));
    assert!(waits(&plan, Row::Outlives, ("minter", Step::Sweep), ("minted", Step::Mint)));
}

#[test]
fn what_dies_with_its_minter_is_minted_by_the_new_one_and_confirmed_before_the_old_one_goes() {
    let mut make = empty();
    make.credential("root", "i0", &["s1:root"], &[]);
    for (name, parent) in [("child", "root"), ("grandchild", "child")] {
        let place = format!("s0:{name}");
        let credential = make.credential(name, "i0", &[&place], &["w1"]);
        credential.issued_by.by = Some(cred(parent));
        credential.issued_by.dies_with_issuer = true;
    }
    let plan = planned(&make, &leaked());
    assert!(waits(&plan, Row::DiesWith, ("root", Step::Verify), ("child", Step::Mint)));
    assert!(waits(&plan, Row::EveryBelow, ("child", Step::Confirm), ("root", Step::Revoke)));
    assert!(waits(&plan, Row::EveryBelow, ("grandchild", Step::Confirm), ("root", Step::Revoke)));
    assert!(!plan.precedences.iter().any(|edge| edge.row == Row::Outlives));
}

/// Until it is activated the old generation signs, and what it signs dies with it.
#[test]
fn a_leaf_is_minted_only_when_the_new_generation_of_its_authority_signs() {
    let authority = |make: &mut Make| {
        make.credential("authority", "i0", &["s1:authority"], &[]).rotation.strategy = Strategy::DualTrust;
        let leaf = make.credential("leaf", "i0", &["s0:leaf"], &["w1"]);
        leaf.issued_by.by = Some(cred("authority"));
        leaf.issued_by.dies_with_issuer = true;
    };
    let mut make = empty();
    authority(&mut make);
    let plan = planned(&make, &leaked());
    assert!(waits(&plan, Row::DiesWith, ("authority", Step::Activate), ("leaf", Step::Mint)));
    assert_eq!(member(&plan, "leaf").path, Path::Rolling);

    // Each reads where the other lies: nothing that is signed before the unit is dead lives on.
    let mut make = empty();
    authority(&mut make);
    reads(&mut make, "authority", "s0:leaf");
    reads(&mut make, "leaf", "s1:authority");
    let plan = planned(&make, &leaked());
    assert_eq!(plan.cuts.len(), 1);
    assert_eq!(member(&plan, "authority").path, Path::Cut);
    assert_eq!(member(&plan, "leaf").path, Path::Contain);
    assert!(waits(&plan, Row::DiesWith, ("authority", Step::Activate), ("leaf", Step::Mint)));
}

#[test]
fn remint_logs_in_with_its_own_new_value_before_any_other_step_there() {
    let mut make = empty();
    make.credential("login", "i1", &["s1:login"], &[]);
    make.credential("issued", "i0", &["s1:issued"], &[]);
    make.credential("stored", "i1", &["s0:stored"], &[]);
    make.system("i0").auth = Some(cred("login"));
    make.system("s0").auth = Some(cred("login"));
    let plan = planned(&make, &leaked());
    assert!(member(&plan, "login").remint_acts);
    assert!(waits(&plan, Row::RemintActs, ("login", Step::Confirm), ("issued", Step::Mint)));
    assert!(waits(&plan, Row::RemintActs, ("login", Step::Confirm), ("stored", Step::Deliver)));
}

#[test]
fn what_remint_acts_through_and_all_it_dies_with_are_replaced_first_even_when_all_is_contained() {
    let mut make = empty();
    make.credential("root", "i1", &["s1:root"], &[]);
    let login = make.credential("login", "i1", &["s1:login"], &[]);
    login.issued_by.by = Some(cred("root"));
    login.issued_by.dies_with_issuer = true;
    make.credential("issued", "i0", &["s1:issued"], &[]);
    make.system("i0").auth = Some(cred("login"));
    let mut request = leaked();
    request.contain = Some("*".parse().unwrap());
    let plan = planned(&make, &request);
    assert_eq!(member(&plan, "root").path, Path::Rolling);
    assert_eq!(member(&plan, "login").path, Path::Rolling);
    assert_eq!(member(&plan, "issued").path, Path::Contain);
    assert!(waits(&plan, Row::RemintActs, ("login", Step::Confirm), ("issued", Step::Disable)));
}

#[test]
fn a_value_is_trusted_everywhere_before_it_is_used() {
    let mut make = empty();
    make.credential("bundle", "i0", &["s0:bundle"], &[]);
    make.credential("signer", "i0", &["s1:signer"], &[]).trusted_by.push("s0:bundle".parse().unwrap());
    let plan = planned(&make, &leaked());
    assert!(waits(&plan, Row::Trust, ("bundle", Step::Promote), ("signer", Step::Verify)));
}

#[test]
fn two_that_trust_each_other_are_cut_and_still_nobody_reads_a_value_before_it_is_trusted() {
    let mut make = empty();
    make.credential("a", "i0", &["s0:a"], &["w0"]).trusted_by.push("s0:b".parse().unwrap());
    make.credential("b", "i0", &["s0:b"], &["w1"]).trusted_by.push("s0:a".parse().unwrap());
    let plan = planned(&make, &leaked());
    assert_eq!(plan.cuts.len(), 1);
    assert_eq!(plan.cuts[0].because, [Row::Trust]);
    assert!(waits(&plan, Row::Trust, ("a", Step::Promote), ("b", Step::Reload)));
    assert!(waits(&plan, Row::Trust, ("b", Step::Promote), ("a", Step::Reload)));
}

#[test]
fn all_of_a_group_is_delivered_before_any_of_it_is_promoted() {
    let mut make = empty();
    for name in ["a", "b"] {
        let place = format!("s0:{name}");
        make.credential(name, "i0", &[&place], &[]).rotation.group = Some("pair".into());
    }
    let plan = planned(&make, &leaked());
    assert!(waits(&plan, Row::Group, ("a", Step::Deliver), ("b", Step::Promote)));
    assert!(waits(&plan, Row::Group, ("b", Step::Deliver), ("a", Step::Promote)));
    assert_eq!(plan.waves.len(), 1, "a group lies within one wave");
}

#[test]
fn a_cycle_is_cut_announced_by_name_and_delivered_only_after_the_whole_unit_is_dead() {
    let mut make = empty();
    make.credential("a", "i0", &["s0:a"], &["w0"]);
    make.credential("b", "i0", &["s0:b"], &["w1"]);
    reads(&mut make, "a", "s0:b");
    reads(&mut make, "b", "s0:a");
    let plan = planned(&make, &leaked());
    let [cut] = &plan.cuts[..] else { panic!("one cut: {:?}", plan.cuts) };
    assert_eq!(cut.members, [index(&plan, "a"), index(&plan, "b")]);
    assert_eq!(cut.consumers.iter().map(ToString::to_string).collect::<Vec<_>>(), ["Workload/w0", "Workload/w1"]);
    assert!(!cut.outage.is_zero());
    for (one, other) in [("a", "b"), ("b", "a")] {
        assert_eq!(member(&plan, one).path, Path::Cut);
        assert!(waits(&plan, Row::Cut, (one, Step::Verify), (other, Step::Disable)));
        assert!(waits(&plan, Row::Cut, (one, Step::Disable), (other, Step::Sweep)));
    }
    // The first sweeps last, and stands for the unit.
    assert!(waits(&plan, Row::Cut, ("b", Step::Sweep), ("a", Step::Sweep)));
    assert!(waits(&plan, Row::Cut, ("a", Step::Sweep), ("b", Step::Deliver)));
    assert_eq!(plan.waves.len(), 1, "a cut lies within one wave");
}
