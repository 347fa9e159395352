//! Connectors to the simulated world: one kind, three roles, every call at the mercy of the process's [`Fate`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::clock::Gate;
use super::dice::Dice;
use super::fate::{CallFate, Fate};
use super::world::issuer::Ask;
use super::world::{Issuer, Life, No, Shelf, State, World};
use async_trait::async_trait;
use jiff::Timestamp;
use remint_contract::{
    Call, Capabilities, ConfirmGrade, Connector, ConnectorKind, Derived, DerivedOutcome, Ended, Error, ErrorKind,
    Expected, HostRules, Intent, Kinds, Live, MadeBy, Material, MintRequest, Minted, Observation, OperationId,
    ReadBack, Recovered, RightsChange, SecretValue, Seen, SettingProblem, Target, Use, Verb, Verdict, Verified,
    VersionId, Workload, WriteRequest, Written,
};
use tokio::time::Instant;

mod flight;
mod settings;

use flight::{InFlight, UnderWay};
pub(crate) use settings::{Issues, Role, Settings};

/// A call that lands, told with how it came.
type Landing<T> = dyn Fn(&str) -> Result<T, Error> + Send + Sync;

/// How one process reaches the world.
pub(crate) struct Net {
    pub(crate) process: String,
    pub(crate) gate: Arc<Gate>,
    pub(crate) world: Arc<World>,
    pub(crate) fate: Arc<dyn Fate>,
    pub(crate) dice: Dice,
}

/// The one kind, for one process.
pub(crate) struct SimKinds(pub(crate) Arc<Net>);

impl Kinds for SimKinds {
    fn kind(&self, name: &str) -> Option<&dyn ConnectorKind> {
        (name == "sim").then_some(self as &dyn ConnectorKind)
    }

    fn names(&self) -> Vec<&'static str> {
        vec!["sim"]
    }
}

impl ConnectorKind for SimKinds {
    fn name(&self) -> &'static str {
        "sim"
    }

    fn describe(&self, settings: &serde_json::Value) -> Result<Capabilities, Vec<SettingProblem>> {
        let read = serde_json::from_value::<Settings>(settings.clone());
        read.map(|settings| settings.describe())
            .map_err(|error| vec![SettingProblem { path: Vec::new(), message: error.to_string() }])
    }

    fn open(&self, settings: &serde_json::Value, _: &HostRules) -> Result<Arc<dyn Connector>, Error> {
        let settings = serde_json::from_value(settings.clone())
            .map_err(|error| Error::new(ErrorKind::Invalid, Verb::Check, error.to_string()))?;
        Ok(Arc::new(Sim { settings, net: Arc::clone(&self.0) }))
    }
}

struct Sim {
    settings: Settings,
    net: Arc<Net>,
}

impl Sim {
    /// One call: on its way, landed in one go, and answered, unless its fate is another.
    async fn ask<T: Send + 'static>(
        &self,
        call: &Call,
        verb: Verb,
        about: &str,
        act: impl Fn(&mut State) -> Result<T, No> + Send + Sync + 'static,
    ) -> Result<T, Error> {
        let (net, system) = (&self.net, self.settings.name.as_str());
        net.gate.pass().await;
        net.world.begin(system);
        let counted = InFlight(&net.world, system);
        let fate = net.fate.call(&net.process, verb, system);
        let told = format!("{} {system} {verb} {about} [{}]", net.process, call.operation);
        if fate != CallFate::Fine {
            net.world.trace(&format!("{told} {fate:?}"));
        }
        let (deadline, sent) = (call.deadline, Instant::now());
        let name = system.to_owned();
        let world = Arc::clone(&net.world);
        let land: Arc<Landing<T>> = Arc::new(move |how: &str| {
            let now = world.time.now();
            let answer = world.land(|state| {
                let late = state.refuses_late(&name) && now > deadline || state.has_hung_up(&name, sent.elapsed());
                if late && verb.changes() {
                    return Err((ErrorKind::Unreachable, "it came after its deadline; nothing was done"));
                }
                act(state)
            });
            let said = answer.as_ref().map_or_else(|(kind, why)| format!("{kind:?} {why}"), |_| "ok".to_owned());
            world.trace(&format!("{told} {how}{said}"));
            answer.map_err(|(kind, why)| Error::new(kind, verb, why).with("system", name.clone()))
        });
        let lost = || Error::new(ErrorKind::Unclear, verb, "the connection broke before the answer");
        let later = |wait: Duration| {
            let land = Arc::clone(&land);
            tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                let _ = land("late: ");
            });
        };
        let travel = net.dice.millis(1, 40);
        match fate {
            CallFate::Fine | CallFate::Twice(_) => {
                // Whoever goes away while it is under way does not know that half of them land.
                let lands = net.dice.permille(500);
                let wait = net.dice.millis(1, 3000);
                let mut under_way = UnderWay(None);
                if lands && verb.changes() {
                    let land = Arc::clone(&land);
                    let runtime = tokio::runtime::Handle::current();
                    under_way.0 = Some(Box::new(move || {
                        runtime.spawn(async move {
                            tokio::time::sleep(wait).await;
                            let _ = land("after its caller went away: ");
                        });
                    }));
                }
                tokio::time::sleep(travel).await;
                under_way.0 = None;
                let answer = land("");
                if let CallFate::Twice(wait) = fate {
                    later(wait);
                }
                tokio::time::sleep(travel).await;
                drop(counted);
                net.gate.pass().await;
                answer
            }
            CallFate::Refuse(kind) => {
                tokio::time::sleep(travel).await;
                drop(counted);
                net.gate.pass().await;
                Err(Error::new(kind, verb, "refused by fate").with("system", system))
            }
            CallFate::Throttle(wait) => {
                tokio::time::sleep(travel).await;
                drop(counted);
                net.gate.pass().await;
                Err(Error::new(ErrorKind::Throttled, verb, "come back later").retry_after(wait))
            }
            CallFate::LostBefore => {
                tokio::time::sleep(travel).await;
                drop(counted);
                net.gate.pass().await;
                Err(lost())
            }
            CallFate::LostAfter => {
                tokio::time::sleep(travel).await;
                let _ = land("");
                drop(counted);
                net.gate.pass().await;
                Err(lost())
            }
            CallFate::Late(wait) => {
                later(wait);
                std::future::pending().await
            }
            CallFate::Hang => std::future::pending().await,
            CallFate::CrashBefore => {
                net.gate.kill();
                std::future::pending().await
            }
            CallFate::CrashAfter => {
                let _ = land("");
                net.gate.kill();
                std::future::pending().await
            }
            CallFate::StopAfter => {
                net.gate.stop();
                let answer = land("");
                drop(counted);
                net.gate.pass().await;
                answer
            }
            CallFate::StopWithheld => {
                net.gate.stop();
                net.world.withhold(Box::new(move || {
                    let _ = land("withheld: ");
                }));
                std::future::pending().await
            }
        }
    }

    fn issuer<T>(
        &self,
        act: impl Fn(&mut Issuer) -> Result<T, No> + Send + Sync + 'static,
    ) -> impl Fn(&mut State) -> Result<T, No> + Send + Sync + 'static {
        let name = self.settings.name.clone();
        move |state| act(state.issuers.get_mut(&name).ok_or((ErrorKind::Missing, "no such issuer"))?)
    }

    fn shelf<T>(
        &self,
        act: impl Fn(&mut Shelf) -> Result<T, No> + Send + Sync + 'static,
    ) -> impl Fn(&mut State) -> Result<T, No> + Send + Sync + 'static {
        let name = self.settings.name.clone();
        move |state| act(state.shelves.get_mut(&name).ok_or((ErrorKind::Missing, "no such store"))?)
    }

    async fn switch(&self, call: &Call, verb: Verb, version: &VersionId, to: Life) -> Result<(), Error> {
        let (actor, id) = (call.actor.clone(), version.0.clone());
        let act = self.issuer(move |issuer| issuer.switch(actor.as_deref(), &id, to));
        self.ask(call, verb, &version.0, act).await
    }

    async fn sessions(&self, call: &Call, verb: Verb, version: &VersionId) -> Result<Vec<Derived>, Error> {
        let (actor, id) = (call.actor.clone(), version.0.clone());
        let act = self.issuer(move |issuer| issuer.sessions(actor.as_deref(), &id, verb == Verb::EndDerived));
        let open = self.ask(call, verb, &version.0, act).await?;
        let derived = |number| Derived { id: format!("s{number}"), what: "session".to_owned(), expires: None };
        Ok((0..open).map(derived).collect())
    }
}

#[async_trait]
impl Connector for Sim {
    fn describe(&self) -> Capabilities {
        self.settings.describe()
    }

    async fn check(&self, call: &Call, path: Option<&str>) -> Result<(), Error> {
        let (actor, role, name) = (call.actor.clone(), self.settings.role, self.settings.name.clone());
        let act = move |state: &mut State| match role {
            Role::Issuer => {
                let issuer = state.issuers.get(&name).ok_or((ErrorKind::Missing, "no such issuer"))?;
                issuer.allow(actor.as_deref(), None).map(drop)
            }
            _ => Ok(()),
        };
        self.ask(call, Verb::Check, path.unwrap_or_default(), act).await
    }

    async fn mint(&self, call: &Call, request: &MintRequest) -> Result<Minted, Error> {
        let (actor, request, operation) = (call.actor.clone(), request.clone(), call.operation.0.clone());
        let made = SecretValue::from(format!("made-{:016x}{:016x}", self.net.dice.next(), self.net.dice.next()));
        let target = request.target.name.clone();
        let act = self.issuer(move |issuer| {
            issuer.mint(Ask {
                target: &request.target.name,
                strategy: request.strategy,
                old: request.old.as_ref().map(|old| old.0.as_str()),
                old_username: request.old_username.as_deref(),
                proposed: request.proposed.as_ref(),
                operation: &operation,
                actor: actor.as_deref(),
                made: made.clone(),
            })
        });
        let (version, material) = self.ask(call, Verb::Mint, &target, act).await?;
        Ok(Minted { version: VersionId(version), material })
    }

    async fn verify(&self, call: &Call, target: &Target, material: &Material) -> Result<Verified, Error> {
        let (shown, name) = (material.clone(), self.settings.name.clone());
        let act = move |state: &mut State| {
            let id = state.accepts_at(&name, &shown, 0).ok_or((ErrorKind::Denied, "not accepted"))?;
            let principal = state.issuers[&name].versions[&id].target.clone();
            Ok(Verified { version: VersionId(id), principal, expires: None })
        };
        self.ask(call, Verb::Verify, &target.name, act).await
    }

    async fn compare_rights(
        &self,
        call: &Call,
        target: &Target,
        _old: &VersionId,
        new: &VersionId,
    ) -> Result<RightsChange, Error> {
        let id = new.0.clone();
        let act = self.issuer(move |issuer| {
            let version = issuer.versions.get(&id).ok_or((ErrorKind::Missing, "no such version"))?;
            // Whoever fetches a value meanwhile has it of the new version: it has no rights of its own.
            let wider = version.wider && issuer.issues != Issues::Leases;
            Ok(if wider { RightsChange::Broader(vec!["more".to_owned()]) } else { RightsChange::Equal })
        });
        self.ask(call, Verb::CompareRights, &target.name, act).await
    }

    async fn disable(&self, call: &Call, _: &Target, version: &VersionId) -> Result<(), Error> {
        self.switch(call, Verb::Disable, version, Life::Disabled).await
    }

    async fn enable(&self, call: &Call, _: &Target, version: &VersionId) -> Result<(), Error> {
        self.switch(call, Verb::Enable, version, Life::Live).await
    }

    async fn revoke(&self, call: &Call, _: &Target, version: &VersionId) -> Result<(), Error> {
        self.switch(call, Verb::Revoke, version, Life::Revoked).await
    }

    async fn list_derived(&self, call: &Call, _: &Target, version: &VersionId) -> Result<Vec<Derived>, Error> {
        self.sessions(call, Verb::ListDerived, version).await
    }

    async fn end_derived(&self, call: &Call, _: &Target, version: &VersionId) -> Result<Vec<Ended>, Error> {
        let ended = self.sessions(call, Verb::EndDerived, version).await?;
        Ok(ended.into_iter().map(|derived| Ended { derived, outcome: DerivedOutcome::Ended }).collect())
    }

    async fn probe(
        &self,
        call: &Call,
        target: &Target,
        material: &Material,
        endpoint: usize,
    ) -> Result<Verdict, Error> {
        let (shown, name) = (material.clone(), self.settings.name.clone());
        let act = move |state: &mut State| {
            let accepted = state.accepts_at(&name, &shown, endpoint);
            let issuer = state.issuers.get_mut(&name).ok_or((ErrorKind::Missing, "no such issuer"))?;
            Ok(accepted.and_then(|id| issuer.versions.get_mut(&id)).map(|version| version.untried = false).is_some())
        };
        Ok(match self.ask(call, Verb::Probe, &target.name, act).await {
            Ok(true) => Verdict::Accepted,
            Ok(false) => Verdict::Denied,
            Err(error) => Verdict::Unclear(error.message),
        })
    }

    async fn enumerate(&self, call: &Call, targets: &[Target]) -> Result<Vec<Live>, Error> {
        let (actor, targets) = (call.actor.clone(), targets.to_vec());
        let act = self.issuer(move |issuer| {
            issuer.allow(actor.as_deref(), None)?;
            let listed = issuer.versions.iter().filter(|(id, _)| issuer.listed(id));
            let live = listed.map(|(id, version)| Live {
                version: VersionId(id.clone()),
                target: targets.iter().any(|target| target.name == version.target).then(|| version.target.clone()),
                label: version.target.clone(),
                operation: version.operation.clone().map(OperationId),
                created: None,
            });
            Ok(live.collect())
        });
        self.ask(call, Verb::Enumerate, "", act).await
    }

    async fn last_used(
        &self,
        call: &Call,
        _: &Target,
        version: &VersionId,
        since: Timestamp,
    ) -> Result<Vec<Use>, Error> {
        let (id, name) = (version.0.clone(), self.settings.name.clone());
        let act = move |state: &mut State| {
            let issuer = state.issuers.get(&name).ok_or((ErrorKind::Missing, "no such issuer"))?;
            let holds = |running: &super::world::Running| {
                running
                    .holdings
                    .iter()
                    .filter_map(|holding| holding.held.as_ref())
                    .any(|held| holding_of(issuer, held) == Some(id.as_str()))
            };
            let users = state.workloads.iter().filter(|(_, running)| holds(running));
            Ok(users.map(|(name, _)| Use { at: since, source: name.clone() }).collect())
        };
        self.ask(call, Verb::LastUsed, &version.0, act).await
    }

    async fn recover(&self, call: &Call, intent: &Intent) -> Result<Recovered, Error> {
        let intent = intent.clone();
        let about = format!("{} {}", intent.verb, intent.target.name);
        if self.settings.role == Role::Store {
            let act = self.shelf(move |shelf| Ok(shelf.done(&intent.operation.0)));
            let done = self.ask(call, Verb::Recover, &about, act).await?;
            return Ok(if done { Recovered::Done(None) } else { Recovered::NotDone });
        }
        let act = self.issuer(move |issuer| {
            if let (Verb::Disable, Some(id)) = (intent.verb, &intent.version) {
                let version = issuer.versions.get(&id.0).ok_or((ErrorKind::Missing, "there is no such version"))?;
                return Ok(if version.life == Life::Live { Recovered::NotDone } else { Recovered::Done(None) });
            }
            if intent.verb != Verb::Mint {
                return Ok(Recovered::NotDone);
            }
            let proposed = intent.mint.as_ref().and_then(|mint| mint.proposed.clone());
            let Some((version, material)) = issuer.find(&intent.operation.0, proposed.as_ref()) else {
                return Ok(Recovered::NotDone);
            };
            let version = VersionId(version);
            Ok(if issuer.made_by == MadeBy::IssuerOnce {
                Recovered::Orphan(version)
            } else {
                Recovered::Done(Some(Minted { version, material }))
            })
        });
        self.ask(call, Verb::Recover, &about, act).await
    }

    async fn write(&self, call: &Call, request: &WriteRequest) -> Result<Written, Error> {
        let (operation, path) = (call.operation.0.clone(), request.path.clone());
        let request = request.clone();
        let act =
            self.shelf(move |shelf| shelf.write(&request.path, &request.fields, request.expect.as_deref(), &operation));
        let version = self.ask(call, Verb::Write, &path, act).await?;
        Ok(Written { version: version.to_string() })
    }

    async fn read(&self, call: &Call, path: &str) -> Result<ReadBack, Error> {
        let at = path.to_owned();
        let act = self.shelf(move |shelf| {
            let (version, fields) = shelf.read(&at).ok_or((ErrorKind::Missing, "nothing lies there"))?;
            let fields: BTreeMap<String, SecretValue> = fields.clone();
            Ok(ReadBack { version: version.to_string(), fields })
        });
        self.ask(call, Verb::Read, path, act).await
    }

    async fn promote(&self, call: &Call, path: &str, version: &str) -> Result<(), Error> {
        let (at, number) = (path.to_owned(), version.to_owned());
        if self.settings.role == Role::Issuer {
            let actor = call.actor.clone();
            let act = self.issuer(move |issuer| issuer.activate(actor.as_deref(), &at, &number));
            return self.ask(call, Verb::Promote, version, act).await;
        }
        let act = self.shelf(move |shelf| shelf.promote(&at, &number));
        self.ask(call, Verb::Promote, &format!("{path}@{version}"), act).await
    }

    async fn versions(&self, call: &Call, path: &str) -> Result<Vec<String>, Error> {
        let at = path.to_owned();
        let act = self.shelf(move |shelf| Ok(shelf.versions(&at)));
        self.ask(call, Verb::Versions, path, act).await
    }

    async fn destroy_version(&self, call: &Call, path: &str, version: &str) -> Result<(), Error> {
        let (at, number) = (path.to_owned(), version.to_owned());
        let act = self.shelf(move |shelf| shelf.destroy(&at, &number));
        self.ask(call, Verb::DestroyVersion, &format!("{path}@{version}"), act).await
    }

    async fn reload(&self, call: &Call, workload: &Workload) -> Result<(), Error> {
        let name = workload.reference.clone();
        let act = move |state: &mut State| {
            if !state.workloads.get(&name).is_some_and(|running| running.deaf) {
                state.reload(&name);
            }
            Ok(())
        };
        self.ask(call, Verb::Reload, &workload.reference, act).await
    }

    async fn observe(&self, call: &Call, workload: &Workload, expected: &Expected) -> Result<Observation, Error> {
        let (name, expected) = (workload.reference.clone(), expected.clone());
        let act = move |state: &mut State| {
            let running = state.workloads.get(&name).ok_or((ErrorKind::Missing, "no such workload"))?;
            let mut held: Vec<String> =
                running.holdings.iter().filter_map(|holding| Some(holding.held.as_ref()?.fingerprint())).collect();
            let trusted = running.bundles.iter().flat_map(|bundle| bundle.text.lines());
            held.extend(trusted.map(|line| Material::of(SecretValue::from(line)).fingerprint()));
            let old = expected.old.as_ref().is_some_and(|old| held.contains(old));
            Ok(match (old, held.contains(&expected.new)) {
                (true, _) => Seen::Old,
                (_, true) => Seen::New,
                _ => Seen::Other,
            })
        };
        let seen = self.ask(call, Verb::Observe, &workload.reference, act).await?;
        Ok(Observation { seen, grade: ConfirmGrade::SelfReported })
    }
}

/// Which version a held value is, alive or not.
fn holding_of<'i>(issuer: &'i Issuer, held: &Material) -> Option<&'i str> {
    let found = issuer.versions.iter().find(|(_, version)| version.material.secret == held.secret);
    found.map(|(id, _)| id.as_str()).or_else(|| issuer.lease_of(&held.secret))
}
