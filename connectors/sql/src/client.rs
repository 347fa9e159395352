//! Connections. Remint's own are kept across calls, a few per actor, because every login costs the server a password
//! hash; a login that proves something is always a fresh one.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

use remint_contract::{Call, Error, ErrorKind, Material, Verb};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Settings;
use crate::error;

/// Connections that one actor may hold at once.
const WIDTH: usize = 4;

/// The server, and the idle connections of each actor.
pub(crate) struct Client {
    pub(crate) settings: Settings,
    actors: Mutex<HashMap<Actor, Arc<Pool>>>,
}

/// An actor by its user name and its value's fingerprint: a new value never rides on an old login.
type Actor = (String, String);

struct Pool {
    idle: Mutex<Vec<PgConnection>>,
    places: Arc<Semaphore>,
}

/// A connection for one verb. Dropped without [`Lease::keep`] it is closed, and the server rolls back what was open.
pub(crate) struct Lease {
    connection: PgConnection,
    pool: Arc<Pool>,
    _place: OwnedSemaphorePermit,
}

impl Client {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, actors: Mutex::default() }
    }

    /// A connection as the actor of the call.
    pub(crate) async fn act(&self, call: &Call, verb: Verb) -> Result<Lease, Error> {
        let invalid = |message| Error::new(ErrorKind::Invalid, verb, message);
        let actor = call.actor.as_deref().ok_or_else(|| invalid("the system has no `auth`; name a credential"))?;
        let username = actor.username.clone().ok_or_else(|| invalid("the credential in `auth` has no user name"))?;
        let key = (username, actor.fingerprint());
        let pool = Arc::clone(lock(&self.actors).entry(key.clone()).or_insert_with(Pool::new));
        let place = Arc::clone(&pool.places)
            .acquire_owned()
            .await
            .map_err(|closed| Error::new(ErrorKind::Unreachable, verb, "the connector is closing").because(closed))?;
        loop {
            let Some(mut connection) = lock(&pool.idle).pop() else { break };
            if connection.ping().await.is_ok() {
                return Ok(Lease { connection, pool, _place: place });
            }
        }
        match login(self.settings.primary(), &key.0, actor, verb).await? {
            Ok(connection) => Ok(Lease { connection, pool, _place: place }),
            Err(failure) => {
                let failure = error::login(verb, failure).with("role", &key.0);
                if failure.kind == ErrorKind::Denied {
                    lock(&self.actors).remove(&key);
                }
                Err(failure)
            }
        }
    }
}

/// One fresh login; never retried. The outer error is a value that no login can carry.
pub(crate) async fn login(
    options: PgConnectOptions,
    username: &str,
    material: &Material,
    verb: Verb,
) -> Result<Result<PgConnection, sqlx::Error>, Error> {
    let password = material
        .secret
        .expose_str()
        .ok_or_else(|| Error::new(ErrorKind::Invalid, verb, "the password is not text").with("role", username))?;
    Ok(options.username(username).password(password).connect().await)
}

impl Pool {
    fn new() -> Arc<Self> {
        Arc::new(Self { idle: Mutex::default(), places: Arc::new(Semaphore::new(WIDTH)) })
    }
}

impl Lease {
    /// Gives the connection back for the next call. Only when no transaction is open.
    pub(crate) fn keep(self) {
        lock(&self.pool.idle).push(self.connection);
    }
}

impl Deref for Lease {
    type Target = PgConnection;
    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
