//! Command lines that a person types one after the other, and all that is said to them.

use super::{User, exit, object};

const COMMANDS: [&str; 69] = [
    "",
    "demo",
    "validate",
    "graph",
    "reach",
    "plan",
    "init",
    "estate",
    "estate diff",
    "estate activate",
    "reset",
    "approve",
    "reject",
    "review",
    "except",
    "clean",
    "decide",
    "escalate",
    "retry",
    "rollback",
    "pause",
    "resume",
    "abort",
    "destroy",
    "task",
    "task list",
    "task attest",
    "reprove",
    "get",
    "get parked",
    "windows",
    "windows next",
    "windows approve",
    "windows end",
    "policy key",
    "get exceptions",
    "evidence",
    "evidence list",
    "evidence export",
    "evidence verify",
    "stream",
    "stream status",
    "stream retry",
    "keys",
    "keys list",
    "keys rotate",
    "keys rewrap",
    "keys add-recipient",
    "keys destroy",
    "store",
    "store backup",
    "store restore",
    "store check",
    "store recover",
    "store copy",
    "--version",
    "nonsense",
    "reset --plan",
    "login",
    "token",
    "token create",
    "token list",
    "token revoke",
    "serve",
    "get nonsense",
    "reach --between yesterday today",
    "operator",
    "generate crds",
    "k8s release",
];

#[test]
fn every_command_has_its_help() {
    let mut user = User::new();
    for command in COMMANDS {
        let asks = command.starts_with('-') || command.contains("nonsense") || command.contains("--");
        user.does(&if asks { command.to_owned() } else { format!("{command} --help") });
    }
    user.check("help");
}

#[test]
fn documents_are_valid_or_every_problem_is_named() {
    let mut user = User::new();
    user.does("validate manifests/examples/incident.yaml");
    user.does("validate manifests/examples/incident.yaml -o json");
    user.does("validate ~/nothing-here");
    user.does("validate manifests/invalid/dangling-ref.yaml");
    user.does("validate manifests/invalid/unknown-key.yaml -o json");
    user.check("validate");

    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/invalid");
    let mut checked = 0;
    for item in std::fs::read_dir(folder).unwrap() {
        let name = item.unwrap().file_name().into_string().unwrap();
        if std::path::Path::new(&name).extension().is_some_and(|end| end == "yaml") {
            let output = user.run(&format!("validate manifests/invalid/{name}"));
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!(exit(&output), 2, "{name}");
            assert!(said.contains(&format!("manifests/invalid/{name}")), "{name}: {said}");
            checked += 1;
        }
    }
    assert!(checked > 20, "{checked}");
}

#[test]
fn reach_and_plan_are_read_before_anything_is_touched() {
    let mut user = User::new();
    user.does("reach manifests/examples --from Workload/ci-runner");
    user.does("reach manifests/examples --from Workload/ci-runner -o json");
    user.does("reach manifests/examples --from ci-host:agent.env");
    user.does("reach manifests/examples --from Workload/nobody");
    user.does("reach manifests/examples --from nobody");
    user.does("reach --from Workload/ci-runner");
    user.does("plan manifests/examples");
    user.does("plan manifests/examples --from Workload/ci-runner");
    user.does("plan manifests/examples --from Workload/ci-runner -o json");
    user.does("plan manifests/examples --from Workload/ci-runner --contain * --except Credential/pg-billing-admin");
    user.does("plan manifests/examples --from Workload/ci-runner --contain nonsense");
    user.does("plan manifests/examples --from Workload/ci-runner --out ~/plan.json");
    user.check("look");
}

#[test]
fn a_state_is_made_once_and_asks_before_it_acts() {
    let mut user = User::new();
    user.does("get resets");
    user.does("init");
    user.does("init --single-operator --state ~/here --kek ~/here/kek");
    user.does("init --single-operator");
    user.does("init --single-operator");
    user.does("get resets");
    user.does("get rotations");
    user.does("reset --from Workload/ci-runner --reason INC-1");
    user.does("estate diff manifests/examples");
    user.does("estate activate manifests/examples");
    user.does("estate diff manifests/examples");
    user.does("estate activate manifests/invalid/duplicate-name.yaml");
    user.does("get credentials");
    user.does("reset --from Workload/nobody --reason INC-1");
    user.does("reset --from Workload/ci-runner --reason INC-1");
    user.does("reset --from Workload/ci-runner --reason INC-1 --privileged --request-id r-0000000001");
    user.does("get resets");
    user.does("get rotations");
    user.does("reset --from Workload/ci-runner --reason INC-2 --privileged --request-id r-0000000002");
    user.does("reject r-0000000001 --reason too-wide");
    user.does("approve r-0000000001");
    user.does("get resets");
    user.does("approve r-none");
    user.does("reject r-none --reason none");
    user.does("retry r-none");
    user.does("rollback r-none --reason none");
    user.does("reprove r-none");
    user.does("clean Workload/ci-runner --reason rebuilt");
    user.does("decide f-none revoke --reason none");
    user.does("task list");
    user.does("task attest t-none --words none");
    user.does("evidence list r-none");
    user.does("evidence export r-none --out ~/bundle");
    user.check("state");
}

#[test]
fn keys_rotate_and_are_destroyed_only_when_that_is_meant() {
    let mut user = User::new();
    user.run("init --single-operator");
    user.does("keys list");
    user.does("keys add-recipient ~/safe/recovery");
    user.does("keys rotate");
    user.does("keys destroy 1 --words destroy-generation-1");
    user.does("keys rewrap");
    user.does("keys list");
    user.does("keys list -o json");
    user.does("keys destroy 1");
    user.does("keys destroy 1 --words destroy-generation-1");
    user.does("keys destroy 2 --words destroy-generation-2");
    user.does("keys destroy 9 --words destroy-generation-9");
    user.does("keys rotate --rewrap");
    // The recovery key file alone opens the state.
    assert_eq!(exit(&user.run("get resets --kek ~/safe/recovery")), 0);
    user.does("keys list --kek ~/safe/recovery");
    user.does("keys rotate --kek env:NOT_THERE");
    user.check("keys");
}

#[test]
fn streams_say_how_they_stand() {
    let mut user = User::new();
    user.run("init --single-operator");
    user.does("stream status");
    let state = std::path::PathBuf::from(user.path(".local/state/remint"));
    let secret = user.path("secret");
    std::fs::write(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let events = user.path("events.jsonl");
    let streams = format!("streams:\n- {{name: siem, file: {events}, secret_file: {secret}}}\n");
    std::fs::write(state.join("remint.yaml"), streams).unwrap();
    user.does("stream status");
    user.does("stream status -o json");
    user.does("stream retry siem");
    user.does("stream retry nobody");
    user.check("stream");
}

#[test]
fn a_backup_is_restored_looked_at_and_recovered() {
    let mut user = User::new();
    user.does("init --single-operator --anchor ~/anchor");
    user.does("store check");
    user.does("store backup ~/backup");
    user.does("store backup ~/backup");
    // The world goes on.
    user.run("keys rotate --rewrap");
    user.does("store restore ~/backup");
    user.does("store restore ~/backup --state ~/new");
    user.does("get resets --state ~/new");
    user.does("keys rotate --state ~/new");
    user.does("estate activate manifests/examples --state ~/new");
    user.does("store check --state ~/new");
    user.does("store recover --state ~/new");
    user.does("store recover --state ~/new --yes");
    user.does("store check --state ~/new");
    user.does("store recover --state ~/new --yes");
    // The old state still runs somewhere: the anchor is not its own any more.
    user.does("get resets");
    std::fs::remove_file(user.path("anchor")).unwrap();
    user.does("get resets --state ~/new");
    let mut bytes = std::fs::read(user.path("backup")).unwrap();
    bytes[100] ^= 1;
    std::fs::write(user.path("changed"), bytes).unwrap();
    user.does("store restore ~/changed --state ~/third");
    assert!(!std::path::Path::new(&user.path("third")).exists(), "nothing was made");
    user.does("store backup ~/none --state ~/nowhere");
    user.check("store");
}

#[test]
fn a_system_that_cannot_be_reached_says_so_and_exits_4() {
    let mut user = User::new();
    std::fs::write(user.path("estate.yaml"), UNREACHABLE).unwrap();
    user.run("init --single-operator");
    let output = user.does("reset ~/estate.yaml --from Workload/web --reason INC-1 --yes --request-id r-0000000001");
    assert_eq!(exit(&output), 4);
    user.does("get rotations");
    let output = user.does("retry r-0000000001 -o json");
    assert_eq!(exit(&output), 4);
    user.does("evidence list r-0000000001");
    user.check("unreachable");
}

#[test]
fn windows_say_when_they_open_next_and_what_is_due() {
    let mut user = User::new();
    user.run("init --single-operator");
    user.does("windows next");
    std::fs::write(user.path("estate.yaml"), format!("{UNREACHABLE}{WINDOWS}")).unwrap();
    user.run("estate activate ~/estate.yaml");
    user.does("windows next");
    let output = user.run("windows next -o json");
    let shown = object(&output);
    let one = shown.as_array().unwrap().iter().find(|one| one["window"] == "RotationWindow/sunday").unwrap();
    assert_eq!((&one["due"], &one["unknown"], &one["missed"]), (&1.into(), &1.into(), &0.into()));
    assert!(one["opensThere"].as_str().unwrap().contains("T02:00:00"), "{one}");
    user.check("windows");
}

#[test]
fn a_reset_is_escalated_and_others_join_or_wait() {
    let mut user = User::new();
    std::fs::write(user.path("estate.yaml"), UNREACHABLE).unwrap();
    user.run("init --single-operator");
    user.run("reset ~/estate.yaml --from Workload/web --reason INC-1 --yes --request-id r-0000000001");
    user.does("escalate r-0000000001 --reason used");
    user.does("escalate r-0000000001 --contain name=other --reason used");
    user.does("escalate r-0000000001 --contain * --reason used");
    user.does("escalate r-none --contain * --reason used");
    user.does("approve r-0000000001");
    user.does("escalate r-0000000001 --roll * --reason wrong -o json");
    user.does("reset ~/estate.yaml --from Workload/web --reason INC-2 --yes --request-id r-0000000002");
    user.does("get rotations");
    user.check("escalate");
}

/// One that comes in the middle of a leap year's last February, so that it is far away on the day of the test.
const WINDOWS: &str = r#"---
apiVersion: remint.dev/v1alpha1
kind: RotationWindow
metadata: {name: sunday}
spec: {cron: "0 2 29 2 *", timeZone: Europe/Berlin, duration: 4h, select: {identity: app}, missed: catch-up}
---
apiVersion: remint.dev/v1alpha1
kind: RotationWindow
metadata: {name: by-hand}
spec: {cron: "30 3 1 1 *", timeZone: Asia/Kolkata, duration: 90m, manualOnly: true}
"#;

/// Nothing listens at port 1.
const UNREACHABLE: &str = r#"apiVersion: remint.dev/v1alpha1
kind: System
metadata: {name: issuer}
spec: {fake: {role: issuer, endpoints: ["http://127.0.0.1:1"]}}
---
apiVersion: remint.dev/v1alpha1
kind: System
metadata: {name: shelf}
spec: {fake: {role: store, endpoints: ["http://127.0.0.1:1"]}}
---
apiVersion: remint.dev/v1alpha1
kind: System
metadata: {name: floor}
spec: {fake: {role: workloads, endpoints: ["http://127.0.0.1:1"]}}
---
apiVersion: remint.dev/v1alpha1
kind: Identity
metadata: {name: app}
spec: {class: workload, owners: {business: b, policy: p, execution: e}}
---
apiVersion: remint.dev/v1alpha1
kind: Credential
metadata: {name: key}
spec:
  type: api-key
  identity: app
  issuedBy: {system: issuer, target: key}
  deliveredTo: [{at: "shelf:apps/key#secret"}]
  consumedBy: [web, api]
---
apiVersion: remint.dev/v1alpha1
kind: Workload
metadata: {name: web}
spec: {runsOn: {system: floor, ref: web}, reload: http, confirm: {how: self-reported}}
---
apiVersion: remint.dev/v1alpha1
kind: Workload
metadata: {name: api}
spec: {runsOn: {system: floor, ref: api}, reload: http, confirm: {how: self-reported}}
"#;
