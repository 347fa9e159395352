//! The steps of one rotation, and the three paths through them.
//!
//! ```text
//! rolling  capture  mint  verify  deliver  promote  reload  confirm  hold  revoke  end-derived  prove  sweep
//! contain  capture  disable  end-derived  prove  sweep  mint  verify  deliver  promote  reload  confirm  revoke  final-prove  final-sweep
//! cut      capture  mint  verify  disable  end-derived  prove  sweep  deliver  promote  reload  confirm  revoke  final-prove  final-sweep
//! ```
//!
//! `mint` and `verify` together are what the order rules call *activate*; the end of `sweep` is what they call *dead*.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One step of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The old value is taken from its source of truth into escrow, for the proof only.
    Capture,
    /// A new version is made.
    Mint,
    /// It is used as the consumer would, and its rights are compared.
    Verify,
    /// It is written (staged, where the store can) to every clean destination.
    Deliver,
    /// Readers see it.
    Promote,
    /// Consumers are made to read it.
    Reload,
    /// Every clean consumer is seen on it.
    Confirm,
    /// The old version stays as a way back, until a deadline with a decider.
    Hold,
    /// The old version is stopped, reversibly.
    Disable,
    /// The old version is killed.
    Revoke,
    /// Sessions, tokens and leases of the old version are ended.
    EndDerived,
    /// The old version is tried and must be refused.
    Prove,
    /// What lives at the issuer is compared with what should.
    Sweep,
    /// The proof after the final revoke.
    FinalProve,
    /// The sweep after the final revoke.
    FinalSweep,
}

/// Which way a credential goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Path {
    /// Replace first, kill after every clean consumer moved.
    Rolling,
    /// Kill first, replace after.
    Contain,
    /// A member of a cut cycle: mint into escrow, kill all old ones, prove, sweep, then deliver.
    Cut,
}

impl Path {
    /// The steps in order.
    #[must_use]
    pub const fn steps(self) -> &'static [Step] {
        use Step::{
            Capture, Confirm, Deliver, Disable, EndDerived, FinalProve, FinalSweep, Hold, Mint, Promote, Prove, Reload,
            Revoke, Sweep, Verify,
        };
        match self {
            Self::Rolling => {
                &[Capture, Mint, Verify, Deliver, Promote, Reload, Confirm, Hold, Revoke, EndDerived, Prove, Sweep]
            }
            Self::Contain => &[
                Capture, Disable, EndDerived, Prove, Sweep, Mint, Verify, Deliver, Promote, Reload, Confirm, Revoke,
                FinalProve, FinalSweep,
            ],
            Self::Cut => &[
                Capture, Mint, Verify, Disable, EndDerived, Prove, Sweep, Deliver, Promote, Reload, Confirm, Revoke,
                FinalProve, FinalSweep,
            ],
        }
    }

    /// The step after `step`, or `None` at the end or when the path does not have it.
    #[must_use]
    pub fn after(self, step: Step) -> Option<Step> {
        let steps = self.steps();
        let at = steps.iter().position(|&other| other == step)?;
        steps.get(at + 1).copied()
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Capture => "capture",
            Self::Mint => "mint",
            Self::Verify => "verify",
            Self::Deliver => "deliver",
            Self::Promote => "promote",
            Self::Reload => "reload",
            Self::Confirm => "confirm",
            Self::Hold => "hold",
            Self::Disable => "disable",
            Self::Revoke => "revoke",
            Self::EndDerived => "end-derived",
            Self::Prove => "prove",
            Self::Sweep => "sweep",
            Self::FinalProve => "final-prove",
            Self::FinalSweep => "final-sweep",
        })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rolling => "rolling",
            Self::Contain => "contain",
            Self::Cut => "cut",
        })
    }
}
