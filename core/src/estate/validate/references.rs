//! Every reference leads to a document, and across namespaces only where a Grant allows it.

use remint_contract::{Kind, Name, Ref};

use crate::estate::derive::REMINT;
use crate::estate::fields::nearest;
use crate::estate::load::Draft;
use crate::estate::problem::Reporter;

pub(super) fn resolve(draft: &Draft, report: &mut Reporter<'_>) {
    for used in &draft.uses {
        let (from, to) = (&used.from, &used.to);
        if !draft.documents.contains_key(to) {
            report.error(used.span, Some(from), format!("{to} does not exist"), advice(draft, to));
        } else if from.kind != Kind::Grant && from.namespace != to.namespace && !granted(draft, &from.namespace, to) {
            let hint = format!(
                "put a Grant into the namespace {}: `spec: {{from: {}, to: [{to}]}}`",
                to.namespace, from.namespace
            );
            let message = format!("{to} is in another namespace, and no Grant lets {} refer to it", from.namespace);
            report.error(used.span, Some(from), message, hint);
        }
    }
}

fn granted(draft: &Draft, from: &Name, to: &Ref) -> bool {
    draft.estate.grants.values().any(|grant| {
        grant.meta.namespace == to.namespace
            && grant.from_namespace == *from
            && (grant.to.is_empty() || grant.to.contains(to))
    })
}

fn advice(draft: &Draft, to: &Ref) -> String {
    if to.kind == Kind::Workload && to.name.as_str() == REMINT && to.namespace == Name::default_namespace() {
        return "remove it: Remint adds itself as a reader of what it acts with".into();
    }
    // A name is looked for among thousands only when it is missing, and only among documents of its kind.
    let names = draft.documents.keys().filter(|one| one.kind == to.kind && one.namespace == to.namespace);
    if let Some(near) = nearest(to.name.as_str(), names.map(|one| one.name.as_str())) {
        return format!("did you mean `{near}`?");
    }
    if let Some(other) = draft.documents.keys().find(|one| one.kind == to.kind && one.name == to.name) {
        return format!("there is {other}: write `{}/{}`", other.namespace, other.name);
    }
    if draft.complete {
        "correct the name, or add the document".into()
    } else {
        "correct the name, or add the document; it may be the one that could not be read".into()
    }
}
