//! What connectors that issue certificates have in common: reading them, reading revocation lists, asking TLS endpoints,
//! and a folder that remembers what was issued.
//!
//! Nothing here issues, retries or waits. It stands between the contract and the connectors `pki`, `acme` and `vault`.

mod certificate;
mod ledger;
mod list;
mod relying;
mod served;

pub use certificate::{Certificate, NAME, der, pem, uri};
pub use ledger::{Ledger, Lock, Record, replace};
pub use list::{ListProblem, listed, on_list};
pub use relying::{Relying, judge};
pub use served::{Unserved, observe, served};
