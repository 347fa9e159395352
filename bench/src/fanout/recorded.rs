//! What a reset really records, from the engine at work in a town that answers at once.

use std::sync::Arc;
use std::time::Duration;

use remint::context::Context;
use remint::engine::reset::Request as Asked;
use remint::engine::{Engine, EngineSettings};
use remint::escrow::{Escrow, Kek, SystemRandomness};
use remint::store::Store;
use remint::store::sqlite::SqliteStore;
use remint_contract::{HostRules, Kinds};
use remint_core::plan::plan;
use remint_evidence_format::ledger::CLOSED;
use remint_evidence_format::{Draft, entry};

use super::shape::{self, Shape};
use super::town::Town;
use crate::Outcome;

/// The entries of one reset, without the closing ones, and their bytes as stored.
pub(crate) struct Recorded {
    pub(crate) drafts: Vec<Draft>,
    pub(crate) bytes: u64,
}

pub(crate) async fn reset(credentials: usize) -> Outcome<Recorded> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    for name in ["state", "keys"] {
        tokio::fs::create_dir(at(name)).await?;
    }
    let town = Arc::new(Town::new(4, Duration::ZERO));
    let (estate, mut request) = shape::of(Shape::Flat, credentials, &town, 64)?;
    request.canary = credentials;
    Kek::create(&at("keys/kek"), &at("state"), false, &SystemRandomness)?;
    let kek = Kek::load(&at("keys/kek"), &at("state"), false)?;
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&at("state"))?);
    let escrow = Arc::new(Escrow::new(kek, Box::new(SystemRandomness)));
    let (kinds, settings) = (Arc::clone(&town) as Arc<dyn Kinds>, EngineSettings::default());
    let engine = Engine::new(Arc::clone(&store), escrow, kinds, HostRules::default(), Context::system(), settings);
    let now = engine.context.clock.now();
    let plan = plan(&estate, &request, &*town, now)
        .map_err(|refusals| refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    let id = engine.context.reset()?;
    let (reason, by) = ("benchmark".to_owned(), "benchmark".to_owned());
    engine.request(Asked { id: id.clone(), plan, estate, reason, by, at: now }).await?;
    engine.approve(&id, "benchmark").await?;
    engine.run(&id).await?;

    let mut recorded = Recorded { drafts: Vec::new(), bytes: 0 };
    for stored in store.entries_of(&id).await? {
        recorded.bytes += stored.bytes.len() as u64;
        let entry = entry::parse(&stored.bytes)?;
        if entry.kind == CLOSED {
            continue;
        }
        recorded.drafts.push(Draft {
            kind: entry.kind.to_string(),
            at: entry.at.to_string(),
            reset: None,
            subject: entry.subject.as_ref().map(ToString::to_string),
            body: entry.body()?,
        });
    }
    Ok(recorded)
}
