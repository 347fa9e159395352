//! The end of every chain of entries, kept in memory so that an entry costs no read.
//!
//! Flow: [`Heads::begin`] before a piece of work, [`Heads::next`] and [`Heads::advance`] for each of its entries, then
//! [`Heads::keep`] or [`Heads::undo`]. When the transaction itself fails, [`Heads::forget`]: everything is read again.

use std::collections::HashMap;

use remint_evidence_format::entry;
use remint_evidence_format::tree::Hash;
use rusqlite::{Connection, OptionalExtension as _};

use super::leaves::Leaves;
use super::{broken, from_row};
use crate::store::{Leaf, StoreError};

/// Chains kept at most; beyond it all are dropped and read again when needed.
const KEPT: usize = 4096;

/// The newest entry of one chain.
#[derive(Clone, Copy)]
pub(super) struct Head {
    pub(super) number: u64,
    pub(super) hash: Hash,
}

/// Where every chain ends, and which id the next entry gets.
pub(super) struct Heads {
    /// The newest id; `None` when it has to be read.
    last: Option<u64>,
    chains: HashMap<String, Option<Head>>,
    /// What the current work replaced, for undoing it.
    before: Vec<(String, Option<Head>)>,
    last_before: Option<u64>,
    /// What has no place in the tree yet.
    pub(super) leaves: Leaves,
}

impl Heads {
    pub(super) fn load(connection: &Connection) -> Result<Self, StoreError> {
        let last = Some(last_id(connection)?);
        let leaves = Leaves::default();
        Ok(Self { last, chains: HashMap::new(), before: Vec::new(), last_before: last, leaves })
    }

    /// The newest id given.
    pub(super) fn last(&mut self, connection: &Connection) -> Result<u64, StoreError> {
        if let Some(last) = self.last {
            return Ok(last);
        }
        let last = last_id(connection)?;
        self.last = Some(last);
        Ok(last)
    }

    /// The end of a chain; the empty name is the chain of entries of no reset.
    pub(super) fn of(&mut self, connection: &Connection, reset: &str) -> Result<Option<Head>, StoreError> {
        if let Some(head) = self.chains.get(reset) {
            return Ok(*head);
        }
        let head = connection
            .prepare_cached("SELECT number, bytes FROM entry WHERE reset = ?1 ORDER BY number DESC LIMIT 1")
            .and_then(|mut statement| {
                statement
                    .query_row([reset], |row| {
                        Ok(Head { number: from_row(row.get(0)?), hash: entry::hash(row.get_ref(1)?.as_blob()?) })
                    })
                    .optional()
            })
            .map_err(broken("could not read the end of a chain of entries"))?;
        self.chains.insert(reset.to_owned(), head);
        Ok(head)
    }

    /// Notes that an entry was written; its bytes are told when it is of no reset.
    pub(super) fn advance(&mut self, reset: &str, id: u64, head: Head, bytes: &[u8]) {
        self.last = Some(id);
        self.leaves.push(Leaf { id, hash: head.hash, bytes: reset.is_empty().then(|| bytes.to_vec()) });
        if let Some(held) = self.chains.get_mut(reset) {
            let replaced = held.replace(head);
            // What stood before the first of several is all that undoing them needs.
            if self.before.last().is_none_or(|(last, _)| last != reset) {
                self.before.push((reset.to_owned(), replaced));
            }
        }
    }

    pub(super) fn begin(&mut self) {
        if self.chains.len() > KEPT {
            self.chains.clear();
        }
        self.before.clear();
        self.last_before = self.last;
    }

    pub(super) fn keep(&mut self) {
        self.before.clear();
    }

    pub(super) fn undo(&mut self) {
        // Newest first, so that the oldest stands at the end.
        while let Some((reset, head)) = self.before.pop() {
            self.chains.insert(reset, head);
        }
        self.last = self.last_before;
        match self.last {
            Some(last) => self.leaves.undo(last),
            None => self.leaves.forget(),
        }
    }

    pub(super) fn forget(&mut self) {
        self.chains.clear();
        self.before.clear();
        self.leaves.forget();
        self.last = None;
    }
}

fn last_id(connection: &Connection) -> Result<u64, StoreError> {
    connection
        .prepare_cached("SELECT ifnull(max(id), 0) FROM entry")
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
        .map(from_row)
        .map_err(broken("could not read the newest entry"))
}
