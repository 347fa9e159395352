//! A consumer that is not Remint: a small pool over one delivered file, under steady use.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::server::Login;

/// Between two rounds of a client.
const PACE: Duration = Duration::from_millis(200);
/// A fresh login every so many rounds, beside the kept session.
const FRESH: u64 = 10;

/// A running client.
pub(crate) struct Client {
    pub(crate) name: String,
    pub(crate) first: Login,
    task: JoinHandle<Tally>,
    stop: watch::Sender<bool>,
    /// Reads its file again when it changed; a pool that ignores this keeps what it has.
    pub(crate) reloads: Arc<AtomicBool>,
}

/// What a client went through.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) logins: u64,
    pub(crate) statements: u64,
    pub(crate) reloads: u64,
    pub(crate) failures: Vec<String>,
    /// Sessions opened with a login that was replaced since; nobody closed them here.
    pub(crate) old: Vec<PgConnection>,
    pub(crate) now: Option<Login>,
}

/// What a client is told.
pub(crate) struct Habits {
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) file: PathBuf,
    /// Who the session must act as.
    pub(crate) group: String,
    pub(crate) reloads: bool,
    /// A failed login or statement is tried again with what lies in the file, and counted.
    pub(crate) forgiving: bool,
}

impl Client {
    /// Starts, and returns once it is connected.
    pub(crate) async fn start(habits: Habits) -> Self {
        let first = read(&habits.file);
        let (stop, stopped) = watch::channel(false);
        let (ready, is_ready) = tokio::sync::oneshot::channel();
        let reloads = Arc::new(AtomicBool::new(habits.reloads));
        let (name, flag) = (habits.name.clone(), Arc::clone(&reloads));
        let login = first.clone();
        let task = tokio::spawn(async move { work(habits, login, flag, stopped, ready).await });
        is_ready.await.unwrap();
        Self { name, first, task, stop, reloads }
    }

    /// Stops after the round it is in.
    pub(crate) async fn stop(self) -> Tally {
        self.stop.send(true).unwrap();
        self.task.await.unwrap()
    }
}

async fn work(
    habits: Habits,
    mut login: Login,
    reloads: Arc<AtomicBool>,
    mut stopped: watch::Receiver<bool>,
    ready: tokio::sync::oneshot::Sender<()>,
) -> Tally {
    let mut tally = Tally::default();
    let mut session = open(&habits, &login, &mut tally).await;
    ready.send(()).unwrap();
    let mut pace = tokio::time::interval(PACE);
    for round in 1_u64.. {
        tokio::select! {
            _ = pace.tick() => {}
            _ = stopped.changed() => break,
        }
        let lies = read(&habits.file);
        if reloads.load(Ordering::SeqCst) && lies != login {
            login = lies;
            tally.reloads += 1;
            // The old session stays where it is, as in a pool that nobody drains.
            tally.old.extend(session.take());
        }
        if session.is_none() {
            session = open(&habits, &login, &mut tally).await;
        }
        if let Some(used) = &mut session {
            tally.statements += 1;
            let answer: Result<String, _> = sqlx::query_scalar("SELECT current_user::text").fetch_one(used).await;
            match answer {
                Ok(user) => assert_eq!(user, habits.group),
                Err(failure) => {
                    tally.failures.push(format!("{}: statement: {failure}", habits.name));
                    session = None;
                }
            }
        }
        if round % FRESH == 0
            && !habits.forgiving
            && let Some(fresh) = open(&habits, &login, &mut tally).await
        {
            fresh.close().await.unwrap();
        }
    }
    tally.now = Some(login);
    // The session in use goes with the client; the old ones are looked at.
    if let Some(session) = session {
        session.close().await.unwrap();
    }
    tally
}

async fn open(habits: &Habits, login: &Login, tally: &mut Tally) -> Option<PgConnection> {
    tally.logins += 1;
    match login.connect(&habits.address, &habits.name).await {
        Ok(connection) => Some(connection),
        Err(failure) => {
            tally.failures.push(format!("{}: login as {}: {failure}", habits.name, login.user));
            None
        }
    }
}

/// What was delivered: a URL in a dotenv file, or two keys in a JSON document.
pub(crate) fn read(file: &Path) -> Login {
    let text = std::fs::read_to_string(file).unwrap();
    if file.extension().is_some_and(|extension| extension == "json") {
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let field = |key: &str| value["db"][key].as_str().unwrap().to_owned();
        return Login { user: field("user"), password: field("password") };
    }
    let line = text.lines().find_map(|line| line.strip_prefix("DATABASE_URL=")).unwrap();
    let url = line.trim_matches(['"', '\'']).strip_prefix("postgres://").unwrap();
    let (user, rest) = url.split_once(':').unwrap();
    Login { user: user.to_owned(), password: rest.split_once('@').unwrap().0.to_owned() }
}
