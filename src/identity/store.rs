//! Local tokens in the store: made, found, listed, revoked.
//!
//! Guarantees: making and revoking are entries, with the name and scope of the token and without its text; a token of
//! another person's principal is made by nobody, so that nobody speaks with two voices.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use remint_core::approval::Party;
use remint_core::gate::Action;
use serde_json::json;

use crate::context::Context;
use crate::engine::record::{entry, put, read};
use crate::escrow::NoRandomness;
use crate::identity::token::{ID, LETTERS, SECRET, TokenRecord, TokenText};
use crate::store::{Change, Key, Rule, Store, StoreError};

/// The tokens of a state.
#[derive(Clone)]
pub struct Tokens {
    store: Arc<dyn Store>,
    context: Context,
}

/// A token that was just made.
#[derive(Debug)]
pub struct Made {
    pub record: TokenRecord,
    /// Shown once.
    pub text: TokenText,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    #[error("`{0}` is no name of a token: 1 to 64 letters, digits, `-`, `_` and `.`")]
    Name(String),
    #[error("a token is for something: name at least one action")]
    Nothing,
    #[error("a token lives at least a minute and at most {} days", LONGEST.as_secs() / 86_400)]
    Life,
    #[error(
        "`token:{name}` is a principal of {of}, and {by} is somebody else; nobody makes a token for another person"
    )]
    Another { name: String, of: String, by: String },
    #[error("there is no token `{0}`; remint token list shows them")]
    None(String),
    #[error(transparent)]
    Random(#[from] NoRandomness),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Tokens {
    #[must_use]
    pub fn new(store: Arc<dyn Store>, context: Context) -> Self {
        Self { store, context }
    }

    /// Makes a token. `whose` is the party that the table of persons has for it, and `maker` who makes it, where the state
    /// is governed.
    ///
    /// # Errors
    /// It would speak for somebody else, or live too long.
    pub async fn make(
        &self,
        name: &str,
        scope: BTreeSet<Action>,
        life: Duration,
        by: &str,
        parties: Option<(&Party, &Party)>,
    ) -> Result<Made, TokensError> {
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        // The principal of the door's own token is nobody else's.
        if name.is_empty() || name.len() > 64 || !name.bytes().all(letters) || name == "loopback" {
            return Err(TokensError::Name(name.to_owned()));
        }
        if scope.is_empty() {
            return Err(TokensError::Nothing);
        }
        if !(SHORTEST..=LONGEST).contains(&life) {
            return Err(TokensError::Life);
        }
        if let Some((whose, maker)) = parties
            && !speaks_for(maker, whose)
        {
            let (of, by) = (whose.to_string(), maker.to_string());
            return Err(TokensError::Another { name: name.to_owned(), of, by });
        }
        let now = self.context.clock.now();
        let secret = self.context.secret(SECRET, LETTERS)?;
        let text = TokenText { id: self.context.hex(ID)?, secret };
        let record = TokenRecord {
            id: text.id.clone(),
            name: name.to_owned(),
            hash: text.hash(),
            scope,
            made: now,
            by: by.to_owned(),
            expires: now.checked_add(life).unwrap_or(now),
            revoked: None,
        };
        let mut change = Change::default();
        change.puts.push(put(KIND, record.id.clone(), "", &record, Rule::Insert)?);
        change.entries.push(told("token.made", now, &record, by));
        self.store.commit(change).await?;
        Ok(Made { record, text })
    }

    /// The living token of a text, at `now`.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn find(&self, text: &TokenText, now: Timestamp) -> Result<Option<TokenRecord>, StoreError> {
        let record = self.store.get(&key(&text.id)).await?.map(read::<TokenRecord>).transpose()?;
        // Of hashes, how much of one is right tells nothing of the secret.
        Ok(record.filter(|record| record.hash == text.hash() && record.lives(now)))
    }

    /// Every token that was ever made, the oldest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn list(&self) -> Result<Vec<TokenRecord>, StoreError> {
        self.store.list(KIND, None).await?.into_iter().map(read).collect()
    }

    /// Ends a token, by its id. One that was revoked before stays so.
    ///
    /// # Errors
    /// It is not there, or was changed at the same time.
    pub async fn revoke(&self, id: &str, by: &str) -> Result<TokenRecord, TokensError> {
        let found = self.store.get(&key(id)).await?.ok_or_else(|| TokensError::None(id.to_owned()))?;
        let revision = found.revision;
        let mut record: TokenRecord = read(found)?;
        if record.revoked.is_none() {
            let now = self.context.clock.now();
            record.revoked = Some(now);
            let mut change = Change::default();
            change.puts.push(put(KIND, id, "", &record, Rule::Revision(revision))?);
            change.entries.push(told("token.revoked", now, &record, by));
            self.store.commit(change).await?;
        }
        Ok(record)
    }
}

/// True when whoever makes it is who it speaks for: the same person, or one who answers for the service. What the table
/// does not know speaks for nobody; only two persons can change that.
fn speaks_for(maker: &Party, whose: &Party) -> bool {
    match whose {
        Party::Unmapped { .. } => true,
        Party::Person { person, .. } => maker.person() == Some(person),
        Party::Service { owners, .. } => maker.person().is_some_and(|person| owners.contains(person)),
    }
}

fn told(kind: &str, now: Timestamp, record: &TokenRecord, by: &str) -> remint_evidence_format::Draft {
    let scope: Vec<&str> = record.scope.iter().map(|action| action.word()).collect();
    let body = json!({
        "token": record.id, "principal": record.principal(), "scope": scope, "expires": record.expires.to_string(),
        "by": by,
    });
    entry(kind, now, None, None, &body)
}

fn key(id: &str) -> Key {
    Key { kind: KIND, id: id.to_owned() }
}

const KIND: &str = "token";
const SHORTEST: Duration = Duration::from_mins(1);
/// The longest life of a token.
const LONGEST: Duration = Duration::from_hours(24 * 366);
