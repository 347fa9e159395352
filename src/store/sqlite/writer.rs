//! The writer thread: takes all that waits, applies each piece in a savepoint where there are several, commits once, then
//! answers.

use std::thread::{Builder, JoinHandle};

use rusqlite::{Connection, ErrorCode};
use tokio::sync::{mpsc, oneshot};

use super::broken;
use super::heads::Heads;
use crate::store::StoreError;

/// Callers beyond this many wait outside the queue: it bounds the memory that waiting work takes.
const QUEUE: usize = 4096;

/// The most pieces of work in one commit: it bounds how long the first one waits for the last.
const GROUP: usize = 1024;

/// How often the processor is given up for others to come back: some microseconds where it is idle.
const TURNS: usize = 32;

/// Something to be done inside a transaction: all of it or nothing.
pub(super) trait Work: Send + 'static {
    type Answer: Send + 'static;

    /// Does it. An error undoes this piece of work, and no other.
    fn apply(self, writing: &mut Writing<'_>) -> Result<Self::Answer, StoreError>;
}

/// An open transaction and what the writer knows.
pub(super) struct Writing<'a> {
    pub(super) connection: &'a Connection,
    pub(super) heads: &'a mut Heads,
}

/// The handle on the thread. Dropping it lets the queue run dry and waits for the thread.
pub(super) struct Writer {
    // `None` only while it is being dropped.
    queue: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(connection: Connection) -> Result<Self, StoreError> {
        let heads = Heads::load(&connection)?;
        let (queue, jobs) = mpsc::channel(QUEUE);
        let thread = Builder::new().name("store-writer".to_owned()).spawn(move || serve(&connection, heads, jobs));
        let thread = thread.map_err(|source| StoreError::Broken {
            what: "could not start its writer".to_owned(),
            source: Some(Box::new(source)),
        })?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Has the work done and waits until it is on disk. A caller that stops waiting does not stop the work.
    pub(super) async fn run<W: Work>(&self, work: W) -> Result<W::Answer, StoreError> {
        let (caller, answer) = oneshot::channel();
        let job = Box::new(Waiting { work: Some(work), outcome: None, caller });
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        queue.send(job).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // Its only failure is a panic, which has been reported on the way.
            let _ = thread.join();
        }
    }
}

/// Work with somebody waiting for it, of whatever kind.
trait Job: Send {
    /// Applies the work and keeps the outcome; true when it stands.
    fn apply(&mut self, writing: &mut Writing<'_>) -> bool;
    /// Tells the caller the outcome.
    fn answer(self: Box<Self>);
    /// Tells the caller that nothing was recorded, whatever the outcome was.
    fn fail(self: Box<Self>, why: &str);
}

struct Waiting<W: Work> {
    work: Option<W>,
    outcome: Option<Result<W::Answer, StoreError>>,
    caller: oneshot::Sender<Result<W::Answer, StoreError>>,
}

impl<W: Work> Job for Waiting<W> {
    fn apply(&mut self, writing: &mut Writing<'_>) -> bool {
        self.outcome = self.work.take().map(|work| work.apply(writing));
        matches!(self.outcome, Some(Ok(_)))
    }

    fn answer(self: Box<Self>) {
        // A caller that is gone does not want to know.
        let _ = self.caller.send(self.outcome.unwrap_or_else(|| Err(stopped())));
    }

    fn fail(self: Box<Self>, why: &str) {
        let _ = self.caller.send(Err(StoreError::Broken { what: why.to_owned(), source: None }));
    }
}

/// Runs until every handle is gone and the queue is dry.
fn serve(connection: &Connection, mut heads: Heads, mut jobs: mpsc::Receiver<Box<dyn Job>>) {
    let mut group = Vec::with_capacity(GROUP);
    let mut stopped_by: Option<String> = None;
    while jobs.blocking_recv_many(&mut group, GROUP) > 0 {
        let outcome = match &stopped_by {
            None => commit(connection, &mut heads, &mut group),
            Some(why) => Err(Failure::Stop(why.clone())),
        };
        let size = group.len();
        match outcome {
            Ok(()) => group.drain(..).for_each(Job::answer),
            Err(failure) => {
                let (Failure::Again(why) | Failure::Stop(why)) = &failure;
                group.drain(..).for_each(|job| job.fail(why));
                if let Failure::Stop(why) = failure {
                    stopped_by = Some(why);
                }
            }
        }
        gather(&jobs, size);
    }
}

/// Gives those who were just answered a moment to come back with more, so that they share the next commit too: a sync
/// costs far more than the moment. One caller alone waits for nobody.
fn gather(jobs: &mpsc::Receiver<Box<dyn Job>>, size: usize) {
    for _ in 0..TURNS {
        if size < 2 || jobs.len() >= size {
            break;
        }
        std::thread::yield_now();
    }
}

/// Why a whole group failed.
enum Failure {
    /// Nothing of it is there; the next one may do better.
    Again(String),
    /// Nobody knows what the disk holds.
    Stop(String),
}

fn commit(connection: &Connection, heads: &mut Heads, group: &mut [Box<dyn Job>]) -> Result<(), Failure> {
    let written = write(connection, heads, group);
    if written.is_err() {
        if !connection.is_autocommit() {
            // When this fails too, the next BEGIN says so.
            let _ = connection.execute_batch("ROLLBACK");
        }
        heads.forget();
    }
    written
}

fn write(connection: &Connection, heads: &mut Heads, group: &mut [Box<dyn Job>]) -> Result<(), Failure> {
    let run = |sql: &str| connection.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
    let again =
        |source: rusqlite::Error| Failure::Again(format!("could not write, and nothing was recorded: {source}"));
    run("BEGIN IMMEDIATE").map_err(again)?;
    if let [job] = group {
        // Alone, the transaction is all there is to undo.
        heads.begin();
        if !job.apply(&mut Writing { connection, heads }) {
            heads.undo();
            return run("ROLLBACK").map(drop).map_err(again);
        }
        heads.keep();
    } else {
        for job in group {
            run("SAVEPOINT work").map_err(again)?;
            heads.begin();
            if job.apply(&mut Writing { connection, heads }) {
                heads.keep();
            } else {
                heads.undo();
                run("ROLLBACK TO work").map_err(again)?;
            }
            run("RELEASE work").map_err(again)?;
        }
    }
    run("COMMIT").map(drop).map_err(|source| match source.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => again(source),
        _ => Failure::Stop(format!(
            "stopped, because a commit failed and it is unknown what is on disk: {source}; start remint again"
        )),
    })
}

fn stopped() -> StoreError {
    StoreError::Broken { what: "has stopped".to_owned(), source: None }
}

/// Runs a statement that stays prepared; gives how many rows it changed.
pub(super) fn execute(
    connection: &Connection,
    sql: &'static str,
    values: impl rusqlite::Params,
    what: &str,
) -> Result<usize, StoreError> {
    connection.prepare_cached(sql).and_then(|mut statement| statement.execute(values)).map_err(broken(what))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{change::Prepared, read, schema};
    use super::*;
    use crate::store::{Change, Key, Put, Rule};

    fn change(id: &str, size: usize) -> Change {
        let draft = remint_evidence_format::Draft {
            kind: "effect.done".to_owned(),
            at: "2026-01-31T08:30:00Z".to_owned(),
            reset: Some("r1".to_owned()),
            subject: None,
            body: serde_json::Map::new(),
        };
        let key = Key { kind: "task", id: id.to_owned() };
        let put = Put { key, scope: String::new(), body: json!("x".repeat(size)), rule: Rule::Insert };
        Change { puts: vec![put], entries: vec![draft], ..Change::default() }
    }

    struct Count;

    impl Work for Count {
        type Answer = (usize, usize);

        fn apply(self, writing: &mut Writing<'_>) -> Result<Self::Answer, StoreError> {
            let entries = read::unsequenced(writing.connection, usize::MAX)?;
            assert!(entries.iter().zip(1..).all(|(entry, number)| entry.number == number && entry.id == number));
            Ok((read::records(writing.connection, "task", None)?.len(), entries.len()))
        }
    }

    #[tokio::test]
    async fn a_full_disk_fails_what_does_not_fit_and_nothing_else() {
        let connection = schema::open_in_memory().unwrap();
        connection.pragma_update(None, "max_page_count", 64).unwrap();
        let writer = Writer::start(connection).unwrap();
        let sizes = [10, 400_000, 10, 400_000, 10];
        let runs = sizes.iter().enumerate().map(|(id, &size)| {
            let work = Prepared::new(change(&id.to_string(), size)).unwrap();
            writer.run(work)
        });
        let stood = futures::future::join_all(runs).await.into_iter().flatten().count();
        assert!(stood <= 3);
        // Whatever stood of them, the chain goes on without a gap and every record has its entry.
        let work = Prepared::new(change("after", 10)).unwrap();
        writer.run(work).await.unwrap();
        assert_eq!(writer.run(Count).await.unwrap(), (stood + 1, stood + 1));
    }
}
