//! Every reference leads to a document, and across namespaces only where a Grant allows it.

use std::collections::BTreeMap;

use remint_contract::{Kind, Name, Ref};

use crate::estate::derive::REMINT;
use crate::estate::fields::nearest;
use crate::estate::load::Draft;
use crate::estate::model::Grant;
use crate::estate::problem::Reporter;

/// A name is searched for among all others for this many problems; a thousand more would take long and help nobody.
const SEARCHES: usize = 100;

/// References that lead nowhere.
pub(super) fn lost(draft: &Draft, report: &mut Reporter<'_>) {
    let mut searches = 0;
    for used in &draft.uses {
        let (from, to) = (&used.from, &used.to);
        if !draft.has(to) {
            searches += 1;
            let hint = if searches > SEARCHES { plain(draft) } else { advice(draft, to) };
            report.reference(used.span, [from, to], format!("{to} does not exist"), hint);
        }
    }
}

/// References into another namespace that no Grant allows.
pub(super) fn granted(draft: &Draft, report: &mut Reporter<'_>) {
    let mut grants: BTreeMap<(&Name, &Name), Vec<&Grant>> = BTreeMap::new();
    for grant in draft.estate.grants.values() {
        grants.entry((&grant.from_namespace, &grant.meta.namespace)).or_default().push(grant);
    }
    let granted = |from: &Name, to: &Ref| {
        let given = grants.get(&(from, &to.namespace));
        given.into_iter().flatten().any(|grant| grant.to.is_empty() || grant.to.contains(to))
    };
    for used in &draft.uses {
        let (from, to) = (&used.from, &used.to);
        let foreign = from.kind != Kind::Grant && from.namespace != to.namespace;
        if foreign && draft.has(to) && !granted(&from.namespace, to) {
            let hint = format!(
                "put a Grant into the namespace {}: `spec: {{from: {}, to: [{to}]}}`",
                to.namespace, from.namespace
            );
            let message = format!("{to} is in another namespace, and no Grant lets {} refer to it", from.namespace);
            report.reference(used.span, [from, to], message, hint);
        }
    }
}

fn advice(draft: &Draft, to: &Ref) -> String {
    if to.kind == Kind::Workload && to.name.as_str() == REMINT && to.namespace == Name::default_namespace() {
        return "remove it: Remint adds itself as a reader of what it acts with".into();
    }
    let names = draft.documents.keys().filter(|one| one.kind == to.kind && one.namespace == to.namespace);
    if let Some(near) = nearest(to.name.as_str(), names.map(|one| one.name.as_str())) {
        return format!("did you mean `{near}`?");
    }
    if let Some(other) = draft.documents.keys().find(|one| one.kind == to.kind && one.name == to.name) {
        return format!("there is {other}: write `{}/{}`", other.namespace, other.name);
    }
    plain(draft)
}

fn plain(draft: &Draft) -> String {
    if draft.complete {
        "correct the name, or add the document".into()
    } else {
        "correct the name, or add the document; it may be the one that could not be read".into()
    }
}
