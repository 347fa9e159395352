//! The host around every connector: opens it, hands it the credential to act with, keeps the system's budget, gives up
//! in time, and tries again where the error's class allows it. Connectors contain none of this.
//!
//! A [`budget`] is shared by all replicas through the store; a [`bucket`] is this process's slice of it, used at a [`pace`];
//! a [`circuit`] keeps everybody from a system that does not answer.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use remint_contract::{
    Call, Connector, Error, ErrorKind, HostRules, Kinds, Location, Material, OperationId, Ref, Retry, Verb,
};
use remint_core::estate::{Budget, Destination, Estate};

use crate::context::Context;
use crate::engine::host::bucket::{Bucket, Turn};
use crate::store::StoreError;

mod bucket;
mod buckets;
mod budget;
mod circuit;
mod line;
mod meter;
mod pace;

pub use buckets::Buckets;
pub(crate) use line::Place;
pub use meter::{Calls, Meter};
pub use pace::Held;

/// Opened systems of one estate.
pub struct Host {
    estate: Arc<Estate>,
    kinds: Arc<dyn Kinds>,
    rules: HostRules,
    context: Context,
    settings: HostSettings,
    buckets: Arc<Buckets>,
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
    /// The first wait between tries, and of a circuit that opens; doubled each time.
    pub backoff: Duration,
    /// So many failures in a row open the circuit of a system.
    pub failures: u32,
    /// How often the shared budgets are looked at while they are used.
    pub look: Duration,
    /// How long a slice of a budget outlasts the longest call: so long others wait for what a dead replica had.
    pub slice: Duration,
}

impl Default for HostSettings {
    fn default() -> Self {
        Self {
            call_timeout: Duration::from_secs(30),
            tries: 6,
            backoff: Duration::from_millis(50),
            failures: 5,
            look: Duration::from_secs(1),
            slice: Duration::from_secs(30),
        }
    }
}

struct Opened {
    /// The connector's kind.
    kind: String,
    connector: Arc<dyn Connector>,
    bucket: Arc<Bucket>,
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
    /// Where this task's rotation stands in the line for every budget. A task of none is first.
    pub(crate) static PLACE: Place;
}

/// Where the running task stands in line.
fn place() -> Place {
    PLACE.try_with(|place| *place).unwrap_or_default()
}

impl Host {
    #[must_use]
    pub fn new(
        estate: Arc<Estate>,
        kinds: Arc<dyn Kinds>,
        rules: HostRules,
        context: Context,
        settings: HostSettings,
        buckets: Arc<Buckets>,
    ) -> Self {
        Self {
            estate,
            kinds,
            rules,
            context,
            settings,
            buckets,
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
            kind: document.connector.clone(),
            connector: kind.open(&document.settings, &self.rules)?,
            bucket: self.buckets.calls(system, document.budget),
        });
        open.insert(system.clone(), Arc::clone(&opened));
        Ok(opened)
    }

    /// Makes one call of a verb: within the budget, with a deadline, tried again where the class of its error allows.
    ///
    /// Guarantees: `Unclear` is tried again only for verbs that change nothing; a `Retry-After` or an open circuit holds
    /// every call to the system, of all replicas; a denied actor is read again from its source of truth once.
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
        // Many wait for one enumeration, whoever makes it.
        let place = if ask.verb == Verb::Enumerate { Place::default() } else { place() };
        let tries = TRIES.try_with(|tries| *tries).unwrap_or(u32::MAX).min(self.settings.tries);
        for attempt in 1.. {
            // Who is refused a turn is told at once: others have tried, and failed.
            let turn = opened.bucket.turn(place).await.map_err(|error| {
                let refused = Error::new(ErrorKind::Unreachable, ask.verb, "no call can be made").because(error);
                refused.with("system", ask.system.to_string())
            })?;
            let answer = self.once(&opened, turn, &ask, actor.clone(), &make).await;
            let Err(error) = answer else { return answer };
            let repeatable = match error.retry() {
                Retry::After(asked) => {
                    if let Some(asked) = asked {
                        opened.bucket.hush(asked).await;
                        wait = wait.max(asked);
                    }
                    true
                }
                Retry::AskTarget => !ask.verb.changes(),
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
        turn: Turn,
        ask: &Ask<'_>,
        actor: Option<Arc<Material>>,
        make: &F,
    ) -> Result<T, Error>
    where
        F: Fn(Arc<dyn Connector>, Call) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        let began = self.context.clock.now();
        let deadline = began + self.settings.call_timeout;
        let call = Call { operation: ask.operation.clone(), deadline, actor };
        let answer =
            match tokio::time::timeout(self.settings.call_timeout, make(Arc::clone(&opened.connector), call)).await {
                Ok(answer) => answer,
                Err(_) => Err(Error::new(
                    if ask.verb.changes() { ErrorKind::Unclear } else { ErrorKind::Unreachable },
                    ask.verb,
                    "no answer in time",
                )),
            };
        let took = self.context.clock.now().duration_since(began).unsigned_abs();
        self.buckets.meter.note(&opened.kind, ask.verb, took, answer.as_ref().err().map(|error| error.kind));
        note(opened, &turn, ask.verb, answer.as_ref().err()).await;
        answer
    }

    /// Leave to restart workloads of a system, for as long as it is held.
    pub async fn restarts(&self, system: &Ref, count: u32) -> Result<Held, StoreError> {
        let budget = self.estate.systems.get(system).map_or_else(Budget::default, |system| system.budget);
        self.buckets.restarts(system, budget, place(), count).await
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

/// What an answer says about the system. An endpoint that does not answer a probe says nothing about the others; an
/// answer that was lost neither, but a circuit stays open for it.
async fn note(opened: &Opened, turn: &Turn, verb: Verb, error: Option<&Error>) {
    match error.map(|error| error.kind) {
        Some(ErrorKind::Unreachable | ErrorKind::Throttled) if verb != Verb::Probe || turn.trying() => {
            opened.bucket.failed(turn).await;
        }
        Some(ErrorKind::Unclear) if turn.trying() => opened.bucket.failed(turn).await,
        Some(ErrorKind::Unreachable | ErrorKind::Throttled | ErrorKind::Unclear) => {}
        _ => opened.bucket.answered(turn).await,
    }
}

fn absent(place: &Location, field: &str) -> Error {
    Error::new(ErrorKind::Missing, Verb::Read, "nothing lies there")
        .with("place", place.to_string())
        .with("field", field.to_owned())
}

/// Verbs in which a denial is about Remint's own credential, not about the one tried.
const fn acts(verb: Verb) -> bool {
    !matches!(verb, Verb::Verify | Verb::Probe)
}
