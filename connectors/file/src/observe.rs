//! Which value a workload says it uses.
//!
//! The workload answers `{"fingerprint": "sha256:…"}`, over HTTP on this machine or in a status file below the root.
//! What it says is its own word: the grade is always `self-reported`.

use std::path::{Path, PathBuf};

use remint_contract::{ConfirmGrade, Error, ErrorKind, Expected, Observation, Seen, Verb, Workload};
use serde::Deserialize;

use crate::connector::blocking;
use crate::http;
use crate::place::Place;
use crate::settings::{self, Confirm};

pub(crate) async fn observe(root: &Path, workload: &Workload, expected: &Expected) -> Result<Observation, Error> {
    let how = settings::confirm(workload)?.ok_or_else(|| {
        let message = "the workload's document does not say how it reports the value in use";
        Error::new(ErrorKind::Unsupported, Verb::Observe, message).with("workload", workload.name.clone())
    })?;
    let answer = match how {
        Confirm::Http { url } => http::ask(Verb::Observe, hyper::Method::GET, &url).await?.to_vec(),
        Confirm::File { path } => {
            let root = PathBuf::from(root);
            blocking(Verb::Observe, move || {
                Ok(Place::open(&root, &path, Verb::Observe)?
                    .content()?
                    .map(|content| content.bytes.to_vec())
                    .unwrap_or_default())
            })
            .await?
        }
    };
    Ok(Observation { seen: seen(&answer, expected), grade: ConfirmGrade::SelfReported })
}

#[derive(Deserialize)]
struct Report {
    fingerprint: Option<String>,
}

/// An answer without a fingerprint is nothing, not an error: the workload may be starting.
fn seen(answer: &[u8], expected: &Expected) -> Seen {
    match serde_json::from_slice::<Report>(answer).ok().and_then(|report| report.fingerprint) {
        None => Seen::Nothing,
        Some(fingerprint) if fingerprint == expected.new => Seen::New,
        Some(fingerprint) if Some(&fingerprint) == expected.old.as_ref() => Seen::Old,
        Some(_) => Seen::Other,
    }
}
