//! Every secret that ever existed in a run appears nowhere but where it belongs: in no log line, database page, record,
//! evidence entry, bundle, answer, error, progress event or argument, neither as it is nor as base64 (at any alignment),
//! hex, URL or JSON escapes.
//!
//! Flow: [`planted`] puts one known secret in each of those places, once per form, and the scanner has to find it in every
//! one; then a whole reset runs over the estate of the demo, with faults so that errors occur, and the same
//! [`places`] are searched for every value that any service or the escrow ever saw.
//!
//! What is logged is everything: tracing and `log` of every crate, at TRACE, whatever the daemon's own filter says.

use std::sync::Arc;
use std::time::Duration;

use remint::app::{App, Places};
use remint::cli::Failure;
use remint::context::Context;
use remint::engine::host::HostSettings;
use remint::engine::record::{DecisionWord, ResetStatus};
use remint::engine::reset::Request as Asked;
use remint::engine::{EngineError, EngineSettings};
use remint::escrow::{Escrow, Kek, SystemRandomness};
use remint::registry::Registry;
use remint_conformance::leaks::Leaks;
use remint_contract::{HostRules, Kinds, ResetId, SecretValue};
use remint_core::estate::{SourceFile, load};
use remint_core::machine::State;
use remint_core::plan::{Node, Request, plan};
use remint_fake::demo::{self as cast, RUNNER};
use remint_fake::world::{Fault, Trouble};

use ever::Ever;
use places::Seen;

mod core;
mod ever;
mod places;
mod planted;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_of_a_reset_is_in_anything_that_it_wrote_said_or_answered() {
    places::capture();
    let stage = cast::Estate::start(&cast::Options::default()).await.unwrap();
    let mut run = Run::new(&stage);
    trouble(&stage);
    let (app, ever) = run.open().await;
    let id = ask(&app, &stage).await;
    let watching = app.engine.watch();
    run.seen.plan(&app.engine.reset(&id).await.unwrap());

    carry_out(&app, &stage, &id, &mut run.seen).await;
    refused(&app, &id, &mut run.seen).await;
    let statuses = app.engine.rotations(&id).await.unwrap();
    run.seen.records(&app, &id).await;
    run.seen.progress(watching);
    run.seen.bundle(&app, &id).await;
    run.seen.folder("open", &run.places.state);
    let key = std::fs::read_to_string(run.places.state.join("evidence.key")).unwrap();
    let sealed = ever.values();
    // Nobody holds the state any more: the program itself opens it.
    drop((app, ever));
    run.seen.tables(&run.places.state);
    run.seen.answers(&run.places, &id);
    run.seen.daemon(&run.places, &stage.documents, &id);
    run.seen.folder("closed", &run.places.state);
    run.seen.log();

    let mut leaks = Leaks::default();
    let mut count = 0;
    for secret in stage.world.ever().into_iter().chain(sealed.iter().cloned()).chain(run.keys(&key)) {
        leaks.watch(&secret);
        count += 1;
    }
    assert!(count > 200, "only {count} values were harvested");
    assert!(sealed.len() > 60, "only {} values went through escrow", sealed.len());
    run.seen.search(&mut leaks);
    assert_eq!(leaks.found(), [""; 0], "a secret was found");

    // Nothing was searched in vain: each kind of place had something in it, and things did go wrong.
    assert_eq!(run.seen.empty(), [""; 0]);
    assert!(run.seen.errors().len() > 8, "{:#?}", run.seen.errors());
    assert!(statuses.iter().any(|record| matches!(record.rotation.state, State::Settled { .. })));
}

/// One run: where its state lies and what was seen of it.
struct Run {
    places: Places,
    seen: Seen,
    _folder: tempfile::TempDir,
}

impl Run {
    fn new(stage: &cast::Estate) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let places = Places {
            state: folder.path().join("state"),
            kek: folder.path().join("keys/kek"),
            same_folder: false,
            store: None,
        };
        let mut seen = Seen::default();
        seen.add("documents", stage.documents.as_bytes());
        Self { places, seen, _folder: folder }
    }

    /// The state, with everything that is sealed noted.
    async fn open(&self) -> (App, Arc<Ever>) {
        let context = Context::system();
        let kinds: Arc<dyn Kinds> = Arc::new(Registry::new());
        drop(App::init(&self.places, &context, Arc::clone(&kinds)).await.unwrap());
        let settings = EngineSettings {
            poll: Duration::from_millis(10),
            patience: Duration::from_secs(2),
            reproofs: vec![Duration::ZERO],
            host: HostSettings { call_timeout: Duration::from_secs(5), tries: 3, ..HostSettings::default() },
            ..EngineSettings::default()
        };
        let mut app = App::open(&self.places, &context, kinds, HostRules::default(), settings).await.unwrap();
        let ever = Arc::new(Ever::over(Arc::clone(&app.engine.store), Arc::clone(&app.engine.escrow)));
        app.engine.store = Arc::clone(&ever) as _;
        (app, ever)
    }

    /// The keys of this state, as they stand in their files and as bytes: they are secrets, too.
    fn keys(&self, evidence_key: &str) -> Vec<SecretValue> {
        let kek = std::fs::read_to_string(&self.places.kek).unwrap();
        let words = kek.split_whitespace().filter(|word| word.len() > 40).map(str::to_owned);
        let bytes: Vec<SecretValue> = words.map(|word| SecretValue::new(decode(&word))).collect();
        assert_eq!(bytes.len(), 2, "a fingerprint key and one generation");
        let escrow =
            Escrow::new(Kek::load(&self.places.kek, &self.places.state, false).unwrap(), Box::new(SystemRandomness));
        let sealed = evidence_key.lines().find_map(|line| line.strip_prefix("sealed ")).unwrap();
        let sealed = remint::store::Sealed {
            id: "evidence-key".to_owned(),
            scope: String::new(),
            generation: 1,
            expires: None,
            bytes: decode(sealed),
        };
        let signing = escrow.open(&sealed).unwrap();
        // PRIVATE+KEY+name+id+key: the algorithm's byte and the seed are the last part.
        let key = decode(signing.expose_str().unwrap().splitn(5, '+').nth(4).unwrap());
        assert_eq!(key.len(), 33);
        bytes.into_iter().chain([SecretValue::new(key[1..].to_vec()), signing]).collect()
    }
}

fn decode(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

/// What goes wrong: calls are throttled, broken off, refused and forbidden; answers are lost after the deed.
fn trouble(stage: &cast::Estate) {
    let fault = |service: &str, fault: Fault| stage.world.fault(service, fault.from("remint")).map(drop).unwrap();
    fault("ids-core", Fault::on("mint", Trouble::Throttle(Duration::from_millis(20))).times(3));
    fault("ids-core", Fault::on("revoke", Trouble::Broken).after(2).times(4));
    fault("ids-cloud", Fault::on("mint", Trouble::RefuseValue).times(2));
    fault("ids-cloud", Fault::on("mint", Trouble::LostAfter).after(2).times(2));
    fault("ids-cloud", Fault::on("use", Trouble::LostBefore).after(5).times(2));
    // Shown once, and the answer is lost: the value is an orphan, of which nobody but the issuer knows.
    fault("ids-tokens", Fault::on("mint", Trouble::LostAfter).times(1));
    fault("vault-prod", Fault::on("write", Trouble::LostAfter).times(2));
    fault("vault-prod", Fault::on("write", Trouble::Forbid).after(4).times(3));
    fault("vault-ci", Fault::on("promote", Trouble::Broken).times(3));
}

async fn ask(app: &App, stage: &cast::Estate) -> ResetId {
    let files = [SourceFile { name: "demo.yaml".to_owned(), bytes: stage.documents.clone().into_bytes() }];
    let loaded = load(&files, &*app.engine.kinds).map_err(|problems| panic!("{problems}")).unwrap();
    let estate = app.activate(loaded.estate, "tester").await.unwrap();
    let request = Request::new(vec![Node::Doc(RUNNER.parse().unwrap())]);
    let now = app.engine.context.clock.now();
    let plan = plan(&estate, &request, &*app.engine.kinds, now).unwrap();
    let id = app.engine.context.reset().unwrap();
    let asked = Asked { id: id.clone(), plan, estate, reason: "INC-1".to_owned(), by: "tester".to_owned(), at: now };
    app.engine.request(asked).await.unwrap();
    app.engine.approve(&id, "tester").await.unwrap();
    id
}

/// As a person would: decide what is found, clean what is rebuilt, retry what is parked, a few times over.
async fn carry_out(app: &App, stage: &cast::Estate, id: &ResetId, seen: &mut Seen) {
    let (_, stranger) = stage.world.issuers()["ids-core"].plant("payments-db", "left by somebody", None).unwrap();
    assert!(stage.world.ever().contains(&stranger.secret));
    for round in 0..6 {
        let reset = app.engine.run(id).await.unwrap();
        for record in app.engine.rotations(id).await.unwrap() {
            if let State::Parked { reason, .. } = &record.rotation.state {
                seen.error(reason, reason);
            }
        }
        for finding in app.engine.findings(Some(id)).await.unwrap() {
            if finding.decision.is_none() {
                app.engine.decide(&finding.id, DecisionWord::Revoke, "tester", "nobody made it").await.unwrap();
            }
        }
        app.engine.carry_out(id).await.unwrap();
        if round == 1 {
            stage.rebuild_runner();
            for node in &reset.plan.dirty {
                app.engine.clean(id, node, "tester", "rebuilt").await.unwrap();
            }
        }
        if reset.status == ResetStatus::Provisional {
            break;
        }
        app.engine.retry(id, None).await.unwrap();
    }
    match app.engine.reprove(id).await {
        Ok((_, outcome)) => seen.add("progress", format!("{outcome:?}").as_bytes()),
        Err(error) => seen.failure(&error),
    }
}

/// What Remint says when it refuses, and when a system does.
async fn refused(app: &App, id: &ResetId, seen: &mut Seen) {
    let reset = app.engine.reset(id).await.unwrap();
    let estate = app.engine.active_estate().await.unwrap().unwrap();
    let again = |id: ResetId| Asked {
        id,
        plan: remint_core::plan::Plan::clone(&reset.plan),
        estate: (*estate).clone(),
        reason: "INC-1".to_owned(),
        by: "tester".to_owned(),
        at: app.engine.context.clock.now(),
    };
    let nobody = ResetId("r-none".to_owned());
    let errors: Vec<EngineError> = [
        app.engine.request(again(id.clone())).await.map(drop),
        app.engine.request(again(nobody.clone())).await.map(drop),
        app.engine.approve(&nobody, "tester").await.map(drop),
        app.engine.decide("f-none", DecisionWord::Adopt, "tester", "why").await.map(drop),
        app.engine.attest("t-none", "tester", "done").await.map(drop),
    ]
    .into_iter()
    .filter_map(Result::err)
    .collect();
    assert!(errors.len() >= 3, "{errors:?}");
    for error in errors {
        seen.failure(&error);
        seen.add("errors", format!("{:?}", Failure::from(error)).as_bytes());
    }
    // Remint's own credential is refused, each system is asked with what it has.
    let host = app.engine.host(Arc::clone(&estate));
    let mut denied = 0;
    for credential in estate.credentials.values() {
        for place in &credential.delivered_to {
            if let Ok(material) = host.read(place).await {
                seen.add("answers", format!("{material:?}").as_bytes());
                let broken = remint_contract::Material { username: material.username.clone(), secret: material.secret };
                if let Err(error) = probe(&host, &credential.issued_by.system, broken).await {
                    denied += usize::from(error.kind == remint_contract::ErrorKind::Denied);
                    seen.failure(&error);
                }
            }
        }
    }
    assert!(denied > 0);
}

/// Acts at an issuer with a credential that has no right to: the error of a denied call.
async fn probe(
    host: &remint::engine::host::Host,
    system: &remint_contract::Ref,
    actor: remint_contract::Material,
) -> Result<(), remint_contract::Error> {
    let operation = remint_contract::OperationId("op-denied".to_owned());
    let ask = remint::engine::host::Ask {
        system,
        verb: remint_contract::Verb::Enumerate,
        operation: &operation,
        actor: Some(Arc::new(actor)),
    };
    host.call(ask, |connector, call| async move { connector.enumerate(&call, &[]).await.map(drop) }).await
}
