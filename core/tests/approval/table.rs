//! The table of persons: what it says, and what is no table.

use std::collections::BTreeSet;

use remint_core::approval::{Party, Person};
use remint_core::gate::{Table, TableError};

const TEXT: &str = r#"
persons:
  alice: {principals: ["unix:1000", "oidc:https://id.example|alice"], groups: [security]}
  bob: {principals: ["unix:1001"]}
services:
  pipeline: {principals: ["token:pipeline"], groups: [ci], owners: [alice]}
"#;

#[test]
fn principals_are_persons_services_or_nobody() {
    let table = Table::parse(TEXT).unwrap();
    let alice = table.party("oidc:https://id.example|alice");
    assert_eq!(alice.person(), Some(&Person("alice".into())));
    assert_eq!(table.groups(&alice), BTreeSet::from(["security".to_owned()]));
    let pipeline = table.party("token:pipeline");
    assert!(pipeline.person().is_none() && pipeline.may_be(&Person("alice".into())));
    assert!(pipeline.overlaps(&alice) && !pipeline.overlaps(&table.party("unix:1001")));
    assert!(matches!(table.party("unix:7"), Party::Unmapped { .. }));
}

#[test]
fn groups_are_flat_and_principals_are_one_party_s() {
    let wrong = |from: &str, to: &str| Table::parse(&TEXT.replace(from, to)).unwrap_err();
    assert!(matches!(wrong("groups: [ci]", "groups: [alice]"), TableError::Nested { .. }));
    assert!(matches!(wrong("groups: [ci]", "groups: [\"group:security\"]"), TableError::Nested { .. }));
    assert!(matches!(wrong("\"unix:1001\"", "\"unix:1000\""), TableError::Twice { .. }));
    assert!(matches!(wrong("owners: [alice]", "owners: []"), TableError::NoOwners(_)));
    assert!(matches!(wrong("owners: [alice]", "owners: [dave]"), TableError::UnknownOwner { .. }));
    assert!(matches!(wrong("  pipeline:", "  bob:"), TableError::Both(_)));
    assert!(matches!(wrong("\"unix:1001\"", "carol"), TableError::Form(_)));
    assert!(matches!(
        wrong("principals: [\"unix:1001\"]", "principals: [\"unix:1001\"], admin: true"),
        TableError::Unreadable(_)
    ));
    assert_eq!(Table::parse("persons: {alice: {principals: []}}").unwrap_err(), TableError::TooFew(1));
}
