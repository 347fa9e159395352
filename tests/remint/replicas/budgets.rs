//! What a target counts itself while several replicas make calls: never more than its budget, one of them killed or not.

use std::sync::Arc;
use std::time::Duration;

use remint::engine::Engine;
use remint::engine::record::ResetStatus;
use remint::store::Store;
use remint_contract::Ref;
use remint_core::plan::Plan;
use tokio::task::JoinSet;

use super::{carry_on, die_after, replicas};
use crate::rig::{Rig, Shape, assert_settled};
use crate::store::postgres::Databases;

/// Calls at a time.
const AT_A_TIME: u32 = 6;

/// One of so many parts of the plan.
fn part(rig: &Rig, of: usize, parts: usize) -> Plan {
    let mut plan = rig.plan();
    plan.members = plan.members.into_iter().skip(of).step_by(parts).collect();
    plan.waves = vec![(0..plan.members.len()).collect()];
    plan
}

fn never_more_at_a_time(rig: &Rig, why: &str) {
    let seen = rig.issuer.counts().of("remint");
    assert!(seen.most_in_flight <= u64::from(AT_A_TIME), "{why}: {} at a time", seen.most_in_flight);
    assert!(2 * seen.most_in_flight > u64::from(AT_A_TIME), "{why}: it was hardly used: {}", seen.most_in_flight);
}

async fn world(databases: &Databases, count: usize) -> (Rig, Vec<(Engine, Arc<dyn Store>)>) {
    let latency = Duration::from_millis(4);
    let mut rig = Rig::with(Shape { count: 4 * count, concurrency: AT_A_TIME, latency, ..Shape::default() }).await;
    let replicas = replicas(&databases.fresh().await, &mut rig, count).await;
    (rig, replicas)
}

/// A reset for each replica, all at once.
async fn several_resets(databases: &Databases, count: usize) {
    let why = format!("{count} replicas, {count} resets");
    let (rig, replicas) = world(databases, count).await;
    let mut going = JoinSet::new();
    for (number, (engine, _)) in replicas.iter().enumerate() {
        let id = rig.approved(engine, part(&rig, number, count)).await;
        let engine = engine.clone();
        going.spawn(async move { carry_on(&engine, &id).await.status });
    }
    assert!(going.join_all().await.iter().all(|status| *status == ResetStatus::Provisional), "{why}");
    never_more_at_a_time(&rig, &why);
}

/// One reset that all of them want to carry out, and the one that does is killed again and again.
async fn one_reset(databases: &Databases, count: usize) {
    let why = format!("{count} replicas, one reset");
    let (rig, replicas) = world(databases, count).await;
    let old: Vec<_> = (0..4 * count).map(|index| rig.value(index)).collect();
    let id = rig.approved(&replicas[0].0, rig.plan()).await;
    let mut waiting = JoinSet::new();
    for (number, (engine, _)) in replicas.iter().enumerate() {
        let (engine, id) = (engine.clone(), id.clone());
        waiting.spawn(async move {
            if number > 0 {
                die_after(&engine, &id, 10).await;
            } else {
                carry_on(&engine, &id).await;
            }
        });
    }
    waiting.join_all().await;
    let reset = carry_on(&replicas[0].0, &id).await;
    assert_settled(&rig, &replicas[0].0, &reset, &old, &why).await;
    never_more_at_a_time(&rig, &why);
}

/// One replica is killed in the middle of a reset of its own while another makes calls for another.
async fn one_killed(databases: &Databases, count: usize) {
    let why = format!("{count} replicas, one killed");
    let (rig, replicas) = world(databases, count).await;
    let mut ids = Vec::new();
    for (number, (engine, _)) in replicas.iter().enumerate() {
        ids.push(rig.approved(engine, part(&rig, number, count)).await);
    }
    let mut going = JoinSet::new();
    for ((engine, _), id) in replicas.iter().zip(&ids).skip(1) {
        let (engine, id) = (engine.clone(), id.clone());
        going.spawn(async move { carry_on(&engine, &id).await.status });
    }
    die_after(&replicas[0].0, &ids[0], 8).await;
    going.spawn({
        let (engine, id) = (replicas[1].0.clone(), ids[0].clone());
        async move { carry_on(&engine, &id).await.status }
    });
    assert!(going.join_all().await.iter().all(|status| *status == ResetStatus::Provisional), "{why}");
    never_more_at_a_time(&rig, &why);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_and_four_replicas_never_make_more_calls_at_a_time_than_the_budget_killed_or_not() {
    let Some(databases) = Databases::find("budgets of two and four replicas").await else { return };
    for count in [2, 4] {
        several_resets(&databases, count).await;
        one_reset(&databases, count).await;
        one_killed(&databases, count).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_and_four_replicas_never_make_more_calls_a_second_than_the_budget() {
    const PER_SECOND: u32 = 50;
    let Some(databases) = Databases::find("rates of two and four replicas").await else { return };
    let bank: Ref = "System/bank".parse().unwrap();
    for count in [2, 4] {
        let (mut rig, replicas) = world(&databases, count).await;
        rig.estate.systems.get_mut(&bank).unwrap().budget.per_second = Some(PER_SECOND);
        let began = std::time::Instant::now();
        let before = rig.issuer.counts().of("remint").calls;
        let mut going = JoinSet::new();
        for (number, (engine, _)) in replicas.iter().enumerate() {
            let id = rig.approved(engine, part(&rig, number, count)).await;
            let engine = engine.clone();
            going.spawn(async move { carry_on(&engine, &id).await.status });
        }
        assert!(going.join_all().await.iter().all(|status| *status == ResetStatus::Provisional));
        let seen = rig.issuer.counts().of("remint");
        let (calls, seconds) = (f64::from(u32::try_from(seen.calls - before).unwrap()), began.elapsed().as_secs_f64());
        assert!(calls > f64::from(PER_SECOND), "{calls} calls");
        assert!(calls <= f64::from(PER_SECOND) * seconds + 1.0, "{count} replicas: {calls} calls in {seconds} s");
        // What was sent in time may arrive a little later than what came before it; two budgets would be twice as many.
        let most = u64::from(PER_SECOND) * 5 / 4;
        assert!(seen.most_per_second <= most, "{count} replicas: {} in one second", seen.most_per_second);
    }
}
