//! The connector itself: hands every verb to a run of the program.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use remint_contract::{
    Call, Capabilities, Connector, ConnectorKind, Derived, Ended, Error, ErrorKind, Expected, HostRules, Intent, Live,
    Material, MintRequest, Minted, Observation, ReadBack, Recovered, RightsChange, SettingProblem, Target, Use, Verb,
    Verdict, Verified, VersionId, Workload, WriteRequest, Written,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::config::{Config, Declared};
use crate::error::{failed, hands_out, not_understood, refused};
use crate::program::{Disagreement, Program, converse};
use crate::redact::Told;
use crate::wire::{Answer, Bearer, Done, Greeting, Held, Made, Outcome, OutcomeKind, PROTOCOL, Request, Sent, With};

/// The kind `exec`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExecKind;

/// One system behind a program.
#[derive(Debug)]
struct Exec {
    config: Config,
    program: Program,
}

impl ConnectorKind for ExecKind {
    fn name(&self) -> &'static str {
        "exec"
    }

    fn describe(&self, settings: &serde_json::Value) -> Result<Capabilities, Vec<SettingProblem>> {
        Config::read(settings).map(|config| config.declares.capabilities())
    }

    fn open(&self, settings: &serde_json::Value, rules: &HostRules) -> Result<Arc<dyn Connector>, Error> {
        let config = Config::read(settings).map_err(Error::settings)?;
        let command = rules.commands.get(&config.command).and_then(|command| command.split_first());
        let (path, arguments) = command.ok_or_else(|| {
            let message =
                "the daemon's configuration has no command of that name; it is added there, not in a document";
            Error::new(ErrorKind::Invalid, Verb::Check, message).with("command", config.command.clone())
        })?;
        let program = Program { path: path.clone(), arguments: arguments.to_vec() };
        Ok(Arc::new(Exec { config, program }))
    }
}

impl Exec {
    /// One verb: greet, compare, ask, and read the answer.
    async fn ask<T: DeserializeOwned>(&self, call: &Call, verb: Verb, told: Told, with: With<'_>) -> Result<T, Error> {
        let named = |error: Error| error.with("command", self.config.command.clone());
        if !self.config.declares.has(verb) {
            return Err(named(Error::unsupported(verb)));
        }
        let system = &self.config.settings;
        let greeting = line(verb, &Greeting { protocol: PROTOCOL, verb: "describe", system }).map_err(named)?;
        let actor = call.actor.as_deref();
        let request = Request {
            protocol: PROTOCOL,
            verb,
            operation: &call.operation,
            deadline: call.deadline,
            system,
            actor: actor.map(Bearer::from),
            with,
        };
        let request = line(verb, &request).map_err(named)?;
        let told = told.material(actor);
        let agrees = |line: &[u8]| self.agrees(line);
        let (result, complaint) = converse(&self.program, self.config.timeout, &greeting, agrees, &request).await;
        let complain = |error: Error| {
            let words = complaint.as_deref().filter(|text| !text.is_empty() && !hands_out(verb));
            match words {
                Some(text) => error.with("stderr", told.words(&String::from_utf8_lossy(text))),
                None => error,
            }
        };
        let answered = result.map_err(|failure| complain(named(failed(verb, failure))))?;
        // Its own words name the bytes that it stumbled on, which may be a secret's: only the place is told.
        let answer: Answer<T> = serde_json::from_slice(&answered.line).map_err(|error| {
            let message =
                format!("the program's answer is not as protocol.schema.json says, at byte {}", error.column());
            complain(named(not_understood(verb, message)))
        })?;
        match answer {
            Answer { ok: None, error: Some(refusal) } => Err(complain(named(refused(verb, &told, &refusal)))),
            Answer { ok: Some(_), error: None } if !answered.status.success() => {
                let message = format!("the program answered and then failed: {}", answered.status);
                Err(complain(named(not_understood(verb, message))))
            }
            Answer { ok: Some(_), error: None } if !hands_out(verb) && told.is_in(&answered.line) => {
                Err(named(not_understood(verb, "the program's answer repeats a secret that it was told")))
            }
            Answer { ok: Some(ok), error: None } => Ok(ok),
            Answer { .. } => {
                Err(named(not_understood(verb, "the program's answer has neither or both of ok and error")))
            }
        }
    }

    /// Is the program what the document declares?
    fn agrees(&self, line: &[u8]) -> Result<(), Disagreement> {
        let invalid = |message: String| Disagreement { kind: ErrorKind::Invalid, message };
        let answer: Answer<Declared> = serde_json::from_slice(line)
            .map_err(|error| invalid(format!("the program's answer to describe cannot be read: {error}")))?;
        match answer {
            Answer { ok: Some(said), error: None } => match self.config.declares.differs(&said) {
                None => Ok(()),
                Some(part) => Err(invalid(format!(
                    "the program says other {part} in its answer to describe than the document declares; nothing was asked of it"
                ))),
            },
            Answer { ok: None, error: Some(refusal) } => {
                Err(Disagreement { kind: refusal.kind, message: Told::default().words(&refusal.message) })
            }
            Answer { .. } => {
                Err(invalid("the program's answer to describe has neither or both of ok and error".into()))
            }
        }
    }
}

#[async_trait]
impl Connector for Exec {
    fn describe(&self) -> Capabilities {
        self.config.declares.capabilities()
    }

    async fn check(&self, call: &Call, path: Option<&str>) -> Result<(), Error> {
        let with = With { path, ..With::default() };
        self.ask(call, Verb::Check, Told::default(), with).await.map(|Done {}| ())
    }

    async fn mint(&self, call: &Call, request: &MintRequest) -> Result<Minted, Error> {
        let told = Told::default().secrets(&request.proposed);
        let made = self.ask(call, Verb::Mint, told, With::mint(request)).await?;
        minted(Verb::Mint, made)
    }

    async fn verify(&self, call: &Call, target: &Target, material: &Material) -> Result<Verified, Error> {
        let with = With { material: Some(material.into()), ..With::target(target) };
        self.ask(call, Verb::Verify, Told::default().material(Some(material)), with).await
    }

    async fn compare_rights(
        &self,
        call: &Call,
        target: &Target,
        old: &VersionId,
        new: &VersionId,
    ) -> Result<RightsChange, Error> {
        let with = With { old: Some(old), new: Some(new), ..With::target(target) };
        self.ask(call, Verb::CompareRights, Told::default(), with).await
    }

    async fn disable(&self, call: &Call, target: &Target, version: &VersionId) -> Result<(), Error> {
        let with = With::version(target, version);
        self.ask(call, Verb::Disable, Told::default(), with).await.map(|Done {}| ())
    }

    async fn enable(&self, call: &Call, target: &Target, version: &VersionId) -> Result<(), Error> {
        let with = With::version(target, version);
        self.ask(call, Verb::Enable, Told::default(), with).await.map(|Done {}| ())
    }

    async fn revoke(&self, call: &Call, target: &Target, version: &VersionId) -> Result<(), Error> {
        let with = With::version(target, version);
        self.ask(call, Verb::Revoke, Told::default(), with).await.map(|Done {}| ())
    }

    async fn revoke_value(&self, call: &Call, target: &Target, material: &Material) -> Result<(), Error> {
        let with = With { material: Some(material.into()), ..With::target(target) };
        let told = Told::default().material(Some(material));
        self.ask(call, Verb::RevokeValue, told, with).await.map(|Done {}| ())
    }

    async fn list_derived(&self, call: &Call, target: &Target, version: &VersionId) -> Result<Vec<Derived>, Error> {
        self.ask(call, Verb::ListDerived, Told::default(), With::version(target, version)).await
    }

    async fn end_derived(&self, call: &Call, target: &Target, version: &VersionId) -> Result<Vec<Ended>, Error> {
        self.ask(call, Verb::EndDerived, Told::default(), With::version(target, version)).await
    }

    async fn probe(
        &self,
        call: &Call,
        target: &Target,
        material: &Material,
        endpoint: usize,
    ) -> Result<Verdict, Error> {
        // An undeclared verb has no endpoints either, and is the better answer.
        let endpoint = self.config.declares.endpoint(endpoint);
        if endpoint.is_none() && self.config.declares.has(Verb::Probe) {
            return Err(Error::new(ErrorKind::Invalid, Verb::Probe, "no endpoint of that index is declared"));
        }
        let with = With { material: Some(material.into()), endpoint, ..With::target(target) };
        self.ask(call, Verb::Probe, Told::default().material(Some(material)), with).await
    }

    async fn enumerate(&self, call: &Call, targets: &[Target]) -> Result<Vec<Live>, Error> {
        let with = With { targets: Some(targets), ..With::default() };
        self.ask(call, Verb::Enumerate, Told::default(), with).await
    }

    async fn last_used(
        &self,
        call: &Call,
        target: &Target,
        version: &VersionId,
        since: Timestamp,
    ) -> Result<Vec<Use>, Error> {
        let with = With { since: Some(since), ..With::version(target, version) };
        self.ask(call, Verb::LastUsed, Told::default(), with).await
    }

    async fn recover(&self, call: &Call, intent: &Intent) -> Result<Recovered, Error> {
        let told = Told::default().secrets(intent.mint.as_ref().and_then(|mint| mint.proposed.as_ref()));
        let with = With {
            target: Some(&intent.target),
            version: intent.version.as_ref().map(|version| version.0.as_str()),
            effect: Some(intent.verb),
            effect_operation: Some(&intent.operation),
            ..intent.mint.as_ref().map(With::mint).unwrap_or_default()
        };
        let outcome: Outcome = self.ask(call, Verb::Recover, told, with).await?;
        match outcome {
            Outcome { outcome: OutcomeKind::NotDone, minted: None, orphan: None } => Ok(Recovered::NotDone),
            Outcome { outcome: OutcomeKind::Done, minted: made, orphan: None } => {
                made.map(|made| minted(Verb::Recover, made)).transpose().map(Recovered::Done)
            }
            Outcome { outcome: OutcomeKind::Orphan, minted: None, orphan: Some(version) } => {
                Ok(Recovered::Orphan(version))
            }
            Outcome { .. } => {
                Err(not_understood(Verb::Recover, "the program's outcome does not fit what stands beside it"))
            }
        }
    }

    async fn discover(&self, call: &Call) -> Result<Vec<serde_json::Value>, Error> {
        self.ask(call, Verb::Discover, Told::default(), With::default()).await
    }

    async fn write(&self, call: &Call, request: &WriteRequest) -> Result<Written, Error> {
        let with = With {
            path: Some(&request.path),
            fields: Some(request.fields.iter().map(|(field, value)| (field.as_str(), Sent(value))).collect()),
            expect: request.expect.as_deref(),
            ..With::default()
        };
        self.ask(call, Verb::Write, Told::default().secrets(request.fields.values()), with).await
    }

    async fn read(&self, call: &Call, path: &str) -> Result<ReadBack, Error> {
        let with = With { path: Some(path), ..With::default() };
        let held: Held = self.ask(call, Verb::Read, Told::default(), with).await?;
        let fields: std::collections::BTreeMap<_, _> =
            held.fields.into_iter().map(|(field, value)| (field, value.0)).collect();
        if Told::default().secrets(fields.values()).is_in(held.version.as_bytes()) {
            return Err(not_understood(Verb::Read, "the program's name of the version holds a value"));
        }
        Ok(ReadBack { version: held.version, fields })
    }

    async fn promote(&self, call: &Call, path: &str, version: &str) -> Result<(), Error> {
        let with = With { path: Some(path), version: Some(version), ..With::default() };
        self.ask(call, Verb::Promote, Told::default(), with).await.map(|Done {}| ())
    }

    async fn versions(&self, call: &Call, path: &str) -> Result<Vec<String>, Error> {
        let with = With { path: Some(path), ..With::default() };
        self.ask(call, Verb::Versions, Told::default(), with).await
    }

    async fn destroy_version(&self, call: &Call, path: &str, version: &str) -> Result<(), Error> {
        let with = With { path: Some(path), version: Some(version), ..With::default() };
        self.ask(call, Verb::DestroyVersion, Told::default(), with).await.map(|Done {}| ())
    }

    async fn reload(&self, call: &Call, workload: &Workload) -> Result<(), Error> {
        let with = With { workload: Some(workload), ..With::default() };
        self.ask(call, Verb::Reload, Told::default(), with).await.map(|Done {}| ())
    }

    async fn observe(&self, call: &Call, workload: &Workload, expected: &Expected) -> Result<Observation, Error> {
        let with = With { workload: Some(workload), expected: Some(expected.into()), ..With::default() };
        self.ask(call, Verb::Observe, Told::default(), with).await
    }
}

/// What is public of it must not hold what is secret: it is logged and compared.
fn minted(verb: Verb, made: Made) -> Result<Minted, Error> {
    let material = Material { username: made.material.username, secret: made.material.secret.0 };
    let told = Told::default().material(Some(&material));
    let public = [Some(made.version.0.as_str()), material.username.as_deref()];
    if public.into_iter().flatten().any(|text| told.is_in(text.as_bytes())) {
        return Err(not_understood(verb, "the program's version or user name holds the secret"));
    }
    Ok(Minted { version: made.version, material })
}

/// A value as one line. Sized so that a request with ordinary secrets never moves: what is left behind is not wiped.
fn line(verb: Verb, value: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut line = Zeroizing::new(Vec::with_capacity(64 * 1024));
    serde_json::to_writer(&mut *line, value)
        .map_err(|error| Error::new(ErrorKind::Invalid, verb, "the request cannot be written").because(error))?;
    Ok(line)
}
