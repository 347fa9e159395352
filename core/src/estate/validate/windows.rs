//! Windows and the credentials that they select.

use crate::estate::load::Draft;
use crate::estate::problem::Reporter;

/// A credential whose offset is past the end of a window would never be replaced in it.
pub(super) fn offsets(draft: &Draft, report: &mut Reporter<'_>) {
    let estate = &draft.estate;
    let late = estate
        .credentials
        .iter()
        .filter_map(|(name, credential)| Some((name, credential, credential.rotation.offset?)));
    for (name, credential, offset) in late {
        let short = |(_, window): &(_, &crate::estate::RotationWindow)| {
            window.duration <= offset && window.selects(estate, credential)
        };
        if let Some((window, _)) = estate.windows.iter().find(short) {
            let span = draft.at(name, &["spec", "rotation", "offset"]);
            let message = format!("{window} is over before the `offset` of this credential");
            report.error(span, Some(name), message, "write a shorter `offset`, or a longer `duration` of the window");
        }
    }
}

/// A window that selects nothing says something else than was meant.
pub(super) fn empty(draft: &Draft, report: &mut Reporter<'_>) {
    let estate = &draft.estate;
    for (name, window) in &estate.windows {
        if !estate.credentials.values().any(|credential| window.selects(estate, credential)) {
            let hint = "correct `select`, or remove the window; it selects in its own namespace only";
            report.warn(draft.at(name, &["spec", "select"]), Some(name), "this window selects no credential", hint);
        }
    }
}
