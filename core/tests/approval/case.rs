//! One case at a time: who counts, what is void, and what a clock that was set back revives.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use remint_contract::{ConfirmGrade, ProofGrade, Ref};
use remint_core::approval::{
    Additions, Candidate, Case, Delta, Executor, Lack, Obligations, Party, Person, Refusal, Separate, Signature,
    Strength,
};
use remint_core::digest::Digest;
use remint_core::estate::Tier;

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

pub(crate) fn person(name: &str, principal: &str) -> Party {
    Party::Person { principal: principal.to_owned(), person: Person(name.to_owned()) }
}

pub(crate) fn yes(by: &Party, second: i64) -> Signature {
    Signature {
        by: by.clone(),
        roles: BTreeSet::new(),
        at: at(second),
        strength: Strength { auth_time: Some(at(second - 60)), grade: "recorded".into() },
        plan: 0,
        delta: false,
        additions: None,
        withdrawn: None,
        until: None,
        signed: None,
    }
}

pub(crate) fn credential(name: &str) -> Ref {
    format!("Credential/{name}").parse().unwrap()
}

pub(crate) fn candidate(credential: &Ref, tier: Tier) -> Candidate<'_> {
    Candidate {
        credential,
        tier,
        least_confirm: ConfirmGrade::Served,
        least_proof: ProofGrade::Refused,
        canary: Some(1),
        itself: None,
    }
}

pub(crate) fn plan(number: u8) -> Digest {
    Digest::of(&[number])
}

/// Two persons, hands apart, privileged.
pub(crate) fn two() -> Obligations {
    Obligations { privileged: true, ..Obligations::strict() }
}

fn opened() -> Case {
    Case::open(person("alice", "unix:1"), plan(0), at(0))
}

fn stands(case: &Case, needs: &Obligations, second: i64) -> Result<(), Lack> {
    let key = credential("key");
    case.standing(&candidate(&key, Tier::Privileged), needs, &Executor::Remint, at(second)).map(drop)
}

fn missing(outcome: Result<(), Lack>) -> usize {
    match outcome {
        Err(Lack::Persons { missing, .. }) => missing,
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_persons_are_two_persons_and_not_two_principals_of_one() {
    let mut case = opened();
    case.sign(plan(0), yes(&person("bob", "unix:2"), 10)).unwrap();
    case.sign(plan(0), yes(&person("bob", "oidc:https://id|bob"), 11)).unwrap();
    assert_eq!(missing(stands(&case, &two(), 20)), 1);
    case.sign(plan(0), yes(&person("carol", "unix:3"), 12)).unwrap();
    stands(&case, &two(), 20).unwrap();
}

#[test]
fn whoever_asked_approves_nothing_whichever_token_he_uses() {
    let mut case = opened();
    case.sign(plan(0), yes(&person("bob", "unix:2"), 10)).unwrap();
    case.sign(plan(0), yes(&person("alice", "token:second"), 11)).unwrap();
    assert_eq!(missing(stands(&case, &two(), 20)), 1);
}

#[test]
fn whoever_answers_for_the_service_that_asked_approves_nothing() {
    let owners = BTreeSet::from([Person("bob".into())]);
    let service = Party::Service { principal: "token:ci".into(), name: "ci".into(), owners };
    let mut case = Case::open(service, plan(0), at(0));
    case.sign(plan(0), yes(&person("bob", "unix:2"), 10)).unwrap();
    case.sign(plan(0), yes(&person("carol", "unix:3"), 11)).unwrap();
    assert_eq!(missing(stands(&case, &two(), 20)), 1);
}

#[test]
fn an_unmapped_principal_does_not_approve_a_privileged_credential() {
    let nobody = Party::Unmapped { principal: "oidc:https://id|mallory".into() };
    let one = Obligations { approvals: 1, separate: BTreeSet::new(), ..two() };
    let mut case = opened();
    case.sign(plan(0), yes(&nobody, 10)).unwrap();
    assert_eq!(missing(stands(&case, &one, 20)), 1);
    // Of a standard one, where nobody has to differ from anybody, it does.
    stands(&case, &Obligations { privileged: false, ..one }, 20).unwrap();
}

#[test]
fn an_approval_of_another_plan_is_refused() {
    let mut case = opened();
    let refused = case.sign(plan(7), yes(&person("bob", "unix:2"), 10)).unwrap_err();
    assert_eq!(refused, Refusal::OtherPlan { signed: plan(7), plan: plan(0) });
}

#[test]
fn a_revision_voids_what_was_signed_of_the_leaves_it_changes_and_nothing_else() {
    let (key, other) = (credential("key"), credential("other"));
    let mut case = opened();
    for (name, second) in [("bob", 10), ("carol", 11)] {
        case.sign(plan(0), yes(&person(name, name), second)).unwrap();
    }
    let delta = Delta { changed: BTreeSet::from([key.clone()]), ..Delta::default() };
    case.revise(plan(1), delta, at(20)).unwrap();
    case.promote(at(21)).unwrap();
    let stands = |case: &Case, key: &Ref| {
        case.standing(&candidate(key, Tier::Privileged), &two(), &Executor::Remint, at(30)).map(drop)
    };
    assert_eq!(missing(stands(&case, &key)), 2);
    stands(&case, &other).unwrap();
    // An approval of the delta is of what it changes.
    for (name, second) in [("bob", 31), ("carol", 32)] {
        case.sign(plan(1), yes(&person(name, name), second)).unwrap();
    }
    let now = at(40);
    case.standing(&candidate(&key, Tier::Privileged), &two(), &Executor::Remint, now).unwrap();
}

#[test]
fn another_revision_in_its_place_voids_what_was_said_of_the_first() {
    let key = credential("key");
    let delta = Delta { changed: BTreeSet::from([key.clone()]), ..Delta::default() };
    let mut case = opened();
    case.revise(plan(1), delta.clone(), at(1)).unwrap();
    case.sign(plan(1), yes(&person("bob", "b"), 2)).unwrap();
    case.sign(plan(1), yes(&person("carol", "c"), 3)).unwrap();
    case.revise(plan(2), delta, at(4)).unwrap();
    case.promote(at(5)).unwrap();
    assert_eq!(missing(stands(&case, &two(), 6)), 2);
}

#[test]
fn additions_within_the_bounds_that_were_signed_need_nobody() {
    let (new, more) = (credential("new"), credential("more"));
    let mut case = opened();
    let standard = Additions { most: 1, tiers: BTreeSet::from([Tier::Standard]) };
    for (name, second) in [("bob", 10), ("carol", 11)] {
        let signature = Signature { additions: Some(standard.clone()), ..yes(&person(name, name), second) };
        case.sign(plan(0), signature).unwrap();
    }
    let added =
        |names: &[&Ref]| Delta { added: names.iter().map(|name| (*name).clone()).collect(), ..Delta::default() };
    case.revise(plan(1), added(&[&new]), at(20)).unwrap();
    case.promote(at(21)).unwrap();
    let stands = |case: &Case, tier| case.standing(&candidate(&new, tier), &two(), &Executor::Remint, at(30)).map(drop);
    stands(&case, Tier::Standard).unwrap();
    assert_eq!(missing(stands(&case, Tier::Privileged)), 2);
    // One more than was allowed, and none of them is.
    case.revise(plan(2), added(&[&more]), at(31)).unwrap();
    case.promote(at(32)).unwrap();
    let now = at(40);
    let outcome = case.standing(&candidate(&new, Tier::Standard), &two(), &Executor::Remint, now).map(drop);
    assert_eq!(missing(outcome), 2);
}

#[test]
fn an_approval_expires_and_a_clock_that_is_set_back_revives_nothing() {
    let mut case = opened();
    case.sign(plan(0), yes(&person("bob", "b"), 10)).unwrap();
    case.sign(plan(0), yes(&person("carol", "c"), 11)).unwrap();
    stands(&case, &two(), 100).unwrap();
    let hour = 3600;
    assert_eq!(missing(stands(&case, &two(), hour + 12)), 2);
    case.see(at(hour + 12)).unwrap();
    assert_eq!(stands(&case, &two(), 100), Err(Lack::ClockBack { latest: at(hour + 12) }));
    let refused = case.sign(plan(0), yes(&person("dave", "d"), 100)).unwrap_err();
    assert!(matches!(refused, Refusal::ClockBack { .. }));
}

#[test]
fn what_is_withdrawn_counts_no_more() {
    let mut case = opened();
    case.sign(plan(0), yes(&person("bob", "b"), 10)).unwrap();
    case.sign(plan(0), yes(&person("carol", "c"), 11)).unwrap();
    // Through another principal of his: it is the person who takes it back.
    case.withdraw(&person("bob", "oidc:bob"), at(12)).unwrap();
    assert_eq!(missing(stands(&case, &two(), 20)), 1);
    assert!(matches!(case.withdraw(&person("dave", "d"), at(13)), Err(Refusal::NotSigned(_))));
}

#[test]
fn step_up_roles_cool_down_and_the_executor_are_looked_at() {
    let mut case = opened();
    let stale = Signature { strength: Strength::default(), ..yes(&person("bob", "b"), 10) };
    case.sign(plan(0), stale).unwrap();
    let needs = Obligations { approvals: 1, roles: BTreeSet::from(["security".into()]), ..two() };
    assert_eq!(missing(stands(&case, &needs, 20)), 1);
    case.sign(plan(0), yes(&person("bob", "b"), 21)).unwrap();
    assert_eq!(stands(&case, &needs, 30), Err(Lack::Roles(needs.roles.clone())));
    let signed = Signature { roles: needs.roles.clone(), ..yes(&person("carol", "c"), 31) };
    case.sign(plan(0), signed).unwrap();
    stands(&case, &needs, 40).unwrap();
    let resting = Obligations { cool_down: Duration::from_mins(10), ..needs.clone() };
    assert_eq!(stands(&case, &resting, 40), Err(Lack::CoolDown { until: at(631) }));
    stands(&case, &resting, 631).unwrap();
    let key = credential("key");
    let by = |party: Party| {
        case.standing(&candidate(&key, Tier::Privileged), &needs, &Executor::By(party), at(40)).map(drop)
    };
    assert_eq!(by(person("alice", "unix:9")), Err(Lack::SamePerson));
    assert_eq!(by(person("carol", "unix:9")), Err(Lack::Roles(needs.roles.clone())));
    by(person("dave", "unix:9")).unwrap();
}

#[test]
fn a_plan_that_promises_less_than_the_policy_does_not_start() {
    let mut case = opened();
    case.sign(plan(0), yes(&person("bob", "b"), 10)).unwrap();
    case.sign(plan(0), yes(&person("carol", "c"), 11)).unwrap();
    let key = credential("key");
    let weak = Candidate { least_proof: ProofGrade::Absent, ..candidate(&key, Tier::Privileged) };
    let wide = Candidate { canary: Some(5), ..candidate(&key, Tier::Privileged) };
    let stands = |candidate| case.standing(&candidate, &two(), &Executor::Remint, at(20)).map(drop);
    assert_eq!(stands(weak), Err(Lack::Grade { what: "proof" }));
    assert_eq!(stands(wide), Err(Lack::Canary { most: 1 }));
    assert!(two().separate.contains(&Separate::RequesterApprover));
}

/// Whoever has the note may show it again; who signed it and took it back does not stand for it any more.
#[test]
fn what_was_signed_and_taken_back_does_not_come_back() {
    let signed = |written: i64, shown: i64| Signature {
        strength: Strength { auth_time: Some(at(written)), grade: "signed".into() },
        signed: Some(remint_core::approval::Signed { note: "note".into(), key: "key".into() }),
        ..yes(&person("abel", "unix:1"), shown)
    };
    let mut case = Case::open(person("rita", "unix:2"), plan(1), at(0));
    case.sign(plan(1), signed(10, 20)).unwrap();
    case.withdraw(&person("abel", "unix:1"), at(30)).unwrap();
    let refused = case.sign(plan(1), signed(10, 40)).unwrap_err();
    assert_eq!(refused, Refusal::Withdrawn(person("abel", "unix:1"), at(30)));
    case.sign(plan(1), signed(35, 50)).unwrap();
    assert!(case.signatures.iter().all(|signature| signature.withdrawn.is_none()));
}
