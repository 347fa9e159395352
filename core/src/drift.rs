//! Is a leaf of a plan still what the active estate says?

use std::collections::BTreeSet;

use remint_contract::Kinds;

use crate::estate::Estate;
use crate::plan::Member;

/// What differs between a member as it was approved and the estate as it is now; `None` when nothing does.
///
/// Compared is what the leaf's digest covers of the documents: strategy, destinations, consumers, endpoints.
#[must_use]
pub fn drift(member: &Member, estate: &Estate, kinds: &dyn Kinds) -> Option<String> {
    let Some(credential) = estate.credentials.get(&member.credential) else {
        return Some("the credential is not in the estate any more".to_owned());
    };
    if credential.rotation.strategy != member.strategy {
        return Some("its strategy was changed".to_owned());
    }
    let planned: BTreeSet<_> = member.places().map(|place| (&place.at, &place.fields)).collect();
    let now: BTreeSet<_> = credential.delivered_to.iter().map(|place| (&place.at, &place.fields)).collect();
    if let Some((place, _)) = now.symmetric_difference(&planned).next() {
        return Some(format!("its destinations were changed ({place})"));
    }
    let planned: BTreeSet<_> = member.consumers.iter().chain(&member.dirty_consumers).collect();
    let now: BTreeSet<_> = credential.consumed_by.iter().collect();
    if let Some(workload) = now.symmetric_difference(&planned).find(|workload| workload.name.as_str() != "remint") {
        return Some(format!("its consumers were changed ({workload})"));
    }
    if credential.class != member.class {
        return Some("its class was changed".to_owned());
    }
    let planned: BTreeSet<_> = member.verifiers.iter().chain(&member.dirty_verifiers).collect();
    let now: BTreeSet<_> = credential.verified_by.iter().collect();
    if let Some(workload) = now.symmetric_difference(&planned).next() {
        return Some(format!("its verifiers were changed ({workload})"));
    }
    let system = estate.systems.get(&credential.issued_by.system)?;
    let endpoints = kinds
        .kind(&system.connector)
        .and_then(|kind| kind.describe(&system.settings).ok())
        .and_then(|capabilities| capabilities.issuer)
        .map(|issuer| issuer.endpoints)
        .unwrap_or_default();
    (endpoints != member.endpoints).then(|| "the endpoints of its issuer were changed".to_owned())
}
