//! Two operators over one API server and one store, as real processes, of which one is killed.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rcgen::ExtendedKeyUsagePurpose;
use remint_fake::world::{Fault, Trouble};
use serde_json::{Value, json};

use super::incident::{events, yes};
use super::{Cluster, Place, act, object, until, write};
use crate::store::postgres::Databases;

const COUNT: usize = 8;

/// A lease of a run lasts 90 s, and a call that its owner sent last is waited for: much longer than that.
const TAKEN_OVER: Duration = Duration::from_mins(5);

/// One `remint operator`.
struct Operator {
    child: Child,
    webhooks: String,
    log: PathBuf,
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Operator {
    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn says(&self, words: &str) -> bool {
        self.said().contains(words)
    }
}

/// What both of them are told.
struct Both {
    cluster: Cluster,
    keys: tempfile::TempDir,
    store: String,
}

impl Both {
    fn command(&self, state: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_remint"));
        command.arg("--state").arg(self.keys.path().join(state)).arg("--kek").arg(self.keys.path().join("kek"));
        command.args(["--store", &self.store]).env_clear().env("USER", "tester").stdin(Stdio::null());
        command
    }

    /// A folder of its own, with what it has to know.
    fn told(&self, state: &str) {
        let folder = self.keys.path().join(state);
        std::fs::create_dir_all(&folder).unwrap();
        let at = self.cluster.at();
        let text = format!(
            "kubernetes: {{server: '{}', tokenFile: '{}', ca: '{}', namespace: default, operator: admin}}\n",
            at.server,
            at.token_file.display(),
            at.ca.display()
        );
        write(&folder.join("remint.yaml"), &text);
    }

    async fn start(&self, state: &str) -> Operator {
        self.told(state);
        let [certificate, key, log] = ["pem", "key", "log"].map(|end| self.keys.path().join(format!("{state}.{end}")));
        let shown = self.cluster.authority.signs("127.0.0.1", ExtendedKeyUsagePurpose::ServerAuth);
        write(&certificate, &shown.0);
        write(&key, &shown.1);
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = self.command(state);
        command.args(["operator", "--every", "1", "--webhooks", &format!("127.0.0.1:{port}")]);
        command.arg("--webhook-cert").arg(&certificate).arg("--webhook-key").arg(&key);
        let written = std::fs::File::create(&log).unwrap();
        command.stdout(Stdio::null()).stderr(written);
        let child = command.spawn().unwrap();
        let operator = Operator { child, webhooks: format!("https://127.0.0.1:{port}"), log };
        until(&format!("the operator {state} takes requests"), async || operator.says("taking requests").then_some(()))
            .await;
        operator
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_operators_one_is_killed_in_a_reset_and_the_other_takes_over_and_does_nothing_twice() {
    let Some(databases) = Databases::find("of two operators one is killed in a reset").await else { return };
    let store = databases.written().await;
    // The server is left to other tests: this one waits for minutes.
    drop(databases.server);
    let cluster = Cluster::start().await;
    let place = Place::bare(COUNT).await;
    // One after another: there is always something that was not begun.
    let text = place.documents().replace("concurrency: 64", "concurrency: 1");
    place.rig.world.fault("bank", Fault::on("mint", Trouble::Latency(Duration::from_millis(1500)))).unwrap();
    cluster.documents(&text).await;
    let both = Both { cluster, keys: tempfile::tempdir().unwrap(), store };
    let made = both.command("one").args(["init", "--single-operator"]).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let old: Vec<_> = (0..COUNT).map(|index| place.rig.value(index)).collect();

    let mut one = both.start("one").await;
    both.cluster.register(&one.webhooks).await;
    let from: Vec<String> = (0..COUNT).map(|index| format!("Credential/app{index}")).collect();
    let asked = act("Reset", "inc-1", json!({"from": from, "reason": "INC-1"}));
    both.cluster.server.apply(&asked).await.ok();
    let there = both.cluster.stands(&asked, "/status/phase", "Requested").await;
    both.cluster.server.apply(&yes(&there, "yes")).await.ok();
    let minted = || place.rig.issuer.counts().of("remint").of("mint");
    until("it is under way", async || (minted() >= 2).then_some(())).await;
    let other = both.start("other").await;
    let lease = "/apis/coordination.k8s.io/v1/namespaces/default/leases/remint";
    let holder =
        async || both.cluster.server.ask("GET", lease, &Value::Null).await.ok()["spec"]["holderIdentity"].clone();
    let first = holder().await;

    // In the middle of a call.
    let begun = minted();
    assert!(begun < COUNT as u64, "{begun}");
    one.child.kill().unwrap();
    one.child.wait().unwrap();
    let killed = std::time::Instant::now();
    both.cluster.register(&other.webhooks).await;
    let taken = async {
        loop {
            let there = both.cluster.get(&asked).await;
            if there["status"]["phase"] == "Provisional" {
                return there;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let ended = tokio::time::timeout(TAKEN_OVER, taken).await;
    let ended = ended.unwrap_or_else(|_| panic!("in vain: the other takes over\n{}", other.said()));
    println!("MEASURED the other finished {} s after the kill", killed.elapsed().as_secs());
    let second = holder().await;
    assert!(first != second && second.is_string(), "{first} {second}");

    // Counted at the other side: a value of each was made once, is in use, and is the only one that lives.
    let mut numbers = BTreeSet::new();
    for (index, old) in old.iter().enumerate() {
        let name = format!("app{index}");
        assert!(!place.rig.issuer.accepts(old), "{name}");
        assert!(place.rig.issuer.accepts(&place.rig.value(index)), "{name}");
        let living = place.rig.issuer.live_versions(&name);
        assert_eq!(living.len(), 1, "{name}: {living:?}");
        numbers.insert(living[0].version.0.rsplit('@').next().unwrap().parse::<usize>().unwrap());
    }
    // The issuer numbers what it makes: after what was there before, one for each, and nothing between.
    assert!(numbers.into_iter().eq(COUNT + 2..=2 * COUNT + 1), "each was made once");
    let counts = place.rig.issuer.counts().of("remint");
    assert!(counts.of("mint") <= COUNT as u64 + 1, "at most the call that was cut is sent again: {counts:?}");
    println!("MEASURED {} mints and {} revocations for {COUNT} credentials", counts.of("mint"), counts.of("revoke"));

    // The words are right, and said once.
    assert_eq!(ended["status"]["states"], json!({"settled": COUNT}), "{ended}");
    assert_eq!(ended["status"]["proofs"], json!({"refused": COUNT}));
    for index in 0..COUNT {
        let credential = object("Credential", &format!("app{index}"), json!({}));
        let there = both.cluster.stands(&credential, "/status/state", "Settled").await;
        assert_eq!(there["status"]["reset"], ended["status"]["reset"]);
        let name = format!("app{index}");
        until("two events", async || (events(&both.cluster, &name).await == ["Revoked", "Rotated"]).then_some(()))
            .await;
    }
}
