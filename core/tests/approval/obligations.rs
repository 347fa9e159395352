//! Which policies match, and that the strictest value of each field wins.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use remint_contract::{ConfirmGrade, ProofGrade};
use remint_core::approval::{Obligations, Separate};

fn obligations() -> impl Strategy<Value = Obligations> {
    let separate = proptest::sample::subsequence(Separate::ALL.to_vec(), 0..=3);
    let roles = proptest::sample::subsequence(vec!["a".to_owned(), "b".to_owned()], 0..=2);
    let seconds = || proptest::option::of((1_u64..1000).prop_map(Duration::from_secs));
    let confirm = proptest::option::of(prop_oneof![Just(ConfirmGrade::IssuerSeen), Just(ConfirmGrade::Attested)]);
    (0_u32..5, separate, roles, seconds(), 1_u64..1000, proptest::option::of(1_usize..9), confirm, any::<bool>())
        .prop_map(|(approvals, separate, roles, step_up, expires, canary, least_confirm, privileged)| Obligations {
            approvals,
            roles: roles.into_iter().collect(),
            separate: separate.into_iter().collect(),
            step_up,
            expires: Duration::from_secs(expires),
            cool_down: step_up.unwrap_or_default(),
            canary,
            least_confirm,
            least_proof: canary.map(|_| ProofGrade::Refused),
            privileged,
        })
}

/// As strict as the other in every field.
fn at_least(one: &Obligations, other: &Obligations) -> bool {
    fn within<T: Ord>(one: Option<T>, other: Option<T>) -> bool {
        other.is_none_or(|other| one.is_some_and(|one| one <= other))
    }
    one.approvals >= other.approvals
        && one.roles.is_superset(&other.roles)
        && one.separate.is_superset(&other.separate)
        && within(one.step_up, other.step_up)
        && one.expires <= other.expires
        && one.cool_down >= other.cool_down
        && within(one.canary, other.canary)
        && within(one.least_confirm, other.least_confirm)
        && within(one.least_proof, other.least_proof)
        && one.privileged >= other.privileged
}

fn any<T: Arbitrary>() -> impl Strategy<Value = T> {
    proptest::arbitrary::any::<T>()
}

proptest! {
    #[test]
    fn the_strictest_value_of_each_field_wins_whatever_the_order(one in obligations(), other in obligations()) {
        let both = one.and(&other);
        prop_assert!(at_least(&both, &one) && at_least(&both, &other));
        prop_assert_eq!(&both, &other.and(&one));
        prop_assert_eq!(&both.and(&both), &both);
    }
}

#[test]
fn the_strict_default_asks_for_two_persons_and_hands_apart() {
    let strict = Obligations::strict();
    assert_eq!((strict.approvals, strict.separate), (2, BTreeSet::from(Separate::ALL)));
    assert!(strict.step_up.is_some() && strict.canary == Some(1));
}
