//! The gate: who, may they, and an entry that says so.

mod vouch;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use remint_core::approval::{Party, Person, Signature, Strength};
use remint_core::digest::Digest;
use remint_core::gate::{Action, Caller, Decider, Decision, Entrance, Question, Resource, Table, without_engine};
use serde_json::json;
use tokio::sync::Mutex;

use crate::context::Context;
use crate::engine::newest;
use crate::engine::record::{entry, put, read};
use crate::govern::{Charter, Consent, Program, ProgramError};
use crate::store::{Change, Key, Rule, Store, StoreError};

/// Whether and how a state is governed.
pub struct Gate {
    governed: bool,
    store: Arc<dyn Store>,
    context: Context,
    decides: Decides,
    /// False where the state may only be looked at: then only what mends it is let through, and says so itself.
    recorded: bool,
    /// The charter that was read last: it changes seldom.
    kept: Mutex<Option<Arc<Active>>>,
}

/// Who decides.
enum Decides {
    Program(PathBuf),
    /// In this process: tests that show what holds whatever policies allow.
    Here(Arc<dyn Decider>),
}

/// The charter in force.
struct Active {
    digest: Digest,
    table: Table,
    program: Program,
}

/// Somebody was let through.
#[derive(Debug, Clone)]
pub struct Passed {
    /// Who it is, in entries and records.
    pub by: String,
    caller: Caller,
    party: Option<Party>,
    groups: BTreeSet<String>,
}

/// Why somebody was not let through.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    #[error("{party} may not {action} {resource}: {decision}")]
    Denied { party: Party, action: Action, resource: Box<Resource>, decision: Decision },
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Gate {
    /// The gate of a state.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn open(store: Arc<dyn Store>, context: Context) -> Result<Self, StoreError> {
        let governed = store.get(&marker()).await?.is_some();
        let decides = Decides::Program(Program::beside());
        Ok(Self { governed, store, context, decides, recorded: true, kept: Mutex::new(None) })
    }

    /// The same gate, with the decision program elsewhere.
    #[must_use]
    pub fn asking(mut self, program: PathBuf) -> Self {
        self.decides = Decides::Program(program);
        self
    }

    /// The same gate, of a state that may only be looked at.
    #[must_use]
    pub(crate) fn of_read_only(mut self) -> Self {
        self.recorded = false;
        self
    }

    /// The same gate, with somebody in this process who decides.
    #[must_use]
    pub fn decided_by(mut self, decider: Arc<dyn Decider>) -> Self {
        self.decides = Decides::Here(decider);
        self
    }

    /// True when the state has a charter; else its one operator may do everything.
    #[must_use]
    pub fn governed(&self) -> bool {
        self.governed
    }

    /// Lets a caller through, or not. `operator` is who it is where nobody governs. A decision about an act is an entry.
    ///
    /// # Errors
    /// He may not, or the answer could not be recorded.
    pub async fn pass(
        &self,
        caller: &Caller,
        operator: &str,
        action: Action,
        resource: &Resource,
    ) -> Result<Passed, GateError> {
        if !self.governed {
            let refused = if caller.federated() {
                Some(Decision::denied(ALONE))
            } else {
                (!caller.covers(action)).then(|| narrow(action))
            };
            if let Some(decision) = refused {
                let party = Party::Unmapped { principal: caller.principal.clone() };
                self.record(caller, &party, action, resource, &decision).await?;
                return Err(GateError::Denied { party, action, resource: Box::new(resource.clone()), decision });
            }
            // A token of the operator's acts under its own name.
            let by = if caller.scope.is_some() { caller.principal.clone() } else { operator.to_owned() };
            return Ok(Passed { by, caller: caller.clone(), party: None, groups: BTreeSet::new() });
        }
        let explained = self.explain(caller, action, resource).await?;
        self.decided(caller, explained, action, resource).await
    }

    /// Writes down what was decided, and lets the caller through or not.
    async fn decided(
        &self,
        caller: &Caller,
        (party, groups, decision): (Party, BTreeSet<String>, Decision),
        action: Action,
        resource: &Resource,
    ) -> Result<Passed, GateError> {
        if !(decision.allowed && action.only_looks()) && (self.recorded || action != Action::Restore) {
            self.record(caller, &party, action, resource, &decision).await?;
        }
        if !decision.allowed {
            return Err(GateError::Denied { party, action, resource: Box::new(resource.clone()), decision });
        }
        Ok(Passed { by: party.to_string(), caller: caller.clone(), party: Some(party), groups })
    }

    /// What would be decided, and nothing is recorded.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn explain(
        &self,
        caller: &Caller,
        action: Action,
        resource: &Resource,
    ) -> Result<(Party, BTreeSet<String>, Decision), GateError> {
        let Some(active) = self.active().await? else {
            let party = Party::Unmapped { principal: caller.principal.clone() };
            return Ok((party, BTreeSet::new(), without_engine(action)));
        };
        let party = active.table.party(&caller.principal);
        self.explain_of(&active, caller, party, action, resource).await
    }

    /// The same, of a party that is known by something else than the name of the caller.
    async fn explain_of(
        &self,
        active: &Active,
        caller: &Caller,
        party: Party,
        action: Action,
        resource: &Resource,
    ) -> Result<(Party, BTreeSet<String>, Decision), GateError> {
        let now = self.context.clock.now();
        let mut groups = active.table.groups(&party);
        if !matches!(party, Party::Unmapped { .. }) {
            groups.extend(caller.groups.iter().cloned());
        }
        if !caller.covers(action) {
            return Ok((party, groups, narrow(action)));
        }
        let latest = newest::seen(&*self.store).await?;
        if now < latest && !action.only_looks() {
            let words = format!("the clock says {now}, and decisions were made at {latest} already; set it right");
            return Ok((party, groups, Decision::denied(words)));
        }
        let decision = match &self.decides {
            Decides::Here(decider) => decider.decide(caller, &party, &groups, action, resource, now),
            Decides::Program(_) => {
                let question = Question {
                    caller: caller.clone(),
                    party: party.clone(),
                    groups: groups.clone(),
                    action,
                    resource: resource.clone(),
                    now,
                };
                match active.program.decide(&question).await {
                    // Looking ahead is open also where nobody decides.
                    denied if !denied.allowed && silent(&denied) && action.only_looks_ahead() => without_engine(action),
                    decision => decision,
                }
            }
        };
        Ok((party, groups, decision))
    }

    /// Whether somebody decides: the charter can be read, and the program answers.
    ///
    /// # Errors
    /// The store cannot be read, or nobody does.
    pub async fn answers(&self) -> Result<(), GateError> {
        if !self.governed {
            return Ok(());
        }
        let missing = || GateError::Refused("the charter in force cannot be read".to_owned());
        let active = self.active().await?.ok_or_else(missing)?;
        if let Decides::Program(_) = self.decides {
            let caller = Caller::plain("nobody:readiness", Entrance::Cli);
            let party = Party::Unmapped { principal: caller.principal.clone() };
            let (action, resource, now) = (Action::Read, Resource::Estate, self.context.clock.now());
            let question = Question { caller, party, groups: BTreeSet::new(), action, resource, now };
            active.program.ask(&question).await?;
        }
        Ok(())
    }

    /// Whose a principal is, under the active charter; `None` where nobody governs.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn party(&self, principal: &str) -> Result<Option<Party>, GateError> {
        if !self.governed {
            return Ok(None);
        }
        let unmapped = || Party::Unmapped { principal: principal.to_owned() };
        Ok(Some(self.active().await?.map_or_else(unmapped, |active| active.table.party(principal))))
    }

    async fn active(&self) -> Result<Option<Arc<Active>>, GateError> {
        let Some(record) = self.store.get(&active_key()).await? else { return Ok(None) };
        let digest: Digest = read(record)?;
        let mut kept = self.kept.lock().await;
        if let Some(active) = kept.as_ref().filter(|active| active.digest == digest) {
            return Ok(Some(Arc::clone(active)));
        }
        let Some(charter) = self.charter(digest).await? else { return Ok(None) };
        let Ok(table) = charter.table() else { return Ok(None) };
        let active = Arc::new(Active { digest, table, program: self.program(&charter) });
        *kept = Some(Arc::clone(&active));
        Ok(Some(active))
    }

    /// A charter by its digest; one that is not what was written under that name is none.
    async fn charter(&self, digest: Digest) -> Result<Option<Charter>, StoreError> {
        let key = Key { kind: CHARTER, id: digest.to_string() };
        let charter: Option<Charter> = self.store.get(&key).await?.map(read).transpose()?;
        Ok(charter.filter(|charter| charter.digest() == digest))
    }

    fn program(&self, charter: &Charter) -> Program {
        let path = match &self.decides {
            Decides::Program(path) => path.clone(),
            Decides::Here(_) => Program::beside(),
        };
        Program::new(path, charter)
    }

    async fn record(
        &self,
        caller: &Caller,
        party: &Party,
        action: Action,
        resource: &Resource,
        decision: &Decision,
    ) -> Result<(), StoreError> {
        let now = self.context.clock.now();
        let body = json!({
            "action": action.word(),
            "resource": resource.to_string(),
            "by": party.to_string(),
            "principal": caller.principal,
            "person": party.person().map(Person::to_string),
            "entrance": caller.entrance.word(),
            "source": caller.source,
            "request": (!caller.request.is_empty()).then_some(&caller.request),
            "acr": (!caller.acr.is_empty()).then_some(&caller.acr),
            "allowed": decision.allowed,
            "policies": decision.why.iter().map(|why| why.policy.clone()).collect::<Vec<_>>(),
            "why": decision.to_string(),
        });
        let mut change = Change::default();
        change.entries.push(entry(DECIDED, now, None, None, &body));
        if newest::seen(&*self.store).await? <= now {
            change.puts.push(newest::put_seen(now)?);
        }
        self.store.commit(change).await.map(drop)
    }

    /// Checks a charter as the decision program reads it.
    ///
    /// # Errors
    /// The program refuses the policies, or is not there.
    pub async fn check(&self, charter: &Charter) -> Result<(), GateError> {
        match &self.decides {
            Decides::Here(_) => Ok(()),
            Decides::Program(_) => Ok(self.program(charter).check().await?),
        }
    }

    /// The change that makes a new state a governed one: the ceremony of its first charter.
    ///
    /// # Errors
    /// A record cannot be written as JSON.
    pub(crate) fn found(charter: &Charter, by: &str, context: &Context) -> Result<Change, StoreError> {
        let (now, digest) = (context.clock.now(), charter.digest());
        let mut change = Change::default();
        change.puts.push(put(STATE, GOVERNED, "", &json!({ "since": now.to_string() }), Rule::Insert)?);
        change.puts.push(put(CHARTER, digest.to_string(), "", charter, Rule::Upsert)?);
        change.puts.push(put(ACTIVE, CHARTER, "", &digest, Rule::Upsert)?);
        change.puts.push(newest::put_seen(now)?);
        let body = json!({ "charter": digest.to_string(), "by": by, "ceremony": true });
        change.entries.push(entry(ACTIVATED, now, None, None, &body));
        Ok(change)
    }

    /// Stages a charter, or consents to the one that is staged; true when it became active. Both pass the active policies
    /// first, as `change-policy`.
    ///
    /// # Errors
    /// The active policies do not allow it, the new ones cannot be read, or another charter became active meanwhile.
    pub async fn change_charter(&self, passed: &Passed, charter: &Charter) -> Result<bool, GateError> {
        self.check(charter).await?;
        let party = passed.party.clone().ok_or_else(|| GateError::Refused(UNGOVERNED.to_owned()))?;
        let under = self.store.get(&active_key()).await?;
        let revision = under.as_ref().map_or(0, |record| record.revision);
        let under: Option<Digest> = under.map(read).transpose()?;
        let digest = charter.digest();
        if under == Some(digest) {
            return Err(GateError::Refused("this charter is active already; nothing was changed".to_owned()));
        }
        let now = self.context.clock.now();
        let (consent, staged) = self.consent(CHARTER, digest, under, party).await?;
        let mut change = Change::default();
        change.expects.push((active_key(), revision));
        change.puts.push(put(CHARTER, digest.to_string(), "", charter, Rule::Upsert)?);
        let body =
            json!({ "charter": digest.to_string(), "before": under.map(|under| under.to_string()), "by": passed.by });
        let given = consent.given();
        if given {
            change.puts.push(put(ACTIVE, CHARTER, "", &digest, Rule::Upsert)?);
            change.deletes.push(Key { kind: STAGED, id: CHARTER.to_owned() });
            change.entries.push(entry(ACTIVATED, now, None, None, &body));
        } else {
            change.puts.push(put(STAGED, CHARTER, "", &consent, staged)?);
            change.entries.push(entry("policy.staged", now, None, None, &body));
        }
        self.store.commit(change).await?;
        Ok(given)
    }

    /// Consent to something by its digest, with this party's: what was proposed under another charter, or for something
    /// else, counts for nothing.
    async fn consent(
        &self,
        about: &'static str,
        digest: Digest,
        under: Option<Digest>,
        party: Party,
    ) -> Result<(Consent, Rule), StoreError> {
        let now = self.context.clock.now();
        let record = self.store.get(&Key { kind: STAGED, id: about.to_owned() }).await?;
        let rule = record.as_ref().map_or(Rule::Insert, |record| Rule::Revision(record.revision));
        let known: Option<Consent> = record.map(read).transpose()?;
        let known = known.filter(|known| known.digest == digest && known.under == under);
        let consent = match known {
            Some(known) => known.and(party),
            None => Consent::propose(digest, under, party, now),
        };
        Ok((consent, rule))
    }

    /// A change of the estate that touches what protects it: true when a second person stands for exactly this one.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn protects(&self, passed: &Passed, estate: Digest, active: Option<Digest>) -> Result<bool, GateError> {
        let Some(party) = passed.party.clone() else { return Ok(true) };
        let (consent, rule) = self.consent("estate", estate, active, party).await?;
        let mut change = Change::default();
        if consent.given() {
            change.deletes.push(Key { kind: STAGED, id: "estate".to_owned() });
        } else {
            change.puts.push(put(STAGED, "estate", "", &consent, rule)?);
            let body = json!({ "estate": estate.to_string(), "by": passed.by });
            change.entries.push(entry("estate.proposed", self.context.clock.now(), None, None, &body));
        }
        self.store.commit(change).await?;
        Ok(consent.given())
    }
}

impl Passed {
    /// Who asked, as the entrance verified it.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The party, where the state is governed.
    #[must_use]
    pub fn party(&self) -> Option<&Party> {
        self.party.as_ref()
    }

    /// The person, where one is known.
    #[must_use]
    pub fn person(&self) -> Option<Person> {
        self.party.as_ref().and_then(Party::person).cloned()
    }

    /// This caller's yes, as strong as he is known; `None` where nobody governs.
    #[must_use]
    pub fn signature(&self, now: jiff::Timestamp) -> Option<Signature> {
        Some(Signature {
            by: self.party.clone()?,
            roles: self.groups.clone(),
            at: now,
            strength: Strength { auth_time: self.caller.auth_time, grade: "recorded".to_owned() },
            plan: 0,
            delta: false,
            additions: None,
            withdrawn: None,
            until: None,
            signed: None,
        })
    }
}

fn narrow(action: Action) -> Decision {
    Decision::denied(format!("the token is not for {action}; a token says what it is for when it is made"))
}

fn silent(decision: &Decision) -> bool {
    decision.why.iter().all(|why| why.policy == "none")
}

/// What a governed state has.
pub(crate) fn marker() -> Key {
    Key { kind: STATE, id: GOVERNED.to_owned() }
}

/// Where the digest of the charter in force is kept.
pub(crate) fn active_key() -> Key {
    Key { kind: ACTIVE, id: CHARTER.to_owned() }
}

/// The kinds of the records that a gate decides by.
pub(crate) const DECIDED_BY: [&str; 4] = [STATE, ACTIVE, CHARTER, newest::KIND];

const STATE: &str = "state";
const GOVERNED: &str = "governed";
const ACTIVE: &str = "active";
const CHARTER: &str = "charter";
const STAGED: &str = "staged";
/// What a signature is called that anybody can check with the person's key.
const SIGNED_GRADE: &str = "signed";
/// The kinds of the entries.
const DECIDED: &str = "access.decided";
const ACTIVATED: &str = "policy.activated";
const ALONE: &str = "this state has one operator, and no table says who else is who";
const UNGOVERNED: &str = "this state has one operator and no policies";
