//! Somebody else looks, with a key of his own; over real sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use remint::engine::EngineSettings;
use remint::engine::observe::{Observer, Observers, Sight};
use remint::engine::record::ResetStatus;
use remint::engine::reset::plan_bytes;
use remint::escrow::SystemRandomness;
use remint::evidence::{Sequencer, export_seen};
use remint::prober::{ProberKey, PublicProber, Question, QuestionError, Remote, serve};
use remint_contract::{Clock, Kinds, Material, SystemClock, Target};
use remint_core::machine::{Reason, State};
use remint_evidence_format::bundle::{Bundle, Trust};
use remint_evidence_format::note::SigningKey;
use remint_evidence_format::observation::Verdict;
use remint_fake::world::{Fault, Trouble};
use serde_json::json;
use zeroize::Zeroizing;

use crate::rig::{Rig, told};

fn log_key(seed: u8) -> Arc<SigningKey> {
    Arc::new(SigningKey::from_seed("log.example", Zeroizing::new([seed; 32])).unwrap())
}

/// A running prober.
struct Far {
    at: SocketAddr,
    public: PublicProber,
    _stop: tokio::sync::oneshot::Sender<()>,
    _folder: tempfile::TempDir,
}

async fn far(rig: &Rig, trusted: &SigningKey) -> Far {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prober.key");
    ProberKey::create(&path, "prober.example/far", &SystemRandomness).unwrap();
    let key = ProberKey::load(&path).unwrap();
    let public: PublicProber = key.public().unwrap().to_string().parse().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (tell, told) = tokio::sync::oneshot::channel();
    let (kinds, trusted) = (Arc::clone(&rig.kinds) as Arc<dyn Kinds>, vec![trusted.verifier().clone()]);
    let here = SocketAddr::from(([127, 0, 0, 1], 0));
    tokio::spawn(async move {
        let ready = |at| {
            let _ = tell.send(at);
        };
        serve(key, trusted, kinds, Arc::new(SystemClock), here, ready, async { drop(stopped.await) }).await.unwrap();
    });
    Far { at: told.await.unwrap(), public, _stop: stop, _folder: folder }
}

impl Far {
    fn remote(&self, key: &Arc<SigningKey>, demanded: bool) -> Arc<dyn Observer> {
        let url = format!("http://{}", self.at);
        Arc::new(Remote::new(&url, self.public.clone(), key.clone(), demanded).unwrap())
    }
}

fn watched_by(rig: &mut Rig, observer: Arc<dyn Observer>) {
    let observers = Observers(Arc::from([observer]));
    rig.settings = EngineSettings { observers, patience: Duration::from_millis(200), ..rig.settings.clone() };
}

async fn bundle(
    rig: &Rig,
    engine: &remint::engine::Engine,
    id: &remint_contract::ResetId,
    key: &Arc<SigningKey>,
) -> Bundle {
    let _ = rig;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Sequencer::new(Arc::clone(&engine.store), Arc::clone(key), clock, "test").flush().await.unwrap();
    let plan = plan_bytes(&engine.reset(id).await.unwrap().plan);
    export_seen(&*engine.store, id, &plan, key, &[]).await.unwrap()
}

#[tokio::test]
async fn a_prober_sees_the_old_value_alive_then_refused_and_refused_again_and_an_auditor_who_trusts_him_knows() {
    let mut rig = Rig::start(2).await;
    let key = log_key(7);
    let far = far(&rig, &key).await;
    let remote = Remote::new(&format!("http://{}", far.at), far.public.clone(), key.clone(), true).unwrap();
    watched_by(&mut rig, Arc::new(remote.controlling(true)));
    let engine = rig.engine();
    let reset = rig.reset(&engine, rig.plan()).await;
    assert_eq!(reset.status, ResetStatus::Provisional);
    let (reset, _) = engine.reprove(&reset.id).await.unwrap();
    assert_eq!(reset.status, ResetStatus::Complete);
    for credential in ["Credential/app0", "Credential/app1"] {
        let all = told(&engine, &reset.id).await;
        let saw: Vec<String> = all
            .iter()
            .filter(|(kind, about, _)| kind == "old.observed" && about == credential)
            .map(|(_, _, body)| body["verdict"].as_str().unwrap().to_owned())
            .collect();
        let endpoints = rig.issuer.urls().len();
        let expected = ["accepted", "denied", "denied"].iter().flat_map(|word| std::iter::repeat_n(*word, endpoints));
        assert_eq!(saw, expected.collect::<Vec<_>>());
        let new = all.iter().filter(|(kind, about, _)| kind == "new.observed" && about == credential);
        let new: Vec<_> = new.map(|(_, _, body)| body["verdict"].as_str().unwrap().to_owned()).collect();
        assert_eq!(new, vec!["accepted"; endpoints]);
    }
    let bundle = bundle(&rig, &engine, &reset.id, &key).await;
    let trust = Trust {
        key: Some(key.verifier().clone()),
        seen: None,
        probers: vec![far.public.verifier.clone()],
        ..Trust::default()
    };
    let report = bundle.verify_with(&trust);
    assert!(report.ok, "{}", report.render());
    let said = "2 old values were seen refused by a prober that you trust; 2 of them the same prober had seen accepted before.";
    assert!(report.holds.iter().any(|held| held == said), "{}", report.render());
    let control = "2 of them where the same prober saw the new value accepted: the system itself refused.";
    assert!(report.holds.iter().any(|held| held == control), "{}", report.render());
}

#[tokio::test]
async fn what_a_demanded_prober_did_not_see_refused_is_not_proven() {
    let mut rig = Rig::start(1).await;
    let (key, other) = (log_key(7), log_key(8));
    // It trusts another log's key, so it answers nothing of ours.
    let far = far(&rig, &other).await;
    for (demanded, proven) in [(true, false), (false, true)] {
        watched_by(&mut rig, far.remote(&key, demanded));
        rig.forget();
        let engine = rig.engine();
        let reset = rig.reset(&engine, rig.plan()).await;
        let state = engine.rotations(&reset.id).await.unwrap().remove(0).rotation.state;
        assert_eq!(matches!(state, State::Settled { .. }), proven, "{state}");
        if let State::Parked { reason: Reason::Unclear { what }, .. } = state {
            assert!(what.contains("the prober prober.example/far did not see the old value refused"), "{what}");
        }
        let report = bundle(&rig, &engine, &reset.id, &key).await.verify(Some(key.verifier()));
        assert!(!report.complete && !report.ok, "{}", report.render());
    }
}

/// The issuer says yes to Remint's kill and goes on accepting the value everywhere.
#[tokio::test]
async fn a_lie_is_no_proof_for_a_prober_either() {
    let mut rig = Rig::start(1).await;
    let key = log_key(7);
    let far = far(&rig, &key).await;
    watched_by(&mut rig, far.remote(&key, true));
    rig.world.fault("bank", Fault::on("revoke", Trouble::Lie)).unwrap();
    let engine = rig.engine();
    let reset = rig.reset(&engine, rig.plan()).await;
    let state = engine.rotations(&reset.id).await.unwrap().remove(0).rotation.state;
    assert!(matches!(state, State::Parked { reason: Reason::Alive { .. }, .. }), "{state}");
}

fn sight(rig: &Rig, nonce: &str) -> Sight {
    let credential = rig.estate.credentials.values().find(|one| one.meta.name.as_str() == "app0").unwrap();
    let system = &rig.estate.systems[&credential.issued_by.system];
    Sight {
        reset: "r-1".to_owned(),
        credential: "Credential/app0".to_owned(),
        system: credential.issued_by.system.to_string(),
        connector: system.connector.clone(),
        settings: system.settings.clone(),
        target: credential.issued_by.target.clone(),
        endpoint: 0,
        endpoint_name: "first".to_owned(),
        version: "v1".to_owned(),
        at: SystemClock.now(),
        nonce: nonce.to_owned(),
    }
}

#[tokio::test]
async fn a_prober_answers_fresh_questions_of_trusted_logs_only() {
    let rig = Rig::start(1).await;
    let key = log_key(7);
    let far = far(&rig, &key).await;
    let value = rig.value(0);
    let seen = far.remote(&key, false).observe(&sight(&rig, "n1"), &value).await.unwrap();
    assert_eq!(seen.verdict, Verdict::Accepted);
    let wrong = Material { secret: "another-value-entirely".into(), ..value.clone() };
    let seen = far.remote(&key, false).observe(&sight(&rig, "n2"), &wrong).await.unwrap();
    assert_eq!(seen.verdict, Verdict::Denied);
    let stale = Sight { at: SystemClock.now() - Duration::from_mins(11), ..sight(&rig, "n3") };
    let refused = far.remote(&key, false).observe(&stale, &value).await.unwrap_err();
    assert!(refused.contains("compare the clocks"), "{refused}");
    let refused = far.remote(&log_key(8), false).observe(&sight(&rig, "n4"), &value).await.unwrap_err();
    assert!(refused.contains("not a question that a trusted log signed"), "{refused}");
    let unknown = Sight { connector: "unheard-of".to_owned(), ..sight(&rig, "n5") };
    let refused = far.remote(&key, false).observe(&unknown, &value).await.unwrap_err();
    assert!(refused.contains("no connector of kind unheard-of"), "{refused}");
}

#[test]
fn a_question_shows_nothing_of_its_value_and_belongs_to_one_prober() {
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str| {
        let path = folder.path().join(name);
        ProberKey::create(&path, &format!("prober.example/{name}"), &SystemRandomness).unwrap()
    };
    let (one, two) = (make("one"), make("two"));
    let key = log_key(7);
    let question = || {
        Question::of(
            "prober.example/one",
            "Credential/app0",
            "fake",
            json!({}),
            Target { name: "app0".to_owned(), settings: json!(null) },
            "n1",
            SystemClock.now(),
        )
    };
    let value = Material::login("app0", "marker-of-a-secret-value".into());
    let sent = question().sign(&value, &one.public().unwrap(), &key).unwrap();
    assert!(!sent.contains("marker-of-a-secret"));
    let opened = Question::open(&sent, &[key.verifier().clone()]).unwrap();
    assert_eq!(opened.value_for(&one).unwrap(), value);
    assert!(opened.value_for(&two).is_none(), "another prober opens it");
    let mut moved = opened;
    moved.nonce = "n2".to_owned();
    assert!(moved.value_for(&one).is_none(), "it opens in another question");
    assert!(matches!(Question::open(&sent, &[log_key(8).verifier().clone()]), Err(QuestionError::Untrusted(_))));
    // The key file is its owner's, and made once.
    let path = folder.path().join("one");
    assert!(ProberKey::create(&path, "prober.example/one", &SystemRandomness).is_err());
    assert_eq!(ProberKey::load(&path).unwrap().public().unwrap(), one.public().unwrap());
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    assert!(ProberKey::load(&path).is_err());
}
