//! Steady requests to workloads, and when each failed: what an outage looks like from outside.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use remint_contract::Clock;
use tokio::task::JoinSet;

use super::World;
use super::caller::Caller;
use super::service::lock;
use crate::wire::{OfWorkload, Worked};

/// What the traffic saw until now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrafficReport {
    pub requests: u64,
    /// Every failed request, in the order they ended.
    pub failures: Vec<Failure>,
}

/// A request that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub workload: String,
    pub began: Timestamp,
    pub ended: Timestamp,
    /// The places (`store:path`) whose value was not accepted; empty when the workload did not answer.
    pub places: Vec<String>,
}

/// Traffic under way. Ends when it is dropped.
pub struct Traffic {
    report: Arc<Mutex<TrafficReport>>,
    tasks: JoinSet<()>,
}

impl World {
    /// Sends every workload, except those named, one request per `every`.
    pub fn traffic(&self, every: Duration, except: &BTreeSet<String>) -> Traffic {
        let report = Arc::new(Mutex::new(TrafficReport::default()));
        let mut tasks = JoinSet::new();
        for host in self.hosts.values() {
            let Some(url) = host.urls().into_iter().next() else { continue };
            for workload in host.workloads().into_iter().filter(|workload| !except.contains(workload)) {
                let (caller, clock, report) = (self.caller.clone(), Arc::clone(&self.clock), Arc::clone(&report));
                tasks.spawn(send(caller, clock, url.clone(), workload, every, report));
            }
        }
        Traffic { report, tasks }
    }
}

impl Traffic {
    /// What it saw until now.
    pub fn report(&self) -> TrafficReport {
        lock(&self.report).clone()
    }

    /// Ends it, and says what it saw.
    pub async fn stop(mut self) -> TrafficReport {
        self.tasks.shutdown().await;
        self.report()
    }
}

async fn send(
    caller: Caller,
    clock: Arc<dyn Clock>,
    url: String,
    workload: String,
    every: Duration,
    report: Arc<Mutex<TrafficReport>>,
) {
    loop {
        let began = clock.now();
        let failed = work(&caller, &url, &workload).await;
        let ended = clock.now();
        {
            let mut report = lock(&report);
            report.requests += 1;
            if failed.as_ref().is_none_or(|places| !places.is_empty()) {
                let places = failed.unwrap_or_default();
                report.failures.push(Failure { workload: workload.clone(), began, ended, places });
            }
        }
        clock.sleep(every).await;
    }
}

/// One request; `None` when there was no answer.
pub(super) async fn work(caller: &Caller, url: &str, workload: &str) -> Option<Vec<String>> {
    let body = OfWorkload { workload: workload.to_owned() };
    caller.ask::<Worked>(url, "work", "traffic", None, &body).await.ok().map(|worked| worked.failed)
}
