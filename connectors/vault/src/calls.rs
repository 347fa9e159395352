//! Requests of one rotation per strategy, for the estimate of how long a reset takes. A test counts them on the way to the
//! server, and the catalogue's page names them.

pub(crate) const APPROLE_OVERLAP: u32 = 27;
pub(crate) const TOKEN_OVERLAP: u32 = 17;
pub(crate) const DATABASE_IN_PLACE: u32 = 8;
pub(crate) const PKI_REISSUE: u32 = 15;
pub(crate) const TRANSIT_OVERLAP: u32 = 16;
