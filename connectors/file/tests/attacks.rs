//! What others on the machine may do to the folder, and what must hold all the same.
#![expect(clippy::unwrap_used, reason = "what cannot be set up ends the test")]

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use remint_contract::{
    Call, Connector, ConnectorKind as _, Error, ErrorKind, Expected, HostRules, OperationId, SecretValue, Seen,
    Workload, WriteRequest, Written,
};

fn open(root: &Path) -> Arc<dyn Connector> {
    let commands = BTreeMap::from([
        ("good".to_owned(), vec!["true".to_owned()]),
        ("bad".to_owned(), vec!["false".to_owned()]),
        ("absent".to_owned(), vec!["/no/such/program".to_owned()]),
    ]);
    let rules = HostRules { commands, ..HostRules::default() };
    remint_file::kind().open(&serde_json::json!({ "root": root }), &rules).unwrap()
}

fn call(operation: &str) -> Call {
    Call { operation: OperationId(operation.to_owned()), deadline: jiff::Timestamp::UNIX_EPOCH, actor: None }
}

async fn write(
    folder: &dyn Connector,
    operation: &str,
    path: &str,
    field: &str,
    value: &str,
) -> Result<Written, Error> {
    let fields = BTreeMap::from([(field.to_owned(), SecretValue::from(value))]);
    folder.write(&call(operation), &WriteRequest { path: path.to_owned(), fields, expect: None }).await
}

async fn put(folder: &dyn Connector, operation: &str, path: &str, field: &str, value: &str) {
    let written = write(folder, operation, path, field, value).await.unwrap();
    folder.promote(&call(operation), path, &written.version).await.unwrap();
}

#[tokio::test]
async fn no_path_leads_out_of_the_root() {
    let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(outside.path().join("secret"), "theirs").unwrap();
    symlink(outside.path(), root.path().join("linked")).unwrap();
    symlink(outside.path().join("secret"), root.path().join("file")).unwrap();
    symlink("/etc", root.path().join("etc")).unwrap();
    let folder = open(root.path());
    for path in
        ["../secret", "a/../../secret", "/etc/passwd", "linked/secret", "file", "etc/passwd", "", ".", "a//b", "./a"]
    {
        for kind in [
            folder.read(&call("r"), path).await.unwrap_err().kind,
            write(folder.as_ref(), "w", path, "value", "ours").await.unwrap_err().kind,
            folder.check(&call("c"), Some(path)).await.unwrap_err().kind,
            folder.versions(&call("v"), path).await.unwrap_err().kind,
        ] {
            assert!(matches!(kind, ErrorKind::Invalid | ErrorKind::Missing), "{path}: {kind:?}");
        }
    }
    assert_eq!(std::fs::read_to_string(outside.path().join("secret")).unwrap(), "theirs");
}

#[tokio::test]
async fn a_link_put_there_between_stage_and_promote_is_not_followed() {
    let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::create_dir(root.path().join("sub")).unwrap();
    let folder = open(root.path());
    let staged = write(folder.as_ref(), "1", "sub/token", "value", "new").await.unwrap();
    std::fs::rename(root.path().join("sub"), root.path().join("moved")).unwrap();
    symlink(outside.path(), root.path().join("sub")).unwrap();
    assert_eq!(folder.promote(&call("1"), "sub/token", &staged.version).await.unwrap_err().kind, ErrorKind::Invalid);
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn pipes_and_folders_in_a_files_place_are_refused_without_waiting() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("folder")).unwrap();
    assert!(Command::new("mkfifo").arg(root.path().join("pipe")).status().unwrap().success());
    let folder = open(root.path());
    for path in ["folder", "pipe"] {
        assert_eq!(folder.read(&call("r"), path).await.unwrap_err().kind, ErrorKind::Invalid, "{path}");
        assert_eq!(
            write(folder.as_ref(), "w", path, "value", "x").await.unwrap_err().kind,
            ErrorKind::Invalid,
            "{path}"
        );
    }
}

#[tokio::test]
async fn permissions_of_a_replaced_file_stay_and_new_files_are_private() {
    let root = tempfile::tempdir().unwrap();
    let old = root.path().join("old.env");
    std::fs::write(&old, "# read-only\nA=1\n").unwrap();
    std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o440)).unwrap();
    let folder = open(root.path());
    put(folder.as_ref(), "1", "old.env", "A", "2").await;
    put(folder.as_ref(), "2", "new.env", "A", "2").await;
    let mode = |name: &str| std::fs::metadata(root.path().join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("old.env"), mode("new.env")), (0o440, 0o600));
    assert_eq!(std::fs::read_to_string(old).unwrap(), "# read-only\nA=2\n");
    write(folder.as_ref(), "3", "new.env", "A", "3").await.unwrap();
    for entry in std::fs::read_dir(root.path()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.starts_with('.') || mode(&name) == 0o600, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_lose_nothing_and_a_reader_sees_only_whole_files() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("both.env");
    std::fs::write(&file, format!("A={0}\nB={0}\n", "0".repeat(4000))).unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let reader = std::thread::spawn({
        let (file, done) = (file.clone(), Arc::clone(&done));
        move || {
            let mut reads = 0;
            while !done.load(Ordering::Relaxed) || reads == 0 {
                let text = std::fs::read_to_string(&file).unwrap();
                assert_eq!(text.lines().count(), 2);
                for line in text.lines() {
                    let value = &line[2..];
                    assert!(value.len() == 4000 && value.bytes().all(|byte| byte == value.as_bytes()[0]), "torn");
                }
                reads += 1;
            }
        }
    });
    let writer = |field: &'static str| {
        let folder = open(root.path());
        tokio::spawn(async move {
            for round in 1..20 {
                let value = char::from(b'a' + round).to_string().repeat(4000);
                put(folder.as_ref(), &format!("{field}-{round}"), "both.env", field, &value).await;
            }
        })
    };
    let (first, second) = (writer("A"), writer("B"));
    first.await.unwrap();
    second.await.unwrap();
    done.store(true, Ordering::Relaxed);
    reader.join().unwrap();
    let last = "t".repeat(4000);
    assert_eq!(std::fs::read_to_string(file).unwrap(), format!("A={last}\nB={last}\n"));
}

#[tokio::test]
async fn what_a_crash_left_is_listed_promoted_by_the_next_or_destroyed() {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("x.env"), "A=old\n").unwrap();
    std::fs::write(root.path().join(".x.env.remint-new"), "A=half").unwrap();
    let staged = write(open(root.path()).as_ref(), "1", "x.env", "A", "new").await.unwrap();
    // Another process comes after the crash.
    let folder = open(root.path());
    let versions = folder.versions(&call("v"), "x.env").await.unwrap();
    assert!(versions.contains(&staged.version), "{versions:?}");
    assert_eq!(std::fs::read_to_string(root.path().join("x.env")).unwrap(), "A=old\n");
    folder.promote(&call("1"), "x.env", &staged.version).await.unwrap();
    assert_eq!(std::fs::read_to_string(root.path().join("x.env")).unwrap(), "A=new\n");
    assert_eq!(folder.versions(&call("v"), "x.env").await.unwrap(), [staged.version.as_str()]);
    std::fs::write(root.path().join(".x.env.remint-new"), "A=half").unwrap();
    assert_eq!(folder.versions(&call("v"), "x.env").await.unwrap()[1], "unfinished");
    folder.destroy_version(&call("d"), "x.env", "unfinished").await.unwrap();
    assert_eq!(folder.versions(&call("v"), "x.env").await.unwrap().len(), 1);
    let own = folder.destroy_version(&call("d"), "x.env", &staged.version).await.unwrap_err();
    assert_eq!(own.kind, ErrorKind::Conflict);
}

#[tokio::test]
async fn a_file_that_somebody_edits_meanwhile_keeps_the_edit() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("x.env");
    std::fs::write(&file, "A=old\nB=1\n").unwrap();
    let folder = open(root.path());
    let staged = write(folder.as_ref(), "1", "x.env", "A", "new").await.unwrap();
    std::fs::write(&file, "A=old\nB=2 # by hand\n").unwrap();
    folder.promote(&call("1"), "x.env", &staged.version).await.unwrap();
    assert_eq!(std::fs::read_to_string(file).unwrap(), "A=new\nB=2 # by hand\n");
}

fn workload(reload: &serde_json::Value, confirm: &serde_json::Value) -> Workload {
    let settings = serde_json::json!({"reload": reload, "confirm": confirm});
    Workload { name: "app".to_owned(), reference: "app".to_owned(), settings }
}

fn by_signal(pid_file: &str, signal: &str) -> Workload {
    let settings = serde_json::json!({"pidFile": pid_file, "signal": signal});
    workload(&serde_json::json!({"how": "signal", "settings": settings}), &serde_json::Value::Null)
}

#[tokio::test]
async fn a_signal_reaches_the_process_of_the_file_and_no_other() {
    use std::io::BufRead as _;
    let root = tempfile::tempdir().unwrap();
    let folder = open(root.path());
    let script = "trap 'kill $!; exit 7' HUP; sleep 60 & echo $$ > \"$1\"; echo ready; wait";
    let mut process = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(root.path().join("app.pid"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    folder.reload(&call("r"), &by_signal("app.pid", "HUP")).await.unwrap();
    assert_eq!(process.wait().unwrap().code(), Some(7));
    let gone = folder.reload(&call("r"), &by_signal("app.pid", "HUP")).await.unwrap_err();
    assert_eq!(gone.kind, ErrorKind::Missing);
    let own = std::process::id().to_string();
    for bad in ["1", "0", "-1", "", "x", own.as_str()] {
        std::fs::write(root.path().join("bad.pid"), bad).unwrap();
        let refused = folder.reload(&call("r"), &by_signal("bad.pid", "HUP")).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Invalid, "{bad}");
    }
    for (pid_file, signal) in [("../app.pid", "HUP"), ("app.pid", "KILL")] {
        let refused = folder.reload(&call("r"), &by_signal(pid_file, signal)).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Invalid, "{pid_file} {signal}");
    }
}

#[tokio::test]
async fn only_commands_of_the_configuration_run() {
    let folder = open(tempfile::tempdir().unwrap().path());
    let reload = |name: &str| {
        let command = serde_json::json!({"how": "command", "settings": {"name": name}});
        workload(&command, &serde_json::Value::Null)
    };
    folder.reload(&call("r"), &reload("good")).await.unwrap();
    for (name, kind) in [("bad", ErrorKind::Unclear), ("absent", ErrorKind::Invalid), ("rm -rf /", ErrorKind::Invalid)]
    {
        assert_eq!(folder.reload(&call("r"), &reload(name)).await.unwrap_err().kind, kind, "{name}");
    }
    let far = serde_json::json!({"how": "http", "settings": {"url": "http://10.0.0.1/reload"}});
    let refused = folder.reload(&call("r"), &workload(&far, &serde_json::Value::Null)).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Invalid);
}

#[tokio::test]
async fn a_workload_that_says_nothing_is_neither_reloaded_nor_seen() {
    let folder = open(tempfile::tempdir().unwrap().path());
    let silent = Workload { name: "app".to_owned(), reference: String::new(), settings: serde_json::Value::Null };
    folder.reload(&call("r"), &silent).await.unwrap();
    let expected = Expected { new: "sha256:1".to_owned(), old: None, path: None };
    let error = folder.observe(&call("o"), &silent, &expected).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsupported);
}

#[tokio::test]
async fn a_status_file_tells_which_value_is_in_use() {
    let root = tempfile::tempdir().unwrap();
    let folder = open(root.path());
    let confirm = serde_json::json!({"how": "self-reported", "settings": {"file": "status.json"}});
    let workload = workload(&serde_json::Value::Null, &confirm);
    let expected = Expected { new: "sha256:1".to_owned(), old: Some("sha256:2".to_owned()), path: None };
    let table = [
        ("{\"fingerprint\": \"sha256:1\"}", Seen::New),
        ("{\"fingerprint\": \"sha256:2\"}", Seen::Old),
        ("{\"fingerprint\": \"sha256:3\"}", Seen::Other),
        ("{}", Seen::Nothing),
        ("half", Seen::Nothing),
    ];
    assert_eq!(folder.observe(&call("o"), &workload, &expected).await.unwrap().seen, Seen::Nothing);
    for (status, seen) in table {
        std::fs::write(root.path().join("status.json"), status).unwrap();
        assert_eq!(folder.observe(&call("o"), &workload, &expected).await.unwrap().seen, seen, "{status}");
    }
}

#[test]
fn the_example_of_the_readme_is_what_the_connector_reads() {
    let readme = include_str!("../README.md");
    let example = readme.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let document: serde_json::Value = serde_yaml::from_str(example.split("---\n").next().unwrap()).unwrap();
    remint_file::kind().describe(&document["spec"]["file"]).unwrap();
}
