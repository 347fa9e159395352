//! `policy check|stage|explain`: who may do what.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use remint_contract::HostRules;
use remint_core::approval::Party;
use remint_core::digest::Digest;
use remint_core::gate::{Action, Caller, Decision, Entrance, Question, Resource, Scope};
use serde_json::json;

use crate::app::AppError;
use crate::cli::output::{data, json, next, say, table};
use crate::cli::{Exit, Failure, Session, caller};
use crate::engine::EngineSettings;
use crate::escrow::SystemRandomness;
use crate::govern::{Charter, GateError, PersonKey, Program, named, thing};

#[derive(Debug, Subcommand)]
pub(super) enum Policy {
    /// Read a folder of policies and its table of persons; needs no state
    Check {
        /// The folder: *.cedar and persons.yaml
        folder: PathBuf,
    },
    /// Propose a folder as what governs this state, or consent to it as the second person
    Stage { folder: PathBuf },
    /// Make your own key for approvals that anybody can check; the public half goes into persons.yaml. Needs no state
    Key {
        /// Where to write it; nobody else may read it
        file: PathBuf,
        /// Your name in the table of persons
        #[arg(long, value_name = "NAME")]
        person: String,
    },
    /// What would be decided for a principal, and by which policies; nothing is recorded
    Explain(Explain),
}

#[derive(Debug, Args)]
pub(super) struct Explain {
    /// Who: unix:1000, token:NAME, oidc:ISSUER|SUBJECT. Default: you
    #[arg(long, value_name = "KIND:NAME")]
    principal: Option<String>,
    /// What: request, approve, execute, change-estate, …
    #[arg(long)]
    pub(super) action: Action,
    /// To which thing: a reset's id, Credential/NAME, or estate, store, policy, keys, log
    #[arg(long, value_name = "THING", default_value = "estate")]
    on: String,
    /// Through which entrance: cli, socket, loopback, api, window
    #[arg(long, default_value = "cli")]
    entrance: Entrance,
    /// By the policies of this folder, without a state
    #[arg(long, value_name = "FOLDER")]
    charter: Option<PathBuf>,
}

impl Policy {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        match self {
            Self::Check { folder } => check(session, &folder).await,
            Self::Stage { folder } => stage(session, &folder).await,
            Self::Key { file, person } => key(session, &file, &person),
            Self::Explain(explain) => explain.run(session).await,
        }
    }
}

async fn check(session: &Session, folder: &std::path::Path) -> Result<Exit, Failure> {
    let charter = Charter::read(folder).map_err(AppError::from)?;
    let persons = charter.table().map_err(|error| Failure::usage(error.to_string()))?.persons().count();
    if let Err(error) = Program::new(Program::beside(), &charter).check().await {
        return Err(Failure::new(Exit::Usage, error));
    }
    let digest = charter.digest();
    if session.json() {
        json(&json!({ "valid": true, "digest": digest, "files": charter.policies.len(), "persons": persons }))?;
        return Ok(Exit::Done);
    }
    say(&format!("Valid: {} files of policies, {persons} persons. Charter {digest}", charter.policies.len()));
    next("remint policy stage FOLDER, then the same by a second person");
    Ok(Exit::Done)
}

fn key(session: &Session, file: &std::path::Path, person: &str) -> Result<Exit, Failure> {
    let public = PersonKey::create(file, person, &SystemRandomness)?.public();
    if session.json() {
        json(&json!({ "file": file, "key": public }))?;
    } else {
        data(&public);
        say(&format!("Above is the public half; {} is yours alone.", file.display()));
        next(&format!("two persons add it under {person}.keys in persons.yaml: remint policy stage FOLDER"));
    }
    Ok(Exit::Done)
}

async fn stage(session: &Session, folder: &std::path::Path) -> Result<Exit, Failure> {
    let charter = Charter::read(folder).map_err(AppError::from)?;
    let app = session.open(HostRules::default(), EngineSettings::default()).await?;
    if !app.gate.governed() {
        let why = "this state has one operator and no policies; a new state is governed: remint init --charter FOLDER";
        return Err(Failure::new(Exit::Refused, why));
    }
    // The gate was passed when the state was opened.
    let passed = app.passed.as_ref().ok_or_else(|| Failure::usage("nobody is known to change policies"))?;
    let active = app.gate.change_charter(passed, &charter).await?;
    app.sequencer.flush().await.map_err(|error| Failure::new(Exit::Failed, error))?;
    staged(session, charter.digest(), active, &passed.by)
}

/// What became of a charter.
pub(super) fn staged(session: &Session, digest: Digest, active: bool, by: &str) -> Result<Exit, Failure> {
    if session.json() {
        json(&json!({ "charter": digest, "active": active }))?;
    }
    if active {
        say(&format!("Active: charter {digest}"));
        return Ok(Exit::Done);
    }
    say(&format!("Staged: charter {digest}, by {by}. It becomes active when a second person stages the same."));
    next("somebody else: remint policy stage FOLDER");
    Ok(Exit::Refused)
}

impl Explain {
    async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let principal = self.principal.clone().unwrap_or_else(|| caller().principal);
        let asker = Caller::plain(principal, self.entrance);
        let (party, groups, resource, decision) = match &self.charter {
            Some(folder) => {
                let charter = Charter::read(folder).map_err(AppError::from)?;
                let people = charter.table().map_err(|error| Failure::usage(error.to_string()))?;
                let program = Program::new(Program::beside(), &charter);
                program.check().await.map_err(GateError::from)?;
                let party = people.party(&asker.principal);
                let groups = people.groups(&party);
                let resource = thing(&self.on)
                    .unwrap_or_else(|| Resource::Reset(Scope { id: self.on.clone(), ..Scope::default() }));
                let now = session.context.clock.now();
                let (action, caller) = (self.action, asker);
                let question = Question {
                    caller,
                    party: party.clone(),
                    groups: groups.clone(),
                    action,
                    resource: resource.clone(),
                    now,
                };
                let decision = program.decide(&question).await;
                (party, groups, resource, decision)
            }
            None => {
                let app = session.open(HostRules::default(), EngineSettings::default()).await?;
                if !app.gate.governed() {
                    say("This state has one operator: whoever holds it may do everything.");
                    return Ok(Exit::Done);
                }
                let resource = named(&app.engine, &self.on).await?;
                let (party, groups, decision) = app.gate.explain(&asker, self.action, &resource).await?;
                (party, groups, resource, decision)
            }
        };
        show(session, self.action, &party, &groups, &resource.to_string(), &decision)
    }

    /// As a daemon is asked; `None`: it needs none.
    pub(super) fn query(&self) -> Option<String> {
        if self.charter.is_some() {
            return None;
        }
        let mut words = vec![
            ("action", self.action.word().to_owned()),
            ("on", self.on.clone()),
            ("entrance", self.entrance.word().to_owned()),
        ];
        words.extend(self.principal.clone().map(|principal| ("principal", principal)));
        let url = reqwest::Url::parse_with_params("http://localhost/", &words).ok()?;
        url.query().map(str::to_owned)
    }
}

/// What was decided.
pub(super) fn show(
    session: &Session,
    action: Action,
    party: &Party,
    groups: &BTreeSet<String>,
    resource: &str,
    decision: &Decision,
) -> Result<Exit, Failure> {
    if session.json() {
        json(&json!({
            "principal": party.principal(), "person": party.person(), "groups": groups, "action": action.word(),
            "resource": resource, "allowed": decision.allowed, "why": decision.why,
        }))?;
    } else {
        let yes = if decision.allowed { "allowed" } else { "DENIED" };
        say(&format!("{party} {action} {resource}: {yes}"));
        if !groups.is_empty() {
            say(&format!("In the groups: {}", groups.iter().map(String::as_str).collect::<Vec<_>>().join(", ")));
        }
        data(&table(["policy", "says"], decision.why.iter().map(|why| [why.policy.clone(), why.words.clone()])));
    }
    Ok(if decision.allowed { Exit::Done } else { Exit::Refused })
}
