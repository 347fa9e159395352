//! Exceptions: a credential that stays as it is, on the word of those it takes, owned by somebody, until a time.
//!
//! ```text
//! asked   --sign-->   granted   enough persons said yes to exactly this one
//! granted --until-->  ended     the time came: every reset that left it out is open again
//! granted --end-->    ended     somebody said so before
//! asked   --end-->    ended     nothing was granted
//! ```
//!
//! Flow: [`Engine::except`] asks; where nobody governs that is enough, else [`Engine::sign_exception`] takes the same persons
//! as a rotation of that credential would. [`Engine::excepted`] is what plans leave out. [`Engine::end_exceptions`] ends what is
//! due, and opens a task in every reset that listed it: replace it, or except it anew.
//!
//! Guarantees: an exception always has an owner and an end, at most [`LONGEST`] away; what is left out of a governed reset has
//! one that was granted; whatever ended was told to every reset that relied on it, in the same change.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use remint_contract::{Ref, ResetId};
use remint_core::approval::{Case, Party, Signature};
use remint_core::digest::Digest;
use remint_evidence_format::approval::pin_exception;
use remint_evidence_format::tree::Hash;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::engine::record::{Reset, ResetStatus, TaskRecord, entry, kind, put, read};
use crate::engine::signed::{granted_by, in_turn, judge, keep, tell};
use crate::engine::{Engine, EngineError};
use crate::store::{Change, Key, Put, Rule, StoreError};

/// The longest that something may be left as it is without being asked about again.
pub const LONGEST: Duration = Duration::from_hours(90 * 24);

/// What is asked for: exactly this is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    pub id: String,
    pub credential: Ref,
    /// Who answers for it until the end.
    pub owner: String,
    pub reason: String,
    pub until: Timestamp,
}

/// One exception.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    #[serde(flatten)]
    pub asked: Asked,
    pub by: String,
    pub at: Timestamp,
    /// Who approved it, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted: Option<Granted>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// Who asked and who signed, where the state is governed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<Case>,
    /// The hashes of what persons signed with keys of their own: of the note, and of the key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<[String; 2]>,
}

/// That it was approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    pub by: String,
    pub at: Timestamp,
}

impl Asked {
    /// Pins it, as whoever verifies a bundle does.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest(self.pin().0)
    }

    /// The same digest, as the hash of a file.
    #[must_use]
    pub fn file(&self) -> String {
        self.pin().to_string()
    }

    fn pin(&self) -> Hash {
        pin_exception(&self.id, &self.credential.to_string(), &self.owner, &self.until.to_string(), &self.reason)
    }
}

impl Exception {
    /// True while it leaves the credential as it is.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.granted.is_some() && self.ended.is_none() && now < self.asked.until
    }

    /// True while persons are asked for it.
    #[must_use]
    pub fn waits(&self, now: Timestamp) -> bool {
        self.granted.is_none() && self.ended.is_none() && now < self.asked.until
    }

    fn key(&self) -> Key {
        Key { kind: kind::EXCEPTION, id: self.asked.id.clone() }
    }

    fn put(&self, rule: Rule) -> Result<Put, StoreError> {
        let key = self.key();
        put(key.kind, key.id, &self.asked.credential.to_string(), self, rule)
    }

    /// What every entry about it says.
    fn told(&self, by: &str) -> serde_json::Value {
        json!({
            "exception": self.asked.id, "digest": self.asked.digest().to_string(), "by": by, "owner": self.asked.owner,
            "until": self.asked.until.to_string(), "why": self.asked.reason,
        })
    }
}

impl Engine {
    /// Asks for an exception. Where nobody governs it is granted on this word.
    ///
    /// # Errors
    /// The credential is not in the active estate, it has no owner or end, or the end is too far.
    pub async fn except(
        &self,
        credential: &Ref,
        owner: &str,
        until: Timestamp,
        reason: &str,
        by: &str,
        party: Option<Party>,
    ) -> Result<Exception, EngineError> {
        let now = self.context.clock.now();
        let estate = self.active_estate().await?.unwrap_or_default();
        if !estate.credentials.contains_key(credential) {
            return Err(EngineError::Gone(credential.clone()));
        }
        if owner.trim().is_empty() || reason.trim().is_empty() {
            return Err(EngineError::Refused("an exception has an owner and a reason; name both".to_owned()));
        }
        let longest = now.checked_add(LONGEST).unwrap_or(now);
        if until <= now || until > longest {
            return Err(EngineError::Refused(format!(
                "an exception ends after now and at most 90 days from it, at {longest}; {until} is not in there"
            )));
        }
        if party.is_some() != self.settings.executor.is_some() {
            return Err(EngineError::Refused("this state is governed, and nobody said who asks".to_owned()));
        }
        let id = format!("x-{}", self.context.hex(6)?);
        let (owner, reason) = (owner.to_owned(), reason.to_owned());
        let asked = Asked { id, credential: credential.clone(), owner, reason, until };
        let case = party.map(|party| Case::open(party, asked.digest(), now));
        let granted = case.is_none().then(|| Granted { by: by.to_owned(), at: now });
        let exception =
            Exception { asked, by: by.to_owned(), at: now, granted, ended: None, case, approvals: Vec::new() };
        let mut change = Change::default();
        change.puts.push(exception.put(Rule::Insert)?);
        let subject = &exception.asked.credential;
        change.entries.push(entry("exception.asked", now, None, Some(subject), &exception.told(by)));
        if exception.granted.is_some() {
            change.entries.push(entry("exception.approved", now, None, Some(subject), &exception.told(by)));
        }
        self.store.commit(change).await?;
        Ok(exception)
    }

    /// Takes in a yes to exactly this exception; what is missing, each sentence once.
    ///
    /// # Errors
    /// There is no such exception, it waits for nobody, or the yes is of another one.
    pub async fn sign_exception(
        &self,
        id: &str,
        digest: Digest,
        signature: &Signature,
    ) -> Result<(Exception, Vec<String>), EngineError> {
        in_turn(|| self.sign_exception_once(id, digest, signature)).await
    }

    async fn sign_exception_once(
        &self,
        id: &str,
        digest: Digest,
        signature: &Signature,
    ) -> Result<(Exception, Vec<String>), EngineError> {
        let now = self.context.clock.now();
        let (mut exception, revision) = self.exception(id).await?;
        if exception.granted.is_some() || exception.ended.is_some() || now >= exception.asked.until {
            return Err(EngineError::Refused(format!("exception {id} waits for nobody: it was decided, or is over")));
        }
        let estate = self.active_estate().await?.unwrap_or_default();
        let credential = exception.asked.credential.clone();
        let case =
            exception.case.as_mut().ok_or_else(|| EngineError::Refused("nobody governs this state".to_owned()))?;
        case.sign(digest, signature.clone()).map_err(|refusal| EngineError::Refused(refusal.to_string()))?;
        let judged = judge(case, &credential, &estate, now);
        let mut change = Change::default();
        let mut body = exception.told(&signature.by.to_string());
        let kept = keep(signature, id, &mut change)?;
        tell(&mut body, signature, kept.as_ref());
        exception.approvals.extend(kept);
        change.entries.push(entry("exception.signed", now, None, Some(&credential), &body));
        let lacks = match judged {
            Ok(met) => {
                let by = granted_by(&met.by, signature);
                change.entries.push(entry("exception.approved", now, None, Some(&credential), &exception.told(&by)));
                exception.granted = Some(Granted { by, at: now });
                Vec::new()
            }
            Err(lack) => vec![lack.to_string()],
        };
        change.puts.push(exception.put(Rule::Revision(revision))?);
        self.store.commit(change).await?;
        Ok((exception, lacks))
    }

    /// One exception, with the revision of its record.
    ///
    /// # Errors
    /// There is none of that name.
    pub async fn exception(&self, id: &str) -> Result<(Exception, u64), EngineError> {
        let key = Key { kind: kind::EXCEPTION, id: id.to_owned() };
        let missing = || EngineError::NoRecord { kind: kind::EXCEPTION, id: id.to_owned() };
        let record = self.store.get(&key).await?.ok_or_else(missing)?;
        let revision = record.revision;
        Ok((read(record)?, revision))
    }

    /// Every exception that was ever asked for.
    ///
    /// # Errors
    /// The store failed.
    pub async fn exceptions(&self) -> Result<Vec<Exception>, EngineError> {
        let records = self.store.list(kind::EXCEPTION, None).await?;
        let mut all = records.into_iter().map(read).collect::<Result<Vec<Exception>, _>>()?;
        all.sort_by(|one, other| (one.at, &one.asked.id).cmp(&(other.at, &other.asked.id)));
        Ok(all)
    }

    /// Every exception, and what resets left out on one word alone.
    ///
    /// # Errors
    /// The store failed.
    pub async fn left_out(&self) -> Result<(Vec<Exception>, Vec<(ResetId, Ref)>), EngineError> {
        let (held, mut alone) = (self.excepted().await?, Vec::new());
        for reset in self.resets().await? {
            let left = reset.plan.exceptions.iter().filter(|credential| !held.contains_key(credential));
            alone.extend(left.map(|credential| (reset.id.clone(), credential.clone())));
        }
        Ok((self.exceptions().await?, alone))
    }

    /// What is left as it is now, and by which exception: of two the one that ends last.
    ///
    /// # Errors
    /// The store failed.
    pub async fn excepted(&self) -> Result<BTreeMap<Ref, Exception>, EngineError> {
        let now = self.context.clock.now();
        let mut held: BTreeMap<Ref, Exception> = BTreeMap::new();
        for exception in self.exceptions().await?.into_iter().filter(|one| one.holds(now)) {
            let longer =
                held.get(&exception.asked.credential).is_none_or(|known| known.asked.until < exception.asked.until);
            if longer {
                held.insert(exception.asked.credential.clone(), exception);
            }
        }
        Ok(held)
    }

    /// Ends an exception before its time.
    ///
    /// # Errors
    /// There is none that holds or waits for this credential.
    pub async fn end_exception(&self, credential: &Ref, by: &str, reason: &str) -> Result<usize, EngineError> {
        let open = |one: &Exception| one.ended.is_none() && one.asked.credential == *credential;
        let ids: Vec<String> = self.exceptions().await?.into_iter().filter(open).map(|one| one.asked.id).collect();
        if ids.is_empty() {
            return Err(EngineError::Refused(format!("no exception of {credential} is open; remint get exceptions")));
        }
        for id in &ids {
            self.end(id, &format!("ended by {by}: {reason}"), by).await?;
        }
        Ok(ids.len())
    }

    /// Ends what is due. Every reset that left it out is open again. Gives how many ended.
    ///
    /// # Errors
    /// The store failed.
    pub async fn end_exceptions(&self) -> Result<usize, EngineError> {
        let now = self.context.clock.now();
        let due = |one: &Exception| one.ended.is_none() && one.asked.until <= now;
        let ids: Vec<String> = self.exceptions().await?.into_iter().filter(due).map(|one| one.asked.id).collect();
        for id in &ids {
            self.end(id, "its time is over", "remint").await?;
        }
        Ok(ids.len())
    }

    async fn end(&self, id: &str, why: &str, by: &str) -> Result<(), EngineError> {
        in_turn(|| self.end_once(id, why, by)).await
    }

    async fn end_once(&self, id: &str, why: &str, by: &str) -> Result<(), EngineError> {
        let now = self.context.clock.now();
        let (mut exception, revision) = self.exception(id).await?;
        if exception.ended.is_some() {
            return Ok(());
        }
        exception.ended = Some(now);
        let credential = exception.asked.credential.clone();
        let mut change = Change::default();
        let body = json!({ "exception": id, "owner": exception.asked.owner, "by": by, "why": why });
        change.entries.push(entry("exception.ended", now, None, Some(&credential), &body));
        change.puts.push(exception.put(Rule::Revision(revision))?);
        let mut reopened = Vec::new();
        if exception.granted.is_some() {
            for reset in self.resets().await? {
                let after = reset.requested_at >= exception.granted.as_ref().map_or(now, |granted| granted.at);
                if after && reset.status != ResetStatus::Rejected && reset.plan.exceptions.contains(&credential) {
                    self.reopen(&reset, &exception, why, &mut change).await?;
                    reopened.push(reset.id);
                }
            }
        }
        self.store.commit(change).await?;
        for id in &reopened {
            self.wake(id).await?;
        }
        Ok(())
    }

    /// Opens a reset again that left the credential out.
    async fn reopen(
        &self,
        known: &Reset,
        exception: &Exception,
        why: &str,
        change: &mut Change,
    ) -> Result<(), EngineError> {
        let now = self.context.clock.now();
        let (id, credential) = (&known.id, &exception.asked.credential);
        let key = Key { kind: kind::RESET, id: id.0.clone() };
        let record = self.store.get(&key).await?.ok_or_else(|| EngineError::NoReset(id.clone()))?;
        let revision = record.revision;
        let mut reset = self.with_plan(record).await?;
        let what = format!(
            "the exception {} of {} has ended ({why}): replace {credential} (remint reset --from {credential}), or except it anew",
            exception.asked.id, exception.asked.owner
        );
        let task = TaskRecord {
            id: format!("{id}-{}", exception.asked.id),
            reset: id.clone(),
            about: credential.clone(),
            what: what.clone(),
            attested: None,
            due: None,
            reminded: None,
        };
        change.puts.push(put(kind::TASK, task.id.clone(), &id.0, &task, Rule::Upsert)?);
        change.entries.push(entry("rotation.reopened", now, Some(id), Some(credential), &json!({ "why": what })));
        change.entries.push(entry("task.opened", now, Some(id), Some(credential), &json!({ "why": what })));
        if matches!(reset.status, ResetStatus::Complete | ResetStatus::Provisional) {
            reset.status = ResetStatus::Resting;
        }
        change.puts.push(put(kind::RESET, id.0.clone(), &id.0, &reset, Rule::Revision(revision))?);
        Ok(())
    }

    /// What a new reset says of what it leaves out: entries, and in a governed state a refusal of what nobody approved.
    pub(crate) async fn leave_out(&self, reset: &Reset, change: &mut Change) -> Result<(), EngineError> {
        if reset.plan.exceptions.is_empty() {
            return Ok(());
        }
        let now = self.context.clock.now();
        let held = self.excepted().await?;
        let missing: BTreeSet<Ref> =
            reset.plan.exceptions.iter().filter(|credential| !held.contains_key(credential)).cloned().collect();
        if reset.case.is_some() && !missing.is_empty() {
            return Err(EngineError::Refused(format!(
                "nobody approved leaving out {}; ask for it first: remint except REF --owner NAME --until TIME --reason WHY",
                crate::engine::names(&missing)
            )));
        }
        for credential in &reset.plan.exceptions {
            let body = match held.get(credential) {
                Some(exception) => {
                    let by = exception.granted.as_ref().map_or(&exception.by, |granted| &granted.by);
                    // Whoever changes or ends it has to come after this reset, which then is reopened.
                    let (_, revision) = self.exception(&exception.asked.id).await?;
                    change.expects.push((exception.key(), revision));
                    let mut body = exception.told(by);
                    body["approvals"] = json!(exception.approvals);
                    body
                }
                None => {
                    let until = (now + crate::engine::reset::EXCEPTION).to_string();
                    json!({ "by": reset.requested_by, "until": until, "why": reset.reason })
                }
            };
            change.entries.push(entry("exception.granted", now, Some(&reset.id), Some(credential), &body));
        }
        Ok(())
    }
}
