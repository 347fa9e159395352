//! What scripts rely on: the keys of the JSON, the exit codes, and one object last.

use serde_json::Value;

use super::{User, exit, keys, object};

#[test]
fn reach_and_plan_answer_with_the_keys_of_their_contracts() {
    let user = User::new();
    let reach = object(&user.run("reach manifests/examples --from Workload/ci-runner -o json"));
    assert_eq!(keys(&reach), ["dirty", "from", "reached"]);
    assert_eq!(reach["from"], serde_json::json!(["Workload/ci-runner"]));
    for reached in reach["reached"].as_array().unwrap() {
        assert_eq!(keys(reached), ["path", "ref", "verb"]);
        assert_eq!(reached["path"].as_array().unwrap().last(), Some(&reached["ref"]));
    }
    let plan = object(&user.run("plan manifests/examples --from Workload/ci-runner -o json"));
    let wanted = ["cuts", "digest", "eta_seconds", "exceptions", "new_destinations", "tasks", "waves"];
    assert_eq!(keys(&plan), wanted);
    for member in plan["waves"].as_array().unwrap().iter().flat_map(|wave| wave.as_array().unwrap()) {
        assert_eq!(keys(member), ["credential", "exposed_by", "mode", "strategy"]);
    }
}

/// One demo for all that needs a whole reset: it takes some seconds.
#[test]
fn the_demo_ends_with_one_object_and_a_bundle_that_only_its_key_vouches_for() {
    let user = User::new();
    let output = user.run("demo -o json --keep ~/demo");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(exit(&output), 0, "{text}");
    let demo = object(&output);
    let wanted = "attacker_alive attacker_minted attacker_read bundle credentials exceptions failed failed_requests \
                  foreign key mode outage_requests proof requests reset seconds settled tasks";
    assert_eq!(keys(&demo).join(" "), wanted);
    assert_eq!(keys(&demo["proof"]), ["absent", "attested", "published", "refused", "refused_uncontrolled"]);
    let number = |key: &str| demo[key].as_u64().unwrap();
    assert!(number("attacker_read") > 0 && number("attacker_minted") > 0 && number("requests") > 0);
    assert_eq!((number("attacker_alive"), number("failed_requests"), number("failed")), (0, 0, 0));
    assert_eq!((demo["mode"].as_str(), number("foreign")), (Some("rolling"), 1));

    let word = |key: &str| demo[key].as_str().unwrap().to_owned();
    let (bundle, key) = (word("bundle"), word("key"));
    let mut user = user;
    std::fs::copy(&bundle, user.path("good")).unwrap();
    let mut bytes = std::fs::read(&bundle).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(user.path("bad"), &bytes).unwrap();
    std::fs::write(user.path("garbage"), b"not a bundle").unwrap();
    assert_eq!(exit(&user.run(&format!("evidence verify ~/good --key {key}"))), 0);
    let unsigned = user.run("evidence verify ~/good");
    assert_eq!(exit(&unsigned), 1);
    assert!(String::from_utf8_lossy(&unsigned.stdout).contains("origin"), "{unsigned:?}");
    let report = object(&user.run(&format!("evidence verify ~/good --key {key} -o json")));
    assert_eq!(report["ok"], Value::Bool(true));
    assert_eq!(exit(&user.run(&format!("evidence verify ~/bad --key {key}"))), 1);
    assert_eq!(exit(&user.run(&format!("evidence verify ~/good --key {}", "remint+00000000+AAAA"))), 2);
    user.does("evidence verify ~/garbage");
    user.does("evidence verify ~/missing");
    user.does("evidence verify ~/garbage --key nonsense");
    user.check("evidence");
}

#[test]
fn rotations_answer_with_the_keys_of_their_contract() {
    let user = User::new();
    user.run("init --single-operator");
    user.run("reset manifests/examples --from Workload/ci-runner --reason INC-1 --privileged");
    let rotations = object(&user.run("get rotations -o json"));
    assert_eq!(rotations.as_array().unwrap().len(), 4);
    for rotation in rotations.as_array().unwrap() {
        for key in ["credential", "state", "reason", "proof", "confirm", "versions", "next_action"] {
            assert!(keys(rotation).contains(&key), "{key} in {rotation}");
        }
    }
    assert_eq!(object(&user.run("get resets -o json")).as_array().unwrap().len(), 1);
}
