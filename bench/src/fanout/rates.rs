//! What the database does by itself: one-row commits, one after another and from many callers at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use remint::store::{Change, Key, Put, Rule, Store};
use serde::Serialize;
use serde_json::json;

use super::kept::Kept;
use super::ratio;
use crate::Outcome;

/// Commits a second.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Rates {
    /// One caller, each commit on disk before the next begins.
    pub(super) raw_commit_per_s: f64,
    /// From 64 callers.
    pub(super) group_commit_per_s: f64,
}

pub(super) async fn measure(kept: &Kept) -> Outcome<Rates> {
    let folder = tempfile::tempdir()?;
    let store = kept.open(folder.path(), folder.path()).await?;
    Ok(Rates { raw_commit_per_s: rate(&store, 1).await?, group_commit_per_s: rate(&store, CALLERS).await? })
}

/// For about a second and a half.
async fn rate(store: &Arc<dyn Store>, callers: usize) -> Outcome<f64> {
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..callers {
        let store = Arc::clone(store);
        tasks.spawn(async move {
            let mut done = 0_u64;
            while began.elapsed() < Duration::from_millis(1500) {
                let key = Key { kind: "bench", id: format!("{callers}-{caller}-{done}") };
                let put = Put { key, scope: String::new(), body: json!({ "n": done }), rule: Rule::Upsert };
                store.commit(Change { puts: vec![put], ..Change::default() }).await?;
                done += 1;
            }
            Ok::<_, remint::store::StoreError>(done)
        });
    }
    let mut all = 0;
    while let Some(done) = tasks.join_next().await {
        all += done??;
    }
    Ok(ratio(all, began.elapsed().as_secs_f64()))
}

const CALLERS: usize = 64;
