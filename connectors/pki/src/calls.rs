//! Requests of one rotation with one place of the list and no relying party, for the estimate of how long a reset takes. A
//! test counts them, and the catalogue's page names them. Files of this machine are not counted.

/// The list is read at each of four tries.
pub(crate) const REISSUE: u32 = 4;
/// The same, and as many handshakes with the relying party.
pub(crate) const DUAL_TRUST: u32 = 8;
