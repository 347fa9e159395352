//! Whether any rotation window has something to do, told without the estate: a daemon that has nothing to do keeps only what
//! says when it will.

use std::collections::BTreeMap;

use jiff::Timestamp;
use remint_contract::Ref;
use remint_core::calendar::Window;
use remint_core::estate::RotationWindow;

use crate::engine::record::{ResetStatus, read};
use crate::engine::{Engine, EngineError};
use crate::store::Key;

/// No window has anything to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resting {
    /// When the next opening is due; `None`: no window of the estate opens again.
    pub next: Option<Timestamp>,
}

impl Engine {
    /// `None`: somebody has to look at the windows, with the estate.
    ///
    /// # Errors
    /// The store failed.
    pub async fn resting_windows(&self) -> Result<Option<Resting>, EngineError> {
        let key = Key { kind: "active", id: "windows".to_owned() };
        let Some(record) = self.store.get(&key).await? else { return Ok(None) };
        let windows: BTreeMap<Ref, RotationWindow> = read(record)?;
        let (now, mut next) = (self.context.clock.now(), None);
        for (name, document) in windows {
            let manual = document.manual_only;
            let Ok(window) = Window::new(name.clone(), document) else { return Ok(None) };
            let Some((kept, _)) = self.window(&name).await? else { return Ok(None) };
            if let Some(id) = &kept.last
                && self.reset(id).await?.status == ResetStatus::Requested
            {
                return Ok(None);
            }
            if window.due(kept.seen, now).seen != kept.seen {
                return Ok(None);
            }
            if !manual {
                next = next.into_iter().chain(window.next(kept.seen).map(|next| next.opens)).min();
            }
        }
        Ok(Some(Resting { next }))
    }
}
