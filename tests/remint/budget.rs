//! Budgets that replicas share: two engines with holders of their own over one store, and the world's own counters.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use remint::engine::host::Ask;
use remint::engine::record::{ResetStatus, kind};
use remint::engine::{Engine, Progress};
use remint::store::Key;
use remint_contract::{Error, ErrorKind, OperationId, Ref, TestClock, Verb};
use remint_core::plan::Plan;
use remint_fake::world::{Fault, Trouble};
use tokio::sync::broadcast::Receiver;

use crate::rig::{Rig, Shape};

/// Two replicas that look at their budgets often.
fn replicas(rig: &mut Rig) -> [Engine; 2] {
    rig.settings.host.look = Duration::from_millis(5);
    "one".clone_into(&mut rig.settings.holder);
    let one = rig.engine();
    "two".clone_into(&mut rig.settings.holder);
    let two = rig.engine_over(Arc::clone(&one.store));
    [one, two]
}

fn bank() -> Ref {
    "System/bank".parse().unwrap()
}

/// The plan of every second member.
fn half(rig: &Rig, of: usize) -> Plan {
    let mut plan = rig.plan();
    plan.members = plan.members.into_iter().enumerate().filter(|(at, _)| at % 2 == of).map(|(_, one)| one).collect();
    plan.waves = vec![(0..plan.members.len()).collect()];
    plan
}

/// Both replicas rotate their half at the same time.
async fn together(rig: &Rig, engines: &[Engine; 2]) {
    let one = rig.approved(&engines[0], half(rig, 0)).await;
    let two = rig.approved(&engines[1], half(rig, 1)).await;
    let (one, two) = tokio::join!(engines[0].run(&one), engines[1].run(&two));
    for reset in [one.unwrap(), two.unwrap()] {
        assert_eq!(reset.status, ResetStatus::Provisional);
    }
}

async fn list(engine: &Engine, rig: &Rig) -> Result<usize, Error> {
    let host = engine.host(Arc::new(rig.estate.clone()));
    let (system, operation) = (bank(), OperationId("sweep".into()));
    let ask = Ask { system: &system, verb: Verb::Enumerate, operation: &operation, actor: None };
    host.call(ask, |connector, call| async move { connector.enumerate(&call, &[]).await.map(|live| live.len()) }).await
}

#[tokio::test]
async fn two_replicas_together_never_make_more_calls_at_a_time_than_the_budget() {
    let latency = Duration::from_millis(3);
    let mut rig = Rig::with(Shape { count: 16, concurrency: 5, latency, ..Shape::default() }).await;
    let engines = replicas(&mut rig);
    together(&rig, &engines).await;
    let seen = rig.issuer.counts().of("remint");
    assert!(seen.most_in_flight <= 5, "{}", seen.most_in_flight);
    assert!(seen.most_in_flight >= 4, "the budget was used: {}", seen.most_in_flight);
}

#[tokio::test]
async fn two_replicas_together_never_make_more_calls_a_second_than_the_budget() {
    let mut rig = Rig::with(Shape { count: 6, ..Shape::default() }).await;
    rig.estate.systems.get_mut(&bank()).unwrap().budget.per_second = Some(40);
    let engines = replicas(&mut rig);
    together(&rig, &engines).await;
    let seen = rig.issuer.counts().of("remint");
    // Calls arrive a little unevenly on a busy machine; two budgets would be 80. The simulation counts exactly.
    assert!(seen.most_per_second <= 60 && seen.calls > 60, "{} of {}", seen.most_per_second, seen.calls);
}

#[tokio::test]
async fn one_replica_takes_the_whole_budget_with_one_commit() {
    let rig = Rig::with(Shape { count: 8, ..Shape::default() }).await;
    let engine = rig.engine();
    rig.reset(&engine, rig.plan()).await;
    let key = Key { kind: kind::BUDGET, id: bank().to_string() };
    let record = engine.store.get(&key).await.unwrap().unwrap();
    assert!(rig.issuer.counts().of("remint").calls > 50);
    assert_eq!(record.revision, 1, "{:#}", record.body);
    assert_eq!(record.body["slices"]["remint"]["slots"], 64);
}

#[tokio::test]
async fn what_a_dead_replica_had_comes_back_after_its_lease() {
    let mut rig = Rig::start(1).await;
    let [one, mut two] = replicas(&mut rig);
    list(&one, &rig).await.unwrap();
    // It never gives its slice back: it is gone.
    drop(one);
    let start = two.context.clock.now();
    let lease = rig.settings.host.call_timeout + rig.settings.host.slice;
    let clock = Arc::new(TestClock::new(start));
    two.context.clock = Arc::clone(&clock) as Arc<_>;
    let two = Engine::new(two.store, two.escrow, two.kinds, two.rules, two.context, two.settings);
    let waiting = tokio::spawn({
        let (two, estate) = (two.clone(), rig.estate.clone());
        async move {
            let host = two.host(Arc::new(estate));
            let (system, operation) = (bank(), OperationId("sweep".into()));
            let ask = Ask { system: &system, verb: Verb::Check, operation: &operation, actor: None };
            host.call(ask, |_, _| async move { Ok(()) }).await
        }
    });
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert!(!waiting.is_finished(), "it took what is not its own");
    clock.advance(lease + Duration::from_secs(3));
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_retry_after_that_one_replica_sees_holds_the_other() {
    let mut rig = Rig::start(1).await;
    let [one, two] = replicas(&mut rig);
    list(&two, &rig).await.unwrap();
    let busy = Trouble::Throttle(Duration::from_secs(1));
    let fault = rig.world.fault("bank", Fault::on("list", busy).from("remint").times(1)).unwrap();
    let first = tokio::spawn({
        let (one, estate) = (one.clone(), rig.estate.clone());
        async move {
            let host = one.host(Arc::new(estate));
            let (system, operation) = (bank(), OperationId("sweep".into()));
            let ask = Ask { system: &system, verb: Verb::Enumerate, operation: &operation, actor: None };
            host.call(ask, |connector, call| async move { connector.enumerate(&call, &[]).await.map(drop) }).await
        }
    });
    let key = Key { kind: kind::BUDGET, id: bank().to_string() };
    let quiet: Timestamp = loop {
        let record = one.store.get(&key).await.unwrap().unwrap();
        if let Some(quiet) = record.body["quiet"].as_str() {
            break quiet.parse().unwrap();
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(rig.issuer.fault_hits(fault), 1);
    list(&two, &rig).await.unwrap();
    assert!(two.context.clock.now() >= quiet, "the other replica went on at once");
    first.await.unwrap().unwrap();
}

/// What was told of the bank's circuit until now.
fn circuits(events: &mut Receiver<Progress>) -> Vec<bool> {
    let mut told = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let Progress::Circuit { system, until, .. } = event
            && system == bank()
        {
            told.push(until.is_some());
        }
    }
    told
}

#[tokio::test]
async fn a_circuit_opens_for_all_replicas_lets_one_call_try_and_closes_for_all() {
    let mut rig = Rig::start(1).await;
    // Each failed try keeps the circuit open for twice as long, so few of them are enough to see it.
    (rig.settings.host.tries, rig.settings.host.failures) = (3, 2);
    let engines = replicas(&mut rig);
    let mut events = [engines[0].watch(), engines[1].watch()];
    list(&engines[1], &rig).await.unwrap();
    let fault = rig.world.fault("bank", Fault::on("list", Trouble::Throttle(Duration::ZERO)).from("remint")).unwrap();
    let down = list(&engines[0], &rig).await.unwrap_err();
    assert_eq!(down.kind, ErrorKind::Throttled);
    let (tries, before) = (rig.settings.host.tries, rig.issuer.fault_hits(fault));
    assert!(before <= tries, "{before}");
    // Two at once at each replica: the circuit is open, so they share what is tried of it, one call at a time.
    let many = (0..4).map(|number| list(&engines[number % 2], &rig));
    for refused in futures(many).await {
        assert!(matches!(refused.unwrap_err().kind, ErrorKind::Unreachable | ErrorKind::Throttled));
    }
    let hits = rig.issuer.fault_hits(fault) - before;
    assert!(hits <= 3 * tries, "{hits} tries of a system that is down, for 4 calls of up to {tries} each");
    assert_eq!([circuits(&mut events[0]), circuits(&mut events[1])], [[true], [true]]);

    rig.issuer.end_fault(fault);
    list(&engines[1], &rig).await.unwrap();
    list(&engines[0], &rig).await.unwrap();
    assert_eq!([circuits(&mut events[0]), circuits(&mut events[1])], [[false], [false]]);
}

/// All of them at once.
async fn futures<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    let mut done = Vec::new();
    std::future::poll_fn(|context| {
        all.retain_mut(|one| match one.as_mut().poll(context) {
            std::task::Poll::Ready(value) => {
                done.push(value);
                false
            }
            std::task::Poll::Pending => true,
        });
        if all.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done
}
