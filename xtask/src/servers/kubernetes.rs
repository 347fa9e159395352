//! Kubernetes: the API server, the controller manager and etcd, built into one program from one module of ours, which runs
//! them as one. There is no scheduler and no kubelet.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::daemon::{self, Daemon, Served};
use super::go::Module;
use super::{Running, Server};
use crate::Outcome;
use crate::postgres::free_port;

pub(crate) struct Kubernetes;

/// Without symbols; it says which release it is, which it does not know of itself.
const MODULE: Module = Module {
    folder: "kubernetes",
    tags: "",
    link: "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3 -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36",
};

impl Server for Kubernetes {
    fn name(&self) -> &'static str {
        "Kubernetes"
    }

    fn obtain(&self) -> Outcome<()> {
        MODULE.program().map(drop)
    }

    fn start(&self) -> Outcome<Box<dyn Running>> {
        let program = MODULE.program()?;
        Ok(Box::new(daemon::on_some_port(|| begin(self.name(), &program))?))
    }

    fn stop(&self, folder: &Path) -> Outcome<()> {
        daemon::stop(folder)
    }
}

fn begin(name: &str, program: &Path) -> Outcome<Served> {
    let folder = daemon::folder(name)?;
    let place = folder.path().to_owned();
    let mut command = Command::new(program);
    command.arg("serve").arg(&place).arg(free_port()?.to_string()).env_clear().env("HOME", &place);
    let ready = || fs::read_to_string(place.join("ready")).ok();
    let daemon = Daemon::start(command, folder, || ready().is_some_and(|said| said.contains(" v")))?;
    let said = ready().unwrap_or_default();
    let (address, version) = said.split_once(' ').unwrap_or((&said, "unknown"));
    let (address, version) = (address.to_owned(), version.to_owned());
    let token = fs::read_to_string(place.join("token")).map_err(|failure| format!("{name} has no token: {failure}"))?;
    let file = |name: &str| place.join(name).display().to_string();
    let environment = vec![
        ("REMINT_TEST_KUBERNETES", address),
        ("REMINT_TEST_KUBERNETES_TOKEN", token),
        ("REMINT_TEST_KUBERNETES_CA", file("ca.crt")),
        ("REMINT_TEST_KUBERNETES_KUBECONFIG", file("admin.kubeconfig")),
        // Holds the number of the API server's process, which comes back when it is ended.
        ("REMINT_TEST_KUBERNETES_PID", file("apiserver.pid")),
        // For tests that want one of their own.
        ("REMINT_TEST_KUBERNETES_PROGRAM", program.display().to_string()),
    ];
    Ok(Served { daemon, version, environment })
}
