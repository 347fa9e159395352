//! Re-proof: the dead are tried again, later. Refused at the last one makes a settlement final; accepted reopens it.

use std::sync::Arc;

use remint_contract::ResetId;
use remint_core::machine::{Event, State};
use serde_json::json;

use crate::engine::close::Reproved;
use crate::engine::lease::Lease;
use crate::engine::outcome::{graded, record};
use crate::engine::record::{Reset, ResetStatus, entry, kind, put};
use crate::engine::run::Run;
use crate::engine::step::{Tried, try_old};
use crate::engine::{Engine, EngineError};
use crate::store::{Change, Rule};

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
        self.under(id, |lease| self.try_again(id, lease)).await
    }

    /// Under the lease, and from what the store says under it: another process may just have done the same.
    async fn try_again(&self, id: &ResetId, lease: Arc<Lease>) -> Result<(Reset, Reproved), EngineError> {
        let mut reset = self.reset(id).await?;
        if reset.status != ResetStatus::Provisional {
            return Ok((reset, Reproved::default()));
        }
        let now = self.context.clock.now();
        let estate = Arc::new(self.estate(&reset.plan.estate.to_string()).await?);
        let host = Arc::new(self.host(Arc::clone(&estate)));
        let run = Run::new(
            reset.clone(),
            estate,
            host,
            Arc::clone(&self.store),
            Arc::clone(&self.escrow),
            self.context.clone(),
            self.settings.clone(),
            lease,
        );
        let last = reset.reproofs.len() <= 1;
        let mut outcome = Reproved::default();
        let mut change = Change::default();
        let records = self.rotations(id).await?;
        let mut tried = Vec::new();
        for known in &records {
            let member = &run.members[known.index];
            let value = match &known.rotation.facts.old {
                Some(old) if matches!(known.rotation.state, State::Settled { last: false }) => {
                    run.material(old).await?
                }
                _ => None,
            };
            let answer = match value {
                Some(value) => try_old(&run, member, &value).await,
                // Nothing to try: what the issuer listed at the sweep stands.
                None => Tried::Refused,
            };
            outcome.file(known.credential.clone(), &answer);
            tried.push(answer);
        }
        let all = outcome.alive.is_empty() && outcome.unclear.is_empty();
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
            if all && last {
                for version in next.facts.old.iter().chain(&next.facts.new).chain(&next.facts.also) {
                    change.unseals.extend(version.sealed.clone());
                }
            }
        }
        if all && last {
            change.deletes.extend(self.owned_by(id).await?);
        }
        if all {
            reset.reproofs.drain(..reset.reproofs.len().min(1));
            if last {
                reset.status = ResetStatus::Complete;
            }
        } else if !outcome.alive.is_empty() {
            reset.status = ResetStatus::Resting;
        }
        change.puts.push(put(kind::RESET, id.0.clone(), &id.0, &reset, Rule::Upsert)?);
        run.commit(change).await?;
        if reset.status == ResetStatus::Complete {
            self.closing(&reset).await?;
        }
        Ok((reset, outcome))
    }
}
