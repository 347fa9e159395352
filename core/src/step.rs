//! The steps of one rotation: one table for each course and path.
//!
//! A [`Path`] says which way a credential goes (its mode), a [`Course`] what kind of thing it is (its class and strategy).
//! Together they name one table:
//!
//! ```text
//! replace  rolling  capture  mint  verify  deliver  promote  reload  confirm  hold  revoke  end-derived  prove  sweep
//! replace  contain  capture  disable  end-derived  prove  sweep  mint  verify  deliver  promote  reload  confirm  revoke  final-prove  final-sweep
//! replace  cut      capture  mint  verify  disable  end-derived  prove  sweep  deliver  promote  reload  confirm  revoke  final-prove  final-sweep
//! lease    rolling  capture  mint  verify  reload  confirm  hold  revoke  end-derived  prove  sweep
//! lease    contain  capture  disable  end-derived  prove  sweep  mint  verify  reload  confirm  revoke  final-prove  final-sweep
//! lease    cut      capture  mint  verify  disable  end-derived  prove  sweep  reload  confirm  revoke  final-prove  final-sweep
//! manual   rolling  capture  mint  verify  reload  confirm  hold  revoke  end-derived  prove  sweep
//! manual   contain  capture  disable  end-derived  prove  sweep  mint  verify  reload  confirm  revoke  final-prove  final-sweep
//! manual   cut      capture  disable  end-derived  prove  sweep  mint  verify  reload  confirm  revoke  final-prove  final-sweep
//! trust    rolling  capture  mint  publish  propagate  verify  activate  deliver  promote  reload  confirm  hold  drain  revoke  end-derived  prove  sweep
//! trust    contain  capture  disable  end-derived  prove  sweep  mint  publish  propagate  verify  activate  deliver  promote  reload  confirm  revoke  final-prove  final-sweep
//! trust    cut      capture  mint  publish  propagate  verify  disable  end-derived  prove  sweep  activate  deliver  promote  reload  confirm  revoke  final-prove  final-sweep
//! rewrap   rolling  capture  mint  verify  activate  deliver  promote  reload  confirm  hold  rewrap  disable  prove  sweep
//! rewrap   contain  capture  mint  verify  activate  deliver  promote  reload  confirm  rewrap  disable  prove  sweep
//! rewrap   cut      capture  mint  verify  activate  rewrap  disable  prove  sweep  deliver  promote  reload  confirm
//! ```
//!
//! `mint` and `verify` together are what the order rules call *activate*; the end of `sweep` is what they call *dead*.
//!
//! Three things hold by the tables alone: `revoke` is in no table of `rewrap`, so no event destroys an encryption key;
//! `rewrap` stands before `disable` there, in every mode, because data that cannot be read are lost to their owner and
//! not to the thief; `propagate` stands before `activate`, and both before whatever retires the old version, except where
//! containment stops it first.

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
    /// Verifiers are told to trust the new version beside the old one.
    Publish,
    /// Every clean verifier is seen to trust it.
    Propagate,
    /// From here on the new version signs or encrypts.
    Activate,
    /// What the old version signed ends by itself.
    Drain,
    /// What is encrypted under the old version is encrypted under the new one, until nothing is left.
    Rewrap,
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

/// What kind of thing is rotated: its class, and for an authenticator its strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Course {
    /// A value that consumers are given: `overlap`, `alternate`, `in-place`, `reissue`.
    Replace,
    /// Values that consumers fetch by themselves (`ephemeral`): nothing is delivered, leases older than a moment end.
    Lease,
    /// Something that others verify (signing keys, `dual-trust`): trusted everywhere before it is used.
    Trust,
    /// An encryption key: its data move to the new version, and it is stopped and never destroyed.
    Rewrap,
    /// A person makes, places and kills; Remint looks and proves.
    Manual,
}

impl Course {
    /// Every course.
    pub const ALL: [Self; 5] = [Self::Replace, Self::Lease, Self::Trust, Self::Rewrap, Self::Manual];

    /// The steps in order, on a path.
    #[must_use]
    pub const fn steps(self, path: Path) -> &'static [Step] {
        use Step::{
            Activate, Capture, Confirm, Deliver, Disable, Drain, EndDerived, FinalProve, FinalSweep, Hold, Mint,
            Promote, Propagate, Prove, Publish, Reload, Revoke, Rewrap, Sweep, Verify,
        };
        match (self, path) {
            (Self::Replace, Path::Rolling) => {
                &[Capture, Mint, Verify, Deliver, Promote, Reload, Confirm, Hold, Revoke, EndDerived, Prove, Sweep]
            }
            (Self::Replace, Path::Contain) => &[
                Capture, Disable, EndDerived, Prove, Sweep, Mint, Verify, Deliver, Promote, Reload, Confirm, Revoke,
                FinalProve, FinalSweep,
            ],
            (Self::Replace, Path::Cut) => &[
                Capture, Mint, Verify, Disable, EndDerived, Prove, Sweep, Deliver, Promote, Reload, Confirm, Revoke,
                FinalProve, FinalSweep,
            ],
            (Self::Lease | Self::Manual, Path::Rolling) => {
                &[Capture, Mint, Verify, Reload, Confirm, Hold, Revoke, EndDerived, Prove, Sweep]
            }
            // Nobody can keep for a person what he made by hand, so he makes it after the unit is dead.
            (Self::Lease | Self::Manual, Path::Contain) | (Self::Manual, Path::Cut) => &[
                Capture, Disable, EndDerived, Prove, Sweep, Mint, Verify, Reload, Confirm, Revoke, FinalProve,
                FinalSweep,
            ],
            (Self::Lease, Path::Cut) => &[
                Capture, Mint, Verify, Disable, EndDerived, Prove, Sweep, Reload, Confirm, Revoke, FinalProve,
                FinalSweep,
            ],
            (Self::Trust, Path::Rolling) => &[
                Capture, Mint, Publish, Propagate, Verify, Activate, Deliver, Promote, Reload, Confirm, Hold, Drain,
                Revoke, EndDerived, Prove, Sweep,
            ],
            (Self::Trust, Path::Contain) => &[
                Capture, Disable, EndDerived, Prove, Sweep, Mint, Publish, Propagate, Verify, Activate, Deliver,
                Promote, Reload, Confirm, Revoke, FinalProve, FinalSweep,
            ],
            (Self::Trust, Path::Cut) => &[
                Capture, Mint, Publish, Propagate, Verify, Disable, EndDerived, Prove, Sweep, Activate, Deliver,
                Promote, Reload, Confirm, Revoke, FinalProve, FinalSweep,
            ],
            (Self::Rewrap, Path::Rolling) => &[
                Capture, Mint, Verify, Activate, Deliver, Promote, Reload, Confirm, Hold, Rewrap, Disable, Prove, Sweep,
            ],
            (Self::Rewrap, Path::Contain) => {
                &[Capture, Mint, Verify, Activate, Deliver, Promote, Reload, Confirm, Rewrap, Disable, Prove, Sweep]
            }
            (Self::Rewrap, Path::Cut) => {
                &[Capture, Mint, Verify, Activate, Rewrap, Disable, Prove, Sweep, Deliver, Promote, Reload, Confirm]
            }
        }
    }

    /// The step after `step`, or `None` at the end or when the table does not have it.
    #[must_use]
    pub fn after(self, path: Path, step: Step) -> Option<Step> {
        let steps = self.steps(path);
        let at = steps.iter().position(|&other| other == step)?;
        steps.get(at + 1).copied()
    }

    /// The step that stands for `step` in the order rules where the table does not have it.
    #[must_use]
    pub fn stand_in(self, path: Path, step: Step) -> Step {
        match (self, step) {
            _ if self.steps(path).contains(&step) => step,
            // A person places the value when he makes it.
            (Self::Manual, Step::Deliver | Step::Promote) => Step::Mint,
            (Self::Lease, Step::Deliver | Step::Promote) => Step::Reload,
            (Self::Rewrap, Step::Revoke) => Step::Disable,
            _ => step,
        }
    }

    /// The step that stops the old version, for good where the table has one that does.
    #[must_use]
    pub fn last_kill(self, path: Path) -> Step {
        let kills = |step: &&Step| matches!(step, Step::Disable | Step::Revoke);
        self.steps(path).iter().rev().find(kills).copied().unwrap_or(Step::Revoke)
    }
}

impl fmt::Display for Course {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Replace => "replace",
            Self::Lease => "lease",
            Self::Trust => "trust",
            Self::Rewrap => "rewrap",
            Self::Manual => "manual",
        })
    }
}

impl Step {
    /// How many there are; the number of a step is smaller.
    pub const COUNT: usize = Self::Rewrap as usize + 1;
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
            Self::Publish => "publish",
            Self::Propagate => "propagate",
            Self::Activate => "activate",
            Self::Drain => "drain",
            Self::Rewrap => "rewrap",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_the_tables() {
        let shown: Vec<String> = include_str!("step.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("//! "))
            .filter(|line| {
                Course::ALL.iter().any(|course| line.starts_with(&format!("{course:<9}"))) && line.contains("  capture")
            })
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        let tables: Vec<String> = [Course::Replace, Course::Lease, Course::Manual, Course::Trust, Course::Rewrap]
            .into_iter()
            .flat_map(|course| [Path::Rolling, Path::Contain, Path::Cut].map(|path| (course, path)))
            .map(|(course, path)| {
                let steps = course.steps(path).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
                format!("{course} {path} {steps}")
            })
            .collect();
        assert_eq!(shown, tables);
    }
}
