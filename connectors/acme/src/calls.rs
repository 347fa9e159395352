//! How many things one rotation with one name asks the server for, for the estimate of how long a reset takes. A test counts
//! them, and the catalogue's page names them.

pub(crate) const REISSUE: u32 = 11;
pub(crate) const IN_PLACE: u32 = 4;
