//! Text → estate.
//!
//! Flow: cut files into documents, parse each alone, withhold pasted secrets, read envelopes, read specs, check
//! references, check what only the whole can show, derive Remint itself. Every stage goes on past a problem, so that one
//! call reports all of them.
//!
//! Guarantees: no input panics, recurses deeper than the parser's fixed depth, or takes more than about linear time; no
//! problem quotes a value that has the shape of a secret.

use std::collections::{BTreeMap, BTreeSet};

use remint_contract::{Capabilities, Kinds, Ref};

use super::decode::{self, Document, Typed};
use super::fields::Use;
use super::model::Estate;
use super::node;
use super::pasted;
use super::problem::{Problem, Problems, Reporter, Span};
use super::source::{self, SourceFile};
use super::{derive, validate};

/// An estate that may be used.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub estate: Estate,
    /// What somebody should look at: missing owners, credentials that nobody reads.
    pub notes: Vec<Problem>,
}

/// Everything that was read, for the checks across documents.
pub(super) struct Draft {
    pub(super) estate: Estate,
    /// Every document that has a name, also those whose spec is wrong.
    pub(super) documents: BTreeMap<Ref, Document>,
    /// What each system's connector can do, where its settings could be read.
    pub(super) capabilities: BTreeMap<Ref, Capabilities>,
    pub(super) uses: Vec<Use>,
    /// What is there beside the documents, with no place in any text.
    pub(super) kept: BTreeSet<Ref>,
    /// False when some document has no readable name: a reference to it must not be called dangling so surely.
    pub(super) complete: bool,
}

/// Reads an estate from text.
///
/// # Errors
/// All problems of all files, sorted by place.
pub fn load(files: &[SourceFile], kinds: &dyn Kinds) -> Result<Loaded, Problems> {
    let mut report = Reporter::new(files.iter().map(|file| file.name.as_str()).collect());
    let draft = read(files, kinds, &mut report);
    finish(draft, kinds, report)
}

/// Looks at the whole of what was read.
pub(super) fn finish(mut draft: Draft, kinds: &dyn Kinds, mut report: Reporter<'_>) -> Result<Loaded, Problems> {
    validate::all(&draft, kinds, &mut report);
    if report.has_errors() {
        return Err(Problems(report.finish()));
    }
    derive::derive_remint(&mut draft.estate);
    Ok(Loaded { estate: draft.estate, notes: report.finish() })
}

/// Reads what can be read, and reports what cannot.
pub(super) fn read(files: &[SourceFile], kinds: &dyn Kinds, report: &mut Reporter<'_>) -> Draft {
    let mut complete = true;
    let mut chunks = Vec::new();
    for (index, file) in files.iter().enumerate() {
        complete &= source::cut(index, file, &mut chunks, report);
    }
    let mut documents: BTreeMap<Ref, Document> = BTreeMap::new();
    for chunk in chunks {
        let Some(mut tree) = node::parse(&chunk, report) else {
            pasted::scan_lines(chunk.file, chunk.first_line, chunk.text, report);
            complete = false;
            continue;
        };
        pasted::withhold(&mut tree, report);
        let Some(document) = decode::envelope(tree, report) else {
            complete = false;
            continue;
        };
        let span = document.node.at(["metadata", "name"]);
        if let Some(first) = documents.get(&document.reference) {
            let place = report.place(first.node.at(["metadata", "name"]));
            let hint = format!("it stands at {place} already: rename or remove one of them");
            report.error(span, Some(&document.reference), "the name is given twice", hint);
            // Its spec is looked at all the same.
            decode::spec(&document, kinds, &mut Vec::new(), report);
        } else {
            documents.insert(document.reference.clone(), document);
        }
    }
    let mut draft = Draft {
        estate: Estate::default(),
        documents: BTreeMap::new(),
        capabilities: BTreeMap::new(),
        uses: Vec::new(),
        kept: BTreeSet::new(),
        complete,
    };
    for document in documents.values() {
        if let Some(typed) = decode::spec(document, kinds, &mut draft.uses, report) {
            draft.take(document.reference.clone(), typed);
        }
    }
    draft.documents = documents;
    draft
}

impl Draft {
    fn take(&mut self, reference: Ref, typed: Typed) {
        let estate = &mut self.estate;
        match typed {
            Typed::System(system, capabilities) => {
                if let Some(capabilities) = capabilities {
                    self.capabilities.insert(reference.clone(), capabilities);
                }
                estate.systems.insert(reference, system);
            }
            Typed::Identity(identity) => drop(estate.identities.insert(reference, identity)),
            Typed::Credential(credential) => drop(estate.credentials.insert(reference, credential)),
            Typed::Workload(workload) => drop(estate.workloads.insert(reference, workload)),
            Typed::Window(window) => drop(estate.windows.insert(reference, window)),
            Typed::Grant(grant) => drop(estate.grants.insert(reference, grant)),
            Typed::Approval(policy) => drop(estate.approvals.insert(reference, policy)),
        }
    }

    /// The place of a document's key, or of what of it exists.
    pub(super) fn at(&self, reference: &Ref, path: &[&str]) -> Span {
        self.documents.get(reference).map_or(Span::NOWHERE, |document| document.node.at(path.iter().copied()))
    }

    /// True for what is a document, or was one when the active estate was made.
    pub(super) fn has(&self, reference: &Ref) -> bool {
        self.documents.contains_key(reference) || self.kept.contains(reference)
    }

    /// What documents of the active estate are called, and what they refer to.
    pub(super) fn keep_references(&mut self, estate: &Estate) {
        let uses = estate.references();
        let uses = uses.map(|(from, to)| Use { span: Span::NOWHERE, from: from.clone(), to: to.clone() });
        self.uses.extend(uses);
        self.kept.extend(estate.names().cloned());
    }
}
