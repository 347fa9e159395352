//! The settings of an `exec` system: which command, how long, and what it was approved to be able to do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use remint_contract::{
    Capabilities, ConfirmGrade, ConsumerCapabilities, IssuerCapabilities, MadeBy, ProbeCost, SettingProblem, Slots,
    StoreCapabilities, Strategy, Verb,
};
use serde::Deserialize;

/// The settings, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    /// A name of the daemon's configuration.
    pub(crate) command: String,
    pub(crate) timeout: Duration,
    /// Handed to the program as they are.
    pub(crate) settings: serde_json::Value,
    pub(crate) declares: Declared,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Written {
    command: String,
    timeout_seconds: Option<u64>,
    #[serde(default)]
    settings: serde_json::Value,
    declares: Declared,
}

/// What a program can do, as the document writes it and as the program answers `describe`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Declared {
    verbs: BTreeSet<Verb>,
    issuer: Option<Issuer>,
    store: Option<Store>,
    consumer: Option<Consumer>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Issuer {
    slots: Slots,
    made_by: MadeBy,
    probe: ProbeCost,
    #[serde(default)]
    propagation_seconds: u64,
    /// With the calls that one rotation costs the system behind the program.
    strategies: BTreeMap<Strategy, u32>,
    endpoints: Vec<String>,
    verifies_at: Option<usize>,
    #[serde(default)]
    reversible_disable: bool,
    #[serde(default)]
    dies_with_issuer: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Store {
    compare_and_set: bool,
    staged: bool,
    versioned: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Consumer {
    grades: BTreeSet<ConfirmGrade>,
}

impl Config {
    /// # Errors
    /// Every problem of the settings.
    pub(crate) fn read(settings: &serde_json::Value) -> Result<Self, Vec<SettingProblem>> {
        let written = Written::deserialize(settings).map_err(|error| vec![problem(&[], error.to_string())])?;
        let seconds = written.timeout_seconds.unwrap_or(TIMEOUT);
        let mut problems = written.declares.problems();
        if !(1..=LONGEST).contains(&seconds) {
            problems.push(problem(&["timeoutSeconds"], format!("write 1 to {LONGEST} seconds")));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self {
            command: written.command,
            timeout: Duration::from_secs(seconds),
            settings: written.settings,
            declares: written.declares,
        })
    }
}

impl Declared {
    /// Roles without the verbs that make them.
    fn problems(&self) -> Vec<SettingProblem> {
        let mut problems = Vec::new();
        let mut needs = |role: &'static str, declared: bool, verbs: &[Verb]| {
            for verb in verbs.iter().filter(|verb| declared && !self.verbs.contains(verb)) {
                problems.push(problem(&["declares", "verbs"], format!("{role} needs {verb}")));
            }
        };
        needs("every program", true, &[Verb::Check]);
        let issues = [Verb::Mint, Verb::Verify, Verb::Probe, Verb::Revoke, Verb::Recover];
        needs("an issuer", self.issuer.is_some(), &issues);
        needs("a store", self.store.is_some(), &[Verb::Write, Verb::Read]);
        needs("a store that stages", self.store.as_ref().is_some_and(|store| store.staged), &[Verb::Promote]);
        needs("a consumer host", self.consumer.is_some(), &[Verb::Observe]);
        if let Some(issuer) = &self.issuer {
            if issuer.endpoints.is_empty() {
                let message = "name every place where the credential is accepted".to_owned();
                problems.push(problem(&["declares", "issuer", "endpoints"], message));
            }
            if issuer.strategies.is_empty() {
                let message = "write at least one strategy with its calls, like {overlap: 3}".to_owned();
                problems.push(problem(&["declares", "issuer", "strategies"], message));
            }
            if issuer.verifies_at.is_some_and(|at| at >= issuer.endpoints.len()) {
                problems.push(problem(&["declares", "issuer", "verifiesAt"], "no endpoint has that index".to_owned()));
            }
        }
        problems
    }

    pub(crate) fn has(&self, verb: Verb) -> bool {
        self.verbs.contains(&verb)
    }

    /// The declared name of an endpoint.
    pub(crate) fn endpoint(&self, index: usize) -> Option<&str> {
        self.issuer.as_ref()?.endpoints.get(index).map(String::as_str)
    }

    /// Which part of `said` is not as declared here.
    pub(crate) fn differs(&self, said: &Self) -> Option<&'static str> {
        let parts = [
            ("verbs", self.verbs == said.verbs),
            ("issuer", self.issuer == said.issuer),
            ("store", self.store == said.store),
            ("consumer", self.consumer == said.consumer),
        ];
        parts.into_iter().find(|(_, same)| !same).map(|(part, _)| part)
    }

    pub(crate) fn capabilities(&self) -> Capabilities {
        Capabilities {
            verbs: self.verbs.clone(),
            issuer: self.issuer.as_ref().map(|issuer| IssuerCapabilities {
                slots: issuer.slots,
                made_by: issuer.made_by,
                probe: issuer.probe,
                propagation: Duration::from_secs(issuer.propagation_seconds),
                strategies: issuer.strategies.keys().copied().collect(),
                endpoints: issuer.endpoints.clone(),
                verifies_at: issuer.verifies_at,
                reversible_disable: issuer.reversible_disable,
                dies_with_issuer: issuer.dies_with_issuer,
                calls: issuer.strategies.iter().map(|(strategy, calls)| (*strategy, *calls)).collect(),
            }),
            store: self.store.as_ref().map(|store| StoreCapabilities {
                compare_and_set: store.compare_and_set,
                staged: store.staged,
                versioned: store.versioned,
                own_login: false,
            }),
            consumer: self.consumer.as_ref().map(|consumer| ConsumerCapabilities { grades: consumer.grades.clone() }),
        }
    }
}

fn problem(path: &[&str], message: String) -> SettingProblem {
    SettingProblem { path: path.iter().map(|key| (*key).to_owned()).collect(), message }
}

/// How long a call may take when the document does not say.
const TIMEOUT: u64 = 30;
const LONGEST: u64 = 600;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_problem_of_the_settings_is_named() {
        let issuer = json!({"slots": "many", "madeBy": "remint", "probe": "free", "strategies": {}, "endpoints": [],
            "verifiesAt": 0});
        let settings = json!({"command": "office", "timeoutSeconds": 0,
            "declares": {"verbs": ["check", "mint", "verify", "probe", "recover"], "issuer": issuer}});
        let problems = Config::read(&settings).unwrap_err();
        let paths: Vec<_> = problems.iter().map(|problem| problem.path.join(".")).collect();
        let issuer = ["endpoints", "strategies", "verifiesAt"].map(|key| format!("declares.issuer.{key}"));
        assert_eq!(paths[0], "declares.verbs");
        assert_eq!(paths[1..4], issuer);
        assert_eq!(paths[4..], ["timeoutSeconds"]);
    }

    #[test]
    fn a_document_cannot_bring_its_own_program() {
        let declares = json!({"verbs": ["check"]});
        for more in ["program", "arguments", "environment"] {
            let mut settings = json!({"command": "office", "declares": declares});
            assert!(Config::read(&settings).is_ok());
            settings[more] = json!("/bin/sh");
            assert!(Config::read(&settings).is_err(), "{more}");
        }
    }
}
