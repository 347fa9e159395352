//! Forgets what escrow keeps no longer, and the keys of requests of yesterday, at the start and every hour.

use std::time::Duration;

use crate::engine::{Engine, EngineError};
use crate::serve::api::forget;
use crate::serve::{Stopping, causes};

const EVERY: Duration = Duration::from_hours(1);

pub(super) async fn run(engine: &Engine, stopping: Stopping) {
    let mut stopped = std::pin::pin!(stopping.stopped());
    loop {
        match chore(engine).await {
            Ok(0) => {}
            Ok(values) => tracing::info!(values, "forgot sealed values past their expiry"),
            Err(error) => tracing::error!(error = causes(&error), "sealed values past their expiry are still there"),
        }
        tokio::select! {
            () = &mut stopped => return,
            () = engine.context.clock.sleep(EVERY) => {}
        }
    }
}

/// One of several daemons does it.
async fn chore(engine: &Engine) -> Result<usize, EngineError> {
    if !engine.chairs().await? {
        return Ok(0);
    }
    forget(&*engine.store, engine.context.clock.now()).await?;
    engine.purge().await
}
