//! Breaking the glass: one person, whom the policies name for it, starts a reset at once; others look at it afterwards.
//!
//! Flow: [`Engine::break_glass`] asks for the reset and starts it in the next change; [`Engine::review`] is another person's
//! word on it; [`Engine::alarm_reviews`] tells of what nobody reviewed in time.
//!
//! Guarantees: it is loud (`break-glass.used` is an entry of the reset, and goes to every stream); it lasts [`LASTS`]: what
//! has not begun by then takes the persons that it always takes; a review is due within [`REVIEW`]; as long as one is
//! overdue nobody breaks the glass, and who broke it once does so again only within those [`LASTS`] or after the review.

use std::time::Duration;

use jiff::Timestamp;
use remint_contract::ResetId;
use remint_core::approval::{Party, Person, Way};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::engine::record::{Reset, ResetStatus, Urgency, entry, kind, put, read};
use crate::engine::reset::Request;
use crate::engine::{Engine, EngineError};
use crate::store::{Change, Key, Rule, StoreError};

/// How long a broken glass lets somebody act alone.
pub const LASTS: Duration = Duration::from_hours(4);

/// How soon another person has to have looked at it.
pub const REVIEW: Duration = Duration::from_hours(72);

/// The kind of the entry, and of the event in the streams.
pub const USED: &str = "break-glass.used";
const REVIEWED: &str = "break-glass.reviewed";
const OVERDUE: &str = "break-glass.overdue";

/// One use of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    pub reset: ResetId,
    pub by: Person,
    pub at: Timestamp,
    pub until: Timestamp,
    /// When another person must have looked at it.
    pub due: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reviewed: Option<Review>,
    /// It was told that nobody did.
    #[serde(default)]
    pub alarmed: bool,
}

/// Another person's word on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    pub by: Person,
    pub at: Timestamp,
    pub words: String,
}

impl Engine {
    /// Asks for a reset and starts it, on one person's word; the gate let him `break-glass` before.
    ///
    /// # Errors
    /// Nobody governs, the table knows no such person, a review is missing that stands in the way, or as any request.
    pub async fn break_glass(
        &self,
        request: Request,
        exposed_at: Option<Timestamp>,
        party: Party,
    ) -> Result<Reset, EngineError> {
        let now = self.context.clock.now();
        let refused = |why: String| Err(EngineError::Refused(why));
        let Some(person) = party.person().cloned() else {
            return refused(format!("{party} is no person that the table knows; only one of those breaks the glass"));
        };
        let (all, guard) = self.broken().await?;
        let open = || all.iter().filter(|one| one.reviewed.is_none());
        if let Some(late) = open().find(|one| one.due <= now) {
            return refused(format!(
                "nobody breaks the glass as long as a review is overdue: that of reset {} was due {}; another person than {} says: remint review {}",
                late.reset, late.due, late.by, late.reset
            ));
        }
        if let Some(own) = open().find(|one| one.by == person && one.until <= now) {
            return refused(format!(
                "{person} broke the glass for reset {} and nobody reviewed it yet; another person says: remint review {}",
                own.reset, own.reset
            ));
        }
        // Who acts on within the time of the first has no more time than that.
        let running = open().filter(|one| one.by == person).map(|one| one.until).min();
        let until = running.unwrap_or_else(|| now.checked_add(LASTS).unwrap_or(now));
        let due = now.checked_add(REVIEW).unwrap_or(now);
        let id = request.id.clone();
        let broken =
            Broken { reset: id.clone(), by: person.clone(), at: now, until, due, reviewed: None, alarmed: false };
        let mut change = Change::default();
        change.puts.push(put(kind::BROKEN, id.0.clone(), "", &broken, Rule::Insert)?);
        // Two at once would each not know of the other.
        let rule = guard.map_or(Rule::Insert, Rule::Revision);
        change.puts.push(put(kind::GUARD, kind::BROKEN, "", &now, rule)?);
        let body = json!({
            "by": party.to_string(), "person": person.to_string(), "until": until.to_string(), "review-due": due.to_string(),
            "reason": request.reason, "credentials": request.plan.members.len(),
        });
        change.entries.push(entry(USED, now, Some(&id), None, &body));
        let urgency = Urgency::of(&request.plan);
        self.request_with(request, urgency, exposed_at, (Some(party.clone()), false), change).await?;
        tracing::error!(reset = %id, %person, %due, "the glass was broken: a reset starts without the approval of others");
        self.start_by_way(&id, Way::BreakGlass { by: person, until }, &party.to_string()).await
    }

    /// Every use of it, oldest first, and the revision of what guards the next one.
    async fn broken(&self) -> Result<(Vec<Broken>, Option<u64>), EngineError> {
        let key = Key { kind: kind::GUARD, id: kind::BROKEN.to_owned() };
        let guard = self.store.get(&key).await?.map(|record| record.revision);
        let records = self.store.list(kind::BROKEN, None).await?;
        let mut all = records.into_iter().map(read).collect::<Result<Vec<Broken>, StoreError>>()?;
        all.sort_by_key(|one| one.at);
        Ok((all, guard))
    }

    /// Uses that nobody reviewed yet.
    ///
    /// # Errors
    /// The store failed.
    pub async fn unreviewed(&self) -> Result<Vec<Broken>, EngineError> {
        Ok(self.broken().await?.0.into_iter().filter(|one| one.reviewed.is_none()).collect())
    }

    /// Another person's word on a reset for which the glass was broken.
    ///
    /// # Errors
    /// It was not, he is no person that the table knows, or the one who broke it.
    pub async fn review(&self, id: &ResetId, by: &Party, words: &str) -> Result<Broken, EngineError> {
        let now = self.context.clock.now();
        let key = Key { kind: kind::BROKEN, id: id.0.clone() };
        let none =
            || EngineError::Refused(format!("the glass was not broken for reset {id}; nothing is to be reviewed"));
        let record = self.store.get(&key).await?.ok_or_else(none)?;
        let revision = record.revision;
        let mut broken: Broken = read(record)?;
        let Some(person) = by.person().filter(|person| **person != broken.by) else {
            return Err(EngineError::Refused(format!(
                "another person than {} reviews it, whom the table knows",
                broken.by
            )));
        };
        if words.trim().is_empty() {
            return Err(EngineError::Refused("a review says what was found; give a reason".to_owned()));
        }
        if let Some(review) = &broken.reviewed {
            return Err(EngineError::Refused(format!("{} reviewed it at {}", review.by, review.at)));
        }
        broken.reviewed = Some(Review { by: person.clone(), at: now, words: words.to_owned() });
        let mut change = Change::default();
        change.puts.push(put(kind::BROKEN, id.0.clone(), "", &broken, Rule::Revision(revision))?);
        let body = json!({
            "by": by.to_string(), "person": person.to_string(), "reason": words, "late": now > broken.due,
        });
        change.entries.push(entry(REVIEWED, now, Some(id), None, &body));
        self.store.commit(change).await?;
        let reset = self.reset(id).await?;
        if reset.status == ResetStatus::Complete {
            // What was closed before is closed anew, over this entry, too.
            self.closing(&reset).await?;
        }
        Ok(broken)
    }

    /// Tells, once each, of reviews that are overdue; gives how many are.
    ///
    /// # Errors
    /// The store failed.
    pub async fn alarm_reviews(&self) -> Result<usize, EngineError> {
        let now = self.context.clock.now();
        let late: Vec<Broken> = self.unreviewed().await?.into_iter().filter(|one| one.due <= now).collect();
        for one in late.iter().filter(|one| !one.alarmed) {
            tracing::error!(reset = %one.reset, person = %one.by, due = %one.due, "a review is overdue: nobody breaks the glass until it is made");
            let key = Key { kind: kind::BROKEN, id: one.reset.0.clone() };
            let Some(record) = self.store.get(&key).await? else { continue };
            let told = Broken { alarmed: true, ..one.clone() };
            let mut change = Change::default();
            change.puts.push(put(kind::BROKEN, one.reset.0.clone(), "", &told, Rule::Revision(record.revision))?);
            let body = json!({ "reset": one.reset.0, "person": one.by.to_string(), "due": one.due.to_string() });
            change.entries.push(entry(OVERDUE, now, None, None, &body));
            match self.store.commit(change).await {
                // Somebody reviewed it at this moment, or another replica told.
                Err(StoreError::Stale { .. }) => {}
                done => drop(done?),
            }
        }
        Ok(late.len())
    }
}
