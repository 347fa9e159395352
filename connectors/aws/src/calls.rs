//! Calls of one rotation per strategy, for the estimate of how long a reset takes. A test counts them on the way to the
//! server, and the catalogue's page names them.

pub(crate) const IAM_OVERLAP: u32 = 14;
/// Where the function is done at the second look.
pub(crate) const ROTATION_IN_PLACE: u32 = 9;
