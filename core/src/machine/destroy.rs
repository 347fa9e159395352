//! May an old version of an encryption key be destroyed? No reset does it: it is a decision of its own.

use remint_contract::VersionId;

use super::{Rotation, State};
use crate::plan::Member;
use crate::step::Course;

/// Why it may not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Kept {
    #[error("it is not an encryption key: a reset kills its old versions, and nothing is left to destroy")]
    OtherCourse,
    #[error("its rotation is {state}, not settled; finish it first")]
    Unsettled { state: String },
    #[error("{0} is the version in use")]
    InUse(VersionId),
    #[error("{0} is not stopped; only a version that is stopped already, and that nobody missed, is destroyed")]
    Alive(VersionId),
    #[error("{left} things are still encrypted under {version}, and would be lost")]
    Encrypted { version: VersionId, left: u64 },
}

impl Rotation {
    /// What must be so before an old version is destroyed, whoever approved it.
    ///
    /// # Errors
    /// The first thing that is not so.
    pub fn may_destroy(&self, member: &Member, version: &VersionId, stopped: bool, left: u64) -> Result<(), Kept> {
        if member.course() != Course::Rewrap {
            return Err(Kept::OtherCourse);
        }
        if !matches!(self.state, State::Settled { .. }) {
            return Err(Kept::Unsettled { state: self.state.to_string() });
        }
        if self.facts.new.as_ref().and_then(|new| new.id.as_ref()).is_none_or(|new| new == version) {
            return Err(Kept::InUse(version.clone()));
        }
        if left > 0 {
            return Err(Kept::Encrypted { version: version.clone(), left });
        }
        if stopped { Ok(()) } else { Err(Kept::Alive(version.clone())) }
    }
}
