//! The writer: one task that takes all changes that wait, sends them as one transaction, and only then answers.
//!
//! Flow: what waits is gathered into a group whose changes touch different keys; the rest waits for the next. The group
//! goes to the database as one call of one function, so a transaction is one round trip. A change that is refused is
//! answered and the others are sent again. The writer numbers entries by the ends of the chains that it remembers;
//! where another replica wrote to one of them meanwhile, the group is sent again in a transaction that holds the lock
//! while the ends are read.
//!
//! Errors: a transaction whose answer was lost may stand or not. Its callers are told so; the next group goes out on a
//! new connection. While the server cannot be reached, callers wait up to [`PATIENCE`].

use std::collections::{HashMap, HashSet};

use remint_evidence_format::entry;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Connection as _, Row as _};
use tokio::sync::{mpsc, oneshot};

use super::group::{self, Head, Layer};
use super::server::{PATIENCE, Server, gone, lost};
use super::{broken, from_row};
use crate::store::{Change, Committed, StoreError};

/// Callers beyond this many wait outside the queue.
const QUEUE: usize = 4096;

/// The most changes in one transaction: it bounds how long the first waits for the last, and other replicas for the lock.
const GROUP: usize = 512;

/// Chains kept at most; beyond it all are dropped and read again when needed.
const KEPT: usize = 4096;

/// A transaction of several calls whose client has stopped must not keep the lock from everybody else.
const BOUND: &str = "SET LOCAL idle_in_transaction_session_timeout = '5s'";

/// The handle on the task. Once every handle is gone the task ends with its queue.
pub(super) struct Writer {
    queue: mpsc::Sender<Waiting>,
}

struct Waiting {
    change: Change,
    caller: oneshot::Sender<Result<Committed, StoreError>>,
}

impl Writer {
    pub(super) fn start(server: Server, connection: PgConnection) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let task = Task { server, connection: Some(connection), heads: HashMap::new() };
        tokio::spawn(task.serve(waiting));
        Self { queue }
    }

    /// Has the change written and waits until it is durable. A caller that stops waiting does not stop it.
    pub(super) async fn commit(&self, change: Change) -> Result<Committed, StoreError> {
        let (caller, answer) = oneshot::channel();
        self.queue.send(Waiting { change, caller }).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

struct Task {
    server: Server,
    connection: Option<PgConnection>,
    heads: HashMap<String, Head>,
}

/// What became of a transaction.
enum Outcome {
    /// It stands; the newest id before it.
    Done(u64),
    /// Nothing of it stands: these changes cannot, by index.
    Refused(HashMap<usize, StoreError>),
    /// Nothing of it stands: a chain has another end.
    Moved,
}

impl Task {
    async fn serve(mut self, mut queue: mpsc::Receiver<Waiting>) {
        let mut waiting = Vec::new();
        loop {
            if waiting.is_empty() && queue.recv_many(&mut waiting, GROUP).await == 0 {
                break;
            }
            while waiting.len() < GROUP
                && let Ok(more) = queue.try_recv()
            {
                waiting.push(more);
            }
            let (group, rest) = apart(std::mem::take(&mut waiting));
            waiting = rest;
            self.write(group).await;
        }
        if let Some(connection) = self.connection {
            // The server notices a dropped connection just as well.
            let _ = connection.close().await;
        }
    }

    /// Writes a group and answers everybody in it.
    async fn write(&mut self, mut group: Vec<Waiting>) {
        let mut locked = false;
        while !group.is_empty() {
            let changes: Vec<&Change> = group.iter().map(|waiting| &waiting.change).collect();
            let sent = match self.send(&changes, locked).await {
                Ok(sent) => sent,
                Err(why) => {
                    self.connection = None;
                    self.heads.clear();
                    return group.into_iter().for_each(|waiting| answer(waiting, Err(unknown(&why))));
                }
            };
            match sent {
                (Outcome::Moved, _) => {
                    self.heads.clear();
                    locked = true;
                }
                (Outcome::Refused(mut refused), _) => {
                    let mut left = Vec::with_capacity(group.len());
                    for (index, waiting) in group.into_iter().enumerate() {
                        match refused.remove(&index) {
                            Some(error) => answer(waiting, Err(error)),
                            None => left.push(waiting),
                        }
                    }
                    group = left;
                }
                (Outcome::Done(before), sealed) => {
                    self.heads.extend(sealed.heads);
                    for (waiting, mut entries) in group.into_iter().zip(sealed.entries) {
                        entries.iter_mut().for_each(|entry| entry.id += before + 1);
                        answer(waiting, Ok(Committed { entries }));
                    }
                    return;
                }
            }
        }
    }

    /// One transaction.
    async fn send(&mut self, changes: &[&Change], locked: bool) -> Result<(Outcome, group::Sealed), StoreError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.server.attend(PATIENCE).await?,
        };
        if self.heads.len() > KEPT {
            self.heads.clear();
        }
        let sent = transact(&mut connection, &mut self.heads, changes, locked).await;
        if !matches!(&sent, Err(error) if lost(error)) {
            self.connection = Some(connection);
        }
        sent.map_err(|error| match error {
            Failed::Database(source) if gone(&source) => StoreError::Unanswered(source.to_string()),
            Failed::Database(source) => broken("did not answer a commit")(source),
            Failed::Store(error) => error,
        })
    }
}

/// Why a transaction was not sent, or has no answer.
pub(super) enum Failed {
    Database(sqlx::Error),
    Store(StoreError),
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

async fn transact(
    connection: &mut PgConnection,
    heads: &mut HashMap<String, Head>,
    changes: &[&Change],
    locked: bool,
) -> Result<(Outcome, group::Sealed), Failed> {
    let several = |sealed: &group::Sealed| locked || sealed.layers.len() > 1;
    let nothing = || group::Sealed { layers: Vec::new(), entries: Vec::new(), heads: HashMap::new() };
    let refused = |(index, error)| (Outcome::Refused(HashMap::from([(index, error)])), nothing());
    if locked {
        let mut transaction = connection.begin().await?;
        sqlx::raw_sql(BOUND).execute(&mut *transaction).await?;
        sqlx::query("SELECT last FROM remint.log FOR UPDATE").execute(&mut *transaction).await?;
        read_heads(&mut transaction, heads, changes).await?;
        let sealed = match group::seal(changes, heads) {
            Ok(sealed) => sealed,
            Err(unrecordable) => return Ok(refused(unrecordable)),
        };
        let outcome = layers(&mut transaction, changes, &sealed).await?;
        if matches!(outcome, Outcome::Done(_)) {
            transaction.commit().await?;
        } else {
            transaction.rollback().await?;
        }
        return Ok((outcome, sealed));
    }
    read_heads(connection, heads, changes).await?;
    let sealed = match group::seal(changes, heads) {
        Ok(sealed) => sealed,
        Err(unrecordable) => return Ok(refused(unrecordable)),
    };
    if several(&sealed) {
        // It needs more than one call: they hold the lock between them.
        return Box::pin(transact(connection, heads, changes, true)).await;
    }
    let outcome = layers(connection, changes, &sealed).await?;
    Ok((outcome, sealed))
}

async fn layers(connection: &mut PgConnection, changes: &[&Change], sealed: &group::Sealed) -> Result<Outcome, Failed> {
    let mut last = None;
    for layer in &sealed.layers {
        match call(connection, changes, layer).await? {
            Outcome::Done(before) => last = last.or(Some(before)),
            other => return Ok(other),
        }
    }
    Ok(Outcome::Done(last.unwrap_or_default()))
}

async fn call(connection: &mut PgConnection, changes: &[&Change], layer: &Layer) -> Result<Outcome, Failed> {
    const CALL: &str = "SELECT why, change, kind, id, last FROM remint.apply($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,
        $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30)";
    let Layer { fences, deletes, puts, unseals, seals, heads, entries, told, expects } = layer;
    let query = sqlx::query(CALL).bind(&fences.0).bind(&fences.1).bind(&fences.2);
    let query = query.bind(&deletes.0).bind(&deletes.1).bind(&deletes.2);
    let query = query.bind(&puts.change).bind(&puts.kind).bind(&puts.id).bind(&puts.scope).bind(&puts.rule);
    let query = query.bind(&puts.revision).bind(&puts.body).bind(unseals);
    let query = query.bind(&seals.change).bind(&seals.id).bind(&seals.scope).bind(&seals.generation);
    let query = query.bind(&seals.expires).bind(&seals.bytes).bind(&heads.0).bind(&heads.1);
    let query = query.bind(&entries.0).bind(&entries.1).bind(&entries.2).bind(told);
    let query = query.bind(&expects.0).bind(&expects.1).bind(&expects.2).bind(&expects.3);
    // All rows: only what comes after the last of them says that the transaction is durable.
    let rows = query.fetch_all(connection).await?;
    let mut refused = HashMap::new();
    for row in &rows {
        let why: &str = row.try_get("why")?;
        match why {
            "done" => return Ok(Outcome::Done(from_row(row.try_get("last")?))),
            "moved" => return Ok(Outcome::Moved),
            why => {
                let change: i32 = row.try_get("change")?;
                let index = usize::try_from(change).unwrap_or_default();
                if let Some(change) = changes.get(index) {
                    // The first reason of a change is the one told: fences come first.
                    refused.entry(index).or_insert(refusal(change, why, row)?);
                }
            }
        }
    }
    if refused.is_empty() {
        let what = "did not say what became of a commit".to_owned();
        return Err(Failed::Store(StoreError::Broken { what, source: None }));
    }
    Ok(Outcome::Refused(refused))
}

fn refusal(change: &Change, why: &str, row: &PgRow) -> Result<StoreError, sqlx::Error> {
    let (kind, id): (&str, String) = (row.try_get("kind")?, row.try_get("id")?);
    let puts = change.puts.iter().map(|put| put.key.kind);
    let expects = change.expects.iter().map(|(key, _)| key.kind);
    let kind = puts.chain(expects).find(|known| *known == kind).unwrap_or("sealed value");
    Ok(match why {
        "fenced" => StoreError::Fenced(id),
        "exists" => StoreError::Exists { kind, id },
        _ => StoreError::Stale { kind, id },
    })
}

/// The ends of the chains that these changes go on from, where they are not known yet.
async fn read_heads(
    connection: &mut PgConnection,
    heads: &mut HashMap<String, Head>,
    changes: &[&Change],
) -> Result<(), sqlx::Error> {
    const ENDS: &str = "SELECT DISTINCT ON (h.reset) h.reset, e.number, e.bytes
        FROM unnest($1) h (reset) CROSS JOIN LATERAL
            (SELECT number, bytes FROM remint.entry e WHERE e.reset = h.reset ORDER BY number DESC LIMIT 1) e";
    let wanted: HashSet<&str> = changes
        .iter()
        .flat_map(|change| &change.entries)
        .map(|draft| draft.reset.as_deref().unwrap_or_default())
        .filter(|reset| !heads.contains_key(*reset))
        .collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let wanted: Vec<&str> = wanted.into_iter().collect();
    let rows: Vec<(String, i64, Vec<u8>)> = sqlx::query_as(ENDS).bind(&wanted).fetch_all(connection).await?;
    heads.extend(wanted.into_iter().map(|reset| (reset.to_owned(), group::START)));
    for (reset, number, bytes) in rows {
        heads.insert(reset, Head { number: from_row(number), hash: entry::hash(&bytes) });
    }
    Ok(())
}

/// The changes that can go together, and those that touch what one before them touches.
fn apart(waiting: Vec<Waiting>) -> (Vec<Waiting>, Vec<Waiting>) {
    let mut touched: HashSet<(String, String)> = HashSet::new();
    let (mut group, mut rest) = (Vec::with_capacity(waiting.len()), Vec::new());
    for waiting in waiting {
        let keys: Vec<_> = group::keys(&waiting.change).map(|(kind, id)| (kind.to_owned(), id.to_owned())).collect();
        let free = !keys.iter().any(|key| touched.contains(key));
        // What has to wait keeps those after it that touch the same behind it.
        touched.extend(keys);
        if free { group.push(waiting) } else { rest.push(waiting) }
    }
    (group, rest)
}

fn answer(waiting: Waiting, outcome: Result<Committed, StoreError>) {
    // A caller that is gone does not want to know.
    let _ = waiting.caller.send(outcome);
}

/// The same reason for everybody in a group.
fn unknown(why: &StoreError) -> StoreError {
    if let StoreError::Unanswered(why) = why {
        return StoreError::Unanswered(why.clone());
    }
    let cause = std::error::Error::source(why).map_or_else(String::new, |source| format!(": {source}"));
    StoreError::Broken {
        what: format!("failed, and it is unknown whether a change was recorded: {why}{cause}"),
        source: None,
    }
}

fn stopped() -> StoreError {
    StoreError::Broken { what: "has stopped".to_owned(), source: None }
}
