//! What persons said, and time: exceptions that end, requests that are too old, rests that are over, reviews that nobody made.
//!
//! Flow: every so often one of several daemons looks. What starts or opens again by that is carried on by the supervisor,
//! which hears of every record of a reset.

use std::time::Duration;

use crate::engine::{Engine, EngineError};
use crate::serve::supervisor::Desk;
use crate::serve::{Stopping, causes};

/// What a person waits for at most; each look reads every reset that there is.
const EVERY: Duration = Duration::from_secs(30);

pub(super) async fn run(engine: &Engine, desk: &Desk, stopping: Stopping) {
    let mut stopped = std::pin::pin!(stopping.stopped());
    loop {
        if let Err(error) = look(engine, desk).await {
            tracing::error!(error = causes(&error), "what persons said could not be looked at; it is tried again");
        }
        tokio::select! {
            () = &mut stopped => return,
            () = engine.context.clock.sleep(EVERY) => {}
        }
    }
}

async fn look(engine: &Engine, desk: &Desk) -> Result<(), EngineError> {
    if !engine.chairs().await? {
        return Ok(());
    }
    let ended = engine.end_exceptions().await?;
    if ended > 0 {
        tracing::warn!(ended, "exceptions ended: every reset that left them out is open again");
    }
    for id in engine.begin_rested().await? {
        tracing::info!(reset = %id, "it has the approvals that it takes, and rested long enough: it starts");
        desk.put(&id);
    }
    engine.alarm_reviews().await?;
    Ok(())
}
