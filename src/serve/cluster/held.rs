//! What is said in a namespace that stays as it is active.
//!
//! Guarantees: whoever reads there is told of other namespaces only what his own documents and Grants name: no document of
//! another namespace that none of his refers to.

use std::collections::{BTreeMap, BTreeSet};

use remint_cluster::document;
use remint_contract::{Name, Ref};
use remint_core::estate::{Problem, Severity};

/// How much of what is wrong is told, in bytes.
const LONGEST: usize = 1000;

/// The words for each document and each namespace.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Held {
    /// What is wrong with a document, by its name.
    pub(super) documents: BTreeMap<String, Vec<String>>,
    /// Why the rest of a namespace stays, by its name.
    pub(super) spaces: BTreeMap<String, String>,
}

impl Held {
    pub(super) fn of(held: &BTreeMap<Name, Vec<Problem>>) -> Self {
        let mut said = Self::default();
        for (space, problems) in held {
            let mut why = Why::default();
            for problem in problems.iter().filter(|problem| problem.severity == Severity::Error) {
                let Some(foreign) = problem.subject.as_ref().filter(|subject| subject.namespace != *space) else {
                    let lacks = problem.to.as_ref().map(|to| &to.namespace);
                    let lacks = lacks.filter(|other| *other != space && held.contains_key(*other));
                    why.own(lacks);
                    if !problem.file.is_empty() {
                        let mut sentence = document::sentence(problem);
                        if let Some(other) = lacks {
                            sentence.push_str("; what stands there already does not count yet, because ");
                            sentence.push_str(&stays(other));
                        }
                        said.documents.entry(problem.file.clone()).or_default().push(sentence);
                    }
                    continue;
                };
                why.foreign(space, foreign, problem);
            }
            said.spaces.insert(space.to_string(), why.text());
        }
        said
    }
}

/// Why a namespace stays.
#[derive(Default)]
struct Why<'p> {
    /// Something in it is wrong by itself.
    alone: bool,
    /// Something in it lacks what these say, which stay as well.
    lacks: BTreeSet<&'p Name>,
    /// What of it is still referred to from where, and by how many.
    taken: BTreeMap<(&'p Ref, &'p Name), usize>,
    /// What is wrong with others beside it, as far as they may know; and with how many.
    beside: BTreeSet<&'p str>,
    others: usize,
}

impl<'p> Why<'p> {
    fn own(&mut self, lacks: Option<&'p Name>) {
        match lacks {
            Some(other) => drop(self.lacks.insert(other)),
            None => self.alone = true,
        }
    }

    fn foreign(&mut self, space: &Name, subject: &'p Ref, problem: &'p Problem) {
        // Whoever refers to what is here was let by a Grant that is, or was, here.
        if let Some(to) = problem.to.as_ref().filter(|to| to.namespace == *space) {
            *self.taken.entry((to, &subject.namespace)).or_default() += 1;
            return;
        }
        self.others += 1;
        let words = problem.message.split(|one: char| one.is_whitespace() || "(),;`".contains(one));
        if words.filter_map(|word| word.parse::<Ref>().ok()).all(|named| named.namespace == *space) {
            self.beside.insert(&problem.message);
        }
    }

    fn text(&self) -> String {
        let mut parts = Vec::new();
        if self.alone || self.lacks.is_empty() && self.taken.is_empty() && self.others == 0 {
            parts.push("another document of its namespace is invalid".to_owned());
        }
        let lacks = self.lacks.iter().map(|other| {
            format!("another document of its namespace needs what the namespace {other} says, and {}", stays(other))
        });
        parts.extend(lacks);
        parts.extend(self.taken.iter().map(|((to, from), count)| {
            let by = if *count == 1 { "a document".to_owned() } else { format!("{count} documents") };
            format!("{by} of the namespace {from} could not refer to {to} any more")
        }));
        if self.others > 0 {
            let with = if self.others == 1 { "a document".to_owned() } else { format!("{} documents", self.others) };
            let told: Vec<&str> = self.beside.iter().copied().collect();
            let told = if told.is_empty() { String::new() } else { format!(": {}", told.join("; ")) };
            parts.push(format!("it does not fit with {with} of another namespace{told}"));
        }
        let mut text = String::new();
        for part in parts {
            if text.len() > LONGEST {
                text.push_str("; and more");
                break;
            }
            if !text.is_empty() {
                text.push_str("; ");
            }
            text.push_str(&part);
        }
        text + "; a namespace changes as a whole"
    }
}

fn stays(space: &Name) -> String {
    format!("the namespace {space} stays as it is active: something in it is invalid")
}

#[cfg(test)]
mod tests {
    use remint_core::estate::{Estate, SourceFile, load_apart};

    use super::*;
    use crate::registry::Registry;

    type Spaces = BTreeMap<Name, Vec<SourceFile>>;

    fn document(space: &str, kind: &str, name: &str, spec: &str) -> (Name, SourceFile) {
        let text = format!(
            "apiVersion: remint.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}, namespace: {space}}}\nspec: {spec}\n"
        );
        let told = if space == "default" { format!("{kind}/{name}") } else { format!("{kind}/{space}/{name}") };
        (Name::new(space).unwrap(), SourceFile { name: told, bytes: text.into_bytes() })
    }

    fn spaces(all: &[(Name, SourceFile)]) -> Spaces {
        let mut spaces = Spaces::new();
        for (space, file) in all {
            spaces.entry(space.clone()).or_default().push(file.clone());
        }
        spaces
    }

    fn key(space: &str, at: &str) -> (Name, SourceFile) {
        let spec = format!(
            "{{type: key, identity: app, issuedBy: {{system: default/bank, target: {space}}}, \
             rotation: {{strategy: manual}}, deliveredTo: [{{at: \"default/shelf:{at}\"}}]}}"
        );
        document(space, "Credential", "key", &spec)
    }

    /// Two systems, and a tenant `a` who may use them.
    fn ground() -> Vec<(Name, SourceFile)> {
        let system =
            |name| document("default", "System", name, "{fake: {role: store, endpoints: [\"http://127.0.0.1:1\"]}}");
        let app = document("a", "Identity", "app", "{class: workload}");
        vec![system("bank"), system("shelf"), document("default", "Grant", "a", "{from: a}"), app, key("a", "a#K")]
    }

    fn said(next: &[(Name, SourceFile)]) -> Held {
        let active = load_apart(&spaces(&ground()), &Estate::default(), &Registry::new());
        assert!(active.held.is_empty(), "{:?}", active.held);
        let apart = load_apart(&spaces(next), &active.loaded.unwrap().estate, &Registry::new());
        Held::of(&apart.held)
    }

    #[test]
    fn what_lacks_a_grant_of_a_namespace_that_stays_is_told_which() {
        let mut next = ground();
        next.push(document("default", "Grant", "b", "{from: b}"));
        next.push(document("b", "Identity", "app", "{class: workload}"));
        next.push(key("b", "b#K"));
        // Nothing is wrong with b: the Grant that it needs stands in a namespace where something else is.
        next.push(document("default", "Identity", "odd", "{class: workload, colour: red}"));
        let said = said(&next);
        assert_eq!(said.spaces.keys().collect::<Vec<_>>(), ["b", "default"]);
        assert_eq!(
            said.spaces["b"],
            "another document of its namespace needs what the namespace default says, and the namespace default stays as \
             it is active: something in it is invalid; a namespace changes as a whole"
        );
        let why = &said.documents["Credential/b/key"].join("\n");
        assert!(why.contains("no Grant lets b refer to it (Credential/b/key): put a Grant into the namespace default"));
        assert!(why.ends_with(
            "does not count yet, because the namespace default stays as it is active: something in it is invalid"
        ));
        assert!(!said.spaces["b"].contains("odd") && !why.contains("odd"), "{said:?}");
        assert_eq!(
            said.spaces["default"],
            "another document of its namespace is invalid; a namespace changes as a whole"
        );
        // Without that it is b's own.
        let said = self::said(&[ground(), vec![key("b", "b#K")]].concat());
        assert_eq!(said.spaces["b"], "another document of its namespace is invalid; a namespace changes as a whole");
    }

    #[test]
    fn whoever_takes_something_away_is_told_from_which_namespace_and_no_name_there() {
        let mut next = ground();
        next.remove(2);
        let said = said(&next);
        assert_eq!(
            said.spaces["default"],
            "a document of the namespace a could not refer to System/bank any more; a document of the namespace a could \
             not refer to System/shelf any more; a namespace changes as a whole"
        );
        assert!(said.documents.is_empty(), "{said:?}");
    }

    #[test]
    fn of_whoever_is_nothing_to_him_a_tenant_learns_no_name() {
        let mut both = ground();
        both.push(document("default", "Grant", "b", "{from: b}"));
        both.push(document("b", "Identity", "app", "{class: workload}"));
        let other = [both.clone(), vec![key("b", "b#K")]].concat();
        let active = load_apart(&spaces(&other), &Estate::default(), &Registry::new());
        both[4] = key("a", "b#K");
        let next = [both, vec![key("b", "b#K")]].concat();
        let apart = load_apart(&spaces(&next), &active.loaded.unwrap().estate, &Registry::new());
        let said = Held::of(&apart.held);
        let why = &said.spaces["a"];
        assert!(
            why.starts_with("it does not fit with a document of another namespace: Credential/a/key is written to")
        );
        assert!(!why.contains("/b/") && !why.contains("namespace b"), "{why}");
    }
}
