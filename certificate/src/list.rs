//! Revocation lists: is a serial number on one that its authority signed and that is not due for renewal?

use jiff::Timestamp;
use x509_parser::pem::Pem;
use x509_parser::prelude::{CertificateRevocationList, FromDer as _, X509Certificate};

use crate::certificate::{der, serial};

/// Why a list says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ListProblem {
    #[error("the revocation list is not understood")]
    Unreadable,
    #[error("the certificate of the authority is not understood")]
    Authority,
    #[error("the revocation list is not signed by the authority")]
    Foreign,
    #[error("the revocation list is old: a newer one is due")]
    Old,
}

/// Is the number on the list (DER or PEM)? Whoever can change the list on its way cannot change the answer.
///
/// # Errors
/// The list cannot be read, another key signed it, or it should have been followed by another.
pub fn on_list(list: &[u8], authority: &str, number: &str, now: Timestamp) -> Result<bool, ListProblem> {
    let unwrapped = list.starts_with(b"-----").then(|| Pem::iter_from_buffer(list).next()?.ok()).flatten();
    let read = read(unwrapped.as_ref().map_or(list, |pem| &pem.contents))?;
    let authority = der(authority).ok_or(ListProblem::Authority)?;
    let (_, authority) = X509Certificate::from_der(&authority).map_err(|_| ListProblem::Authority)?;
    if read.issuer() != authority.subject() || read.verify_signature(authority.public_key()).is_err() {
        return Err(ListProblem::Foreign);
    }
    if due(&read).is_none_or(|due| now > due) {
        return Err(ListProblem::Old);
    }
    Ok(has(&read, number))
}

/// Is the number on a list (DER) that its authority handed out itself, over a way that is trusted? Nobody's signature is
/// looked at. Where it is not known what time it is there, a list is not old.
///
/// # Errors
/// The list cannot be read, or should have been followed by another.
pub fn listed(list: &[u8], number: &str, now: Option<Timestamp>) -> Result<bool, ListProblem> {
    let read = read(list)?;
    if now.zip(due(&read)).is_some_and(|(now, due)| now > due) {
        return Err(ListProblem::Old);
    }
    Ok(has(&read, number))
}

fn read(list: &[u8]) -> Result<CertificateRevocationList<'_>, ListProblem> {
    CertificateRevocationList::from_der(list).map(|(_, read)| read).map_err(|_| ListProblem::Unreadable)
}

/// When another list should have followed.
fn due(list: &CertificateRevocationList<'_>) -> Option<Timestamp> {
    list.next_update().and_then(|time| Timestamp::from_second(time.timestamp()).ok())
}

fn has(list: &CertificateRevocationList<'_>, number: &str) -> bool {
    list.iter_revoked_certificates().any(|revoked| serial(revoked.raw_serial()) == number)
}
