//! How a run ends.

use remint_contract::ErrorKind;
use remint_core::machine::{Reason, Rotation, State};

use crate::app::AppError;
use crate::engine::EngineError;
use crate::engine::record::ResetStatus;
use crate::govern::{GateError, YesError};
use crate::store::StoreError;

/// The exit codes that scripts rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Done = 0,
    /// Failed, or not complete.
    Failed = 1,
    /// Bad usage, or invalid documents.
    Usage = 2,
    /// Refused, or waiting for approval.
    Refused = 3,
    /// A system cannot be reached.
    Unreachable = 4,
    /// An outcome is unknown.
    Unknown = 5,
}

/// A run that ended with an error.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    pub error: Box<dyn std::error::Error + Send + Sync>,
}

impl Failure {
    pub fn new(exit: Exit, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { exit, error: error.into() }
    }

    /// Bad usage.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what.into())
    }
}

impl From<AppError> for Failure {
    fn from(error: AppError) -> Self {
        let exit = match &error {
            AppError::Problems(_)
            | AppError::Empty(_)
            | AppError::Read { .. }
            | AppError::Address(_)
            | AppError::Elsewhere
            | AppError::Config { .. }
            | AppError::Keeper(..)
            | AppError::Charter(_) => Exit::Usage,
            AppError::NotInitialised(_)
            | AppError::Governance
            | AppError::Kek(_)
            | AppError::Behind(_)
            | AppError::Gate(GateError::Denied { .. } | GateError::Refused(_) | GateError::Program(_)) => Exit::Refused,
            AppError::Gate(GateError::Store(error)) => of_store(error),
            AppError::Signing(_) => Exit::Unreachable,
            AppError::Store(error) => of_store(error),
            AppError::Engine(error) => of(error),
            AppError::Key(_)
            | AppError::Fingerprint(_)
            | AppError::Anchor(_)
            | AppError::Sequencer(_)
            | AppError::History(_) => Exit::Failed,
        };
        Self::new(exit, error)
    }
}

impl From<YesError> for Failure {
    fn from(error: YesError) -> Self {
        let exit = match &error {
            YesError::Random(_) => Exit::Failed,
            YesError::Open(_) => Exit::Refused,
            _ => Exit::Usage,
        };
        Self::new(exit, error)
    }
}

impl From<GateError> for Failure {
    fn from(error: GateError) -> Self {
        AppError::Gate(error).into()
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self::new(of(&error), error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(of_store(&error), error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(Exit::Failed, error)
    }
}

fn of_store(error: &StoreError) -> Exit {
    match error {
        StoreError::Locked(_) | StoreError::ReadOnly(_) | StoreError::NotEmpty => Exit::Refused,
        _ => Exit::Failed,
    }
}

fn of(error: &EngineError) -> Exit {
    match error {
        EngineError::Connector(error) => match error.kind {
            ErrorKind::Unreachable | ErrorKind::Throttled => Exit::Unreachable,
            ErrorKind::Unclear => Exit::Unknown,
            _ => Exit::Failed,
        },
        EngineError::Owned { .. }
        | EngineError::Twice(_)
        | EngineError::Expired { .. }
        | EngineError::OtherPlan { .. }
        | EngineError::Unapproved(_)
        | EngineError::Busy(_)
        | EngineError::Lost(_)
        | EngineError::Revised(_)
        | EngineError::Refused(_) => Exit::Refused,
        EngineError::NoReset(_) | EngineError::NoRecord { .. } => Exit::Usage,
        EngineError::Store(error) => of_store(error),
        EngineError::Escrow(_)
        | EngineError::Random(_)
        | EngineError::Illegal(_)
        | EngineError::Ledger(_)
        | EngineError::Gone(_)
        | EngineError::Unsealed(_)
        | EngineError::NoEstate(_)
        | EngineError::NoPlan(_) => Exit::Failed,
    }
}

/// How a reset stands, as an exit code: provisional counts as done only where something owns the re-proof.
#[must_use]
pub(crate) fn of_reset<'a>(status: ResetStatus, rotations: impl IntoIterator<Item = &'a Rotation>) -> Exit {
    match status {
        ResetStatus::Complete => return Exit::Done,
        ResetStatus::Requested | ResetStatus::Rejected => return Exit::Refused,
        ResetStatus::Running
        | ResetStatus::Resting
        | ResetStatus::Provisional
        | ResetStatus::Paused
        | ResetStatus::Aborted => {}
    }
    let mut parked = 0;
    let mut unreachable = 0;
    for rotation in rotations {
        match &rotation.state {
            State::Unknown { .. } | State::Parked { reason: Reason::Unclear { .. }, .. } => return Exit::Unknown,
            State::Parked { reason: Reason::Unreachable { .. }, .. } => unreachable += 1,
            State::Parked { .. } | State::Dark { .. } => parked += 1,
            _ => {}
        }
    }
    // What waits behind a system that cannot be reached did not fail; what is parked for another reason did.
    if unreachable > 0 && parked == 0 { Exit::Unreachable } else { Exit::Failed }
}
