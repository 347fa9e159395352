//! Being told that a record was put.

use async_trait::async_trait;
use tokio::sync::broadcast;

use crate::store::{Change, WATCHED};

/// What a watcher is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Woken {
    /// This record was put.
    Put { kind: String, id: String },
    /// Something may have been missed: look at everything.
    Anything,
}

/// Waits to be told.
#[async_trait]
pub trait Wake: Send {
    /// What was put next. May be dropped while it waits, without missing anything.
    async fn next(&mut self) -> Woken;
}

/// Telling within one process, for a back end that only one process has.
pub struct Bell(broadcast::Sender<(String, String)>);

impl Default for Bell {
    fn default() -> Self {
        Self(broadcast::channel(1024).0)
    }
}

impl Bell {
    /// What there is to tell of a change.
    #[must_use]
    pub fn of(change: &Change) -> Vec<(String, String)> {
        let watched = change.puts.iter().filter(|put| WATCHED.contains(&put.key.kind));
        watched.map(|put| (put.key.kind.to_owned(), put.key.id.clone())).collect()
    }

    /// Tells whoever watches.
    pub fn ring(&self, told: Vec<(String, String)>) {
        for told in told {
            // Nobody watching is no failure.
            let _ = self.0.send(told);
        }
    }

    #[must_use]
    pub fn watch(&self) -> Box<dyn Wake> {
        Box::new(Heard(self.0.subscribe()))
    }
}

struct Heard(broadcast::Receiver<(String, String)>);

#[async_trait]
impl Wake for Heard {
    async fn next(&mut self) -> Woken {
        match self.0.recv().await {
            Ok((kind, id)) => Woken::Put { kind, id },
            Err(broadcast::error::RecvError::Lagged(_)) => Woken::Anything,
            // Nobody is left who could ring.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}
