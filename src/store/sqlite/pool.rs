//! A few connections that only read, each opened when it is first needed.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::schema;
use crate::store::StoreError;

/// Reads at a time. They take microseconds; more would only fight for the processor with the writer.
const READERS: usize = 4;

pub(super) struct Pool {
    turns: Arc<Semaphore>,
    shared: Arc<Shared>,
}

struct Shared {
    file: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Pool {
    pub(super) fn new(file: PathBuf) -> Self {
        let shared = Arc::new(Shared { file, idle: Mutex::new(Vec::with_capacity(READERS)) });
        Self { turns: Arc::new(Semaphore::new(READERS)), shared }
    }

    /// Asks one question where it may block.
    pub(super) async fn read<T, F>(&self, ask: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let shared = Arc::clone(&self.shared);
        let asked = spawn_blocking(move || {
            let connection = shared.take()?;
            let answer = ask(&connection);
            shared.put_back(connection);
            drop(turn);
            answer
        });
        let failed = |source| StoreError::Broken { what: "lost a read".to_owned(), source: Some(Box::new(source)) };
        asked.await.map_err(failed)?
    }
}

impl Shared {
    fn take(&self) -> Result<Connection, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| schema::open_to_read(&self.file), Ok)
    }

    fn put_back(&self, connection: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}
