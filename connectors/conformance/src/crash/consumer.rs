//! Consumer hosts: a reload that was cut off is made again.

use remint_contract::{Seen, Verb};

use super::{NONE, answered, arm, at, points};
use crate::consumer;
use crate::harness::Crash;
use crate::roles::{Outcome, Stop, Suite, hold};

pub(crate) async fn check(suite: &mut Suite<'_>) {
    if suite.connector.describe().verbs.contains(&Verb::Reload) {
        let outcome = each_request_of_reload(suite).await;
        suite.note("consumer: after a crash at each request of reload it is taken up again", outcome);
    }
}

async fn each_request_of_reload(suite: &mut Suite<'_>) -> Outcome {
    reload(suite, NONE).await?;
    let points = points(suite).await;
    hold(points.len() > 3, "it took no request")?;
    for crash in points {
        if !at(crash, reload(suite, crash).await)? {
            break;
        }
    }
    Ok(())
}

async fn reload(suite: &mut Suite<'_>, crash: Crash) -> Result<bool, Stop> {
    let case = consumer::case(suite).await?;
    let connector = suite.connector.clone();
    let call = suite.harness.call().await;
    arm(suite, crash).await?;
    let result = connector.reload(&call, &case.workload).await;
    let crashed = suite.harness.crashed().await;
    answered(suite, Verb::Reload, &result);
    let again = connector.reload(&call, &case.workload).await;
    suite.good("reload once more", again)?;
    suite.harness.settle().await;
    let seen = consumer::observe(suite, &case.workload, &case.expected).await?.seen;
    hold(seen == Seen::New, format!("it is seen on {seen:?}"))?;
    Ok(crashed)
}
