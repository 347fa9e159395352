//! The program: one line of JSON in, one line of JSON out.
//!
//! ```text
//! {"policies": {"FILE": "TEXT", …}}                                   the first line
//! {"ready": 12}  or  {"refused": "why"}                               its answer; after a refusal it ends
//! {"caller", "party", "groups", "action", "resource", "now"}          every further line
//! {"allowed": true, "why": [{"policy", "words"}]}                     its answer
//! ```
//!
//! Guarantees: it opens no file, no socket and no program; a line that cannot be understood is answered with a denial; it
//! ends when its input does.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, Write as _};
use std::process::ExitCode;

use remint_core::gate::{Decider as _, Decision};
use remint_policy::{Policies, Question};
use serde::Deserialize;
use serde_json::{Value, json};

/// The first line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Opening {
    policies: BTreeMap<String, String>,
}

fn main() -> ExitCode {
    match converse() {
        Ok(code) => code,
        // Whoever asked is gone: nobody is left to tell.
        Err(_) => ExitCode::FAILURE,
    }
}

fn converse() -> io::Result<ExitCode> {
    let mut lines = io::stdin().lock().lines();
    let Some(first) = lines.next().transpose()? else { return Ok(ExitCode::SUCCESS) };
    let policies = match open(&first) {
        Ok(policies) => policies,
        Err(why) => {
            answer(&json!({ "refused": why }))?;
            return Ok(ExitCode::from(2));
        }
    };
    answer(&json!({ "ready": policies.len() }))?;
    for line in lines {
        let decision = match serde_json::from_str::<Question>(&line?) {
            Ok(asked) => {
                let Question { caller, party, groups, action, resource, now } = &asked;
                policies.decide(caller, party, groups, *action, resource, *now)
            }
            Err(error) => Decision::denied(format!("the question cannot be understood: {error}")),
        };
        answer(&json!(decision))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn open(line: &str) -> Result<Policies, String> {
    let opening: Opening = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let files = opening.policies.iter().map(|(file, text)| (file.as_str(), text.as_str()));
    Policies::parse(files).map_err(|error| error.to_string())
}

fn answer(value: &Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{value}")?;
    out.flush()
}
