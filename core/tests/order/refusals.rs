//! Why there is no plan, each by the smallest estate that has the reason, and the sentence that a person reads.

use std::time::Duration;

use remint_contract::{Kind, Strategy};
use remint_core::plan::{Node, Refusal, Request};
use remint_core::step::Path;

use super::small::{empty, intruder, leaked, member, planned, refused};
use crate::world::{Make, cred, r};

fn sentence(make: &Make, request: &Request) -> String {
    refused(make, request).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_start_that_is_not_in_the_estate_is_named() {
    let request = Request::new(vec![Node::Doc(r(Kind::Workload, "gone"))]);
    assert_eq!(
        sentence(&empty(), &request),
        "Workload/gone is not in the estate: check the name with `remint graph`, or add the document first"
    );
}

#[test]
fn one_slot_shown_once_cannot_roll_but_can_be_contained() {
    let mut make = empty();
    make.system("i0").connector = "once".into();
    make.credential("key", "i0", &["s0:key"], &["w1"]);
    assert_eq!(
        sentence(&make, &leaked()),
        "Credential/key cannot roll: its issuer keeps one version and shows it once, so a lost answer would leave \
         nobody with a value. Add a second path to mint it, or name it in --contain"
    );
    let mut request = leaked();
    request.contain = Some("name=key".parse().unwrap());
    assert_eq!(member(&planned(&make, &request), "key").path, Path::Contain);
}

#[test]
fn in_place_needs_the_word_outage() {
    let mut make = empty();
    make.credential("key", "i0", &["s0:key"], &["w1"]).rotation.strategy = Strategy::InPlace;
    assert_eq!(
        sentence(&make, &leaked()),
        "Credential/key is replaced in place, which leaves its consumers without a working value for a while: write \
         `outage:` with a bound into its rotation, or choose another strategy"
    );
    make.credential("key", "i0", &[], &[]).rotation.outage = Some(Duration::from_secs(30));
    assert_eq!(member(&planned(&make, &leaked()), "key").outage, Some(Duration::from_secs(30)));
}

#[test]
fn the_last_access_with_nowhere_to_put_its_new_value_is_never_killed() {
    let mut make = empty();
    make.credential("login", "i1", &[], &[]);
    make.system("i0").auth = Some(cred("login"));
    assert_eq!(
        sentence(&make, &leaked()),
        "Credential/login is Remint's only access to System/i0 and has no place where its new value can be written: \
         add a destination to `deliveredTo` that no dirty node can read"
    );
}

#[test]
fn the_last_access_that_only_itself_could_mint_again_is_never_killed() {
    let mut make = empty();
    make.system("i0").connector = "once".into();
    make.credential("login", "i0", &["s0:login"], &[]);
    make.system("i0").auth = Some(cred("login"));
    let mut request = leaked();
    request.contain = Some("*".parse().unwrap());
    assert!(
        sentence(&make, &request).starts_with(
            "Credential/login is Remint's only access to System/i0, and only through itself could it be minted again: its \
             issuer keeps one version, so a lost answer would lock Remint out. Add a second credential that may mint it, \
             as `issuedBy.by`"
        ),
        "{}",
        sentence(&make, &request)
    );
    make.credential("second", "i1", &["s0:second"], &[]);
    make.credential("login", "i0", &["s0:login"], &[]).issued_by.by = Some(cred("second"));
    assert!(!sentence(&make, &request).contains("only through itself"));
}

#[test]
fn the_last_access_that_lies_only_where_a_dirty_node_reads_keeps_its_old_value_until_that_is_clean() {
    let mut make = empty();
    make.credential("login", "i1", &["h0:login"], &["w0"]);
    make.system("i0").auth = Some(cred("login"));
    let mut request = intruder();
    request.contain = Some("*".parse().unwrap());
    let plan = planned(&make, &request);
    let login = member(&plan, "login");
    assert_eq!(login.path, Path::Rolling, "contained it would be dead before there is another");
    assert!(login.awaits.contains(&Node::Doc(r(Kind::Workload, "w0"))));
}

#[test]
fn what_dies_with_itself_is_named() {
    let mut make = empty();
    for (name, parent) in [("a", "b"), ("b", "a")] {
        let place = format!("s0:{name}");
        let credential = make.credential(name, "i0", &[&place], &[]);
        credential.issued_by.by = Some(cred(parent));
        credential.issued_by.dies_with_issuer = true;
    }
    assert_eq!(
        sentence(&make, &leaked()),
        "Credential/a dies with a credential that dies with it in turn: correct `issuedBy.by` of one of them"
    );
}

/// No estate is known that has this reason: it guards the loop that cuts.
#[test]
fn an_order_that_no_cut_ends_would_say_what_to_do() {
    assert_eq!(
        Refusal::Uncuttable(vec![cred("a"), cred("b")]).to_string(),
        "the order of Credential/a, Credential/b has a cycle that no cut ends: except one of them with --except, and \
         plan again"
    );
}
