//! In the place of a kubelet: the containers of the chart's pods as processes here, with the arguments, the environment and the
//! mounts that are rendered, and a token of their account.

use std::net::{IpAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::super::Place;
use super::rig::{Server, until};
use super::write;

pub(super) struct Pods {
    files: tempfile::TempDir,
    state: PathBuf,
    keys: PathBuf,
    /// The arguments of each hook that ran, with its exit code, and what it said.
    hooks: Mutex<Vec<(String, String)>>,
}

/// The daemon, until it is told to stop.
pub(super) struct Running {
    child: Child,
    log: PathBuf,
}

impl Pods {
    pub(super) fn new(_: &Server, place: &Place) -> Self {
        let files = tempfile::tempdir().unwrap();
        let (state, keys) = (place.rig.folder.path().to_owned(), place.keys.path().to_owned());
        Self { files, state, keys, hooks: Mutex::default() }
    }

    /// What the init container and then the container of the StatefulSet do; returns once the API server reaches it by the
    /// Service of the chart and believes its certificate.
    pub(super) async fn daemon(&self, server: &Server, more: &[&str]) -> Running {
        let set = server.ask("GET", "/apis/apps/v1/namespaces/remint/statefulsets/remint", &Value::Null).await.ok();
        let pod = &set["spec"]["template"]["spec"];
        let port = TcpListener::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port();
        let mut init = self.container(server, pod, &pod["initContainers"][0]).await;
        let made = init.output().await.unwrap();
        assert!(made.status.success(), "{made:?}");
        let mut container = pod["containers"][0].clone();
        let arguments = container["args"].to_string().replace(":9443", &format!(":{port}"));
        container["args"] = serde_json::from_str(&arguments).unwrap();
        let log = self.files.path().join("log");
        let mut command = self.container(server, pod, &container).await;
        command.args(more).stdout(Stdio::null()).stderr(std::fs::File::create(&log).unwrap());
        let child = command.kill_on_drop(true).spawn().unwrap();
        let running = Running { child, log };
        endpoint(server, here(), port).await;
        // A document with a secret in it is refused by nobody but the daemon.
        until(&format!("the API server asks the daemon: {}", running.log.display()), async || {
            let robot = json!({"apiVersion": "remint.dev/v1alpha1", "kind": "Identity",
                "metadata": {"name": "robot", "namespace": "default"},
                "spec": {"class": "agent", "environment": "AKIAEXAMPLEEXAMPLE42"}});
            let path = format!("{}?fieldManager=kubectl&dryRun=All", super::place(&robot));
            let content = "application/apply-patch+yaml";
            let answer = server.ask_as(server.admin(), "PATCH", &path, content, robot.to_string()).await;
            answer.body["message"].as_str()?.contains("a secret value stands here").then_some(())
        })
        .await;
        running
    }

    /// A container as a process.
    async fn container(&self, server: &Server, pod: &Value, container: &Value) -> Command {
        let account = pod["serviceAccountName"].as_str().unwrap();
        let token = token(server, account).await;
        let file = self.files.path().join(format!("{account}.token"));
        write(&file, &token);
        // What a pod finds where every pod finds it is named, because no other is here.
        let there = format!(
            "kubernetes:\n  server: {}\n  tokenFile: {}\n  ca: {}\n",
            server.address,
            file.display(),
            server.file("ca.crt").display()
        );
        let mut mounts: Vec<(String, String)> = Vec::new();
        let mut text = there.clone();
        let mut state = self.files.path().join(format!("{account}.state"));
        for mount in container["volumeMounts"].as_array().unwrap() {
            let (name, path) = (mount["name"].as_str().unwrap(), mount["mountPath"].as_str().unwrap());
            match name {
                "state" => state.clone_from(&self.state),
                "configuration" => {
                    let map = server.ask("GET", "/api/v1/namespaces/remint/configmaps/remint", &Value::Null).await.ok();
                    let rendered = map["data"]["remint.yaml"].as_str().unwrap().to_owned();
                    text = rendered.replacen("kubernetes:\n", &there, 1);
                }
                "kek" => mounts.push((path.to_owned(), self.keys.display().to_string())),
                "account" => {}
                other => panic!("nobody here mounts {other}"),
            }
        }
        std::fs::create_dir_all(&state).unwrap();
        write(&state.join("remint.yaml"), &text);
        mounts.push(("/var/lib/remint".to_owned(), state.display().to_string()));
        let here = |text: &Value| {
            let text = text.as_str().unwrap().to_owned();
            mounts.iter().fold(text, |text, (path, here)| text.replace(path, here))
        };
        let mut command = Command::new(env!("CARGO_BIN_EXE_remint"));
        command.env_clear().env("HOME", self.files.path()).stdin(Stdio::null());
        command.args(container["args"].as_array().unwrap().iter().map(here));
        for variable in container["env"].as_array().unwrap() {
            command.env(variable["name"].as_str().unwrap(), here(&variable["value"]));
        }
        command
    }

    /// Runs every pod of a hook that waits, and says what became of it, as a kubelet does.
    pub(super) async fn hooks(&self, server: &Server) {
        let all = "/api/v1/namespaces/remint/pods?labelSelector=app.kubernetes.io/name=remint-hook";
        let pods = server.ask("GET", all, &Value::Null).await;
        for pod in pods.body["items"].as_array().into_iter().flatten() {
            if pod["status"]["phase"] != "Pending" {
                continue;
            }
            let container = &pod["spec"]["containers"][0];
            let output = self.container(server, &pod["spec"], container).await.output().await.unwrap();
            let code = output.status.code().unwrap();
            let words: Vec<&str> =
                container["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let mut hooks = self.hooks.lock().unwrap_or_else(PoisonError::into_inner);
            hooks.push((format!("{}: {code}", words.join(" ")), said));
            drop(hooks);
            let phase = if code == 0 { "Succeeded" } else { "Failed" };
            let ended = json!({"name": "remint", "image": "", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"terminated": {"exitCode": code}}});
            let status = json!({"status": {"phase": phase, "containerStatuses": [ended]}}).to_string();
            let path = format!("/api/v1/namespaces/remint/pods/{}/status", pod["metadata"]["name"].as_str().unwrap());
            let content = "application/merge-patch+json";
            server.ask_as(server.admin(), "PATCH", &path, content, status).await.ok();
        }
    }

    /// As `kubectl exec` into the daemon's pod.
    pub(super) async fn exec(&self, words: &str) {
        let words = words.replace("/var/lib/remint", self.state.to_str().unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_remint"));
        command.env_clear().env("HOME", self.files.path()).args(words.split(' ')).stdin(Stdio::null());
        let output = command.output().await.unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// What the daemon wrote.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.files.path().join("log")).unwrap_or_default()
    }

    pub(super) fn ran(&self) -> Vec<String> {
        let hooks = self.hooks.lock().unwrap_or_else(PoisonError::into_inner);
        hooks.iter().map(|(ran, _)| ran.clone()).collect()
    }

    /// What the last hook said.
    pub(super) fn said(&self) -> String {
        let hooks = self.hooks.lock().unwrap_or_else(PoisonError::into_inner);
        hooks.last().map(|(_, said)| said.clone()).unwrap_or_default()
    }
}

impl Running {
    pub(super) async fn stop(mut self) {
        let id = self.child.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").arg(id).status().unwrap().success());
        let ended = tokio::time::timeout(super::super::LONG, self.child.wait()).await.expect("it stops in time");
        let log = std::fs::read_to_string(&self.log).unwrap();
        assert!(ended.unwrap().success(), "{log}");
        assert!(!log.contains("orbidden"), "{log}");
    }
}

/// A token of an account of the chart, as a kubelet asks for one.
pub(super) async fn token(server: &Server, account: &str) -> String {
    let path = format!("/api/v1/namespaces/remint/serviceaccounts/{account}/token");
    let made = server.ask("POST", &path, &json!({"spec": {"expirationSeconds": 3600}})).await.ok();
    made["status"]["token"].as_str().unwrap().to_owned()
}

/// The address of this machine that is not its own loopback: no EndpointSlice may hold one of those. Nothing is sent.
fn here() -> IpAddr {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect("192.0.2.1:9").expect("this machine has an address beside 127.0.0.1");
    socket.local_addr().unwrap().ip()
}

/// What the controllers make of a pod that is ready.
async fn endpoint(server: &Server, address: IpAddr, port: u16) {
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "remint-here", "namespace": "remint", "labels": {
            "kubernetes.io/service-name": "remint-webhooks", "endpointslice.kubernetes.io/managed-by": "tests"}},
        "endpoints": [{"addresses": [address.to_string()], "conditions": {"ready": true}}],
        "ports": [{"name": "webhooks", "port": port, "protocol": "TCP"}],
    });
    let path = "/apis/discovery.k8s.io/v1/namespaces/remint/endpointslices/remint-here";
    server.apply_as(server.admin(), path, slice.to_string().as_bytes()).await.ok();
}
