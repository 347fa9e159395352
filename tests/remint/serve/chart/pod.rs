//! In the place of a kubelet: the containers of the chart's pods as processes here, with the arguments, the environment and the
//! mounts that are rendered, and a token of their account.

use std::fs;
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::super::Place;
use super::rig::{Server, until};
use super::write;

pub(super) struct Pods {
    files: tempfile::TempDir,
    /// What lies on the claim of a StatefulSet.
    claim: PathBuf,
    made: Mutex<Made>,
}

#[derive(Default)]
struct Made {
    pods: usize,
    /// Where `kubectl exec` goes: the state folder of the pod that was made last.
    last: PathBuf,
    /// The arguments of each hook that ran, with its exit code, and what it said.
    hooks: Vec<(String, String)>,
}

/// What is to run: every volume is a folder here.
pub(super) struct Pod {
    pub(super) spec: Value,
    number: usize,
    folder: PathBuf,
    claim: PathBuf,
}

/// The daemon, until it is told to stop.
pub(super) struct Running {
    child: Child,
    log: PathBuf,
    /// Where the API server asks it.
    pub(super) port: u16,
    number: usize,
}

impl Pod {
    /// The folder that stands for a volume.
    async fn volume(&self, server: &Server, name: &str) -> PathBuf {
        let volumes = self.spec["volumes"].as_array().unwrap();
        let Some(volume) = volumes.iter().find(|one| one["name"] == name) else { return self.claim.clone() };
        let folder = self.folder.join(name);
        if folder.exists() {
            return folder;
        }
        let data = folder.join("..2026_11_22");
        fs::create_dir_all(&data).unwrap();
        let (secret, map) = (volume["secret"]["secretName"].as_str(), volume["configMap"]["name"].as_str());
        let path = match (secret, map) {
            (Some(name), _) => format!("/api/v1/namespaces/remint/secrets/{name}"),
            (_, Some(name)) => format!("/api/v1/namespaces/remint/configmaps/{name}"),
            _ => {
                assert!(volume["emptyDir"].is_object(), "nobody here mounts {volume}");
                return folder;
            }
        };
        let object = server.ask("GET", &path, &Value::Null).await.ok();
        // As a kubelet lays it: the names are links into a folder that is replaced as a whole.
        symlink("..2026_11_22", folder.join("..data")).unwrap();
        for (file, value) in object["data"].as_object().unwrap() {
            let value = value.as_str().unwrap();
            let bytes = if secret.is_some() { STANDARD.decode(value).unwrap() } else { value.as_bytes().to_vec() };
            write(&data.join(file), std::str::from_utf8(&bytes).unwrap());
            symlink(Path::new("..data").join(file), folder.join(file)).unwrap();
        }
        folder
    }

    async fn state(&self, server: &Server) -> PathBuf {
        self.volume(server, "state").await
    }
}

impl Pods {
    pub(super) fn new(place: &Place) -> Self {
        let (files, claim) = (tempfile::tempdir().unwrap(), place.rig.folder.path().to_owned());
        Self { files, claim, made: Mutex::default() }
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self, spec: Value) -> Pod {
        let mut made = self.made();
        made.pods += 1;
        let folder = self.files.path().join(format!("pod-{}", made.pods));
        fs::create_dir_all(&folder).unwrap();
        Pod { spec, number: made.pods, folder, claim: self.claim.clone() }
    }

    /// A pod of the daemon, as the controllers make one more of what is rendered.
    pub(super) async fn pod(&self, server: &Server) -> Pod {
        for plural in ["statefulsets", "deployments"] {
            let path = format!("/apis/apps/v1/namespaces/remint/{plural}/remint");
            let there = server.ask("GET", &path, &Value::Null).await;
            if there.status == 200 {
                let pod = self.next(there.body["spec"]["template"]["spec"].clone());
                self.made().last = pod.state(server).await;
                return pod;
            }
        }
        panic!("there is neither a StatefulSet nor a Deployment");
    }

    /// What the init container does.
    pub(super) async fn init(&self, server: &Server, pod: &Pod) -> Output {
        self.container(server, pod, &pod.spec["initContainers"][0]).await.output().await.unwrap()
    }

    /// A pod with its init container and then its container; returns once the API server reaches it by the Service of the
    /// chart and believes its certificate.
    pub(super) async fn daemon(&self, server: &Server) -> Running {
        let pod = self.pod(server).await;
        let made = self.init(server, &pod).await;
        assert!(made.status.success(), "{made:?}");
        self.run(server, &pod).await
    }

    /// What the container does.
    pub(super) async fn run(&self, server: &Server, pod: &Pod) -> Running {
        let port = TcpListener::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port();
        let mut container = pod.spec["containers"][0].clone();
        let arguments = container["args"].to_string().replace(":9443", &format!(":{port}"));
        container["args"] = serde_json::from_str(&arguments).unwrap();
        let log = self.log_of(pod.number);
        let mut command = self.container(server, pod, &container).await;
        command.stdout(Stdio::null()).stderr(fs::File::create(&log).unwrap());
        let child = command.kill_on_drop(true).spawn().unwrap();
        let running = Running { child, log, port, number: pod.number };
        endpoint(server, pod.number, port).await;
        // A document with a secret in it is refused by nobody but the daemon.
        until(&format!("the API server asks the daemon: {}", running.said()), async || {
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
    async fn container(&self, server: &Server, pod: &Pod, container: &Value) -> Command {
        let file = pod.folder.join("token");
        write(&file, &token(server, pod.spec["serviceAccountName"].as_str().unwrap()).await);
        // What a pod finds where every pod finds it is named, because no other is here.
        let there = format!(
            "kubernetes:\n  server: {}\n  tokenFile: {}\n  ca: {}\n",
            server.address,
            file.display(),
            server.file("ca.crt").display()
        );
        let (mut mounts, mut text): (Vec<(String, String)>, _) = (Vec::new(), "kubernetes:\n".to_owned());
        let mut state = pod.folder.join("nothing");
        for mount in container["volumeMounts"].as_array().unwrap() {
            let (name, path) = (mount["name"].as_str().unwrap(), mount["mountPath"].as_str().unwrap());
            if name == "account" {
                continue;
            }
            let from = pod.volume(server, name).await;
            match name {
                "state" => state = from,
                "configuration" => text = fs::read_to_string(from.join("remint.yaml")).unwrap(),
                _ => mounts.push((path.to_owned(), from.display().to_string())),
            }
        }
        fs::create_dir_all(&state).unwrap();
        mounts.push(("/var/lib/remint".to_owned(), state.display().to_string()));
        let here = |text: &str| mounts.iter().fold(text.to_owned(), |text, (path, here)| text.replace(path, here));
        write(&state.join("remint.yaml"), &here(&text.replacen("kubernetes:\n", &there, 1)));
        let mut command = Command::new(env!("CARGO_BIN_EXE_remint"));
        command.env_clear().env("HOME", self.files.path()).stdin(Stdio::null());
        command.args(container["args"].as_array().unwrap().iter().map(|word| here(word.as_str().unwrap())));
        for variable in container["env"].as_array().unwrap() {
            command.env(variable["name"].as_str().unwrap(), here(variable["value"].as_str().unwrap()));
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
            let one = self.next(pod["spec"].clone());
            let output = self.container(server, &one, container).await.output().await.unwrap();
            let code = output.status.code().unwrap();
            let words: Vec<&str> =
                container["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            self.made().hooks.push((format!("{}: {code}", words.join(" ")), said));
            let phase = if code == 0 { "Succeeded" } else { "Failed" };
            let ended = json!({"name": "remint", "image": "", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"terminated": {"exitCode": code}}});
            let status = json!({"status": {"phase": phase, "containerStatuses": [ended]}}).to_string();
            let path = format!("/api/v1/namespaces/remint/pods/{}/status", pod["metadata"]["name"].as_str().unwrap());
            let content = "application/merge-patch+json";
            server.ask_as(server.admin(), "PATCH", &path, content, status).await.ok();
        }
    }

    /// As `kubectl exec` into the pod that was made last.
    pub(super) async fn exec(&self, words: &str) -> Output {
        let words = words.replace("/var/lib/remint", self.made().last.to_str().unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_remint"));
        command.env_clear().env("HOME", self.files.path()).args(words.split(' ')).stdin(Stdio::null());
        command.output().await.unwrap()
    }

    fn log_of(&self, number: usize) -> PathBuf {
        self.files.path().join(format!("{number}.log"))
    }

    /// What the daemons wrote.
    pub(super) fn log(&self) -> String {
        let count = self.made().pods;
        (1..=count).map(|number| fs::read_to_string(self.log_of(number)).unwrap_or_default()).collect()
    }

    pub(super) fn ran(&self) -> Vec<String> {
        self.made().hooks.iter().map(|(ran, _)| ran.clone()).collect()
    }

    /// What the last hook said.
    pub(super) fn said(&self) -> String {
        self.made().hooks.last().map(|(_, said)| said.clone()).unwrap_or_default()
    }
}

impl Running {
    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Whether it says that it leads.
    pub(super) fn leads(&self) -> bool {
        let said = self.said();
        let last = said.lines().rev().find(|line| line.contains("who leads has changed"));
        last.is_some_and(|line| line.contains("\"leads\":true"))
    }

    pub(super) async fn stop(mut self) {
        let id = self.child.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").arg(id).status().unwrap().success());
        let ended = tokio::time::timeout(super::super::LONG, self.child.wait()).await.expect("it stops in time");
        let log = self.said();
        assert!(ended.unwrap().success(), "{log}");
        assert!(!log.contains("orbidden"), "{log}");
    }

    /// Without a word, as a node goes; the controllers no longer send anybody there.
    pub(super) async fn kill(mut self, server: &Server) {
        self.child.kill().await.unwrap();
        server.ask("DELETE", &slice(self.number), &Value::Null).await.ok();
    }
}

/// A token of an account of the chart, as a kubelet asks for one.
pub(super) async fn token(server: &Server, account: &str) -> String {
    let path = format!("/api/v1/namespaces/remint/serviceaccounts/{account}/token");
    let made = server.ask("POST", &path, &json!({"spec": {"expirationSeconds": 3600}})).await.ok();
    made["status"]["token"].as_str().unwrap().to_owned()
}

/// The address of this machine that is not its own loopback: no EndpointSlice may hold one of those. Nothing is sent.
pub(super) fn here() -> IpAddr {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect("192.0.2.1:9").expect("this machine has an address beside 127.0.0.1");
    socket.local_addr().unwrap().ip()
}

fn slice(number: usize) -> String {
    format!("/apis/discovery.k8s.io/v1/namespaces/remint/endpointslices/remint-{number}")
}

/// What the controllers make of a pod that is ready.
async fn endpoint(server: &Server, number: usize, port: u16) {
    let made = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": format!("remint-{number}"), "namespace": "remint", "labels": {
            "kubernetes.io/service-name": "remint-webhooks", "endpointslice.kubernetes.io/managed-by": "tests"}},
        "endpoints": [{"addresses": [here().to_string()], "conditions": {"ready": true}}],
        "ports": [{"name": "webhooks", "port": port, "protocol": "TCP"}],
    });
    server.apply_as(server.admin(), &slice(number), made.to_string().as_bytes()).await.ok();
}
