//! What is not written at once, and for what it waits: dirty consumers, withheld and late places, darkness.

use remint_contract::Kind;
use remint_core::plan::Node;
use remint_core::step::Path;

use super::small::{empty, index, intruder, leaked, member, places, planned, reads};
use crate::world::{cred, r};

#[test]
fn a_leaked_value_or_identity_makes_no_node_dirty_but_a_workload_does() {
    let mut make = empty();
    make.credential("key", "i0", &["h0:key"], &["w0"]);
    assert!(planned(&make, &leaked()).dirty.is_empty());
    let credential = remint_core::plan::Request::new(vec![Node::Doc(cred("key"))]);
    let plan = planned(&make, &credential);
    assert!(plan.dirty.is_empty());
    assert_eq!(member(&plan, "key").consumers, [r(Kind::Workload, "w0")], "its consumer is clean and must confirm");
    assert!(planned(&make, &intruder()).dirty.contains(&r(Kind::Workload, "w0")));
}

#[test]
fn a_shared_credential_reaches_its_clean_consumer_while_the_dirty_one_neither_counts_nor_is_written_to() {
    let mut make = empty();
    make.credential("key", "i0", &["h0:key", "h1:key"], &["w0", "w1"]);
    let plan = planned(&make, &intruder());
    let key = member(&plan, "key");
    assert_eq!((key.path, key.dark), (Path::Rolling, false));
    assert_eq!(key.consumers, [r(Kind::Workload, "w1")]);
    assert_eq!(key.dirty_consumers, [r(Kind::Workload, "w0")]);
    assert_eq!(places(&key.destinations), ["System/h1:key"]);
    assert_eq!(places(&key.withheld), ["System/h0:key"]);
    assert!(key.awaits.is_empty());
}

#[test]
fn what_only_dirty_nodes_read_is_killed_and_stays_dark_until_they_are_clean() {
    let mut make = empty();
    make.credential("key", "i0", &["h0:key"], &["w0"]);
    let mut request = intruder();
    let plan = planned(&make, &request);
    let key = member(&plan, "key");
    assert_eq!((key.path, key.dark), (Path::Contain, true));
    assert_eq!(key.awaits.iter().collect::<Vec<_>>(), [&Node::Doc(r(Kind::Workload, "w0"))]);
    assert!(key.destinations.is_empty());
    request.clean.insert(Node::Doc(r(Kind::Workload, "w0")));
    let plan = planned(&make, &request);
    assert_eq!((member(&plan, "key").path, member(&plan, "key").dark), (Path::Rolling, false));
}

#[test]
fn a_clean_consumer_that_can_only_read_where_a_dirty_one_reads_keeps_the_old_value_until_that_is_clean() {
    let mut make = empty();
    make.credential("key", "i0", &["s0:key"], &["w0", "w1"]);
    let plan = planned(&make, &intruder());
    let key = member(&plan, "key");
    assert_eq!((key.path, key.dark), (Path::Rolling, true), "not contained: w1 needs the old value");
    assert_eq!(key.awaits.iter().collect::<Vec<_>>(), [&Node::Doc(r(Kind::Workload, "w0"))]);
}

#[test]
fn a_withheld_place_waits_for_the_members_that_read_it_too() {
    let mut make = empty();
    make.credential("reader", "i0", &["h0:reader", "h1:reader"], &["w0", "w1"]);
    make.credential("key", "i0", &["h0:key", "h1:key"], &["w0", "w1"]);
    reads(&mut make, "reader", "h0:key");
    let plan = planned(&make, &intruder());
    assert_eq!(places(&member(&plan, "key").withheld), ["System/h0:key"]);
    assert_eq!(member(&plan, "key").withheld_after, [index(&plan, "reader")]);
}

#[test]
fn a_cycle_is_ended_for_nothing_where_one_place_can_be_written_late() {
    let mut make = empty();
    make.credential("a", "i0", &["h1:a", "s0:a"], &["w1"]);
    make.credential("b", "i0", &["s0:b"], &["w0"]);
    reads(&mut make, "a", "s0:b");
    reads(&mut make, "b", "s0:a");
    let plan = planned(&make, &leaked());
    assert!(plan.cuts.is_empty(), "w1 reads on its own host: nobody is without a value");
    let a = member(&plan, "a");
    assert_eq!(places(&a.destinations), ["System/h1:a"]);
    assert_eq!(places(a.late.iter().map(|late| &late.destination)), ["System/s0:a"]);
    assert_eq!(a.late[0].after, [index(&plan, "b")]);
}

#[test]
fn a_late_place_that_a_cut_reads_waits_for_the_whole_unit() {
    let mut make = empty();
    make.credential("a", "i0", &["h1:a", "s0:a"], &["w1"]);
    make.credential("b", "i0", &["s0:b"], &["w0"]);
    make.credential("c", "i0", &["s0:c"], &["w0"]);
    reads(&mut make, "a", "s0:c");
    reads(&mut make, "b", "s0:c");
    reads(&mut make, "c", "s0:b");
    reads(&mut make, "c", "s0:a");
    let plan = planned(&make, &leaked());
    assert_eq!(plan.cuts.len(), 1);
    let a = member(&plan, "a");
    if !a.late.is_empty() {
        assert_eq!(a.late[0].after, [plan.cuts[0].members[0]], "the first of the unit sweeps last");
    }
}
