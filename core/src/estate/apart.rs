//! Documents of many namespaces, whose owners do not wait for one another.
//!
//! A namespace is taken as a whole, or stays as it is active: what is wrong in one keeps back that one, and no other that does
//! not need it. Removing what a namespace that stays refers to is wrong of whoever removes it.
//!
//! Flow: all together, which is nearly always enough → without those that are wrong by themselves → without those that the
//! problems are told of → by halves, each time beside what was taken already. So a namespace that is good beside what is
//! active is taken whatever the others say, and `k` that are not cost about `k·log₂(n)` readings of everything.

use std::collections::{BTreeMap, BTreeSet};

use remint_contract::{Kinds, Name};

use super::derive;
use super::load::{Draft, Loaded, finish, load, read};
use super::model::Estate;
use super::problem::{Problem, Reporter};
use super::source::SourceFile;

/// What can be taken, and what cannot.
#[derive(Debug, Clone, Default)]
pub struct Apart {
    /// `None`: nothing can be taken, and nothing is active.
    pub loaded: Option<Loaded>,
    /// The namespaces that stay as they are, each with why.
    pub held: BTreeMap<Name, Vec<Problem>>,
}

/// Reads the documents of each namespace beside those of the others, and beside what is active.
#[must_use]
pub fn load_apart(spaces: &BTreeMap<Name, Vec<SourceFile>>, active: &Estate, kinds: &dyn Kinds) -> Apart {
    let files: Vec<SourceFile> = spaces.values().flatten().cloned().collect();
    if let Ok(loaded) = load(&files, kinds) {
        return Apart { loaded: Some(loaded), held: BTreeMap::new() };
    }
    let before = active.by_space();
    let mut reading = Reading { spaces, before: &before, kinds, taken: BTreeSet::new(), loaded: None };
    let all: BTreeSet<Name> = spaces.keys().chain(before.keys()).cloned().collect();
    let (mut held, changed) = reading.alone(&all);
    let good: BTreeSet<Name> = changed.keys().cloned().collect();
    let waiting = match reading.take(&good) {
        Ok(()) => BTreeSet::new(),
        Err(problems) => {
            let told = |space: &Name| {
                let files = spaces.get(space).into_iter().flatten();
                files.into_iter().any(|file| problems.iter().any(|problem| problem.file == file.name))
            };
            let (told, silent): (BTreeSet<Name>, BTreeSet<Name>) = good.into_iter().partition(told);
            if reading.take(&silent).is_ok() { told } else { told.into_iter().chain(silent).collect() }
        }
    };
    held.extend(reading.halves(waiting, &changed));
    // Nothing that comes is good: what is active stays, where it still can.
    if reading.loaded.is_none() && !before.is_empty() {
        let _same = reading.take(&BTreeSet::new());
    }
    let nothing = reading.taken.is_empty() && before.is_empty();
    Apart { loaded: reading.loaded.filter(|_| !nothing), held }
}

struct Reading<'r> {
    spaces: &'r BTreeMap<Name, Vec<SourceFile>>,
    /// What is active, by namespace.
    before: &'r BTreeMap<Name, Estate>,
    kinds: &'r dyn Kinds,
    /// Namespaces that are as their documents say.
    taken: BTreeSet<Name>,
    loaded: Option<Loaded>,
}

impl Reading<'_> {
    fn files(&self, space: &Name) -> &[SourceFile] {
        self.spaces.get(space).map_or(&[], Vec::as_slice)
    }

    /// Takes these as well, when everything is good with them.
    fn take(&mut self, more: &BTreeSet<Name>) -> Result<(), Vec<Problem>> {
        let taken: BTreeSet<Name> = self.taken.union(more).cloned().collect();
        let files: Vec<SourceFile> = taken.iter().flat_map(|space| self.files(space)).cloned().collect();
        let mut report = Reporter::new(files.iter().map(|file| file.name.as_str()).collect());
        let mut draft = read(&files, self.kinds, &mut report);
        for (space, estate) in self.before {
            if !taken.contains(space) {
                draft.keep(estate, self.kinds);
            }
        }
        self.loaded = Some(finish(draft, self.kinds, report).map_err(|problems| problems.0)?);
        self.taken = taken;
        Ok(())
    }

    /// Those that are wrong by themselves, and of the others those that changed, with the namespaces that they refer to.
    #[allow(clippy::type_complexity, reason = "two maps, named where they are taken apart")]
    fn alone(&self, all: &BTreeSet<Name>) -> (BTreeMap<Name, Vec<Problem>>, BTreeMap<Name, BTreeSet<Name>>) {
        let (mut wrong, mut changed) = (BTreeMap::new(), BTreeMap::new());
        for space in all {
            let files = self.files(space);
            let mut report = Reporter::new(files.iter().map(|file| file.name.as_str()).collect());
            let draft = read(files, self.kinds, &mut report);
            if report.has_errors() {
                wrong.insert(space.clone(), report.finish());
            } else if self.before.get(space).is_none_or(|before| *before != draft.estate) {
                let needs = draft.uses.iter().map(|used| used.to.namespace.clone());
                changed.insert(space.clone(), needs.collect());
            }
        }
        (wrong, changed)
    }

    /// Takes what can be taken of these, until none more can be. The rest, with what is wrong.
    fn halves(
        &mut self,
        mut waiting: BTreeSet<Name>,
        needs: &BTreeMap<Name, BTreeSet<Name>>,
    ) -> BTreeMap<Name, Vec<Problem>> {
        loop {
            let mut wrong = BTreeMap::new();
            let mut stack = vec![waiting.clone()];
            while let Some(some) = stack.pop() {
                let some: BTreeSet<Name> = some.difference(&self.taken).cloned().collect();
                let Err(problems) = (if some.is_empty() { Ok(()) } else { self.take(&some) }) else { continue };
                if some.len() > 1 {
                    let mut first = some;
                    let middle = first.iter().nth(first.len() / 2).cloned();
                    let second = middle.map(|middle| first.split_off(&middle)).unwrap_or_default();
                    stack.extend([second, first]);
                } else if let Some(space) = some.into_iter().next()
                    && self.take(&together(&space, needs)).is_err()
                {
                    wrong.insert(space, problems);
                }
            }
            let rest: BTreeSet<Name> = waiting.difference(&self.taken).cloned().collect();
            wrong.retain(|space, _| rest.contains(space));
            // What was wrong may have needed what was taken after it.
            if rest.is_empty() || rest.len() == waiting.len() {
                return wrong;
            }
            waiting = rest;
        }
    }
}

/// A namespace with every other one that changed and that it needs.
fn together(space: &Name, needs: &BTreeMap<Name, BTreeSet<Name>>) -> BTreeSet<Name> {
    let (mut all, mut next) = (BTreeSet::new(), vec![space.clone()]);
    while let Some(space) = next.pop() {
        if let Some(more) = needs.get(&space)
            && all.insert(space)
        {
            next.extend(more.iter().cloned());
        }
    }
    all
}

impl Estate {
    /// The documents of each namespace: without what nobody wrote, ghosts and Remint itself.
    fn by_space(&self) -> BTreeMap<Name, Self> {
        let mut written = self.clone();
        derive::forget_remint(&mut written);
        let mut spaces: BTreeMap<Name, Self> = BTreeMap::new();
        let Self { systems, identities, credentials, workloads, windows, grants, approvals } = written;
        macro_rules! sort {
            ($($map:ident),*) => {$(
                for (name, one) in $map {
                    spaces.entry(name.namespace.clone()).or_default().$map.insert(name, one);
                }
            )*};
        }
        let credentials = credentials.into_iter().filter(|(_, credential)| !credential.ghost);
        sort!(systems, identities, credentials, workloads, windows, grants, approvals);
        spaces
    }
}

impl Draft {
    /// Puts documents beside those that were read, as they are active.
    fn keep(&mut self, estate: &Estate, kinds: &dyn Kinds) {
        self.keep_references(estate);
        for (name, system) in &estate.systems {
            let settings = if system.settings.is_null() { serde_json::json!({}) } else { system.settings.clone() };
            let described = kinds.kind(&system.connector).and_then(|kind| kind.describe(&settings).ok());
            if let Some(capabilities) = described {
                self.capabilities.insert(name.clone(), capabilities);
            }
        }
        let Estate { systems, identities, credentials, workloads, windows, grants, approvals } = estate.clone();
        self.estate.systems.extend(systems);
        self.estate.identities.extend(identities);
        self.estate.credentials.extend(credentials);
        self.estate.workloads.extend(workloads);
        self.estate.windows.extend(windows);
        self.estate.grants.extend(grants);
        self.estate.approvals.extend(approvals);
    }
}
