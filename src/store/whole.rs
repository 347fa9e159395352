//! All that a store holds, to be compared and carried to another back end.
//!
//! It is held in memory meanwhile: some hundred bytes an entry. Fencing numbers and who holds what come along, so that a
//! holder that is gone keeps what it had for as long as something of it may still land.

use tokio::sync::mpsc;

use crate::store::dump::{EntryLine, Line, QUEUE};
use crate::store::{Sealed, Store, StoreError};

/// Everything, in the order in which it was written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Contents {
    pub lines: Vec<Line>,
}

impl Contents {
    /// Reads a store, sealed values too.
    ///
    /// # Errors
    /// The store failed.
    pub async fn read(store: &dyn Store) -> Result<Self, StoreError> {
        let (sender, mut receiver) = mpsc::channel(QUEUE);
        let mut lines = Vec::new();
        let taking = async {
            while let Some(line) = receiver.recv().await {
                lines.push(line);
            }
        };
        let (dumped, ()) = tokio::join!(store.dump(true, sender), taking);
        dumped?;
        Ok(Self { lines })
    }

    /// Writes all of it into a store that is empty, or nothing.
    ///
    /// # Errors
    /// The store holds something already, or failed.
    pub async fn write(&self, store: &dyn Store) -> Result<(), StoreError> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let giving = async {
            for line in &self.lines {
                if sender.send(line.clone()).await.is_err() {
                    break;
                }
            }
            drop(sender);
        };
        tokio::join!(store.load(receiver), giving).0
    }

    pub fn entries(&self) -> impl Iterator<Item = &EntryLine> {
        self.lines.iter().filter_map(|line| if let Line::Entry(entry) = line { Some(entry) } else { None })
    }

    /// The newest checkpoint: the size of the tree and the signed note.
    #[must_use]
    pub fn checkpoint(&self) -> Option<(u64, &str)> {
        let found = |line: &'_ Line| matches!(line, Line::Checkpoint { .. });
        match self.lines.iter().rfind(|line| found(line))? {
            Line::Checkpoint { size, note } => Some((*size, note)),
            _ => None,
        }
    }

    pub fn sealed(&self) -> impl Iterator<Item = &Sealed> {
        self.lines.iter().filter_map(|line| if let Line::Sealed(sealed) = line { Some(sealed) } else { None })
    }

    /// How many records there are.
    #[must_use]
    pub fn records(&self) -> usize {
        self.lines.iter().filter(|line| matches!(line, Line::Record { .. })).count()
    }
}
