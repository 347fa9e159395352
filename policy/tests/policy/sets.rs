//! Sets of policies that are none.

use remint_policy::{Policies, PolicyError};

fn refused(text: &str) -> PolicyError {
    Policies::parse([("a.cedar", text)]).unwrap_err()
}

#[test]
fn a_set_that_cannot_be_read_named_or_fitted_is_refused_as_a_whole() {
    assert!(matches!(refused("permit (principal, action"), PolicyError::Syntax { .. }));
    assert!(matches!(refused("permit (principal, action, resource);"), PolicyError::NoId { place: 1, .. }));
    let twice = "@id(\"a\") permit (principal, action, resource); @id(\"a\") permit (principal, action, resource);";
    assert!(matches!(refused(twice), PolicyError::Twice { .. }));
    let template = "@id(\"a\") permit (principal == ?principal, action, resource);";
    assert!(matches!(refused(template), PolicyError::Template { .. }));
    let unknown = "@id(\"a\") permit (principal, action == Remint::Action::\"fly\", resource);";
    assert!(matches!(refused(unknown), PolicyError::Unfit(_)));
    let attribute = "@id(\"a\") permit (principal, action == Remint::Action::\"approve\", resource) when { resource.colour == \"red\" };";
    assert!(matches!(refused(attribute), PolicyError::Unfit(_)));
    let optional =
        "@id(\"a\") permit (principal, action == Remint::Action::\"approve\", resource) when { context.authAge < 9 };";
    assert!(matches!(refused(optional), PolicyError::Unfit(_)));
}

#[test]
fn a_set_that_permits_nothing_would_lock_everybody_out() {
    assert_eq!(refused("@id(\"a\") forbid (principal, action, resource);"), PolicyError::NothingPermitted);
}
