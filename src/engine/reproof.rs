//! Re-proof: the dead are tried again, later, and the issuers listed again. Refused at the last one makes a settlement
//! final; accepted reopens it, and so does what arrived meanwhile.

use std::sync::Arc;

use remint_contract::{Ref, ResetId, Verb};
use remint_core::machine::{Event, State};
use remint_evidence_format::ledger::{CLOSED, Ledger};
use serde_json::json;
use tokio::task::JoinSet;

use crate::engine::close::Reproved;
use crate::engine::effect::{Stop, Task};
use crate::engine::lease::Lease;
use crate::engine::observe;
use crate::engine::outcome::{graded, record};
use crate::engine::record::{Reset, ResetStatus, RotationRecord, entry, kind, put};
use crate::engine::run::Run;
use crate::engine::step::{Tried, arrivals, try_old};
use crate::engine::{Engine, EngineError};
use crate::store::{Change, Key, Rule, StoreError};

impl Engine {
    /// Tries every old value of a provisionally settled reset once at every endpoint, and takes one due re-proof off the
    /// list. At the last one that finds everything refused the reset is complete: its entries are closed, its
    /// escrow is forgotten and its credentials have no owner any more.
    ///
    /// What could not be tried keeps the re-proof due.
    pub async fn reprove(&self, id: &ResetId) -> Result<(Reset, Reproved), EngineError> {
        let reset = self.reset(id).await?;
        if reset.status == ResetStatus::Complete {
            // Interrupted between the last proof and the last entry, perhaps.
            self.closing(&reset).await?;
            return Ok((reset, Reproved::default()));
        }
        if reset.status != ResetStatus::Provisional {
            return Err(EngineError::Refused(format!("reset {id} is not provisionally settled: {:?}", reset.status)));
        }
        self.under(id, |lease| self.try_again(id, lease, false)).await
    }

    /// The same, when one is due by now: another replica may have made it a moment ago.
    ///
    /// # Errors
    /// As for a re-proof by hand.
    pub async fn reprove_due(&self, id: &ResetId) -> Result<(Reset, Reproved), EngineError> {
        self.under(id, |lease| self.try_again(id, lease, true)).await
    }

    /// Under the lease, and from what the store says under it: another process may just have done the same.
    async fn try_again(&self, id: &ResetId, lease: Arc<Lease>, due: bool) -> Result<(Reset, Reproved), EngineError> {
        let mut reset = self.reset(id).await?;
        let now = self.context.clock.now();
        let early = due && reset.reproofs.first().is_some_and(|due| *due > now);
        if reset.status != ResetStatus::Provisional || early {
            return Ok((reset, Reproved::default()));
        }
        let estate = self.estate(&reset.plan.estate.to_string()).await?;
        let host = Arc::new(self.host(Arc::clone(&estate)));
        let run = Arc::new(Run::new(
            reset.clone(),
            estate,
            host,
            Arc::clone(&self.store),
            Arc::clone(&self.escrow),
            self.context.clone(),
            self.settings.clone(),
            lease,
        ));
        let records = self.rotations(id).await?;
        if records.iter().all(|known| is_final(&known.rotation.state)) {
            // Interrupted between the last proof and the closing entry.
            return Ok((self.finish(&run, reset, &records).await?, Reproved::default()));
        }
        let last = reset.reproofs.len() <= 1;
        let mut outcome = Reproved::default();
        let mut change = Change::default();
        let mut tried = try_all(&run, &records).await?;
        look_again(&run, &records, &mut tried, &mut change).await?;
        for (known, answer) in records.iter().zip(&tried) {
            outcome.file(known.credential.clone(), answer);
        }
        self.arrived(&run, &records, &mut outcome, &mut change).await?;
        let all = outcome.alive.is_empty() && outcome.unclear.is_empty() && outcome.joined.is_empty();
        for (known, answer) in records.iter().zip(&tried) {
            let event = match answer {
                Tried::Refused if all => Event::Reproved { last },
                Tried::Accepted(endpoints) => Event::Resurrected { endpoints: endpoints.clone() },
                Tried::Refused | Tried::Unclear(_) => continue,
            };
            // What another reset settled, that one proves again.
            if !matches!(known.rotation.state, State::Settled { last: false }) {
                continue;
            }
            let (next, _) = known.rotation.on(&run.members[known.index], &event)?;
            change.puts.push(record(&run, known.index, &next)?);
            let mut body = json!({ "event": event.name(), "state": next.state.to_string() });
            let word = match (answer, last) {
                (Tried::Refused, true) => {
                    graded(&mut body, &next);
                    "rotation.settled"
                }
                (Tried::Refused, false) => "old.refused-again",
                _ => {
                    body["why"] = json!("the old value was accepted again");
                    "rotation.reopened"
                }
            };
            change.entries.push(entry(word, now, Some(id), Some(&known.credential), &body));
        }
        if all {
            reset.reproofs.drain(..reset.reproofs.len().min(1));
        } else if !outcome.alive.is_empty() || !outcome.joined.is_empty() {
            reset.status = ResetStatus::Resting;
        }
        change.puts.push(put(kind::RESET, id.0.clone(), &id.0, &reset, Rule::Upsert)?);
        match run.commit(change).await {
            // It stays due, and nothing is said of it.
            Err(EngineError::Store(StoreError::Stale { kind: kind::OWNER, .. })) => {
                return Ok((self.reset(id).await?, Reproved::default()));
            }
            done => done?,
        }
        if all && last {
            let records = self.rotations(id).await?;
            reset = self.finish(&run, reset, &records).await?;
        }
        Ok((reset, outcome))
    }

    /// What lives at the issuers of this reset's own members and did not when they were swept.
    async fn arrived(
        &self,
        run: &Arc<Run>,
        records: &[RotationRecord],
        outcome: &mut Reproved,
        change: &mut Change,
    ) -> Result<(), EngineError> {
        let owners = self.owners().await?;
        for known in records.iter().filter(|known| matches!(known.rotation.state, State::Settled { last: false })) {
            let row = owners.get(&known.credential);
            if row.is_none_or(|(owner, _)| owner.reset != run.id) {
                continue;
            }
            let mut task = Task::new(Arc::clone(run), known.index, known.rotation.facts.clone());
            match arrivals(&mut task).await {
                Ok(0) => {}
                Ok(_) => {
                    outcome.joined.push(known.credential.clone());
                    // Another reset may have begun to rotate it meanwhile: then what was found is its own.
                    change.expects.extend(row.map(|(_, revision)| (owner_key(&known.credential), *revision)));
                    change.puts.append(&mut task.pending.puts);
                    change.entries.append(&mut task.pending.entries);
                }
                Err(Stop::Broken(error)) => return Err(error),
                Err(Stop::Failed { what, .. }) => outcome.unclear.push((known.credential.clone(), what)),
                Err(stop) => outcome.unclear.push((known.credential.clone(), format!("{stop:?}"))),
            }
        }
        Ok(())
    }

    /// Closes the entries, forgets the escrow and lets the credentials go, in one change: a reset is complete exactly when
    /// its last entry is there.
    async fn finish(&self, run: &Run, mut reset: Reset, records: &[RotationRecord]) -> Result<Reset, EngineError> {
        let id = reset.id.clone();
        let entries = self.store.entries_of(&id).await?;
        let ledger = Ledger::of(&id.0, entries.iter().map(|entry| entry.bytes.as_slice()))?;
        let mut change = Change::default();
        // What another reset took over is its own.
        let settled = |known: &&RotationRecord| matches!(known.rotation.state, State::Settled { .. });
        let (needed, open) = self.needed_beside(&id).await?;
        for known in records.iter().filter(settled) {
            // Should the old value of that one live again, what was made here is its new one.
            if open.contains(&known.credential) {
                continue;
            }
            let facts = &known.rotation.facts;
            for version in facts.old.iter().chain(&facts.new).chain(&facts.also) {
                change.unseals.extend(version.sealed.clone().filter(|sealed| !needed.contains(sealed)));
            }
        }
        change.deletes.extend(self.owned_by(&id).await?);
        reset.status = ResetStatus::Complete;
        change.puts.push(put(kind::RESET, id.0.clone(), &id.0, &reset, Rule::Upsert)?);
        if !ledger.is_closed() {
            let body = serde_json::Value::Object(ledger.closing());
            change.entries.push(entry(CLOSED, self.context.clock.now(), Some(&id), None, &body));
        }
        run.commit(change).await?;
        Ok(reset)
    }
}

/// Has everybody else try again what was refused; what one of them saw counts as if Remint had.
async fn look_again(
    run: &Arc<Run>,
    records: &[RotationRecord],
    tried: &mut [Tried],
    change: &mut Change,
) -> Result<(), EngineError> {
    if run.settings.observers.0.is_empty() {
        return Ok(());
    }
    for (known, answer) in records.iter().zip(tried) {
        let provisional = matches!(known.rotation.state, State::Settled { last: false });
        let Some(old) = known.rotation.facts.old.as_ref().filter(|_| provisional && *answer == Tried::Refused) else {
            continue;
        };
        let Some(value) = run.material(old).await? else { continue };
        let member = &run.members[known.index];
        let (entries, accepted, unclear) = observe::again(run, member, old.id.as_ref(), &value).await?;
        change.entries.extend(entries);
        if !accepted.is_empty() {
            *answer = Tried::Accepted(accepted);
        } else if let Some(why) = unclear {
            *answer = Tried::Unclear(why);
        }
    }
    Ok(())
}

fn owner_key(credential: &Ref) -> Key {
    Key { kind: kind::OWNER, id: credential.to_string() }
}

/// Nothing is due for it any more.
const fn is_final(state: &State) -> bool {
    matches!(state, State::Settled { last: true } | State::Superseded { .. })
}

/// Tries every old value, as many at a time as the budgets of their systems allow; the answers in the order of the records.
async fn try_all(run: &Arc<Run>, records: &[RotationRecord]) -> Result<Vec<Tried>, EngineError> {
    let mut trying = JoinSet::new();
    for (at, known) in records.iter().enumerate() {
        let (run, index, old) = (Arc::clone(run), known.index, known.rotation.facts.old.clone());
        // What another reset settled, that one tries.
        let provisional = matches!(known.rotation.state, State::Settled { last: false });
        trying.spawn(async move {
            let value = match &old {
                Some(old) if provisional => run.material(old).await?,
                _ => None,
            };
            let issuer = &run.document(&run.members[index].credential)?.issued_by.system;
            let probes = run.host.connector(issuer)?.describe().verbs.contains(&Verb::Probe);
            let answer = match value.filter(|_| probes) {
                Some(value) => try_old(&run, &run.members[index], &value).await,
                // Nothing to try, or nobody to try it at: what the issuer listed at the sweep stands.
                None => Tried::Refused,
            };
            Ok::<_, EngineError>((at, answer))
        });
    }
    let mut tried = vec![Tried::Refused; records.len()];
    while let Some(joined) = trying.join_next().await {
        let (at, answer) = joined.map_err(|error| EngineError::Refused(format!("a try failed: {error}")))??;
        tried[at] = answer;
    }
    Ok(tried)
}
