//! When a person's task is to be done, and the word that it was not.
//!
//! A task is due a while after it was opened, as its credential's document says (`rotation: {due: 2d}`), and never later
//! than its reset. That it is overdue is said wherever tasks are listed; once it becomes an entry, and so an event.

use jiff::Timestamp;
use remint_contract::Ref;
use remint_core::estate::Estate;
use serde_json::json;

use crate::engine::record::{ResetStatus, TaskRecord, entry, kind, put, read};
use crate::engine::{Engine, EngineError};
use crate::store::{Change, Rule, StoreError};

/// Until when a task of a credential that is opened now is to be done.
#[must_use]
pub fn due(estate: &Estate, deadline: Option<Timestamp>, credential: &Ref, now: Timestamp) -> Option<Timestamp> {
    let rotation = estate.credentials.get(credential).map(|credential| &credential.rotation);
    let own = rotation.and_then(|rotation| rotation.due).and_then(|due| now.checked_add(due).ok());
    own.into_iter().chain(deadline).min()
}

impl TaskRecord {
    /// Nobody attested it in time.
    #[must_use]
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.attested.is_none() && self.due.is_some_and(|due| due <= now)
    }

    /// How it stands, for a person.
    #[must_use]
    pub fn standing(&self, now: Timestamp) -> String {
        match (&self.attested, self.due) {
            (Some(attested), _) => format!("by {}", attested.by),
            (None, Some(due)) if due <= now => format!("OVERDUE since {due:.0}"),
            (None, Some(due)) => format!("open, due {due:.0}"),
            (None, None) => "open".to_owned(),
        }
    }
}

impl Engine {
    /// Says of every task that became overdue that it is, once. Gives those.
    ///
    /// # Errors
    /// The store failed.
    pub async fn remind(&self) -> Result<Vec<TaskRecord>, EngineError> {
        let now = self.context.clock.now();
        let mut reminded = Vec::new();
        for stored in self.store.list(kind::TASK, None).await? {
            let revision = stored.revision;
            let mut task: TaskRecord = read(stored)?;
            if task.reminded.is_some() || !task.is_overdue(now) {
                continue;
            }
            let status = self.reset(&task.reset).await?.status;
            if matches!(status, ResetStatus::Complete | ResetStatus::Rejected) {
                continue;
            }
            task.reminded = Some(now);
            let body = json!({ "task": task.id, "due": task.due.map(|due| due.to_string()), "why": task.what });
            let mut change = Change::default();
            change.puts.push(put(kind::TASK, &*task.id, &task.reset.0, &task, Rule::Revision(revision))?);
            change.entries.push(entry("task.overdue", now, Some(&task.reset), Some(&task.about), &body));
            match self.store.commit(change).await {
                // Somebody attested it in this moment, or said it before.
                Err(StoreError::Stale { .. }) => {}
                done => {
                    done?;
                    reminded.push(task);
                }
            }
        }
        Ok(reminded)
    }
}
