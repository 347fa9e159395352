//! `k8s definitions` and `k8s leave`: what the Jobs of the chart run.

use crate::cli::output::say;
use crate::cli::{Exit, Failure, Session};
use crate::config::Configuration;
use crate::serve::{ClusterAt, define, held};

/// How many are named; the rest is counted.
const NAMED: usize = 20;

/// The cluster that the state's configuration names.
pub(super) fn at(session: &Session) -> Result<ClusterAt, Failure> {
    Ok(Configuration::read(&session.places()?.state)?.kubernetes.unwrap_or_default())
}

pub(super) async fn definitions(session: &Session) -> Result<Exit, Failure> {
    let count = define(&at(session)?).await.map_err(|error| Failure::new(Exit::Unreachable, error))?;
    say(&format!("{count} definitions are what this version knows\n"));
    Ok(Exit::Done)
}

pub(super) async fn leave(session: &Session) -> Result<Exit, Failure> {
    let held = held(&at(session)?).await.map_err(|error| Failure::new(Exit::Unreachable, error))?;
    if held.is_empty() {
        say("Nothing is held: the operator may go\n");
        return Ok(Exit::Done);
    }
    let mut names: Vec<String> = held.iter().take(NAMED).map(ToString::to_string).collect();
    if held.len() > NAMED {
        names.push(format!("and {} more", held.len() - NAMED));
    }
    let (count, first) = (held.len(), &held[0]);
    let them = match count {
        1 => "1 Credential is held, because what it stands for lives. Without the operator its object".to_owned(),
        _ => format!(
            "{count} Credentials are held, because what they stand for lives. Without the operator no object of them"
        ),
    };
    say(&format!(
        "{them} can be deleted, nor its namespace:\n  {}\n\
         Next: remint k8s release {first}, or for all of them\n  \
         kubectl annotate credentials --all --all-namespaces remint.dev/release=true\nthen uninstall again; to go at once: helm uninstall --no-hooks\n",
        names.join("\n  ")
    ));
    Ok(Exit::Refused)
}
