//! A state that is governed: its ceremony, and what its estate changes by.

use std::path::PathBuf;
use std::sync::Arc;

use remint_contract::{HostRules, Kinds};
use remint_core::approval::Executor;
use remint_core::estate::Estate;
use serde_json::json;

use crate::app::{App, AppError, Places, made};
use crate::context::Context;
use crate::engine::EngineSettings;
use crate::engine::record::entry;
use crate::govern::{Charter, Gate, GateError, Passed, Program};
use crate::store::Key;

impl App {
    /// Makes a state that a charter governs: the ceremony. True when it is new; one that was made before stays as it is.
    pub async fn init_governed(
        places: &Places,
        anchor: Option<PathBuf>,
        context: &Context,
        kinds: Arc<dyn Kinds>,
        charter: &Charter,
        by: &str,
    ) -> Result<(Self, bool), AppError> {
        // Before anything is made: policies that nobody can read would lock everybody out.
        Program::new(Program::beside(), charter).check().await.map_err(GateError::from)?;
        Self::found(places, anchor, context, kinds, charter, by).await
    }

    /// As [`App::init_governed`], with a charter that was checked.
    pub async fn found(
        places: &Places,
        anchor: Option<PathBuf>,
        context: &Context,
        kinds: Arc<dyn Kinds>,
        charter: &Charter,
        by: &str,
    ) -> Result<(Self, bool), AppError> {
        Box::pin(places.make_keys()).await?;
        let settings = EngineSettings::default();
        let mut app = Self::assemble(places, anchor, context, kinds, HostRules::default(), settings).await?;
        let marker = Key { kind: "state", id: "single-operator".to_owned() };
        if app.gate.governed() || app.engine.store.get(&marker).await?.is_some() {
            return Ok((app, false));
        }
        let mut change = Gate::found(charter, by, context)?;
        let body = json!({ "governance": "governed", "key": app.key.verifier().to_string() });
        change.entries.insert(0, entry("state.created", context.clock.now(), None, None, &body));
        let new = made(app.engine.store.commit(change).await)?;
        app.gate = Gate::open(Arc::clone(&app.engine.store), context.clone()).await?;
        app.engine.settings.executor = app.gate.governed().then_some(Executor::Remint);
        if new && app.anchor.is_some() {
            app.sequencer.flush().await?;
        }
        Ok((app, new))
    }

    /// Who acts, in entries and records.
    #[must_use]
    pub fn by(&self, operator: String) -> String {
        self.passed.as_ref().map_or(operator, |passed| passed.by.clone())
    }

    /// Makes an estate active on the word of somebody who passed as `change-estate`. What protects the estate (its approval
    /// policies, tiers and classes) changes only when a second person stands for the same change: `None` until then.
    ///
    /// # Errors
    /// As [`App::activate`].
    pub async fn activate_by(&self, estate: Estate, passed: &Passed) -> Result<Option<Estate>, AppError> {
        if let Some(active) = self.engine.active_estate().await? {
            let staged = self.staged(estate.clone()).await?;
            let before = active.digest();
            if protects(&active, &staged) && !self.gate.protects(passed, staged.digest(), Some(before)).await? {
                return Ok(None);
            }
        }
        self.activate(estate, &passed.by).await.map(Some)
    }
}

/// True when a change touches what decides how much it takes to rotate something.
fn protects(active: &Estate, staged: &Estate) -> bool {
    active.approvals != staged.approvals
        || active.identities.iter().any(|(name, identity)| {
            let next = staged.identities.get(name);
            next.is_some_and(|next| {
                (next.tier, next.class, &next.environment) != (identity.tier, identity.class, &identity.environment)
            })
        })
        || active.credentials.iter().any(|(name, credential)| {
            staged.credentials.get(name).is_some_and(|next| next.identity != credential.identity)
        })
}
