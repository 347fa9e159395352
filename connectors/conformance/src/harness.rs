//! What a connector's own test gives to the suite.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use remint_contract::{Call, Connector, Expected, Material, Minted, SecretValue, Strategy, Target, Verb, Workload};

use crate::gate::Gate;

/// A credential at the target with one live version.
#[derive(Debug, Clone)]
pub struct IssuerCase {
    pub target: Target,
    pub old: Minted,
    /// A target that nothing is known of.
    pub missing: Target,
}

/// A path that holds `kept` beside the field to be written.
#[derive(Debug, Clone)]
pub struct StoreCase {
    pub path: String,
    pub field: String,
    /// A field that must stay as it is.
    pub kept: Option<(String, SecretValue)>,
    /// A path in a place that does not exist.
    pub missing: String,
}

/// A workload on its old value, with the new one delivered and not yet read.
#[derive(Debug, Clone)]
pub struct ConsumerCase {
    pub workload: Workload,
    pub expected: Expected,
    /// A workload that does not run.
    pub missing: Option<Workload>,
}

/// What the suite asks a target to do wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The next revoke answers "done" and does nothing.
    LyingRevoke,
    /// The next change is seen at its endpoints only after [`Harness::settle`].
    Lagging,
    /// The next call of this verb is done, and its answer lost.
    LostAnswer(Verb),
    /// The next call is refused for being one too many.
    Throttle,
}

/// Where a call is cut off: what comes after it is not done by anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crash {
    /// Which request of the call, from 1.
    pub request: u32,
    pub how: Cut,
}

/// What becomes of the request of a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Nobody takes the connection: it may be that there is no such request.
    Refused,
    /// The connection ends before it arrives.
    Unread,
    /// It is done, and its answer lost.
    Unanswered,
}

impl fmt::Display for Crash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.request;
        match self.how {
            Cut::Refused => write!(out, "a crash before request {number}"),
            Cut::Unread => write!(out, "a crash while request {number} is sent"),
            Cut::Unanswered => write!(out, "a crash after request {number}"),
        }
    }
}

/// A target under the suite's control. Hooks that a target cannot offer keep their default, and what needs them is
/// reported as not shown.
#[async_trait]
pub trait Harness: Send + Sync {
    /// The connector, opened on the target.
    fn connector(&self) -> Arc<dyn Connector>;

    /// A call of a new operation, by an actor who may do everything.
    async fn call(&self) -> Call;

    /// A new target for this strategy with one live version.
    async fn issuer_case(&self, _strategy: Strategy) -> Option<IssuerCase> {
        None
    }

    /// A new path.
    async fn store_case(&self) -> Option<StoreCase> {
        None
    }

    /// What readers find in a store that never shows a value again: asked for where `read` is not declared.
    async fn stored(&self, _path: &str, _field: &str) -> Option<SecretValue> {
        None
    }

    /// A new running workload.
    async fn consumer_case(&self) -> Option<ConsumerCase> {
        None
    }

    /// A call by somebody whom the target does not let do anything.
    async fn wrong_actor(&self) -> Option<Call> {
        None
    }

    /// The connector, opened on an address where nothing answers.
    async fn unreachable(&self) -> Option<Arc<dyn Connector>> {
        None
    }

    /// How many requests the target has seen.
    async fn requests(&self) -> Option<u64> {
        None
    }

    /// Arms a fault; false when the target cannot do it.
    async fn fault(&self, _fault: Fault) -> bool {
        false
    }

    /// What the connector reaches the target through, for crashes.
    fn gate(&self) -> Option<&Gate> {
        None
    }

    /// From now on the requests of the connector go through until this one, and none after it; false when nothing before
    /// the target could stop them.
    async fn crash(&self, crash: Crash) -> bool {
        match self.gate() {
            Some(gate) => {
                gate.arm(crash).await;
                true
            }
            None => false,
        }
    }

    /// Ends what [`Harness::crash`] armed; true when it went as far as there.
    async fn crashed(&self) -> bool {
        match self.gate() {
            Some(gate) => gate.reopen().await,
            None => false,
        }
    }

    /// How many requests there were from the last [`Harness::crash`] to [`Harness::crashed`], where somebody counts.
    async fn seen(&self) -> Option<u32> {
        self.gate().map(Gate::seen)
    }

    /// Ends every armed fault, and returns once all earlier changes are seen everywhere.
    async fn settle(&self) {}

    /// Makes something live at the issuer that is none of ours; returns a part of its label.
    async fn plant_foreign(&self, _target: &Target) -> Option<String> {
        None
    }

    /// Opens a session with a value and keeps it open; returns a handle for [`Harness::session_alive`].
    async fn open_session(&self, _target: &Target, _material: &Material) -> Option<u64> {
        None
    }

    /// Does the target refuse what is disabled? One that does not, though what it stands for does, cannot show it.
    fn refuses_disabled(&self) -> bool {
        true
    }

    /// Does the session still work?
    async fn session_alive(&self, _session: u64) -> bool {
        false
    }
}
