//! Who is due in an opening, and when each begins.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use remint_contract::Ref;
use serde::{Deserialize, Serialize};

use crate::calendar::{Opening, Window, bound, drawn};
use crate::estate::{Credential, Estate, Tier};

/// What is known of a credential from earlier rotations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Known {
    /// Since when its version is in use; `None`: nobody here replaced it yet.
    pub settled: Option<Timestamp>,
    /// A reset that is not over has it.
    pub busy: bool,
    /// The first opening that was over before its turn came.
    pub carried: Option<Timestamp>,
    /// Persons approved in advance that it is replaced here: a privileged one may have its turn, too.
    pub covered: bool,
    /// It takes persons here, and none of them approved it in advance.
    pub barred: bool,
}

/// Why a credential is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// An earlier opening was over before its turn came.
    Carried,
    /// It would be older than it may be before the next opening is over.
    Age,
    /// Nobody knows how old it is.
    Unknown,
    /// Every opening replaces it: it has no maximum age.
    Every,
    /// Something that it cannot be replaced without is due.
    Bound,
}

/// A credential that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    pub credential: Ref,
    pub why: Why,
    /// `None`: not known.
    pub age: Option<Duration>,
    pub carried: Option<Timestamp>,
}

/// A credential's turn in an opening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    pub due: Due,
    pub begins: Timestamp,
}

/// Why a credential that is due has no turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Left {
    /// Its identity, or that of one it is bound to, is privileged: that needs somebody's word.
    Privileged,
    /// A reset that is not over has it, or one that it is bound to.
    Busy,
    /// Policies ask for persons, and nobody approved it in advance as it is now.
    Unapproved,
}

/// All turns of an opening.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Turns {
    /// In the order in which they begin.
    pub turns: Vec<Turn>,
    /// Due, and without a turn.
    pub left: Vec<(Due, Left)>,
}

/// Gives every credential that is due in an opening its turn.
///
/// Turns are spread evenly over the first three quarters of the opening, so that the last one has time: what was carried
/// over comes first, then the order that the names give. Who is bound begins together; a pair shares a turn, and each
/// begins its offset after it.
#[must_use]
pub fn turns(window: &Window, opening: &Opening, estate: &Estate, known: &BTreeMap<Ref, Known>) -> Turns {
    let units = bound::units(estate);
    let next = window.next(opening.scheduled.max(opening.opens));
    let mut due: BTreeMap<&Ref, Due> = BTreeMap::new();
    for (name, credential) in &estate.credentials {
        if window.document.selects(estate, credential) {
            let known = known.get(name).copied().unwrap_or_default();
            due.extend(
                why(credential, known, opening, next.as_ref()).map(|why| (name, told(name, why, known, opening))),
            );
        }
    }
    let called: BTreeSet<&Ref> = due.keys().filter_map(|name| units.get(*name).copied()).collect();
    for name in estate.credentials.keys().filter(|name| units.get(*name).is_some_and(|unit| called.contains(*unit))) {
        let known = known.get(name).copied().unwrap_or_default();
        due.entry(name).or_insert_with(|| told(name, Why::Bound, known, opening));
    }
    let stopped = stopped(estate, known, &units);
    let mut turns = Turns::default();
    let mut slots: BTreeMap<Slot<'_>, Vec<(&Credential, Due)>> = BTreeMap::new();
    let pairs = pairs(estate, &due, &units);
    for (name, one) in due {
        let (Some(unit), Some(credential)) = (units.get(name), estate.credentials.get(name)) else { continue };
        match stopped.get(unit) {
            Some(left) => turns.left.push((one, *left)),
            None => {
                slots.entry(pairs.get(unit).copied().unwrap_or(Slot::Unit(unit))).or_default().push((credential, one))
            }
        }
    }
    turns.turns = spread(window, opening, slots);
    turns
}

/// What has one turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Slot<'e> {
    Unit(&'e Ref),
    /// By namespace and name.
    Pair(&'e str, &'e str),
}

impl Slot<'_> {
    fn seed(&self) -> String {
        match self {
            Self::Unit(unit) => unit.text(),
            Self::Pair(namespace, pair) => format!("pair/{namespace}/{pair}"),
        }
    }
}

fn pairs<'e>(
    estate: &'e Estate,
    due: &BTreeMap<&'e Ref, Due>,
    units: &BTreeMap<&'e Ref, &'e Ref>,
) -> BTreeMap<&'e Ref, Slot<'e>> {
    let named = due.keys().filter_map(|name| {
        let pair = estate.credentials.get(*name)?.rotation.pair.as_deref()?;
        Some((*units.get(*name)?, Slot::Pair(name.namespace.as_str(), pair)))
    });
    named.collect()
}

fn told(name: &Ref, why: Why, known: Known, opening: &Opening) -> Due {
    let age = known.settled.map(|settled| opening.opens.duration_since(settled).try_into().unwrap_or_default());
    Due { credential: name.clone(), why, age, carried: known.carried }
}

/// A credential of an age waits until this opening is its last chance, or its early start has come.
fn why(credential: &Credential, known: Known, opening: &Opening, next: Option<&Opening>) -> Option<Why> {
    let Some(settled) = known.settled else {
        return Some(if known.carried.is_some() { Why::Carried } else { Why::Unknown });
    };
    if settled >= opening.scheduled {
        return None;
    }
    if known.carried.is_some() {
        return Some(Why::Carried);
    }
    let Some(most) = credential.rotation.max_age else { return Some(Why::Every) };
    let early = credential.rotation.early_start.unwrap_or_default();
    let old = |by: Timestamp, most: Duration| by.duration_since(settled).unsigned_abs() >= most;
    let last_chance = next.is_none_or(|next| old(next.closes, most));
    (last_chance || old(opening.opens, most.saturating_sub(early))).then_some(Why::Age)
}

/// Units of which something may not begin: none of it does.
fn stopped<'e>(
    estate: &'e Estate,
    known: &BTreeMap<Ref, Known>,
    units: &BTreeMap<&'e Ref, &'e Ref>,
) -> BTreeMap<&'e Ref, Left> {
    let mut stopped = BTreeMap::new();
    let covered = |name: &Ref| known.get(name).is_some_and(|known| known.covered);
    for (name, credential) in &estate.credentials {
        let Some(unit) = units.get(name).copied() else { continue };
        let identity = estate.identities.get(&credential.identity);
        if !covered(name) && identity.is_none_or(|identity| identity.tier == Tier::Privileged) {
            stopped.insert(unit, Left::Privileged);
        } else if known.get(name).is_some_and(|known| known.barred) {
            stopped.entry(unit).or_insert(Left::Unapproved);
        } else if known.get(name).is_some_and(|known| known.busy) {
            stopped.entry(unit).or_insert(Left::Busy);
        }
    }
    stopped
}

fn spread(window: &Window, opening: &Opening, slots: BTreeMap<Slot<'_>, Vec<(&Credential, Due)>>) -> Vec<Turn> {
    let scheduled = opening.scheduled.to_string();
    let seed = |slot: &Slot<'_>| drawn(&[&window.name.text(), &scheduled, &slot.seed()], u64::MAX);
    let mut order: Vec<_> = slots.into_iter().map(|(slot, dues)| (seed(&slot), slot, dues)).collect();
    order.sort_by_key(|(seed, slot, dues)| {
        (dues.iter().filter_map(|(_, due)| due.carried).min().is_none(), *seed, *slot)
    });
    let open = opening.closes.duration_since(opening.opens).unsigned_abs();
    let offset = |credential: &Credential| credential.rotation.offset.unwrap_or_default();
    let most = order.iter().flat_map(|(_, _, dues)| dues.iter().map(|(credential, _)| offset(credential))).max();
    let usable = open.saturating_sub(most.unwrap_or_default()) * 3 / 4;
    let count = u32::try_from(order.len()).unwrap_or(u32::MAX).max(1);
    let width = usable / count;
    let mut turns = Vec::new();
    for (place, (seed, _, dues)) in (0_u32..).zip(order) {
        // Within its part, where the names put it.
        let within = Duration::from_secs(seed % width.as_secs().max(1));
        let begins = opening.opens + width * place + within;
        for (credential, due) in dues {
            let begins = begins + offset(credential);
            // A shorter opening than the document's: what has no time left is carried over.
            turns.push(Turn { due, begins: begins.min(opening.closes) });
        }
    }
    turns.sort_by(|a, b| (a.begins, &a.due.credential).cmp(&(b.begins, &b.due.credential)));
    turns
}
