//! A consumer of the database that is not Remint: one session, opened with what lies in its file, under steady use.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use remint_contract::{Clock as _, SystemClock};
use sqlx::postgres::PgConnection;
use tokio::task::JoinSet;

use crate::roles::Roles;
use crate::server::{Login, Server, delivered};

/// Between two rounds.
const PACE: Duration = Duration::from_millis(100);

/// A fresh login every so many rounds, beside the session that is kept.
const FRESH: u64 = 20;

/// After a login that was refused.
const AGAIN: Duration = Duration::from_millis(500);

/// What all consumers went through until now.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) requests: u64,
    /// Who failed, and when.
    pub(crate) failed: Vec<(String, Timestamp)>,
    /// Every login that ever lay in a file.
    pub(crate) ever: BTreeSet<Login>,
}

/// The consumers of every role. They end when this is dropped.
pub(crate) struct Consumers {
    ledger: Arc<Mutex<Ledger>>,
    _tasks: JoinSet<()>,
}

struct Consumer {
    name: String,
    file: PathBuf,
    server: Server,
    ledger: Arc<Mutex<Ledger>>,
}

impl Consumers {
    pub(crate) fn start(roles: &Roles) -> Self {
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let mut tasks = JoinSet::new();
        for index in 0..roles.count {
            let (server, ledger) = (roles.server.clone(), Arc::clone(&ledger));
            tasks.spawn(Consumer { name: format!("w{index:02}"), file: roles.file(index), server, ledger }.work());
        }
        Self { ledger, _tasks: tasks }
    }

    /// What they saw until now.
    pub(crate) fn seen<T>(&self, look: impl FnOnce(&Ledger) -> T) -> T {
        look(&self.ledger.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Consumer {
    async fn work(self) {
        let mut pace = tokio::time::interval(PACE);
        let mut held: Option<(Login, PgConnection)> = None;
        for round in 0_u64.. {
            pace.tick().await;
            // A file that is not whole has never been seen, and would be counted at the end.
            let Ok(login) = delivered(&self.file) else {
                self.note(false, None);
                continue;
            };
            if held.as_ref().is_none_or(|(known, _)| *known != login) || round % FRESH == FRESH - 1 {
                let opened = self.server.login(&login, &self.name).await;
                self.note(opened.is_ok(), Some(&login));
                held = opened.ok().map(|session| (login, session));
                if held.is_none() {
                    tokio::time::sleep(AGAIN).await;
                }
            }
            if let Some((_, session)) = &mut held {
                let answered = sqlx::query("SELECT 1").execute(session).await.is_ok();
                self.note(answered, None);
                if !answered {
                    held = None;
                }
            }
        }
    }

    fn note(&self, good: bool, login: Option<&Login>) {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.requests += 1;
        if !good {
            ledger.failed.push((self.name.clone(), SystemClock.now()));
        }
        if let Some(login) = login
            && !ledger.ever.contains(login)
        {
            ledger.ever.insert(login.clone());
        }
    }
}
