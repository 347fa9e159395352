//! One effect: the intent is durable before it, the outcome after it, and what is open is asked about before anything
//! is tried again.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use remint_contract::{
    Call, Connector, CredentialId, Error, ErrorKind, Intent, Material, MintRequest, OperationId, Recovered, Ref, Retry,
    SecretValue, Strategy, Verb, VersionId,
};
use remint_core::machine::{Facts, Reason, Version};
use remint_core::plan::Member;
use serde_json::json;

use crate::engine::EngineError;
use crate::engine::host::Ask;
use crate::engine::record::{IntentOutcome, IntentRecord, entry, kind, put};
use crate::engine::run::Run;
use crate::engine::takeover::GIVEN_UP;
use crate::privacy::fingerprint::Known;
use crate::store::{Change, Key, Rule};

/// One member of a running reset, with what its next commit will carry.
pub struct Task {
    pub run: Arc<Run>,
    pub index: usize,
    pub facts: Facts,
    /// Outcomes that go with the next commit.
    pub pending: Change,
}

/// Why a step did not end.
#[derive(Debug)]
pub enum Stop {
    /// It needs somebody or something else.
    Park(Reason),
    /// A call failed for good; its class says what else may help.
    Failed { kind: ErrorKind, what: String },
    /// The new version had other rights than the old one, and is dead.
    Destroyed { change: String },
    /// An effect's answer was lost; its intent is open.
    Lost,
    /// The new value is not accepted any more, and nobody has it yet.
    Spoiled,
    /// The engine itself cannot go on: nothing is recorded any more.
    Broken(EngineError),
}

impl From<EngineError> for Stop {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Connector(error) => Self::from(error),
            error => Self::Broken(error),
        }
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        match error.retry() {
            Retry::AskTarget if error.verb.changes() => Self::Lost,
            _ => Self::Failed { kind: error.kind, what: chain(&error) },
        }
    }
}

/// What an effect is about.
pub struct Effect<'a> {
    pub system: &'a Ref,
    pub verb: Verb,
    /// The place, workload or version.
    pub about: String,
    pub version: Option<&'a VersionId>,
    pub actor: Option<Arc<Material>>,
    /// A value to seal before the effect.
    pub seal: Option<SecretValue>,
}

impl Task {
    #[must_use]
    pub fn new(run: Arc<Run>, index: usize, facts: Facts) -> Self {
        Self { run, index, facts, pending: Change::default() }
    }

    #[must_use]
    pub fn member(&self) -> &Member {
        &self.run.members[self.index]
    }

    #[must_use]
    pub fn credential(&self) -> CredentialId {
        self.member().credential.clone()
    }

    /// An intent of this credential that is not closed.
    pub fn intent(&self, verb: Verb, about: &str) -> Option<IntentRecord> {
        let intents = self.run.intents.lock().unwrap_or_else(PoisonError::into_inner);
        intents
            .get(&self.member().credential)?
            .iter()
            .find(|intent| intent.verb == verb && intent.about == about)
            .cloned()
    }

    /// Does one effect: intent, call, outcome.
    ///
    /// Guarantee: when this returns an answer, the intent was durable before the call; the outcome goes with the next
    /// commit of this task, before any later effect of it begins.
    pub async fn effect<T, F, Fut>(&mut self, effect: Effect<'_>, make: F) -> Result<T, Stop>
    where
        F: Fn(Arc<dyn Connector>, Call) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        let intent = match self.intent(effect.verb, &effect.about) {
            Some(intent) => intent,
            None => self.intend(&effect).await?,
        };
        let ask =
            Ask { system: effect.system, verb: effect.verb, operation: &intent.operation, actor: effect.actor.clone() };
        match self.send(ask, make).await? {
            Ok(answer) => {
                self.close(&intent, "effect.done", None);
                Ok(answer)
            }
            Err(error) if error.kind == ErrorKind::Unclear => {
                self.note("effect.unclear", &intent, Some(&chain(&error)));
                Err(Stop::Lost)
            }
            Err(error) => {
                self.close(&intent, "effect.failed", Some(&chain(&error)));
                Err(error.into())
            }
        }
    }

    /// Makes a call that changes something: sent only while the lease outlasts it, so that nobody else has begun when it
    /// lands, and with its deadline for targets that can refuse it later.
    ///
    /// # Errors
    /// [`Stop::Broken`] when the lease cannot be had for so long: nothing was sent.
    pub(crate) async fn send<T, F, Fut>(&self, ask: Ask<'_>, make: F) -> Result<Result<T, Error>, Stop>
    where
        F: Fn(Arc<dyn Connector>, Call) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        let (lease, verb) = (&self.run.lease, ask.verb);
        let uncovered = Mutex::new(None);
        let covered = |connector: Arc<dyn Connector>, call: Call| {
            let deadline = call.deadline;
            let sent = make(connector, call);
            let uncovered = &uncovered;
            async move {
                match lease.cover(deadline).await {
                    Ok(flight) => {
                        let answer = sent.await;
                        if !answer.as_ref().is_err_and(|error| error.kind == ErrorKind::Unclear) {
                            flight.answered();
                        }
                        answer
                    }
                    Err(error) => {
                        *uncovered.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                        Err(Error::new(ErrorKind::Invalid, verb, "the lease does not last"))
                    }
                }
            }
        };
        let answer = self.run.host.call(ask, covered).await;
        match uncovered.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(Stop::Broken(error.into())),
            None => Ok(answer),
        }
    }

    /// Records an intent, and seals its value, in one durable change with everything that is pending.
    pub async fn intend(&mut self, effect: &Effect<'_>) -> Result<IntentRecord, Stop> {
        let run = Arc::clone(&self.run);
        let operation = run.context.operation().map_err(EngineError::from)?;
        let mut sealed = None;
        if let Some(value) = &effect.seal {
            sealed = Some(self.seal(&operation, value)?);
        }
        let intent = IntentRecord {
            operation,
            credential: self.credential(),
            system: effect.system.clone(),
            verb: effect.verb,
            about: effect.about.clone(),
            version: effect.version.cloned(),
            sealed,
            outcome: IntentOutcome::Open,
        };
        self.keep(&intent)?;
        self.note("effect.intended", &intent, None);
        self.flush().await?;
        Ok(intent)
    }

    /// Seals a value under an operation's id, with the next commit.
    pub fn seal(&mut self, operation: &OperationId, value: &SecretValue) -> Result<String, Stop> {
        let run = &self.run;
        let expires = run.context.clock.now() + run.settings.escrow_keeps;
        let sealed = run.escrow.seal(&operation.0, &run.id.0, value, Some(expires)).map_err(EngineError::from)?;
        run.remember(&operation.0, value.clone());
        let known = Known {
            credential: self.member().credential.to_string(),
            operation: operation.0.clone(),
            reset: run.id.to_string(),
        };
        let print = run.settings.fingerprints.record(value, &known).map_err(EngineError::from)?;
        self.pending.seals.push(sealed);
        self.pending.puts.extend(print);
        Ok(operation.0.clone())
    }

    /// Writes what is pending.
    pub async fn flush(&mut self) -> Result<(), Stop> {
        let change = std::mem::take(&mut self.pending);
        self.run.commit_of(self.index, change).await.map_err(Stop::Broken)
    }

    fn keep(&mut self, intent: &IntentRecord) -> Result<(), Stop> {
        let record = put(kind::INTENT, intent.operation.0.clone(), &self.run.id.0, intent, Rule::Upsert);
        self.pending.puts.push(record.map_err(EngineError::from)?);
        let mut intents = self.run.intents.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = intents.entry(intent.credential.clone()).or_default();
        mine.retain(|other| other.operation != intent.operation);
        mine.push(intent.clone());
        Ok(())
    }

    /// The intent has an outcome: it is forgotten with the next commit, and an entry tells of it.
    pub fn close(&mut self, intent: &IntentRecord, word: &str, why: Option<&str>) {
        self.note(word, intent, why);
        self.pending.deletes.push(Key { kind: kind::INTENT, id: intent.operation.0.clone() });
        let mut intents = self.run.intents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mine) = intents.get_mut(&intent.credential) {
            mine.retain(|other| other.operation != intent.operation);
        }
    }

    /// A step ended: what it had intended and did not need to do again was done.
    pub fn close_rest(&mut self) {
        let rest = {
            let mut intents = self.run.intents.lock().unwrap_or_else(PoisonError::into_inner);
            let all = intents.remove(&self.member().credential).unwrap_or_default();
            // What is to be killed stays until its version is known.
            let (kept, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(|intent| intent.about == GIVEN_UP);
            intents.insert(self.member().credential.clone(), kept);
            rest
        };
        for intent in rest {
            self.close(&intent, "effect.done", Some("the step ended without doing it again"));
        }
    }

    fn note(&mut self, word: &str, intent: &IntentRecord, why: Option<&str>) {
        let body = json!({
            "operation": intent.operation.0,
            "verb": intent.verb.to_string(),
            "system": intent.system.to_string(),
            "about": intent.about,
            "version": intent.version.as_ref().map(|version| version.0.clone()),
            "why": why,
        });
        let now = self.run.context.clock.now();
        self.pending.entries.push(entry(word, now, Some(&self.run.id), Some(&intent.credential), &body));
    }

    /// Asks the targets what became of every open intent of this credential.
    ///
    /// Flow: not done → the same intent may be tried again, with the same sealed value; done → what was made is kept;
    /// orphan → revoked, and the intent is dropped. Only a mint has to be asked about: every other verb names one version
    /// or one place, and repeating it under the same operation is the answer.
    pub async fn resolve(
        &mut self,
        request: impl Fn(&IntentRecord, Option<SecretValue>) -> Option<MintRequest>,
    ) -> Result<(), Stop> {
        let open: Vec<IntentRecord> = {
            let intents = self.run.intents.lock().unwrap_or_else(PoisonError::into_inner);
            let mine = intents.get(&self.member().credential).map(Vec::as_slice).unwrap_or_default();
            mine.iter()
                .filter(|intent| intent.verb == Verb::Mint && intent.outcome == IntentOutcome::Open)
                .cloned()
                .collect()
        };
        for mut intent in open {
            let proposed = match &intent.sealed {
                Some(sealed) => Some(self.run.open(sealed).await?),
                None => None,
            };
            let run = Arc::clone(&self.run);
            let document = run.document(&intent.credential)?;
            let question = Intent {
                operation: intent.operation.clone(),
                verb: intent.verb,
                target: document.issued_by.target.clone(),
                version: intent.version.clone(),
                mint: request(&intent, proposed.clone()),
            };
            let actor = run.minter(document).await?;
            let ask =
                Ask { system: &intent.system, verb: Verb::Recover, operation: &intent.operation, actor: actor.clone() };
            let mut answer = self.recover(&ask, &question).await;
            // What Remint acts through may have died of the very mint: then the value that it proposed is the one to ask with.
            if let (Err(error), true, Some(proposed)) = (&answer, self.member().remint_acts, &proposed)
                && error.kind == ErrorKind::Denied
                && self.member().strategy == Strategy::InPlace
            {
                let old = self.facts.old.as_ref().and_then(|old| old.username.clone());
                let proposed = Arc::new(Material { username: old, secret: proposed.clone() });
                let again = Ask { actor: Some(Arc::clone(&proposed)), ..ask };
                answer = self.recover(&again, &question).await;
                if answer.is_ok() {
                    run.host.switch(&self.credential(), proposed);
                }
            }
            let answer = answer.map_err(|error| Stop::Park(Reason::Unclear { what: chain(&error) }))?;
            match answer {
                // Done, with nothing that tells what was made: the issuer says it again to the same operation.
                Recovered::NotDone | Recovered::Done(None) => {}
                Recovered::Done(Some(minted)) => {
                    // What Remint proposed was sealed before it was sent.
                    let sealed = match &intent.sealed {
                        Some(sealed) => sealed.clone(),
                        None => self.seal(&intent.operation.clone(), &minted.material.secret)?,
                    };
                    intent.sealed = Some(sealed.clone());
                    intent.outcome = IntentOutcome::Minted(Version {
                        id: Some(minted.version),
                        username: minted.material.username,
                        sealed: Some(sealed),
                        principal: None,
                        accepted_at: std::collections::BTreeSet::new(),
                    });
                    self.keep(&intent)?;
                }
                Recovered::Orphan(version) => {
                    let target = document.issued_by.target.clone();
                    let ask = Ask { system: &intent.system, verb: Verb::Revoke, operation: &intent.operation, actor };
                    self.send(ask, |connector, call| {
                        let (target, version) = (target.clone(), version.clone());
                        async move { connector.revoke(&call, &target, &version).await }
                    })
                    .await?
                    .map_err(|error| Stop::Park(Reason::Unclear { what: chain(&error) }))?;
                    intent.version = Some(version);
                    self.close(&intent, "effect.orphan-revoked", None);
                }
            }
        }
        if self.pending.puts.is_empty() && self.pending.deletes.is_empty() { Ok(()) } else { self.flush().await }
    }
}

impl Task {
    async fn recover(&self, ask: &Ask<'_>, question: &Intent) -> Result<Recovered, Error> {
        let ask = Ask { actor: ask.actor.clone(), ..*ask };
        self.run
            .host
            .call(ask, |connector, call| {
                let question = question.clone();
                async move { connector.recover(&call, &question).await }
            })
            .await
    }
}

/// An error and its causes, in one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
