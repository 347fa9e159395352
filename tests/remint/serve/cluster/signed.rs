//! What a person signed with a key of his own counts as his, whoever brings it into the cluster.

use std::process::{Command, Stdio};

use remint::escrow::SystemRandomness;
use remint::govern::PersonKey;
use serde_json::{Value, json};

use super::{Cluster, Place, act};

const POLICY: &str = "---\napiVersion: remint.dev/v1alpha1\nkind: ApprovalPolicy\nmetadata: {name: all}\nspec:\n  \
                      require: {approvals: 1, separate: [requester-approver]}\n";

fn approval(reset: &Value, name: &str, note: Option<&str>) -> Value {
    let plan = reset["status"]["plan"].clone();
    let mut made = act("Approval", name, json!({"reset": reset["metadata"]["name"], "plan": plan}));
    if let Some(note) = note {
        made["spec"]["signature"] = json!(note);
    }
    made
}

#[tokio::test]
async fn a_signed_yes_counts_as_the_persons_whoever_brings_it() {
    let cluster = Cluster::start().await;
    let keys = tempfile::tempdir().unwrap();
    let file = keys.path().join("abel");
    let key = PersonKey::create(&file, "abel", &SystemRandomness).unwrap().public();
    let uid = rustix::process::getuid().as_raw();
    let persons = format!(
        "persons:\n  rita: {{principals: ['kubernetes:admin'], groups: [all]}}\n  \
         abel: {{principals: ['unix:{uid}'], groups: [all], keys: ['{key}']}}\n"
    );
    let place_ = Place::governed(2, &persons).await;
    let text = place_.documents() + POLICY;
    place_.write(&text);
    cluster.documents(&text).await;
    let before = place_.values(2);
    let daemon = cluster.serve(&place_, place_.decided().await).await;

    let mut reset = Value::Null;
    let mut notes = Vec::new();
    for name in ["one", "two"] {
        let from = if name == "one" { "Credential/app0" } else { "Credential/app1" };
        let asked = act("Reset", name, json!({"from": [from], "reason": "INC-7"}));
        cluster.server.apply(&asked).await.ok();
        let asked = cluster.stands(&asked, "/status/phase", "Requested").await;
        let mut command = Command::new(env!("CARGO_BIN_EXE_remint"));
        command.arg("--server").arg(format!("unix:{}", place_.socket().display()));
        command.args(["approve", asked["status"]["reset"].as_str().unwrap(), "--print", "--key"]).arg(&file);
        command.env_clear().env("HOME", keys.path()).stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let note = String::from_utf8(output.stdout).unwrap();
        assert!(note.starts_with("remint.dev/approval/v1\n"), "{note} {}", String::from_utf8_lossy(&output.stderr));
        notes.push(note);
        if name == "one" {
            reset = asked;
        }
    }

    // Who asked may not approve himself; a yes to something else is none, nor is one that somebody changed.
    let alone = approval(&reset, "alone", None);
    cluster.server.apply(&alone).await.ok();
    let told = cluster.stands(&alone, "/status/phase", "Recorded").await;
    assert!(!told["status"]["nextAction"].as_str().unwrap().is_empty(), "it takes another person: {told}");
    let changed = notes[0].replace("person abel", "person rita");
    for (name, note, why) in [
        ("other", notes[1].as_str(), "it is about reset"),
        ("changed", changed.as_str(), "the table of persons has no key of rita"),
        ("text", "yes, do it", "the signed approval does not count"),
    ] {
        let wrong = approval(&reset, name, Some(note));
        cluster.server.apply(&wrong).await.ok();
        let told = cluster.stands(&wrong, "/status/phase", "Refused").await;
        assert!(told["status"]["conditions"].to_string().contains(why), "{told}");
    }
    assert_eq!(place_.values(2), before);

    let right = approval(&reset, "right", Some(&notes[0]));
    cluster.server.apply(&right).await.ok();
    cluster.stands(&right, "/status/phase", "Recorded").await;
    cluster.stands(&reset, "/status/phase", "Complete").await;
    let after = place_.values(2);
    assert!(after[0] != before[0] && after[1] == before[1]);
    daemon.stop().await;
}
