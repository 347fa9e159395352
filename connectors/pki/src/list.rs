//! The revocation list of a generation: written where others serve it, and read where relying parties read it.

use std::fs;
use std::io;
use std::time::Duration;

use jiff::Timestamp;
use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevocationReason, RevokedCertParams, SerialNumber};
use remint_certificate::{Certificate, Record, on_list, replace};
use remint_contract::Error;

use crate::authority::Authority;
use crate::config::Settings;
use crate::error::{file, unmakeable};
use crate::issue::{issuer, moment};

/// The file of a generation's list.
pub(crate) fn name(authority: &Authority, generation: &Record) -> String {
    format!("{}-{}.crl", authority.name, generation.serial.replace(':', ""))
}

/// Writes the list of a generation: everything of it that was revoked. A dead generation stands on its own list, which is
/// its last and good until it ends.
pub(crate) fn write(
    settings: &Settings,
    authority: &Authority,
    generation: &Record,
    now: Timestamp,
) -> Result<(), Error> {
    let verb = authority.verb();
    let failed = |failure| unmakeable(verb, "the revocation list", failure);
    let mut revoked_certs = Vec::new();
    for record in authority.issued()? {
        // What ended long ago need not be named any more.
        let over = record.certificate().is_none_or(|read| read.is_over(now.saturating_sub(KEPT).unwrap_or(now)));
        if !over && Certificate::signed(&record.chain, &generation.chain) {
            revoked_certs.extend(entry(&record));
        }
    }
    revoked_certs.extend(entry(generation));
    let last = generation.revoked.and_then(|_| generation.certificate()?.until);
    let next = last.unwrap_or_else(|| now.checked_add(settings.list_life).unwrap_or(Timestamp::MAX));
    let number = u64::try_from(now.as_millisecond()).unwrap_or_default();
    let list = CertificateRevocationListParams {
        this_update: moment(now),
        next_update: moment(next),
        crl_number: SerialNumber::from(number),
        issuing_distribution_point: None,
        revoked_certs,
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let list = list.signed_by(&issuer(authority, generation, verb)?).map_err(failed)?;
    let unwritten = |failure| file(verb, "publishing the revocation list", failure);
    fs::create_dir_all(&settings.publish).map_err(unwritten)?;
    replace(&settings.publish.join(name(authority, generation)), list.der(), 0o644).map_err(unwritten)
}

/// Writes every list anew that has lived for half its time.
pub(crate) fn refresh(settings: &Settings, authority: &Authority, now: Timestamp) -> Result<(), Error> {
    let soon = now.checked_add(settings.list_life / 2).unwrap_or(now);
    for generation in authority.generations()?.iter().filter(|one| one.revoked.is_none()) {
        let there = match fs::read(settings.publish.join(name(authority, generation))) {
            Err(failure) if failure.kind() == io::ErrorKind::NotFound => None,
            there => Some(there.map_err(|failure| file(authority.verb(), "reading the revocation list", failure))?),
        };
        let good = there.is_some_and(|list| on_list(&list, &generation.chain, "", soon).is_ok());
        if !good {
            write(settings, authority, generation, now)?;
        }
    }
    Ok(())
}

fn entry(record: &Record) -> Option<RevokedCertParams> {
    let bytes: Vec<u8> =
        record.serial.split(':').map(|byte| u8::from_str_radix(byte, 16)).collect::<Result<_, _>>().ok()?;
    Some(RevokedCertParams {
        serial_number: SerialNumber::from_slice(&bytes),
        revocation_time: moment(record.revoked?),
        reason_code: Some(RevocationReason::Superseded),
        invalidity_date: None,
    })
}

/// So long a certificate that ended stays on the list, for proofs that come late.
const KEPT: Duration = Duration::from_hours(7 * 24);
