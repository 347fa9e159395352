//! Consumer hosts: a workload is seen on its old value, reloads, and is seen on the new one.

use remint_contract::{ErrorKind, Expected, Observation, Seen, Verb, Workload};

use crate::harness::ConsumerCase;
use crate::roles::{Outcome, Stop, Suite, hold};

pub(crate) async fn check(suite: &mut Suite<'_>) {
    let outcome = reload(suite).await;
    suite.note("consumer: reload, twice, brings the workload to the new value", outcome);
    let outcome = other(suite).await;
    suite.note("consumer: a value that is neither new nor old is not taken for either", outcome);
    let outcome = missing(suite).await;
    suite.note("consumer: a workload that does not run is Missing", outcome);
}

pub(crate) async fn case(suite: &Suite<'_>) -> Result<ConsumerCase, Stop> {
    suite.harness.consumer_case().await.ok_or(Stop::NotShown("the harness runs no workload"))
}

async fn reload(suite: &mut Suite<'_>) -> Outcome {
    let case = case(suite).await?;
    let before = observe(suite, &case.workload, &case.expected).await?;
    hold(before.seen == Seen::Old, format!("before the reload it is seen on {:?}", before.seen))?;
    if !suite.connector.describe().verbs.contains(&Verb::Reload) {
        return Err(Stop::NotShown("this host does not reload"));
    }
    for _ in 0..2 {
        let call = suite.harness.call().await;
        let result = suite.connector.clone().reload(&call, &case.workload).await;
        suite.good("reload", result)?;
        suite.harness.settle().await;
        let after = observe(suite, &case.workload, &case.expected).await?;
        hold(after.seen == Seen::New, format!("after the reload it is seen on {:?}", after.seen))?;
        let grades = suite.connector.describe().consumer.map(|consumer| consumer.grades).unwrap_or_default();
        hold(grades.contains(&after.grade), "the grade was not declared")?;
    }
    Ok(())
}

async fn other(suite: &mut Suite<'_>) -> Outcome {
    let case = case(suite).await?;
    let stranger = Expected { new: "sha256:00".to_owned(), old: Some("sha256:11".to_owned()), path: None };
    let seen = observe(suite, &case.workload, &stranger).await?.seen;
    hold(matches!(seen, Seen::Other | Seen::Nothing), format!("it is seen on {seen:?}"))
}

async fn missing(suite: &mut Suite<'_>) -> Outcome {
    let gone = case(suite).await?.missing.ok_or(Stop::NotShown("the harness has no workload that does not run"))?;
    let call = suite.harness.call().await;
    let result = suite.connector.clone().reload(&call, &gone).await;
    suite.bad("reload", result, &[ErrorKind::Missing, ErrorKind::Unreachable])
}

pub(crate) async fn observe(
    suite: &mut Suite<'_>,
    workload: &Workload,
    expected: &Expected,
) -> Result<Observation, Stop> {
    let call = suite.harness.call().await;
    let result = suite.connector.clone().observe(&call, workload, expected).await;
    suite.good("observe", result)
}
