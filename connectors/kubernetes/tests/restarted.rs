//! An API server that is killed while the connector works with it, and comes back: one of the test's own, for everybody else
//! works with the shared one.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use remint_contract::{
    Call, Connector, Error, ErrorKind, Intent, MintRequest, Recovered, SecretValue, Strategy, Target, Verb, Verdict,
    WriteRequest,
};
use serde_json::{Value, json};

use crate::cluster::{Cluster, RIGHTS, open, pause, told};

/// A cluster that can be hurt.
struct Own {
    serves: Child,
    folder: tempfile::TempDir,
}

impl Drop for Own {
    fn drop(&mut self) {
        // Its children die with it.
        let _ = self.serves.kill();
        let _ = self.serves.wait();
    }
}

impl Own {
    /// # Panics
    /// Nobody built the server for the tests: what is not tested is not claimed.
    async fn start() -> (Self, Cluster) {
        let program = told("_PROGRAM").unwrap_or_else(|| {
            panic!("no Kubernetes: REMINT_TEST_KUBERNETES_PROGRAM is not set; run `cargo xtask test`")
        });
        // A port that is free now may be somebody else's a moment later.
        for _ in 0..3 {
            let folder = tempfile::tempdir().unwrap();
            let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
            let mut command = Command::new(&program);
            command.arg("serve").arg(folder.path()).arg(port.to_string()).env_clear().env("HOME", folder.path());
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let mut own = Self { serves: command.spawn().unwrap(), folder };
            while own.serves.try_wait().unwrap().is_none() {
                let said = std::fs::read_to_string(own.file("ready")).unwrap_or_default();
                if let Some((address, _)) = said.split_once(" v") {
                    let token = std::fs::read_to_string(own.file("token")).unwrap();
                    let cluster = Cluster::at(address.to_owned(), token, own.file("ca.crt"));
                    return (own, cluster);
                }
                pause().await;
            }
        }
        panic!("a cluster of its own did not come up");
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Ends the API server at once, in the middle of whatever it does; whoever started it starts it again.
    fn kill(&self) {
        let id = std::fs::read_to_string(self.file("apiserver.pid")).unwrap();
        assert!(Command::new("kill").args(["-KILL", id.trim()]).status().unwrap().success());
    }

    /// Until it answers again, as the administrator sees it.
    async fn is_back(&self, cluster: &Cluster) {
        let url = format!("{}/readyz", cluster.address);
        let token = cluster.admin.secret.expose_str().unwrap();
        loop {
            let asked = cluster.http.get(&url).bearer_auth(token).send().await;
            if asked.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            pause().await;
        }
    }
}

/// A request that the end of the server met: not done, or nobody knows, and never a word about rights or values.
fn met(failure: &Error, verb: Verb) {
    let classes = [ErrorKind::Unreachable, ErrorKind::Unclear, ErrorKind::Throttled];
    assert!(classes.contains(&failure.kind), "{verb}: {failure:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_server_that_is_killed_in_the_middle_of_a_call_and_comes_back_leaves_nothing_unknown() {
    let (own, cluster) = Own::start().await;
    let namespace = cluster.namespace().await;
    let settings = json!({"tokens": "bound", "ca": {"file": cluster.ca}});
    let connector = open(&cluster.address, &namespace, &settings);
    let actor = cluster.actor(&namespace, RIGHTS).await;
    let call = || cluster.acting(&actor);
    let account = Target { name: cluster.account(&namespace).await, settings: Value::Null };
    let wanted = |old| MintRequest {
        target: account.clone(),
        strategy: Strategy::Overlap,
        old,
        old_username: None,
        proposed: None,
    };
    let old = connector.mint(&call(), &wanted(None)).await.unwrap();
    cluster.secret(&namespace, "app", json!({"kept": "by-others"})).await;
    let place = format!("{namespace}/app");

    for round in 0..2 {
        // The mint and the end of the server at one time; what was begun is asked about when it is back.
        let act = call();
        let wanted = wanted(Some(old.version.clone()));
        let (minted, ()) = tokio::join!(connector.mint(&act, &wanted), async {
            if round == 1 {
                pause().await;
            }
            own.kill();
        });
        own.is_back(&cluster).await;
        let intent = Intent {
            operation: act.operation.clone(),
            verb: Verb::Mint,
            target: account.clone(),
            version: None,
            mint: Some(wanted.clone()),
        };
        let found = connector.recover(&act, &intent).await.unwrap();
        match (minted, found) {
            (Ok(new), Recovered::Done(_) | Recovered::Orphan(_)) => {
                connector.revoke(&act, &account, &new.version).await.unwrap();
            }
            (Err(failure), Recovered::Orphan(version)) => {
                met(&failure, Verb::Mint);
                connector.revoke(&act, &account, &version).await.unwrap();
            }
            (Err(failure), Recovered::NotDone) => met(&failure, Verb::Mint),
            (minted, found) => panic!("{round}: {:?} {found:?}", minted.map(|new| new.version)),
        }
        assert_eq!(alive(&*connector, &call(), &account).await, [old.version.0.as_str()], "{round}");

        // The same of a write, which is repeated under its operation.
        let value = format!("written-in-round-{round}");
        let fields = [("password".to_owned(), SecretValue::from(value.as_str()))].into();
        let write = WriteRequest { path: place.clone(), fields, expect: None };
        let act = call();
        let (written, ()) = tokio::join!(connector.write(&act, &write), async { own.kill() });
        own.is_back(&cluster).await;
        if let Err(failure) = written {
            met(&failure, Verb::Write);
            connector.write(&act, &write).await.unwrap();
        }
        let read = connector.read(&call(), &place).await.unwrap();
        assert_eq!(read.fields["password"].expose_str(), Some(value.as_str()), "{round}");
        assert_eq!(read.fields["kept"].expose_str(), Some("by-others"), "{round}");
    }

    // What lived before lives after, until it is revoked.
    connector.verify(&call(), &account, &old.material).await.unwrap();
    let act = call();
    let (revoked, ()) = tokio::join!(connector.revoke(&act, &account, &old.version), async { own.kill() });
    own.is_back(&cluster).await;
    if let Err(failure) = revoked {
        met(&failure, Verb::Revoke);
        connector.revoke(&act, &account, &old.version).await.unwrap();
    }
    while connector.probe(&call(), &account, &old.material, 0).await.unwrap() != Verdict::Denied {
        pause().await;
    }
    assert!(alive(&*connector, &call(), &account).await.is_empty());
}

async fn alive(connector: &dyn Connector, call: &Call, target: &Target) -> Vec<String> {
    let live = connector.enumerate(call, std::slice::from_ref(target)).await.unwrap();
    live.into_iter().filter(|live| live.target.as_ref() == Some(&target.name)).map(|live| live.version.0).collect()
}
