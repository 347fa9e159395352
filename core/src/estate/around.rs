//! The documents that one can contradict, of as many as there are.
//!
//! What is wrong with a document that comes, or by it with another, shows beside those that it refers to, those that refer
//! to it, those that write to the same places, what these refer to, and how Remint gets into all of that. So [`admit`](super::admit()) beside them says
//! what it says beside all others; looking for them costs the same with a hundred documents and with ten thousand, unless
//! that many refer to the one.

use std::collections::{BTreeMap, BTreeSet};

use remint_contract::{Kind, Kinds, Location, Name, Ref};

use super::fields::nearest;
use super::load::{Draft, read};
use super::problem::Reporter;
use super::source::SourceFile;

/// What a document has to do with others.
#[derive(Debug, Default)]
struct Ties {
    refers: BTreeSet<Ref>,
    /// Of those: what it is made and kept by, along which circles are looked for.
    leads: BTreeSet<Ref>,
    /// Where its value lies.
    written: BTreeSet<Location>,
    /// Where its public half is kept by whoever writes there.
    trusted: BTreeSet<Location>,
    /// Whose documents this Grant lets in.
    lets: Option<Name>,
    /// It waits in a window for so long that the window may be over.
    late: bool,
}

/// An index of documents by what they have to do with one another.
#[derive(Debug, Default)]
pub struct Around {
    known: BTreeMap<Ref, Ties>,
    referers: BTreeMap<Ref, BTreeSet<Ref>>,
    writers: BTreeMap<Location, BTreeSet<Ref>>,
    /// By whom they let in, and where they stand.
    grants: BTreeMap<(Name, Name), BTreeSet<Ref>>,
    late: BTreeSet<Ref>,
}

impl Around {
    /// Takes in a document, over what it was before; as far as it can be read.
    pub fn put(&mut self, name: &Ref, document: &SourceFile, kinds: &dyn Kinds) {
        self.remove(name);
        let ties = ties(name, document, kinds);
        for to in &ties.refers {
            self.referers.entry(to.clone()).or_default().insert(name.clone());
        }
        for place in &ties.written {
            self.writers.entry(place.clone()).or_default().insert(name.clone());
        }
        if let Some(from) = &ties.lets {
            self.grants.entry((from.clone(), name.namespace.clone())).or_default().insert(name.clone());
        }
        if ties.late {
            self.late.insert(name.clone());
        }
        self.known.insert(name.clone(), ties);
    }

    /// Forgets a document.
    pub fn remove(&mut self, name: &Ref) {
        let Some(ties) = self.known.remove(name) else { return };
        for to in &ties.refers {
            forget(&mut self.referers, to, name);
        }
        for place in &ties.written {
            forget(&mut self.writers, place, name);
        }
        if let Some(from) = ties.lets {
            forget(&mut self.grants, &(from, name.namespace.clone()), name);
        }
        self.late.remove(name);
    }

    /// The documents that this one, as it comes, can be in contradiction with; itself is not among them.
    #[must_use]
    pub fn of(&self, name: &Ref, document: &SourceFile, kinds: &dyn Kinds) -> BTreeSet<Ref> {
        let ties = ties(name, document, kinds);
        let mut next: Vec<&Ref> = ties.refers.iter().chain(self.referers.get(name).into_iter().flatten()).collect();
        for place in ties.written.iter().chain(&ties.trusted) {
            next.extend(self.writers.get(place).into_iter().flatten());
        }
        if name.kind == Kind::RotationWindow {
            next.extend(&self.late);
        }
        // For the advice to whoever slipped.
        for to in ties.refers.iter().filter(|to| !self.known.contains_key(*to)) {
            let alike = |one: &&Ref| one.kind == to.kind && (one.namespace == to.namespace || one.name == to.name);
            let alike: Vec<&Ref> = self.known.keys().filter(alike).collect();
            let here = alike.iter().filter(|one| one.namespace == to.namespace).map(|one| one.name.as_str());
            let near = nearest(to.name.as_str(), here).map(str::to_owned);
            let said = |one: &&Ref| one.name == to.name || near.as_deref() == Some(one.name.as_str());
            next.extend(alike.into_iter().filter(said));
        }
        let beyond: Vec<&Ref> =
            next.iter().filter_map(|one| self.known.get(*one)).flat_map(|ties| &ties.refers).collect();
        next.extend(beyond);
        let mut near: BTreeSet<Ref> = BTreeSet::new();
        while let Some(one) = next.pop() {
            if one != name
                && let Some(ties) = self.known.get(one)
                && near.insert(one.clone())
            {
                next.extend(&ties.leads);
                // What is wrong with a key that one more System acts with was wrong before.
                let acting = self.referers.get(one).into_iter().flatten().filter(|by| by.kind == Kind::System);
                next.extend(acting);
            }
        }
        if ties.late || near.iter().any(|one| self.late.contains(one)) {
            near.extend(self.known.keys().filter(|one| one.kind == Kind::RotationWindow).cloned());
        }
        let with: Vec<(&Ref, &Ref)> = near
            .iter()
            .filter_map(|from| Some((from, self.known.get(from)?)))
            .flat_map(|(from, ties)| ties.refers.iter().map(move |to| (from, to)))
            .chain(ties.refers.iter().map(|to| (name, to)))
            .collect();
        let pairs: BTreeSet<(Name, Name)> =
            with.into_iter().map(|(from, to)| (from.namespace.clone(), to.namespace.clone())).collect();
        let grants = pairs.iter().filter_map(|pair| self.grants.get(pair)).flatten().cloned();
        near.extend(grants);
        near.remove(name);
        near
    }
}

fn forget<K: Ord>(map: &mut BTreeMap<K, BTreeSet<Ref>>, key: &K, name: &Ref) {
    if let Some(all) = map.get_mut(key) {
        all.remove(name);
        if all.is_empty() {
            map.remove(key);
        }
    }
}

fn ties(name: &Ref, document: &SourceFile, kinds: &dyn Kinds) -> Ties {
    let mut report = Reporter::new(vec![&document.name]);
    let Draft { estate, uses, .. } = read(std::slice::from_ref(document), kinds, &mut report);
    let refers = uses.into_iter().map(|used| used.to).collect();
    let mut ties = Ties { refers, ..Ties::default() };
    if let Some(credential) = estate.credentials.get(name) {
        ties.written = credential.delivered_to.iter().map(|place| place.at.whole()).collect();
        ties.trusted = credential.trusted_by.iter().map(Location::whole).collect();
        ties.late = credential.rotation.offset.is_some();
        let places = credential.delivered_to.iter().map(|place| &place.at.system);
        ties.leads = places.chain([&credential.issued_by.system]).chain(&credential.issued_by.by).cloned().collect();
    }
    if let Some(system) = estate.systems.get(name) {
        ties.leads = system.auth.iter().cloned().collect();
    }
    ties.lets = estate.grants.get(name).map(|grant| grant.from_namespace.clone());
    ties
}
