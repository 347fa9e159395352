//! Where values lie: one source of truth for each credential, one credential for each field.

use std::collections::BTreeMap;

use remint_contract::{Location, Ref, WHOLE};

use crate::estate::load::Draft;
use crate::estate::problem::{Reporter, Span};

pub(super) fn sources(draft: &Draft, report: &mut Reporter<'_>) {
    for (name, credential) in &draft.estate.credentials {
        let mut sources = (0_usize..).zip(&credential.delivered_to).filter(|(_, place)| place.source);
        let first = sources.next();
        for (index, _) in sources {
            let span = place_of(draft, name, index, "source");
            let hint = "keep `source: true` at the one place where the old value is captured from";
            report.error(span, Some(name), "a second place says it is the source of truth", hint);
        }
        if first.is_none() && credential.delivered_to.len() > 1 {
            let span = draft.at(name, &["spec", "deliveredTo"]);
            let hint = "add `source: true` to the one where the old value is captured from";
            report.error(span, Some(name), "it lies in several places, and none is the source of truth", hint);
        }
    }
}

/// [`WHOLE`] stands for the whole path, and covers every field of it.
pub(super) fn overlaps(draft: &Draft, report: &mut Reporter<'_>) {
    let mut taken: BTreeMap<&Location, BTreeMap<&str, (&Ref, Span)>> = BTreeMap::new();
    for (name, credential) in &draft.estate.credentials {
        for (index, place) in credential.delivered_to.iter().enumerate() {
            let span = place_of(draft, name, index, "at");
            let fields = taken.entry(&place.at).or_default();
            for field in place.fields.keys() {
                let clash = match fields.get(field.as_str()).or_else(|| fields.get(WHOLE)) {
                    None if field == WHOLE => fields.values().next(),
                    found => found,
                };
                if let Some((other, first)) = clash {
                    let place = if field == WHOLE { place.at.to_string() } else { format!("{}#{field}", place.at) };
                    let message = format!("{other} is written to {place} too ({})", report.place(*first));
                    report.error(span, Some(name), message, "give each credential a field of its own");
                } else {
                    fields.insert(field, (name, span));
                }
            }
        }
    }
}

fn place_of(draft: &Draft, name: &Ref, index: usize, key: &str) -> Span {
    draft.at(name, &["spec", "deliveredTo", &index.to_string(), key])
}
