//! A governed state with the real decision program, from its ceremony to a bundle that verifies.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use remint::app::{App, Places};
use remint::context::Context;
use remint::engine::EngineSettings;
use remint::engine::record::Urgency;
use remint::engine::reset::{Request, plan_bytes};
use remint::escrow::SystemRandomness;
use remint::evidence::export_seen;
use remint::govern::yes::Bound;
use remint::govern::{About, Gate, GateError, Passed, PersonKey, reset};
use remint_contract::{HostRules, Kinds, ResetId};
use remint_core::approval::Executor;
use remint_core::estate::Tier;
use remint_core::gate::{Action, Caller, Entrance, Resource, Scope};
use remint_evidence_format::bundle::Trust;
use remint_evidence_format::note::VerifierKey;

use super::policy;
use crate::rig::{Rig, assert_settled};

/// Beside the program that people start; `cargo xtask test` puts it there.
fn decides() -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_remint")).with_file_name("remint-policy");
    assert!(path.exists(), "{} is not there; `cargo xtask test` builds it first", path.display());
    path
}

const TEAM: [(&str, &str, &str); 3] =
    [("rita", "unix:1", "responders"), ("abel", "unix:2", "approvers"), ("olga", "unix:3", "owners, approvers")];

/// The team of the policies' own tests, with a key for each.
fn charter(folder: &Path, keys: &Path) {
    let mut persons = "persons:\n".to_owned();
    for (name, principal, groups) in TEAM {
        let key = PersonKey::create(&keys.join(name), name, &SystemRandomness).unwrap().public();
        persons += &format!("  {name}: {{principals: [\"{principal}\"], groups: [{groups}], keys: [\"{key}\"]}}\n");
    }
    std::fs::write(folder.join("persons.yaml"), persons).unwrap();
    let team = Path::new(env!("CARGO_MANIFEST_DIR")).join("policy/tests/policy/team.cedar");
    std::fs::copy(team, folder.join("team.cedar")).unwrap();
}

/// What `remint` says, and its exit code.
fn remint(places: &Places, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_remint"));
    command.args(arguments).arg("--state").arg(&places.state).arg("--kek").arg(&places.kek);
    let done = command.env_remove("REMINT_ANCHOR").env_remove("REMINT_STORE").output().unwrap();
    let text = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    (done.status.code().unwrap(), text)
}

struct State {
    app: App,
    keys: tempfile::TempDir,
}

impl State {
    async fn pass(&self, name: &str, action: Action, resource: &Resource) -> Result<Passed, GateError> {
        let (_, principal, _) = TEAM.iter().find(|(known, ..)| *known == name).unwrap();
        self.app.gate.pass(&Caller::plain(*principal, Entrance::Cli), "nobody", action, resource).await
    }

    /// Somebody approves a reset with his own key, through the gate.
    async fn approve(&self, name: &str, id: &ResetId) -> Result<Vec<String>, GateError> {
        let thing = reset(&self.app.engine, id).await.unwrap();
        let passed = self.pass(name, Action::Approve, &thing).await?;
        let (digest, file) = self.app.engine.reset(id).await.unwrap().waits();
        let what = format!("reset {id}");
        let about = About { what: &what, digest, file: &file };
        let now = self.app.engine.context.clock.now();
        let until = now + std::time::Duration::from_hours(1);
        let key = PersonKey::load(&self.keys.path().join(name)).unwrap();
        let note = about.sign(&key, &Bound { at: now, until, additions: None }).unwrap();
        let signature = self.app.gate.vouch(&passed, &note, &about).await?;
        Ok(self.app.engine.sign(id, digest, signature).await.unwrap().lacks)
    }
}

#[tokio::test]
async fn a_ceremony_a_request_two_persons_and_a_bundle_with_the_real_decision_program() {
    let program = decides();
    let mut rig = Rig::start(2).await;
    for identity in rig.estate.identities.values_mut() {
        identity.tier = Tier::Privileged;
    }
    policy(&mut rig.estate, 2);
    let (keys, written) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    charter(written.path(), keys.path());
    let folder = written.path().to_str().unwrap();
    let places =
        Places { state: rig.folder.path().to_owned(), kek: keys.path().join("kek"), same_folder: false, store: None };
    let (exit, said) = remint(&places, &["policy", "check", folder]);
    assert!(exit == 0 && said.contains("3 persons"), "{said}");
    let (exit, said) = remint(&places, &["init", "--charter", folder]);
    assert!(exit == 0 && said.contains("governed by the charter"), "{said}");
    // Whoever made it may nothing by that: the table does not know him.
    let (exit, said) = remint(&places, &["keys", "rotate"]);
    assert!(exit == 3 && said.contains("may not rotate-keys"), "{said}");
    let backup = written.path().join("backup");
    let (exit, said) = remint(&places, &["store", "backup", backup.to_str().unwrap()]);
    assert!(exit == 3 && said.contains("may not restore") && !backup.exists(), "{said}");

    let kinds = Arc::clone(&rig.kinds) as Arc<dyn Kinds>;
    let settings = EngineSettings { executor: Some(Executor::Remint), ..rig.settings.clone() };
    let context = Context::system();
    let opened = App::open(&places, &context, kinds, HostRules::default(), settings).await;
    let mut app = opened.unwrap();
    let gate = Gate::open(Arc::clone(&app.engine.store), context).await.unwrap();
    app.gate = gate.asking(program);
    app.engine.settings.executor = Some(Executor::Remint);
    // Beside whoever has the state open neither.
    let (exit, said) = remint(&places, &["store", "backup", backup.to_str().unwrap()]);
    assert!(exit == 3 && said.contains("may not restore") && !backup.exists(), "{said}");
    let state = State { app, keys };
    let engine = &state.app.engine;
    // The estate becomes active by somebody who may change it, and by nobody else.
    let denied = state.pass("rita", Action::ChangeEstate, &Resource::Estate).await.unwrap_err();
    assert!(denied.to_string().contains("rita (unix:1) may not change-estate"), "{denied}");
    let olga = state.pass("olga", Action::ChangeEstate, &Resource::Estate).await.unwrap();
    assert!(state.app.activate_by(rig.estate.clone(), &olga).await.unwrap().is_some());

    let (id, plan, old) = (context_id(engine), rig.plan(), [rig.value(0), rig.value(1)]);
    let scope = Scope::of_plan(&id.0, &plan, &rig.estate, None);
    let rita = state.pass("rita", Action::Request, &Resource::Reset(scope)).await.unwrap();
    let (estate, at) = (rig.estate.clone(), engine.context.clock.now());
    let request = Request { id: id.clone(), plan, estate, reason: "INC-9".into(), by: rita.by.clone(), at };
    engine.request_of(request, Urgency::Incident, None, rita.party().cloned()).await.unwrap();
    // Who asked does not approve, whatever key he has.
    let denied = state.approve("rita", &id).await.unwrap_err();
    assert!(denied.to_string().contains("may not approve"), "{denied}");
    assert_eq!(state.approve("abel", &id).await.unwrap().len(), 1);
    assert!(engine.run(&id).await.is_err(), "one is not two");
    assert!(state.approve("olga", &id).await.unwrap().is_empty());
    state.pass("rita", Action::Execute, &reset(engine, &id).await.unwrap()).await.unwrap();
    let done = engine.run(&id).await.unwrap();
    assert_settled(&rig, engine, &done, &old, "with the real program").await;
    engine.reprove(&id).await.unwrap();

    state.app.sequencer.flush().await.unwrap();
    let bytes = plan_bytes(&engine.reset(&id).await.unwrap().plan);
    let bundle = export_seen(&*engine.store, &id, &bytes, &state.app.key, &[]).await.unwrap();
    // An auditor, with nothing but the bundle, the log's key and the persons' keys.
    let path = written.path().join("bundle.tar");
    std::fs::write(&path, bundle.to_archive().unwrap()).unwrap();
    let public = |name: &str| PersonKey::load(&state.keys.path().join(name)).unwrap().public();
    let key = state.app.key.verifier().to_string();
    let (abel, olga) = (public("abel"), public("olga"));
    let mut verify =
        vec!["evidence", "verify", path.to_str().unwrap(), "--key", &key, "--person", &abel, "--person", &olga];
    let (exit, said) = remint(&places, &verify);
    assert_eq!(exit, 0, "{said}");
    assert!(said.contains("2 signed exactly it with keys of their own: abel, olga"), "{said}");
    let stranger = PersonKey::create(&state.keys.path().join("stranger"), "olga", &SystemRandomness).unwrap().public();
    *verify.last_mut().unwrap() = &stranger;
    assert_eq!(remint(&places, &verify).0, 1);
    let persons = [abel.as_str(), olga.as_str()].map(|key| VerifierKey::parse(key).unwrap()).to_vec();
    assert!(bundle.verify_with(&Trust { persons, ..Trust::in_key(Some(state.app.key.verifier())) }).ok);
}

fn context_id(engine: &remint::engine::Engine) -> ResetId {
    engine.context.reset().unwrap()
}
