//! A revision: the same scope with other paths, approved as a difference.

use std::collections::BTreeSet;

use jiff::Timestamp;
use remint_contract::Kind;
use remint_core::plan::{Node, Refusal, Request, revise};
use remint_core::step::Path;

use super::small::{empty, leaked, planned};
use crate::world::{TestKinds, cred, r};

#[test]
fn a_revision_turns_what_is_selected_keeps_every_place_and_is_pinned_with_its_parent() {
    let mut make = empty();
    for name in ["a", "b", "c"] {
        make.credential(name, "i0", &[&format!("s0:{name}")], &["w1"]);
    }
    let parent = planned(&make, &leaked());
    let none = BTreeSet::new();
    let at = Timestamp::UNIX_EPOCH;
    let all = "*".parse().unwrap();
    let fixed = BTreeSet::from([cred("c")]);
    let turned = revise(&parent, &make.0, Some(&all), None, &fixed, &none, &TestKinds, at).unwrap();
    let delta: Vec<_> = turned.delta(&parent).into_iter().map(|turn| (turn.credential, turn.from, turn.to)).collect();
    assert_eq!(
        delta,
        [(cred("a"), Path::Rolling, Path::Contain), (cred("b"), Path::Rolling, Path::Contain)],
        "what went too far stays"
    );
    assert_eq!(turned.parent, Some(parent.digest));
    let names =
        |plan: &remint_core::plan::Plan| plan.members.iter().map(|one| one.credential.clone()).collect::<Vec<_>>();
    assert_eq!(names(&turned), names(&parent));
    // And back again: the same paths as at first are another plan, because they revise another one.
    let back = revise(&turned, &make.0, None, Some(&all), &none, &none, &TestKinds, at).unwrap();
    assert!(back.delta(&parent).is_empty() && back.digest != parent.digest);
    let mut orphan = back.clone();
    orphan.parent = None;
    assert_eq!((back.recompute(), orphan.recompute()), (back.digest, parent.digest));
}

#[test]
fn what_the_first_request_said_is_clean_is_clean_in_a_revision() {
    let mut make = empty();
    make.credential("a", "i0", &["s0:a"], &["w1"]);
    make.credential("b", "i0", &["s0:b"], &["w1"]);
    let mut request = Request::new(vec![Node::Doc(r(Kind::Workload, "w1"))]);
    request.clean = [Node::Doc(r(Kind::Workload, "w1"))].into();
    let parent = planned(&make, &request);
    let none = BTreeSet::new();
    let name = "name=a".parse().unwrap();
    let turned = revise(&parent, &make.0, Some(&name), None, &none, &none, &TestKinds, Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(turned.dirty, parent.dirty);
    assert!(turned.members.iter().all(|member| !member.dark && member.dirty_consumers.is_empty()), "{turned:?}");
}

#[test]
fn what_would_change_the_scope_is_no_revision() {
    let mut make = empty();
    make.credential("a", "i0", &["s0:a"], &["w1"]);
    let parent = planned(&make, &leaked());
    make.credential("b", "i0", &["s0:b"], &["w1"]);
    let none = BTreeSet::new();
    let all = "*".parse().unwrap();
    let refused =
        revise(&parent, &make.0, Some(&all), None, &none, &none, &TestKinds, Timestamp::UNIX_EPOCH).unwrap_err();
    assert_eq!(refused, [Refusal::OtherScope]);
}
