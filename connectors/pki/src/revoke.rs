//! Killing certificates: a leaf stands on the list of the generation that signed it; a generation takes everything with it
//! that it signed.

use std::fs;

use jiff::Timestamp;
use remint_certificate::{Certificate, Record, on_list};
use remint_contract::{Error, ErrorKind, VersionId};

use crate::authority::Authority;
use crate::config::Settings;
use crate::list;

/// Puts a leaf on the list. One that is not known is not alive.
pub(crate) fn leaf(
    settings: &Settings,
    authority: &Authority,
    version: &VersionId,
    now: Timestamp,
) -> Result<(), Error> {
    let Some(mut record) = authority.find(&version.0)? else { return Ok(()) };
    let Some(signer) = authority.signer(&record.chain)? else {
        let message = "no generation of the authority signed it, so none can revoke it";
        return Err(Error::new(ErrorKind::Invalid, authority.verb(), message).with("version", &version.0));
    };
    if record.revoked.is_none() {
        record.revoked = Some(now);
        authority.note(&record)?;
    } else if published(settings, authority, &record) {
        return Ok(());
    }
    if signer.revoked.is_some() {
        let message =
            "the generation that signed it is dead, and signed its last list; whoever trusts it still has to stop";
        return Err(Error::new(ErrorKind::Invalid, authority.verb(), message).with("version", &version.0));
    }
    list::write(settings, authority, &signer, now)
}

/// Kills a generation: everything that it signed and it itself stand on its last list, and its key is gone.
pub(crate) fn generation(
    settings: &Settings,
    authority: &Authority,
    version: &VersionId,
    now: Timestamp,
) -> Result<(), Error> {
    let found = authority.generations()?.into_iter().find(|one| one.serial == version.0);
    let Some(mut generation) = found else { return Ok(()) };
    if authority.key(&generation.serial)?.is_none() {
        return Ok(());
    }
    for mut record in authority.issued()? {
        if record.revoked.is_none() && Certificate::signed(&record.chain, &generation.chain) {
            record.revoked = Some(now);
            authority.note(&record)?;
        }
    }
    if generation.revoked.is_none() {
        generation.revoked = Some(now);
        authority.renote(&generation)?;
    }
    list::write(settings, authority, &generation, now)?;
    authority.forget_key(&generation.serial)
}

/// Is a revoked certificate on the list that was written?
pub(crate) fn published(settings: &Settings, authority: &Authority, record: &Record) -> bool {
    let signer = authority.signer(&record.chain).ok().flatten();
    signer.is_some_and(|signer| {
        let list = fs::read(settings.publish.join(list::name(authority, &signer)));
        // A list that is overdue has it all the same.
        let at = record.revoked.unwrap_or(Timestamp::UNIX_EPOCH);
        list.is_ok_and(|list| on_list(&list, &signer.chain, &record.serial, at) == Ok(true))
    })
}
