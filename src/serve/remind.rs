//! Says of tasks that nobody did in time that they are overdue, at the start and every minute.

use std::time::Duration;

use crate::engine::record::TaskRecord;
use crate::engine::{Engine, EngineError};
use crate::serve::{Stopping, causes};

const EVERY: Duration = Duration::from_mins(1);

pub(super) async fn run(engine: &Engine, stopping: Stopping) {
    let mut stopped = std::pin::pin!(stopping.stopped());
    loop {
        match chore(engine).await {
            Ok(tasks) => {
                for task in tasks {
                    tracing::warn!(reset = %task.reset, task = task.id, about = %task.about, "a task is overdue");
                }
            }
            Err(error) => {
                tracing::error!(error = causes(&error), "the tasks could not be looked at; it is tried again")
            }
        }
        tokio::select! {
            () = &mut stopped => return,
            () = engine.context.clock.sleep(EVERY) => {}
        }
    }
}

/// One of several daemons does it.
async fn chore(engine: &Engine) -> Result<Vec<TaskRecord>, EngineError> {
    if engine.chairs().await? { engine.remind().await } else { Ok(Vec::new()) }
}
