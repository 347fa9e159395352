//! Opens rotation windows when their time comes: one of several daemons does it, and what it begins is put on the desk.
//!
//! Flow: between two openings nothing is read but which estate is active; the openings themselves are the engine's
//! (`engine::opening`), which never begins one twice, whoever asks.

use std::time::Duration;

use jiff::Timestamp;
use remint_core::digest::Digest;

use crate::engine::{Engine, EngineError};
use crate::serve::supervisor::Desk;
use crate::serve::{Stopping, causes};

/// When it is looked at the windows again, unless the estate changes before.
#[derive(Debug, Default)]
struct Until {
    estate: Option<Digest>,
    next: Option<Timestamp>,
}

pub(super) async fn run(engine: &Engine, desk: &Desk, every: Duration, stopping: Stopping) {
    let mut stopped = std::pin::pin!(stopping.stopped());
    let mut until = Until::default();
    loop {
        if let Err(error) = look(engine, desk, &mut until).await {
            tracing::error!(error = causes(&error), "the windows could not be looked at; it is tried again");
        }
        tokio::select! {
            () = &mut stopped => return,
            () = engine.context.clock.sleep(every) => {}
        }
    }
}

async fn look(engine: &Engine, desk: &Desk, until: &mut Until) -> Result<(), EngineError> {
    let estate = engine.active_digest().await?;
    let known = estate.is_some() && until.estate == estate;
    let idle = until.next.is_none_or(|next| engine.context.clock.now() < next);
    if known && idle || !engine.chairs().await? {
        return Ok(());
    }
    if let Some(resting) = engine.resting_windows().await? {
        *until = Until { estate, next: resting.next };
        return Ok(());
    }
    let look = engine.open_windows().await?;
    for opened in look.opened {
        tracing::info!(window = %opened.window, reset = %opened.reset, closes = %opened.opening.closes, "a window opened");
        desk.put(&opened.reset);
    }
    *until = Until { estate, next: look.next };
    Ok(())
}
