//! A governed state over the rig's fake services, with persons who have keys of their own.

use std::sync::Arc;

use async_trait::async_trait;
use remint::app::{App, Places};
use remint::config::Configuration;
use remint::context::Context;
use remint::engine::record::{kind, put};
use remint::engine::reset::{Request, plan_bytes};
use remint::engine::{Engine, EngineSettings};
use remint::escrow::SystemRandomness;
use remint::evidence::export_seen;
use remint::govern::yes::Bound;
use remint::govern::{About, Charter, Gate, GateError, Passed, PersonKey};
use remint::store::{Change, Rule};
use remint_contract::{Kinds, Ref, ResetId};
use remint_core::approval::{Executor, Party, Signature};
use remint_core::digest::Digest;
use remint_core::estate::{Estate, Tier};
use remint_core::gate::{Action, Caller, Decider, Decision, Entrance, Resource};
use remint_core::plan::{Node, Plan};
use remint_evidence_format::bundle::{Bundle, Trust};
use remint_evidence_format::note::VerifierKey;
use remint_evidence_format::report::Report;

use super::policy;
use crate::rig::Rig;
use crate::windows::Moved;
use crate::windows::daemon::{leaping, served};

pub(crate) const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];

/// Everything is allowed: what holds whatever policies say is what is tested here.
pub(crate) struct Anything;

#[async_trait]
impl Decider for Anything {
    fn decide(
        &self,
        _: &Caller,
        _: &Party,
        _: &std::collections::BTreeSet<String>,
        _: Action,
        _: &Resource,
        _: jiff::Timestamp,
    ) -> Decision {
        Decision::allowed("a test")
    }
}

pub(crate) struct Governed {
    pub(crate) rig: Rig,
    pub(crate) app: App,
    pub(crate) clock: Arc<Moved>,
    keys: tempfile::TempDir,
}

impl Governed {
    /// Privileged credentials that take so many persons.
    pub(crate) async fn new(count: usize, approvals: u32) -> Self {
        Self::with(count, |estate| policy(estate, approvals)).await
    }

    pub(crate) async fn with(count: usize, shape: impl FnOnce(&mut Estate)) -> Self {
        let mut rig = Rig::start(count).await;
        for identity in rig.estate.identities.values_mut() {
            identity.tier = Tier::Privileged;
        }
        shape(&mut rig.estate);
        let keys = tempfile::tempdir().unwrap();
        let mut persons = "persons:\n".to_owned();
        for (number, name) in NAMES.iter().enumerate() {
            let key = PersonKey::create(&keys.path().join(name), name, &SystemRandomness).unwrap();
            persons += &format!("  {name}: {{principals: [\"unix:{number}\"], keys: [\"{}\"]}}\n", key.public());
        }
        let charter = Charter { policies: [("all.cedar".to_owned(), String::new())].into(), persons };
        let places = Places {
            state: rig.folder.path().to_owned(),
            kek: keys.path().join("kek"),
            same_folder: false,
            store: None,
        };
        let clock = Moved::at("2027-06-01T12:00:00Z");
        let context = Context { clock: Arc::clone(&clock) as _, ..Context::system() };
        let kinds = Arc::clone(&rig.kinds) as Arc<dyn Kinds>;
        let (mut app, new) = App::found(&places, None, &context, kinds, &charter, "ceremony").await.unwrap();
        assert!(new && app.gate.governed());
        let gate = Gate::open(Arc::clone(&app.engine.store), context).await.unwrap();
        app.gate = gate.decided_by(Arc::new(Anything));
        app.engine.settings = EngineSettings { executor: Some(Executor::Remint), ..rig.settings.clone() };
        let governed = Self { rig, app, clock, keys };
        governed.activate(&governed.rig.estate).await;
        governed
    }

    pub(crate) async fn activate(&self, estate: &Estate) {
        let name = estate.digest().to_string();
        let puts = vec![
            put(kind::ESTATE, name.clone(), "", estate, Rule::Upsert).unwrap(),
            put("active", "estate", "", &name, Rule::Upsert).unwrap(),
        ];
        self.app.engine.store.commit(Change { puts, ..Change::default() }).await.unwrap();
    }

    /// Somebody passes the gate.
    pub(crate) async fn passed(&self, name: &str) -> Passed {
        let number = NAMES.iter().position(|known| *known == name).unwrap();
        let caller = Caller::plain(format!("unix:{number}"), Entrance::Cli);
        self.app.gate.pass(&caller, "nobody", Action::Approve, &Resource::Estate).await.unwrap()
    }

    pub(crate) async fn party(&self, name: &str) -> Party {
        self.passed(name).await.party().unwrap().clone()
    }

    pub(crate) fn request(&self, plan: Plan) -> Request {
        Request {
            id: self.app.engine.context.reset().unwrap(),
            plan,
            estate: self.rig.estate.clone(),
            reason: "INC-9".to_owned(),
            by: "alice".to_owned(),
            at: self.app.engine.context.clock.now(),
        }
    }

    /// Alice asks for a plan.
    pub(crate) async fn asked(&self, plan: Plan) -> ResetId {
        let request = self.request(plan);
        let id = request.id.clone();
        let party = Some(self.party("alice").await);
        let urgency = remint::engine::record::Urgency::Incident;
        self.app.engine.request_of(request, urgency, None, party).await.unwrap();
        id
    }

    /// What somebody signs with his own key.
    pub(crate) fn note(&self, name: &str, what: &str, digest: Digest, file: &str) -> String {
        let key = PersonKey::load(&self.keys.path().join(name)).unwrap();
        let now = self.app.engine.context.clock.now();
        let until = now + std::time::Duration::from_hours(8);
        About { what, digest, file }.sign(&key, &Bound { at: now, until, additions: None }).unwrap()
    }

    pub(crate) async fn vouched(
        &self,
        name: &str,
        note: &str,
        what: &str,
        digest: Digest,
        file: &str,
    ) -> Result<Signature, GateError> {
        self.app.gate.vouch(&self.passed(name).await, note, &About { what, digest, file }).await
    }

    /// Signs what waits of a reset; what is still missing.
    pub(crate) async fn sign(&self, id: &ResetId, name: &str) -> Vec<String> {
        let (digest, file) = self.app.engine.reset(id).await.unwrap().waits();
        let what = format!("reset {id}");
        let note = self.note(name, &what, digest, &file);
        let signature = self.vouched(name, &note, &what, digest, &file).await.unwrap();
        self.app.engine.sign(id, digest, signature).await.unwrap().lacks
    }

    /// The yes of somebody to something else than a reset.
    pub(crate) async fn yes(&self, name: &str, what: &str, digest: Digest, file: &str) -> Signature {
        let note = self.note(name, what, digest, file);
        self.vouched(name, &note, what, digest, file).await.unwrap()
    }

    /// A daemon over this state, for as long as `watched` looks at it; people sign beside it.
    pub(crate) async fn served<T>(&self, watched: impl AsyncFnOnce(&Engine) -> T) -> T {
        let estate = tempfile::tempdir().unwrap();
        let gate = Gate::open(Arc::clone(&self.app.store), self.app.engine.context.clone()).await.unwrap();
        let mut engine = self.app.engine.clone();
        engine.settings = leaping(&engine.settings);
        let app = App {
            engine,
            key: Arc::clone(&self.app.key),
            signing: None,
            wrapping: None,
            sequencer: Arc::clone(&self.app.sequencer),
            folder: self.app.folder.clone(),
            standing: self.app.standing.clone(),
            store: Arc::clone(&self.app.store),
            anchor: None,
            configuration: Configuration::default(),
            gate: gate.decided_by(Arc::new(Anything)),
            passed: None,
        };
        served(app, estate.path(), self.keys.path(), watched).await
    }

    pub(crate) async fn exported(&self, id: &ResetId) -> Bundle {
        self.app.sequencer.flush().await.unwrap();
        let plan = plan_bytes(&self.app.engine.reset(id).await.unwrap().plan);
        export_seen(&*self.app.engine.store, id, &plan, &self.app.key, &[]).await.unwrap()
    }

    /// The keys that an auditor knows the persons by.
    pub(crate) fn persons(&self) -> Vec<VerifierKey> {
        let key = |name: &&str| {
            let public = PersonKey::load(&self.keys.path().join(name)).unwrap().public();
            VerifierKey::parse(&public).unwrap()
        };
        NAMES.iter().map(key).collect()
    }

    pub(crate) fn verified(&self, bundle: &Bundle) -> Report {
        let trust = Trust { persons: self.persons(), ..Trust::in_key(Some(self.app.key.verifier())) };
        bundle.verify_with(&trust)
    }

    /// A real plan of every application's credential, but for those that are left out.
    pub(crate) fn planned(&self, except: &[Ref]) -> Plan {
        let from = self.rig.estate.credentials.keys().filter(|name| name.name.as_str() != "root");
        let mut request = remint_core::plan::Request::new(from.cloned().map(Node::Doc).collect());
        request.exceptions = except.iter().cloned().collect();
        let now = self.app.engine.context.clock.now();
        remint_core::plan::plan(&self.rig.estate, &request, &*self.rig.kinds, now).unwrap()
    }
}
