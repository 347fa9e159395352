//! Secrets with a rotation function, over a double of Secrets Manager: the server of the other tests runs no functions.
//! What is shown here is what Remint asks and how it reads the answers; nothing of it was tried against AWS.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use remint_conformance::gate::Gate;
use remint_conformance::proxy::{Asked, Way, answer, throttled};
use remint_conformance::{Fault, Harness, IssuerCase, assert_passes, run};
use remint_contract::{
    Call, Clock as _, Connector, ErrorKind, Intent, Material, MintRequest, Minted, OperationId, Recovered, Strategy,
    SystemClock, Target, Verb,
};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::moto::{nowhere, open};

/// One secret: its versions in their order, and which of them is current or pending.
#[derive(Default)]
struct Secret {
    versions: Vec<(String, String)>,
    current: usize,
    pending: Option<usize>,
    function: bool,
}

#[derive(Default)]
struct World {
    secrets: BTreeMap<String, Secret>,
    asked: Vec<String>,
    /// Looks at a secret until the function of it is done; `None`: it never is.
    slow: Option<u32>,
    fault: Option<Fault>,
}

impl World {
    fn label(secret: &Secret) -> Value {
        let stage = |index: usize| {
            let mut stages = Vec::new();
            if index == secret.current {
                stages.push("AWSCURRENT");
            } else if index + 1 == secret.current {
                stages.push("AWSPREVIOUS");
            }
            if secret.pending == Some(index) {
                stages.push("AWSPENDING");
            }
            stages
        };
        secret.versions.iter().enumerate().map(|(index, (id, _))| (id.clone(), json!(stage(index)))).collect()
    }

    fn say(&mut self, action: &str, asked: &Value, admin: bool) -> (u16, Value) {
        let refused = |code: &str| (400, json!({"__type": code, "message": "no"}));
        if !admin {
            return refused("AccessDeniedException");
        }
        if action == "ListSecrets" {
            return (200, json!({"SecretList": []}));
        }
        let slow = self.slow;
        let name = asked["SecretId"].as_str().unwrap_or_default().to_owned();
        let Some(secret) = self.secrets.get_mut(&name) else { return refused("ResourceNotFoundException") };
        match action {
            "DescribeSecret" => {
                if let (Some(pending), Some(left)) = (secret.pending, slow) {
                    self.slow = Some(left.saturating_sub(1));
                    if left == 0 {
                        secret.current = pending;
                        secret.pending = None;
                    }
                }
                (200, json!({"Name": name, "VersionIdsToStages": Self::label(secret)}))
            }
            "RotateSecret" if !secret.function => refused("InvalidRequestException"),
            "RotateSecret" => {
                let id = asked["ClientRequestToken"].as_str().unwrap().to_owned();
                if !secret.versions.iter().any(|(known, _)| *known == id) {
                    let value =
                        json!({"username": "app", "password": format!("turn-marker-{}", secret.versions.len())});
                    secret.versions.push((id, value.to_string()));
                    secret.pending = Some(secret.versions.len() - 1);
                }
                (200, json!({"Name": name}))
            }
            "GetSecretValue" => {
                let wanted = asked["VersionId"].as_str();
                let found = secret.versions.iter().position(|(id, _)| Some(id.as_str()) == wanted);
                let index = if wanted.is_some() { found } else { Some(secret.current) };
                let Some((id, text)) = index.and_then(|index| secret.versions.get(index)) else {
                    return refused("ResourceNotFoundException");
                };
                (200, json!({"VersionId": id, "SecretString": text}))
            }
            other => panic!("{other} was asked"),
        }
    }
}

struct Double {
    world: Arc<Mutex<World>>,
    gate: Gate,
    _way: Way,
    made: AtomicU32,
}

impl Double {
    async fn start() -> Self {
        let world = Arc::new(Mutex::new(World { slow: Some(1), ..World::default() }));
        let shared = Arc::clone(&world);
        let way = Way::open(move |mut client: tokio::net::TcpStream| {
            let world = Arc::clone(&shared);
            async move {
                let Some(asked) = Asked::read(&mut client).await? else { return Ok(()) };
                let action =
                    asked.header("x-amz-target").unwrap_or_default().split('.').next_back().unwrap().to_owned();
                let admin = asked.header("authorization").is_some_and(|text| text.contains("AKIAADMIN"));
                let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
                let said = {
                    let mut world = world.lock().unwrap();
                    world.asked.push(action.clone());
                    match world.fault {
                        Some(Fault::Throttle) => {
                            world.fault = None;
                            Some(throttled())
                        }
                        Some(Fault::LyingRevoke) if action == "RotateSecret" => {
                            world.fault = None;
                            // It says yes, and its function makes what lies there already.
                            let name = body["SecretId"].as_str().unwrap().to_owned();
                            let secret = world.secrets.get_mut(&name).unwrap();
                            let same = secret.versions[secret.current].1.clone();
                            secret.versions.push((body["ClientRequestToken"].as_str().unwrap().to_owned(), same));
                            secret.pending = Some(secret.versions.len() - 1);
                            Some(answer("200 OK", "", "{}"))
                        }
                        fault => {
                            let (status, said) = world.say(&action, &body, admin);
                            let lost = matches!(fault, Some(Fault::LostAnswer(_))) && action == "RotateSecret";
                            if lost {
                                world.fault = None;
                            }
                            (!lost).then(|| answer(&format!("{status} Said"), "", &said.to_string()))
                        }
                    }
                };
                match said {
                    Some(said) => client.write_all(&said).await,
                    None => Ok(()),
                }
            }
        })
        .await;
        let gate = Gate::to(&way.address).await;
        Self { world, gate, _way: way, made: AtomicU32::new(0) }
    }

    fn secret(&self, function: bool) -> Target {
        let name = format!("prod/db-{}", self.made.fetch_add(1, Ordering::Relaxed));
        let first =
            ("first-version-of-the-secret-itself".to_owned(), json!({"username": "app", "password": "first-marker"}));
        let secret = Secret { versions: vec![(first.0, first.1.to_string())], function, ..Secret::default() };
        self.world.lock().unwrap().secrets.insert(name.clone(), secret);
        Target { name, settings: Value::Null }
    }

    fn acting(&self, key: &str) -> Call {
        let operation = OperationId(format!("op-{}", self.made.fetch_add(1, Ordering::Relaxed)));
        let actor = Material::login(key.to_owned(), "secret".into());
        Call {
            operation,
            deadline: SystemClock.now() + std::time::Duration::from_mins(1),
            actor: Some(Arc::new(actor)),
        }
    }

    fn open(&self) -> Arc<dyn Connector> {
        open(&format!("http://{}", self.gate.address), &json!({"service": "rotation"}))
    }

    async fn mint(&self, call: &Call, target: &Target) -> Result<Minted, remint_contract::Error> {
        self.open().mint(call, &request(target)).await
    }
}

fn request(target: &Target) -> MintRequest {
    let target = target.clone();
    MintRequest { target, strategy: Strategy::InPlace, old: None, old_username: None, proposed: None }
}

#[async_trait]
impl Harness for Double {
    fn connector(&self) -> Arc<dyn Connector> {
        self.open()
    }

    async fn call(&self) -> Call {
        self.acting("AKIAADMIN")
    }

    async fn issuer_case(&self, _strategy: Strategy) -> Option<IssuerCase> {
        let target = self.secret(true);
        let old = self.mint(&self.call().await, &target).await.unwrap();
        let missing = Target { name: "prod/gone".to_owned(), settings: Value::Null };
        Some(IssuerCase { target, old, missing })
    }

    async fn wrong_actor(&self) -> Option<Call> {
        Some(self.acting("AKIANOBODY"))
    }

    async fn unreachable(&self) -> Option<Arc<dyn Connector>> {
        Some(open(&nowhere(), &json!({"service": "rotation"})))
    }

    async fn requests(&self) -> Option<u64> {
        Some(self.world.lock().unwrap().asked.len() as u64)
    }

    fn gate(&self) -> Option<&Gate> {
        Some(&self.gate)
    }

    async fn fault(&self, fault: Fault) -> bool {
        let can = matches!(fault, Fault::Throttle | Fault::LostAnswer(Verb::Mint));
        self.world.lock().unwrap().fault = Some(fault).filter(|_| can);
        can
    }

    async fn settle(&self) {
        self.world.lock().unwrap().fault = None;
    }
}

#[tokio::test]
async fn a_secret_with_a_rotation_function_behaves_as_the_contract_says_over_a_double() {
    let report = run(&Double::start().await).await;
    assert_passes(&report);
}

#[tokio::test]
async fn a_function_that_is_not_done_in_time_is_unclear_and_asked_again_and_never_begun_twice() {
    let double = Double::start().await;
    let target = double.secret(true);
    double.world.lock().unwrap().slow = None;
    let mut call = double.call().await;
    call.deadline = SystemClock.now();
    assert_eq!(double.mint(&call, &target).await.unwrap_err().kind, ErrorKind::Unclear);
    let intent = Intent {
        operation: call.operation.clone(),
        verb: Verb::Mint,
        target: target.clone(),
        version: None,
        mint: Some(request(&target)),
    };
    // Neither done nor undone.
    let asked = double.open().recover(&call, &intent).await.unwrap_err();
    assert_eq!(asked.kind, ErrorKind::Unreachable, "{asked}");
    double.world.lock().unwrap().slow = Some(0);
    let Recovered::Done(Some(made)) = double.open().recover(&call, &intent).await.unwrap() else { panic!("not done") };
    assert_eq!(made.material.username.as_deref(), Some("app"));
    let again = double.mint(&call, &target).await.unwrap();
    assert_eq!(again.version, made.version);
    let turns = double.world.lock().unwrap().asked.iter().filter(|action| *action == "RotateSecret").count();
    assert_eq!(turns, 1);
}

#[tokio::test]
async fn a_secret_without_a_function_or_with_one_at_work_is_left_alone() {
    let double = Double::start().await;
    let without = double.secret(false);
    let failure = double.mint(&double.call().await, &without).await.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::Invalid, "{failure}");
    let busy = double.secret(true);
    double.world.lock().unwrap().slow = None;
    let mut first = double.call().await;
    first.deadline = SystemClock.now();
    double.mint(&first, &busy).await.unwrap_err();
    let failure = double.mint(&double.call().await, &busy).await.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::Conflict, "{failure}");
}

#[tokio::test]
async fn one_rotation_is_as_many_calls_as_declared() {
    let double = Double::start().await;
    let (target, connector) = (double.secret(true), double.open());
    let call = double.call().await;
    let first = "first-version-of-the-secret-itself".to_owned();
    let new = double.mint(&call, &target).await.unwrap();
    connector.verify(&call, &target, &new.material).await.unwrap();
    connector.revoke(&call, &target, &remint_contract::VersionId(first)).await.unwrap();
    for _ in 0..2 {
        connector.enumerate(&call, std::slice::from_ref(&target)).await.unwrap();
    }
    let calls = u32::try_from(double.world.lock().unwrap().asked.len()).unwrap();
    assert_eq!(connector.describe().issuer.unwrap().calls, [(Strategy::InPlace, calls)]);
}
