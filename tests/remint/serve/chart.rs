//! The chart as Helm installs it on a real API server, and the daemon run as the chart runs it: with its arguments, its
//! configuration, its account and its certificate. No kubelet is there: what stands for it is [`pod`].

mod governed;
#[allow(dead_code, reason = "other programs use the rest")]
#[path = "../../../cluster/tests/cluster/helm.rs"]
mod helm;
mod pod;
mod replicas;
#[allow(dead_code, reason = "other programs use the rest")]
#[path = "../../../cluster/tests/cluster/rig.rs"]
mod rig;
mod rights;

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use super::Place;
use helm::Helm;
use pod::{Pods, Running};
use rig::{Answer, Server, place, until};

/// A release called `remint` in a namespace of that name.
struct Installed {
    helm: Helm,
    server: Server,
    place: Place,
    pods: Pods,
    /// The words behind `remint` of the last command that the notes of the installation name.
    next: String,
}

/// Where nobody governs, this one user may everything.
const OPERATOR: [&str; 2] = ["--set", "operator.user=admin"];

impl Installed {
    /// Over a state on a volume that was made before.
    async fn new(values: &[&str]) -> Self {
        Self::over(Place::new(2).await, &[], &[&OPERATOR, values].concat()).await
    }

    /// With objects that the values name, and that somebody made before.
    async fn over(place: Place, named: &[Value], values: &[&str]) -> Self {
        let (helm, server) = (Helm::new(), Server::start().await);
        let pods = Pods::new(&place);
        let mut installed = Self { helm, server, place, pods, next: String::new() };
        for space in ["remint", "web"] {
            installed.server.namespace(space).await;
        }
        let kek = json!({"kind": "Secret", "metadata": {"name": "remint-kek"}, "stringData": {"kek": installed.key()}});
        for object in named.iter().chain([&kek]) {
            let plural = format!("{}s", object["kind"].as_str().unwrap().to_lowercase());
            installed.server.ask("POST", &format!("/api/v1/namespaces/remint/{plural}"), object).await.ok();
        }
        let mut arguments = vec!["install", "--set", "kek.existingSecret=remint-kek"];
        arguments.extend(values);
        let output = installed.helm(&arguments, true).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{output:?}");
        let sort = if said.contains("deployment/") { "deployment" } else { "statefulset" };
        assert!(said.contains(&format!("kubectl -n remint rollout status {sort}/remint")), "{said}");
        let exec = said.lines().find_map(|line| line.split_once(&format!("exec {sort}/remint -- remint ")));
        installed.next = exec.unwrap().1.to_owned();
        installed
    }

    /// The key file, made as the page of the chart says where the place has none.
    fn key(&self) -> String {
        let (file, state) = (self.place.keys.path().join("kek"), tempfile::tempdir().unwrap());
        if !file.exists() {
            let mut made = std::process::Command::new(env!("CARGO_BIN_EXE_remint"));
            made.env_clear().args(["init", "--single-operator", "--state"]).arg(state.path()).arg("--kek").arg(&file);
            assert!(made.output().unwrap().status.success());
        }
        std::fs::read_to_string(file).unwrap()
    }

    /// Helm, while somebody runs the pods of its Jobs.
    async fn helm(&self, arguments: &[&str], chart: bool) -> Output {
        let (kubeconfig, folder) = (self.server.file("admin.kubeconfig"), helm::chart());
        let mut all = vec![arguments[0], "remint"];
        if chart {
            all.push(folder.to_str().unwrap());
        }
        all.extend(["--namespace", "remint", "--kubeconfig", kubeconfig.to_str().unwrap()]);
        all.extend(&arguments[1..]);
        let mut command = tokio::process::Command::from(self.helm.command(&all));
        let mut done = std::pin::pin!(command.output());
        loop {
            tokio::select! {
                output = &mut done => return output.unwrap(),
                () = tokio::time::sleep(std::time::Duration::from_millis(100)) => self.pods.hooks(&self.server).await,
            }
        }
    }

    async fn get(&self, path: &str) -> Value {
        self.server.ask("GET", path, &Value::Null).await.ok()
    }

    /// The object of ours, once that stands in it.
    async fn stands(&self, object: &Value, pointer: &str, wanted: &str) -> Value {
        until(&format!("{} {pointer} is {wanted}", place(object)), async || {
            let there = self.server.ask("GET", &place(object), &Value::Null).await.body;
            (there.pointer(pointer)? == wanted).then_some(there)
        })
        .await
    }

    /// Applies an object, again while the API server has not learnt who answers for the webhooks now, and by which certificate.
    async fn takes(&self, token: &str, object: &Value) -> Answer {
        until("whoever answers for the webhooks is asked", async || {
            let answer = self.server.apply_as(token, &place(object), object.to_string().as_bytes()).await;
            let message = answer.body["message"].as_str().unwrap_or_default();
            (!message.contains("failed calling webhook")).then_some(answer)
        })
        .await
    }

    async fn apply(&self, object: &Value) {
        self.takes(self.server.admin(), object).await.ok();
    }

    /// Every document of the estate and one of each kind that it has not, taken by the API server through the webhooks.
    async fn documents(&self) {
        let more = [
            json!({"kind": "RotationWindow", "metadata": {"name": "nights", "namespace": "default"},
                "spec": {"cron": "0 3 * * *", "timeZone": "UTC", "duration": "1h", "manualOnly": true}}),
            json!({"kind": "Grant", "metadata": {"name": "web", "namespace": "default"}, "spec": {"from": "web"}}),
            json!({"kind": "ApprovalPolicy", "metadata": {"name": "standard"},
                "spec": {"select": {"tiers": ["standard"]}, "require": {"approvals": 1}}}),
        ];
        let text = self.place.documents();
        let all = text.split("\n---\n").map(|one| serde_yaml::from_str::<Value>(one).unwrap());
        let mut all: Vec<Value> = all.chain(more).collect();
        // What every credential needs comes last: until then nothing is valid, and then all of it is one estate.
        all.sort_by_key(|document| document["metadata"]["name"] == "bank");
        for mut document in all {
            document["apiVersion"] = json!("remint.dev/v1alpha1");
            self.apply(&document).await;
        }
    }

    /// Once all of that is the estate.
    async fn ready(&self) {
        let app = json!({"kind": "Credential", "metadata": {"name": "app0"}});
        let bank = json!({"kind": "System", "metadata": {"name": "bank"}});
        let mut last = Value::Null;
        for _ in 0..600 {
            last = self.server.ask("GET", &place(&app), &Value::Null).await.body;
            let conditions = last["status"]["conditions"].as_array().into_iter().flatten();
            if conditions.clone().any(|one| one["type"] == "Valid" && one["status"] == "True") {
                return;
            }
            let seen = self.server.ask("GET", &place(&bank), &Value::Null).await.body;
            if seen["status"]["conditions"].to_string().contains("remint estate activate sha256:") {
                let done = self.pods.exec(&self.next).await;
                assert!(done.status.success(), "{done:?}");
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        let mut all = Vec::new();
        for resource in remint_cluster::RESOURCES {
            let path = format!("/apis/remint.dev/v1alpha1/{}", resource.plural);
            for one in self.get(&path).await["items"].as_array().unwrap() {
                all.push(format!("{} {} {}", one["kind"], one["metadata"]["name"], one["status"]["conditions"]));
            }
        }
        panic!("it is no estate: {last}\n{}\n{}", all.join("\n"), self.pods.log());
    }

    fn act(kind: &str, name: &str, mut spec: Value) -> Value {
        let now = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second()).unwrap();
        spec["requestedAt"] = json!(now.to_string());
        json!({"apiVersion": "remint.dev/v1alpha1", "kind": kind, "metadata": {"name": name, "namespace": "default"}, "spec": spec})
    }

    /// One small reset, and an exception, with nothing but objects.
    async fn incident(&self) {
        self.ready().await;
        let before = self.place.values(2);
        let reset = Self::act("Reset", "inc-1", json!({"from": ["Credential/app0"], "reason": "INC-1"}));
        self.apply(&reset).await;
        let asked = self.stands(&reset, "/status/phase", "Requested").await;
        assert_eq!(asked["spec"]["requestedBy"]["user"], "admin", "it was stamped: {asked}");
        let yes = Self::act("Approval", "yes", json!({"reset": "inc-1", "plan": asked["status"]["plan"]}));
        self.apply(&yes).await;
        self.rotated(&asked, "app0").await;
        let after = self.place.values(2);
        assert!(after[0] != before[0] && after[1] == before[1]);
        let until_then = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24)).to_string();
        let left = Self::act(
            "Exception",
            "left",
            json!({"credential": "app1", "owner": "o", "until": until_then, "reason": "INC-2"}),
        );
        self.apply(&left).await;
        until("the exception is answered", async || {
            let there = self.server.ask("GET", &place(&left), &Value::Null).await.body;
            there["status"]["phase"].as_str().map(drop)
        })
        .await;
        self.waits_elsewhere().await;
    }

    /// By that reset its old value is proven dead; that it is tried again in a quarter of an hour nobody waits for here.
    async fn rotated(&self, reset: &Value, credential: &str) {
        let credential = json!({"kind": "Credential", "metadata": {"name": credential}});
        until("it is settled by that reset", async || {
            let there = self.server.ask("GET", &place(&credential), &Value::Null).await.body;
            let by = self.server.ask("GET", &place(reset), &Value::Null).await.body["status"]["reset"].clone();
            (by.is_string() && there["status"]["reset"] == by && there["status"]["state"] == "Settled").then_some(())
        })
        .await;
    }

    /// A reset out of another namespace, which parks: who asked may read where it does, and is shown it.
    async fn waits_elsewhere(&self) {
        let in_web = |mut act: Value| {
            act["metadata"]["namespace"] = json!("web");
            act
        };
        self.place.rig.host.ignore_reload("w0");
        let from = json!({"from": ["Credential/default/app0"], "reason": "INC-3"});
        let reset = in_web(Self::act("Reset", "inc-3", from));
        self.apply(&reset).await;
        let asked = self.stands(&reset, "/status/phase", "Requested").await;
        let yes = in_web(Self::act("Approval", "yes", json!({"reset": "inc-3", "plan": asked["status"]["plan"]})));
        self.apply(&yes).await;
        self.stands(&reset, "/status/parked/0/credential", "Credential/app0").await;
    }

    /// The daemon at its work until every right was used and the Lease renewed: nothing is refused, and nothing else allowed.
    async fn works_with_its_rights(&self) -> Running {
        let log = rights::Audit::of(self, &["default"]).await;
        let daemon = self.pods.daemon(&self.server).await;
        self.uses(&log).await;
        log.nothing_was_refused();
        rights::nothing_else_is_allowed(self).await;
        daemon
    }

    /// Everything that a daemon does, once.
    async fn uses(&self, log: &rights::Audit) {
        self.documents().await;
        self.incident().await;
        until("everything was done once", async || log.unused().is_empty().then_some(())).await;
    }
}

#[tokio::test]
async fn installed_for_the_whole_cluster_the_daemon_has_the_rights_it_uses_and_no_other() {
    let installed = Installed::new(&[]).await;
    let daemon = installed.works_with_its_rights().await;

    // What it serves it made itself, and an upgrade of the chart takes nothing of that away.
    let bundle = async || {
        let path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/remint-webhooks";
        installed.get(path).await["webhooks"][0]["clientConfig"]["caBundle"].as_str().unwrap().to_owned()
    };
    let before = bundle().await;
    // A definition of an older version.
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/grants.remint.dev";
    let older = json!({"spec": {"names": {"shortNames": ["older"]}}}).to_string();
    let content = "application/merge-patch+json";
    installed.server.ask_as(installed.server.admin(), "PATCH", path, content, older).await.ok();
    let output = installed.helm(&["upgrade", "--reuse-values", "--set", "operator.log=debug"], true).await;
    assert!(output.status.success(), "{output:?}");
    assert_eq!(installed.get(path).await["spec"]["names"]["shortNames"], json!(["rgrant"]));
    assert_eq!(installed.pods.ran(), ["k8s definitions: 0"]);
    assert_eq!(bundle().await, before);

    // It is not uninstalled while it holds anything, and says what to do.
    let output = installed.helm(&["uninstall"], false).await;
    assert!(!output.status.success(), "{output:?}");
    let said = installed.pods.said();
    assert!(said.contains("3 Credentials are held, because what they stand for lives"), "{said}");
    assert!(said.contains("Credential/app0") && said.contains("Next: remint k8s release Credential/"), "{said}");
    for name in ["root", "app0", "app1"] {
        let credential = json!({"kind": "Credential", "metadata": {"name": name}});
        let patch = json!({"metadata": {"annotations": {"remint.dev/release": "true"}}}).to_string();
        installed.server.ask_as(installed.server.admin(), "PATCH", &place(&credential), content, patch).await.ok();
        until("it is let go", async || {
            let there = installed.server.ask("GET", &place(&credential), &Value::Null).await.body;
            there["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty).then_some(())
        })
        .await;
    }
    daemon.stop().await;
    let output = installed.helm(&["uninstall"], false).await;
    assert!(output.status.success(), "{output:?}");
    assert_eq!(installed.pods.ran()[1..], ["k8s leave: 3", "k8s leave: 0"]);
    let gone = installed.server.ask("GET", "/apis/apps/v1/namespaces/remint/statefulsets/remint", &Value::Null).await;
    assert_eq!(gone.status, 404, "{gone:?}");
}

#[tokio::test]
async fn installed_for_two_namespaces_the_daemon_needs_nothing_of_the_others() {
    let spaces = "operator.namespaces={default,web}";
    let installed = Installed::new(&["--set", spaces, "--set", "preDelete.check=false"]).await;
    let daemon = installed.works_with_its_rights().await;
    daemon.stop().await;
}

/// A file that a pod would have mounted.
fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}
