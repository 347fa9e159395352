//! Credentials that cannot be replaced one without the other: those of one group, and what dies with its issuer.

use std::collections::BTreeMap;

use remint_contract::Ref;

use crate::estate::Estate;

/// Each credential of an estate with the first of those that it is bound to.
pub(super) fn units(estate: &Estate) -> BTreeMap<&Ref, &Ref> {
    let names: Vec<&Ref> = estate.credentials.keys().collect();
    let numbers: BTreeMap<&Ref, usize> = names.iter().enumerate().map(|(number, name)| (*name, number)).collect();
    let mut above: Vec<usize> = (0..names.len()).collect();
    let mut groups: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (number, (name, credential)) in estate.credentials.iter().enumerate() {
        if let Some(group) = &credential.rotation.group {
            let first = *groups.entry((name.namespace.as_str(), group)).or_insert(number);
            join(&mut above, first, number);
        }
        let issued = &credential.issued_by;
        let auth = || estate.systems.get(&issued.system).and_then(|system| system.auth.as_ref());
        let minter = issued.by.as_ref().or_else(auth).filter(|_| issued.dies_with_issuer);
        if let Some(minter) = minter.and_then(|minter| numbers.get(minter)) {
            join(&mut above, *minter, number);
        }
    }
    let tops: Vec<usize> = (0..names.len()).map(|number| top(&mut above, number)).collect();
    names.iter().zip(tops).map(|(name, top)| (*name, names[top])).collect()
}

fn join(above: &mut [usize], one: usize, other: usize) {
    let (one, other) = (top(above, one), top(above, other));
    above[one.max(other)] = one.min(other);
}

fn top(above: &mut [usize], of: usize) -> usize {
    let mut at = of;
    while above[at] != at {
        above[at] = above[above[at]];
        at = above[at];
    }
    at
}
