//! Destroying an old version of an encryption key: a person's own decision, after and outside of any reset.

use std::sync::Arc;

use remint_contract::{ErrorKind, Ref, ResetId, Verb, VersionId};
use remint_core::machine::Kept;
use serde_json::json;

use crate::engine::effect::{Stop, Task, chain};
use crate::engine::host::Ask;
use crate::engine::lease::Lease;
use crate::engine::record::{IntentOutcome, IntentRecord, entry, kind, put};
use crate::engine::run::Run;
use crate::engine::step::{is_stopped, left};
use crate::engine::{Engine, EngineError};
use crate::store::{Change, Key, Rule};

/// Intents of no reset: nobody but the same decision goes on with them.
const SCOPE: &str = "destroy";

impl Engine {
    /// Destroys one stopped version of an encryption key, for ever, on somebody's word.
    ///
    /// Guarantees: the rotation is settled, the version is not the one in use, the issuer says that it is stopped, and
    /// what is encrypted under it was counted to zero just before; the approval is durable before the call. Asked again
    /// after an answer was lost, it goes on with the same operation.
    ///
    /// # Errors
    /// One of these is not so, or the issuer does not answer: nothing was destroyed, or it is said that it is unknown.
    pub async fn destroy(
        &self,
        reset: &ResetId,
        credential: &Ref,
        version: &VersionId,
        by: &str,
        why: &str,
    ) -> Result<(), EngineError> {
        self.under(reset, |lease| self.destroy_under(lease, (reset, credential, version), (by, why))).await
    }

    async fn destroy_under(
        &self,
        lease: Arc<Lease>,
        (reset, credential, version): (&ResetId, &Ref, &VersionId),
        words: (&str, &str),
    ) -> Result<(), EngineError> {
        let known = self.reset(reset).await?;
        let index = known.plan.members.iter().position(|member| member.credential == *credential);
        let index = index.ok_or_else(|| EngineError::Refused(format!("{credential} is not part of reset {reset}")))?;
        let estate = self.estate(&known.plan.estate.to_string()).await?;
        let run = Arc::new(Run::new(
            known,
            Arc::clone(&estate),
            Arc::new(self.host(estate)),
            Arc::clone(&self.store),
            Arc::clone(&self.escrow),
            self.context.clone(),
            self.settings.clone(),
            lease,
        ));
        let records = self.rotations(reset).await?;
        let record = records.into_iter().find(|record| record.index == index);
        let rotation = record.ok_or_else(|| EngineError::Gone(credential.clone()))?.rotation;
        let task = Task::new(Arc::clone(&run), index, rotation.facts.clone());
        let kept = |kept: Kept| EngineError::Refused(format!("{version} of {credential} is kept: {kept}"));
        // What no answer of the issuer could change is said without asking it.
        rotation.may_destroy(task.member(), version, true, 0).map_err(kept)?;
        let asked = async {
            let stopped = is_stopped(&task, Some(version.clone())).await?;
            Ok::<_, Stop>((stopped, left(&run, task.member(), version).await?))
        };
        let (stopped, left) = asked.await.map_err(|stop| stopped_short(stop, version, credential))?;
        rotation.may_destroy(task.member(), version, stopped, left).map_err(kept)?;
        self.destroyed(&task, version, words).await
    }

    async fn destroyed(&self, task: &Task, version: &VersionId, (by, why): (&str, &str)) -> Result<(), EngineError> {
        let (run, credential) = (&task.run, &task.credential());
        let document = run.document(credential)?;
        let system = &document.issued_by.system;
        let key = Key {
            kind: kind::INTENT,
            id: format!("destroy-{}", crate::engine::step::finding_id(SCOPE, &system.to_string(), version)),
        };
        let intent: IntentRecord = match self.store.get(&key).await? {
            Some(record) => crate::engine::record::read(record)?,
            None => IntentRecord {
                operation: self.context.operation()?,
                credential: credential.clone(),
                system: system.clone(),
                verb: Verb::Revoke,
                about: version.0.clone(),
                version: Some(version.clone()),
                sealed: None,
                outcome: IntentOutcome::Open,
            },
        };
        let body = json!({ "reset": run.id.0, "version": version.0, "by": by, "why": why, "operation": intent.operation.0, "left": 0 });
        let told =
            |word: &str, body: &serde_json::Value| entry(word, self.context.clock.now(), None, Some(credential), body);
        let mut change = Change::default();
        change.puts.push(put(kind::INTENT, key.id.clone(), SCOPE, &intent, Rule::Upsert)?);
        change.entries.push(told("destroy.approved", &body));
        run.commit(change).await?;
        let actor = run.manager(document).await?;
        let ask = Ask { system, verb: Verb::Revoke, operation: &intent.operation, actor };
        let answer = task
            .send(ask, |connector, call| {
                let (target, version) = (document.issued_by.target.clone(), version.clone());
                async move { connector.revoke(&call, &target, &version).await }
            })
            .await
            .map_err(|stop| stopped_short(stop, version, credential))?;
        let mut change = Change::default();
        match answer {
            Ok(()) => {
                change.deletes.push(key);
                change.entries.push(told("destroy.done", &body));
                run.commit(change).await
            }
            Err(error) => {
                let mut body = body;
                body["why"] = json!(chain(&error));
                // Perhaps it is gone: the intent stays, and the same command asks again.
                if error.kind != ErrorKind::Unclear {
                    change.deletes.push(key);
                }
                change.entries.push(told("destroy.failed", &body));
                run.commit(change).await?;
                Err(error.into())
            }
        }
    }
}

fn stopped_short(stop: Stop, version: &VersionId, credential: &Ref) -> EngineError {
    match stop {
        Stop::Broken(error) => error,
        Stop::Failed { what, .. } => EngineError::Refused(format!("{version} of {credential} is kept: {what}")),
        _ => EngineError::Refused(format!(
            "{version} of {credential} is kept: its issuer does not say what lies under it"
        )),
    }
}
