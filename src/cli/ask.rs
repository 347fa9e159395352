//! What a command wants of a state, in the gate's words: one table, looked at before any command sees the state.

use remint_contract::ResetId;
use remint_core::gate::{Action, Caller, Entrance, Resource};

use crate::app::{App, AppError};
use crate::cli::evidence::Evidence;
use crate::cli::{Command, acts, approve, estate, keys, log, policy, store, token, windows};
use crate::engine::EngineError;
use crate::govern::{credential, exception, reset, standing, window};

/// One question to the gate.
#[derive(Debug, Clone)]
pub enum Ask {
    /// It has no business with a state, or asks by itself.
    Nothing,
    On(Action, Resource),
    /// Of a reset; what is approved may be an exception, too.
    OfReset(Action, String),
    OfCredential(Action, String),
    /// That a window may do again and again what it would do now.
    OfWindow(String),
    /// The end of that.
    OfStanding(String),
    OfFinding(String),
    OfTask(String),
}

/// Whoever runs the command line alone: the operating system's word, not the environment's.
#[must_use]
pub(crate) fn caller() -> Caller {
    Caller::plain(format!("unix:{}", rustix::process::getuid().as_raw()), Entrance::Cli)
}

impl Ask {
    /// The action, and the thing as the state knows it; `None` where there is nothing to ask, or nobody governs.
    pub(super) async fn of(&self, app: &App) -> Result<Option<(Action, Resource)>, AppError> {
        if !app.gate.governed() {
            return Ok(None);
        }
        Ok(match self {
            Self::Nothing => None,
            Self::On(action, resource) => Some((*action, resource.clone())),
            Self::OfReset(Action::Approve, id) if app.engine.exception(id).await.is_ok() => {
                Some((Action::Approve, exception(&app.engine, id).await?))
            }
            Self::OfReset(Action::Approve, id) if app.engine.standing(id).await.is_ok() => {
                Some((Action::Approve, standing(&app.engine, id).await?))
            }
            Self::OfReset(action, id) => Some((*action, reset(&app.engine, &ResetId(id.clone())).await?)),
            Self::OfWindow(name) => Some((Action::Request, window(&app.engine, name).await?)),
            Self::OfStanding(id) => Some((Action::Request, standing(&app.engine, id).await?)),
            Self::OfCredential(action, name) => Some((*action, credential(&app.engine, name).await?)),
            Self::OfFinding(id) => {
                let found = app.engine.findings(None).await?.into_iter().find(|finding| finding.id == *id);
                let found = found.ok_or_else(|| EngineError::NoRecord { kind: "finding", id: id.clone() })?;
                Some((Action::SweepDecide, reset(&app.engine, &found.reset).await?))
            }
            Self::OfTask(id) => {
                let found = app.engine.tasks(None).await?.into_iter().find(|task| task.id == *id);
                let found = found.ok_or_else(|| EngineError::NoRecord { kind: "task", id: id.clone() })?;
                Some((Action::Attest, reset(&app.engine, &found.reset).await?))
            }
        })
    }
}

impl Command {
    /// What it wants.
    pub(super) fn asks(&self) -> Ask {
        let of = |action, id: &String| Ask::OfReset(action, id.clone());
        match self {
            Self::Demo(_)
            | Self::Validate(_)
            | Self::Init(_)
            | Self::Serve(_)
            | Self::Operator(_)
            | Self::Generate(_)
            | Self::K8s(_)
            | Self::Login(_)
            | Self::ReadFolder(_)
            | Self::Prober(_)
            | Self::Witness(_) => Ask::Nothing,
            // What needs no state asks nobody.
            Self::Evidence(Evidence::Verify(_) | Evidence::Report(_)) => Ask::Nothing,
            Self::Policy(policy::Policy::Stage { .. }) => Ask::On(Action::ChangePolicy, Resource::Policy),
            // To ask what others may is to read the policies.
            Self::Policy(policy::Policy::Explain(explain)) if explain.query().is_some() => {
                Ask::On(Action::Read, Resource::Policy)
            }
            Self::Policy(_) => Ask::Nothing,
            Self::Windows(windows::Windows::Approve { window, .. }) => Ask::OfWindow(window.clone()),
            Self::Windows(windows::Windows::End { standing, .. }) => Ask::OfStanding(standing.clone()),
            Self::Token(token::Token::List) => Ask::On(Action::Read, Resource::Policy),
            Self::Token(_) => Ask::On(Action::GrantAccess, Resource::Policy),
            Self::Graph(_) | Self::Get(_) | Self::Windows(_) | Self::Estate(estate::Estate::Diff(_)) => {
                Ask::On(Action::Read, Resource::Estate)
            }
            Self::Reach(_) => Ask::On(Action::Reach, Resource::Estate),
            // A request is decided when its plan is known.
            Self::Plan(_) | Self::Reset(_) => Ask::On(Action::Plan, Resource::Estate),
            // It asks the system with Remint's own means, for what is to become of the estate.
            Self::Estate(estate::Estate::Activate(_) | estate::Estate::Discover(_)) => {
                Ask::On(Action::ChangeEstate, Resource::Estate)
            }
            Self::Approve(approve::Approve { reset, .. })
            | Self::Review(acts::Review { reset, .. })
            | Self::Withdraw(acts::Withdraw { reset, .. })
            | Self::Reject(acts::Reject { reset, .. }) => of(Action::Approve, reset),
            Self::Except(except) => Ask::OfCredential(Action::Skip, except.credential.clone()),
            Self::Clean(clean) => Ask::On(Action::Clean, Resource::Node(clean.node.clone())),
            Self::Decide(decide) => Ask::OfFinding(decide.finding.clone()),
            Self::Escalate(escalate) => of(Action::Escalate, &escalate.reset),
            Self::Execute(acts::Execute { reset, .. })
            | Self::Retry(acts::Retry { reset, .. })
            | Self::Reprove(acts::Reprove { reset, .. }) => of(Action::Execute, reset),
            Self::Pause(pause) => of(Action::Execute, &pause.reset),
            Self::Resume(resume) => of(Action::Execute, &resume.reset),
            Self::Abort(abort) => of(Action::Execute, &abort.reset),
            Self::Rollback(acts::Rollback { reset, .. }) => of(Action::Rollback, reset),
            Self::Destroy(acts::Destroy { reset, .. }) => of(Action::Destroy, reset),
            Self::Task(acts::Task::List) => Ask::On(Action::Read, Resource::Estate),
            Self::Task(acts::Task::Attest { task, .. }) => Ask::OfTask(task.clone()),
            Self::Evidence(Evidence::Export(_)) | Self::Log(log::Log::Publish { .. }) => {
                Ask::On(Action::Export, Resource::Log)
            }
            Self::Evidence(Evidence::Erase(_)) => Ask::On(Action::Restore, Resource::Store),
            Self::Log(log::Log::RotateKey) => Ask::On(Action::RotateKeys, Resource::Keys),
            Self::Evidence(_) | Self::Log(_) | Self::Stream(_) => Ask::On(Action::Read, Resource::Log),
            Self::Keys(keys::Keys::List) => Ask::On(Action::Read, Resource::Keys),
            Self::Keys(_) => Ask::On(Action::RotateKeys, Resource::Keys),
            Self::Store(store::Store::Check) => Ask::On(Action::Read, Resource::Store),
            Self::Store(_) => Ask::On(Action::Restore, Resource::Store),
        }
    }
}
