//! One of several daemons leads: whoever holds the Lease. It spares work; what keeps a change from being made twice is the
//! store.
//!
//! ```text
//! nobody's, or let go      -> take
//! ours                     -> renew
//! somebody's, and renewed  -> wait
//! somebody's, and not seen to change for its duration -> take
//! ```
//!
//! Clocks are not compared: what counts is how long *we* have seen the Lease unchanged.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

/// How long a Lease holds without being renewed.
pub const LASTS: Duration = Duration::from_secs(15);

/// What is known of a Lease.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// Its version, and since when we see that.
    version: Option<(String, Timestamp)>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Write this; whoever wrote before refuses it by its version.
    Write(Value),
    /// Somebody else leads.
    Wait,
}

impl Seen {
    /// Decides on a Lease as it is now; null: there is none.
    pub fn look(&mut self, lease: &Value, holder: &str, now: Timestamp) -> Step {
        let version = lease["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
        let since = match &self.version {
            Some((known, since)) if *known == version => *since,
            _ => now,
        };
        self.version = Some((version, since));
        let spec = &lease["spec"];
        let other = spec["holderIdentity"].as_str().filter(|other| !other.is_empty());
        let lasts = spec["leaseDurationSeconds"].as_u64().map_or(LASTS, Duration::from_secs);
        match other {
            Some(other) if other == holder => Step::Write(written(lease, holder, now, false)),
            Some(_) if now.duration_since(since).unsigned_abs() <= lasts => Step::Wait,
            _ => Step::Write(written(lease, holder, now, true)),
        }
    }
}

/// The Lease as it is let go.
#[must_use]
pub fn let_go(lease: &Value) -> Value {
    let mut next = lease.clone();
    next["spec"]["holderIdentity"] = json!("");
    next["spec"]["leaseDurationSeconds"] = json!(1);
    next
}

fn written(lease: &Value, holder: &str, now: Timestamp, new: bool) -> Value {
    let mut next = lease.clone();
    if next.is_null() {
        next = json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {}, "spec": {} });
    }
    let at = json!(now.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string());
    let spec = &mut next["spec"];
    if new {
        spec["leaseTransitions"] = json!(spec["leaseTransitions"].as_i64().map_or(0, |before| before + 1));
        spec["acquireTime"] = at.clone();
    }
    spec["holderIdentity"] = json!(holder);
    spec["leaseDurationSeconds"] = json!(LASTS.as_secs());
    spec["renewTime"] = at;
    next
}
