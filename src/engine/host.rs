//! The host around every connector: opens it, hands it the credential to act with, keeps the system's budget, gives up
//! in time, and tries again where the error's class allows it. Connectors contain none of this.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use remint_contract::{
    Call, Connector, Error, ErrorKind, HostRules, Kinds, Location, Material, OperationId, Ref, Retry, Verb,
};
use remint_core::estate::{Destination, Estate};
use tokio::sync::Semaphore;

use crate::context::Context;

/// Opened systems of one estate.
pub struct Host {
    estate: Arc<Estate>,
    kinds: Arc<dyn Kinds>,
    rules: HostRules,
    context: Context,
    settings: HostSettings,
    open: Mutex<HashMap<Ref, Arc<Opened>>>,
    /// What Remint acts with, by credential. Replaced when a rotation switches it.
    actors: Mutex<HashMap<Ref, Arc<Material>>>,
}

/// The host's own limits.
#[derive(Debug, Clone, Copy)]
pub struct HostSettings {
    /// One call may take this long.
    pub call_timeout: Duration,
    /// Tries of one call, the first included, where the error's class allows another.
    pub tries: u32,
    /// The first wait between tries; doubled each time.
    pub backoff: Duration,
}

impl Default for HostSettings {
    fn default() -> Self {
        Self { call_timeout: Duration::from_secs(30), tries: 6, backoff: Duration::from_millis(50) }
    }
}

struct Opened {
    connector: Arc<dyn Connector>,
    slots: Semaphore,
    pace: Mutex<Pace>,
    per_second: Option<u32>,
}

/// When the next call may start: spaced by the budget, and never before a `Retry-After` has passed.
struct Pace {
    next: Timestamp,
    quiet: Timestamp,
}

/// What a caller of a system asks for.
pub struct Ask<'a> {
    pub system: &'a Ref,
    pub verb: Verb,
    pub operation: &'a OperationId,
    /// `None`: the system's own `auth`.
    pub actor: Option<Arc<Material>>,
}

tokio::task_local! {
    /// How often a call of this task is tried, where that is less than the host would: what is contained gets one try
    /// before anything gets a second one.
    pub(crate) static TRIES: u32;
}

impl Host {
    #[must_use]
    pub fn new(
        estate: Arc<Estate>,
        kinds: Arc<dyn Kinds>,
        rules: HostRules,
        context: Context,
        settings: HostSettings,
    ) -> Self {
        Self {
            estate,
            kinds,
            rules,
            context,
            settings,
            open: Mutex::new(HashMap::new()),
            actors: Mutex::new(HashMap::new()),
        }
    }

    /// The connector of a system, opened once.
    pub fn connector(&self, system: &Ref) -> Result<Arc<dyn Connector>, Error> {
        Ok(Arc::clone(&self.opened(system)?.connector))
    }

    fn opened(&self, system: &Ref) -> Result<Arc<Opened>, Error> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = open.get(system) {
            return Ok(Arc::clone(opened));
        }
        let invalid =
            |what: String| Error::new(ErrorKind::Invalid, Verb::Check, what).with("system", system.to_string());
        let document = self.estate.systems.get(system).ok_or_else(|| invalid("no such system in the estate".into()))?;
        let kind = self
            .kinds
            .kind(&document.connector)
            .ok_or_else(|| invalid(format!("no connector of kind {}", document.connector)))?;
        let opened = Arc::new(Opened {
            connector: kind.open(&document.settings, &self.rules)?,
            slots: Semaphore::new(document.budget.concurrency.max(1) as usize),
            pace: Mutex::new(Pace { next: Timestamp::UNIX_EPOCH, quiet: Timestamp::UNIX_EPOCH }),
            per_second: document.budget.per_second,
        });
        open.insert(system.clone(), Arc::clone(&opened));
        Ok(opened)
    }

    /// Makes one call of a verb: within the budget, with a deadline, tried again where the class of its error allows.
    ///
    /// Guarantees: `Unclear` is tried again only for verbs that change nothing; a `Retry-After` holds every call to the
    /// system; a denied actor is read again from its source of truth once.
    pub async fn call<T, F, Fut>(&self, ask: Ask<'_>, make: F) -> Result<T, Error>
    where
        F: Fn(Arc<dyn Connector>, Call) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        let opened = self.opened(ask.system)?;
        let mut actor = match &ask.actor {
            Some(actor) => Some(Arc::clone(actor)),
            None => Box::pin(self.actor_of(ask.system)).await?,
        };
        let mut refreshed = ask.actor.is_some();
        let mut wait = self.settings.backoff;
        let tries = TRIES.try_with(|tries| *tries).unwrap_or(u32::MAX).min(self.settings.tries);
        for attempt in 1.. {
            let answer = self.once(&opened, &ask, actor.clone(), &make).await;
            let Err(error) = answer else { return answer };
            let repeatable = match error.retry() {
                Retry::After(asked) => {
                    if let Some(asked) = asked {
                        self.hold(&opened, asked);
                        wait = wait.max(asked);
                    }
                    true
                }
                Retry::AskTarget => !changes(ask.verb),
                Retry::Never if error.kind == ErrorKind::Denied && !refreshed && acts(ask.verb) => {
                    refreshed = true;
                    let again = Box::pin(self.refresh_actor(ask.system)).await?;
                    if again == actor {
                        return Err(error);
                    }
                    actor = again;
                    continue;
                }
                Retry::Never => false,
            };
            if !repeatable || attempt >= tries {
                return Err(error.with("system", ask.system.to_string()));
            }
            self.context.clock.sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(5));
        }
        Err(Error::new(ErrorKind::Unreachable, ask.verb, "no try was made"))
    }

    async fn once<T, F, Fut>(
        &self,
        opened: &Opened,
        ask: &Ask<'_>,
        actor: Option<Arc<Material>>,
        make: &F,
    ) -> Result<T, Error>
    where
        F: Fn(Arc<dyn Connector>, Call) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        let _slot = opened
            .slots
            .acquire()
            .await
            .map_err(|_| Error::new(ErrorKind::Unreachable, ask.verb, "the daemon is stopping"))?;
        self.pace(opened).await;
        let deadline = self.context.clock.now() + self.settings.call_timeout;
        let call = Call { operation: ask.operation.clone(), deadline, actor };
        match tokio::time::timeout(self.settings.call_timeout, make(Arc::clone(&opened.connector), call)).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::new(
                if changes(ask.verb) { ErrorKind::Unclear } else { ErrorKind::Unreachable },
                ask.verb,
                "no answer in time",
            )),
        }
    }

    /// Waits for this call's turn.
    async fn pace(&self, opened: &Opened) {
        let mut turn = {
            let mut pace = opened.pace.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = pace.next.max(self.context.clock.now());
            if let Some(per_second) = opened.per_second {
                pace.next = turn + Duration::from_secs(1) / per_second.max(1);
            }
            turn
        };
        loop {
            // Who waited for a turn may find that the system asked for quiet meanwhile.
            turn = turn.max(opened.pace.lock().unwrap_or_else(PoisonError::into_inner).quiet);
            let now = self.context.clock.now();
            if turn <= now {
                return;
            }
            self.context.clock.sleep(turn.duration_since(now).unsigned_abs()).await;
        }
    }

    /// No call to the system starts before this has passed.
    fn hold(&self, opened: &Opened, wait: Duration) {
        let until = self.context.clock.now() + wait;
        let mut pace = opened.pace.lock().unwrap_or_else(PoisonError::into_inner);
        pace.quiet = pace.quiet.max(until);
    }

    /// What Remint acts with at a system; `None` when it needs nothing.
    async fn actor_of(&self, system: &Ref) -> Result<Option<Arc<Material>>, Error> {
        match self.estate.systems.get(system).and_then(|system| system.auth.clone()) {
            None => Ok(None),
            Some(credential) => self.material(&credential).await.map(Some),
        }
    }

    async fn refresh_actor(&self, system: &Ref) -> Result<Option<Arc<Material>>, Error> {
        if let Some(credential) = self.estate.systems.get(system).and_then(|system| system.auth.as_ref()) {
            self.actors.lock().unwrap_or_else(PoisonError::into_inner).remove(credential);
        }
        Box::pin(self.actor_of(system)).await
    }

    /// The current value of a credential that Remint acts with, from its source of truth.
    pub async fn material(&self, credential: &Ref) -> Result<Arc<Material>, Error> {
        if let Some(known) = self.actors.lock().unwrap_or_else(PoisonError::into_inner).get(credential) {
            return Ok(Arc::clone(known));
        }
        let missing =
            |what: &str| Error::new(ErrorKind::Missing, Verb::Read, what).with("credential", credential.to_string());
        let document = self.estate.credentials.get(credential).ok_or_else(|| missing("no such credential"))?;
        let source = document.source().ok_or_else(|| missing("it lies nowhere that Remint can read"))?;
        let material = Arc::new(Box::pin(self.read(source)).await?);
        self.actors.lock().unwrap_or_else(PoisonError::into_inner).insert(credential.clone(), Arc::clone(&material));
        Ok(material)
    }

    /// From now on Remint acts with this value.
    pub fn switch(&self, credential: &Ref, material: Arc<Material>) {
        self.actors.lock().unwrap_or_else(PoisonError::into_inner).insert(credential.clone(), material);
    }

    /// Reads what lies at a destination and takes it apart by its templates.
    pub async fn read(&self, place: &Destination) -> Result<Material, Error> {
        let operation = OperationId("read".into());
        let ask = Ask { system: &place.at.system, verb: Verb::Read, operation: &operation, actor: None };
        let path = place.at.path.clone();
        let found = self
            .call(ask, |connector, call| {
                let path = path.clone();
                async move { connector.read(&call, &path).await }
            })
            .await?;
        let (mut username, mut secret) = (None, None);
        for (field, template) in &place.fields {
            let value = found.fields.get(field).ok_or_else(|| absent(&place.at, field))?;
            let (name, value) = template.extract(value).map_err(|error| {
                Error::new(
                    ErrorKind::Invalid,
                    Verb::Read,
                    format!("what lies there does not fit its template: {error}"),
                )
                .with("place", place.at.to_string())
                .with("field", field.clone())
            })?;
            username = username.or(name);
            secret = secret.or(value);
        }
        let secret = secret.ok_or_else(|| absent(&place.at, "the secret"))?;
        Ok(Material { username, secret })
    }
}

fn absent(place: &Location, field: &str) -> Error {
    Error::new(ErrorKind::Missing, Verb::Read, "nothing lies there")
        .with("place", place.to_string())
        .with("field", field.to_owned())
}

/// Verbs whose lost answer leaves a question.
#[must_use]
pub const fn changes(verb: Verb) -> bool {
    matches!(
        verb,
        Verb::Mint
            | Verb::Write
            | Verb::Promote
            | Verb::DestroyVersion
            | Verb::Reload
            | Verb::Disable
            | Verb::Enable
            | Verb::Revoke
            | Verb::EndDerived
    )
}

/// Verbs in which a denial is about Remint's own credential, not about the one tried.
const fn acts(verb: Verb) -> bool {
    !matches!(verb, Verb::Verify | Verb::Probe)
}
