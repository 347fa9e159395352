//! What persons approve in advance: that a window replaces, again and again, exactly what they saw.
//!
//! Flow: [`Engine::stand`] plans an opening in which everything that the window selects were due, and asks for that;
//! [`Engine::sign_standing`] takes the persons that the strictest of it takes; at each opening [`Engine::standing_of`] says
//! what holds, and the reset goes by way of it.
//!
//! Guarantees: it is of new values and of nothing else: of each credential it holds the digest of what is done to it
//! (destinations, endpoints, strategy, path, consumers, grades), and what became different has no turn; it is of one window
//! as it stands, and of the policies in force; it ends, at most [`LONGEST`] after it was asked for.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use remint_contract::Ref;
use remint_core::approval::{Case, Party, Signature};
use remint_core::calendar::{Known, Window, turns};
use remint_core::digest::Digest;
use remint_core::estate::Estate;
use remint_core::plan::{Occasion, Plan};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::engine::exceptions::Granted;
use crate::engine::record::{entry, kind, put, read};
use crate::engine::signed::{granted_by, in_turn, judge, keep, tell};
use crate::engine::{Engine, EngineError};
use crate::store::{Change, Key, Put, Rule, StoreError};

/// The longest that something counts as approved in advance.
pub const LONGEST: Duration = Duration::from_hours(366 * 24);

/// What is asked for: exactly this is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    pub id: String,
    pub window: Ref,
    /// Of the window's document: its hours, and what it selects.
    pub document: Digest,
    /// Of the charter and of the estate's approval policies.
    pub policies: Digest,
    /// Of each credential what is done to it.
    pub covers: BTreeMap<Ref, Digest>,
    pub until: Timestamp,
}

/// One approval in advance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    #[serde(flatten)]
    pub asked: Asked,
    pub by: String,
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted: Option<Granted>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    pub case: Case,
}

impl Asked {
    /// Pins it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        // Names, digests and a time cannot fail to be written.
        Digest::of(&serde_json::to_vec(self).unwrap_or_default())
    }

    /// The same digest, as the hash of a file.
    #[must_use]
    pub fn file(&self) -> String {
        self.digest().to_string().trim_start_matches("sha256:").to_owned()
    }
}

impl Standing {
    fn put(&self, rule: Rule) -> Result<Put, StoreError> {
        put(kind::STANDING, self.asked.id.clone(), &self.asked.window.to_string(), self, rule)
    }

    fn told(&self, by: &str) -> serde_json::Value {
        json!({
            "standing": self.asked.id, "digest": self.asked.digest().to_string(), "by": by,
            "until": self.asked.until.to_string(), "credentials": self.asked.covers.len(),
            "policies": self.asked.policies.to_string(), "window": self.asked.document.to_string(),
        })
    }
}

impl Engine {
    /// Who asks where nobody is there.
    pub(crate) fn party_of(window: &Ref) -> Party {
        let name = window.to_string();
        Party::Service { principal: format!("window:{name}"), name, owners: std::collections::BTreeSet::new() }
    }

    /// Asks that a window may replace what it selects, as it would be done now; with the plan that shows it.
    ///
    /// # Errors
    /// Nobody governs, there is no such window, it would replace nothing, or the end is too far.
    pub async fn stand(
        &self,
        window: &Ref,
        until: Timestamp,
        by: &str,
        party: Party,
    ) -> Result<(Standing, Plan), EngineError> {
        let now = self.context.clock.now();
        let refused = EngineError::Refused;
        let longest = now.checked_add(LONGEST).unwrap_or(now);
        if until <= now || until > longest {
            return Err(refused(format!("it ends after now and at most at {longest}; {until} is not in there")));
        }
        if self.settings.executor.is_none() {
            return Err(refused("this state has one operator: its windows open on his word".to_owned()));
        }
        let estate = self.active_estate().await?.unwrap_or_default();
        let document = estate.windows.get(window).ok_or_else(|| EngineError::Gone(window.clone()))?;
        let calendar = Window::new(window.clone(), document.clone())
            .map_err(|error| refused(format!("{window} has no schedule: {error}")))?;
        let opening = calendar.next(now).ok_or_else(|| refused(format!("{window} never opens again")))?;
        // As if everything that it selects were due, and nothing in its way.
        let all = estate.credentials.keys().map(|name| (name.clone(), Known { covered: true, ..Known::default() }));
        let turns = turns(&calendar, &opening, &estate, &all.collect());
        if turns.turns.is_empty() {
            return Err(refused(format!("{window} selects no credential: there is nothing to approve")));
        }
        let occasion = Occasion::new(window.clone(), opening, &turns);
        let plan = self.plan_opening(occasion, &estate).await.map_err(refused)?;
        let covers = plan.members.iter().map(|member| (member.credential.clone(), member.itself())).collect();
        let policies = self.policies(&estate).await?;
        let document = digest_of(document);
        let id = format!("s-{}", self.context.hex(6)?);
        let asked = Asked { id, window: window.clone(), document, policies, covers, until };
        let case = Case::open(party, asked.digest(), now);
        let standing = Standing { asked, by: by.to_owned(), at: now, granted: None, ended: None, case };
        let mut change = Change::default();
        change.puts.push(standing.put(Rule::Insert)?);
        change.entries.push(entry("standing.asked", now, None, Some(window), &standing.told(by)));
        self.store.commit(change).await?;
        Ok((standing, plan))
    }

    /// Takes in a yes to exactly this; what is missing, each sentence once.
    ///
    /// # Errors
    /// There is none of that name, it waits for nobody, or the yes is of another one.
    pub async fn sign_standing(
        &self,
        id: &str,
        digest: Digest,
        signature: &Signature,
    ) -> Result<(Standing, Vec<String>), EngineError> {
        in_turn(|| self.sign_standing_once(id, digest, signature)).await
    }

    async fn sign_standing_once(
        &self,
        id: &str,
        digest: Digest,
        signature: &Signature,
    ) -> Result<(Standing, Vec<String>), EngineError> {
        let now = self.context.clock.now();
        let (mut standing, revision) = self.standing(id).await?;
        if standing.granted.is_some() || standing.ended.is_some() || now >= standing.asked.until {
            return Err(EngineError::Refused(format!(
                "standing approval {id} waits for nobody: it was decided, or is over"
            )));
        }
        let estate = self.active_estate().await?.unwrap_or_default();
        if let Some(why) = self.void(&standing.asked, &estate).await? {
            return Err(EngineError::Refused(format!("standing approval {id} is void: {why}; ask for it anew")));
        }
        standing.case.sign(digest, signature.clone()).map_err(|refusal| EngineError::Refused(refusal.to_string()))?;
        let mut lacks = Vec::new();
        let mut names = Vec::new();
        for credential in standing.asked.covers.keys() {
            // Grades are in what is covered, and each turn is the canary of those after it.
            match judge(&standing.case, credential, &estate, now) {
                Ok(met) => names = if met.by.len() > names.len() { met.by } else { names },
                Err(lack) => {
                    let words = lack.to_string();
                    if !lacks.contains(&words) {
                        lacks.push(words);
                    }
                }
            }
        }
        let mut change = Change::default();
        let mut body = standing.told(&signature.by.to_string());
        let kept = keep(signature, id, &mut change)?;
        tell(&mut body, signature, kept.as_ref());
        let window = standing.asked.window.clone();
        change.entries.push(entry("standing.signed", now, None, Some(&window), &body));
        if lacks.is_empty() {
            let by = granted_by(&names, signature);
            change.entries.push(entry("standing.approved", now, None, Some(&window), &standing.told(&by)));
            standing.granted = Some(Granted { by, at: now });
        }
        change.puts.push(standing.put(Rule::Revision(revision))?);
        self.store.commit(change).await?;
        Ok((standing, lacks))
    }

    /// Ends what was approved in advance: the next opening of the window finds nothing.
    ///
    /// # Errors
    /// There is none of that name, or it ended before.
    pub async fn end_standing(&self, id: &str, by: &str, reason: &str) -> Result<Standing, EngineError> {
        let now = self.context.clock.now();
        let (mut standing, revision) = self.standing(id).await?;
        if standing.ended.is_some() {
            return Err(EngineError::Refused(format!("standing approval {id} ended before")));
        }
        standing.ended = Some(now);
        let mut change = Change::default();
        let body = json!({ "standing": id, "by": by, "reason": reason });
        change.entries.push(entry("standing.ended", now, None, Some(&standing.asked.window), &body));
        change.puts.push(standing.put(Rule::Revision(revision))?);
        self.store.commit(change).await?;
        Ok(standing)
    }

    /// One of them, with the revision of its record.
    ///
    /// # Errors
    /// There is none of that name.
    pub async fn standing(&self, id: &str) -> Result<(Standing, u64), EngineError> {
        let key = Key { kind: kind::STANDING, id: id.to_owned() };
        let missing = || EngineError::NoRecord { kind: kind::STANDING, id: id.to_owned() };
        let record = self.store.get(&key).await?.ok_or_else(missing)?;
        let revision = record.revision;
        Ok((read(record)?, revision))
    }

    /// What holds for a window now: of several, what was granted last.
    ///
    /// # Errors
    /// The store failed.
    pub async fn standing_of(&self, window: &Ref) -> Result<Option<Standing>, EngineError> {
        let now = self.context.clock.now();
        let estate = self.active_estate().await?.unwrap_or_default();
        let records = self.store.list(kind::STANDING, Some(&window.to_string())).await?;
        let mut all = records.into_iter().map(read).collect::<Result<Vec<Standing>, _>>()?;
        all.retain(|one| one.granted.is_some() && one.ended.is_none() && now < one.asked.until);
        all.sort_by_key(|one| one.granted.as_ref().map(|granted| granted.at));
        while let Some(last) = all.pop() {
            if self.void(&last.asked, &estate).await?.is_none() {
                return Ok(Some(last));
            }
        }
        Ok(None)
    }

    /// Why something that was approved in advance is not what is in force any more.
    async fn void(&self, asked: &Asked, estate: &Estate) -> Result<Option<&'static str>, EngineError> {
        Ok(if estate.windows.get(&asked.window).map(digest_of) != Some(asked.document) {
            Some("the window was changed")
        } else if self.policies(estate).await? != asked.policies {
            Some("the policies were changed")
        } else {
            None
        })
    }

    /// The version of the policies: the charter, and how many it takes.
    async fn policies(&self, estate: &Estate) -> Result<Digest, EngineError> {
        let charter = self.store.get(&crate::govern::active_charter()).await?.map(|record| record.body);
        let approvals: Vec<_> = estate.approvals.iter().map(|(name, policy)| (name.to_string(), policy)).collect();
        Ok(digest_of(&(charter, approvals)))
    }
}

/// Names, numbers and texts: writing them as JSON cannot fail.
fn digest_of<T: Serialize>(value: &T) -> Digest {
    Digest::of(&serde_json::to_vec(value).unwrap_or_default())
}
