//! Challenges by DNS: a program sets the records that the server looks at.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use remint_contract::{ConnectorKind as _, ErrorKind, HostRules, Strategy, Target};
use serde_json::{Value, json};

use crate::pebble::{Pebble, key, request};

/// A program that tells the names' servers, in the words of their own door, and writes down what it was asked.
#[expect(clippy::disallowed_methods, reason = "where the test server is comes from the environment")]
fn program(folder: &Path) -> String {
    let door = std::env::var("REMINT_TEST_PEBBLE_NAMES")
        .expect("no names: REMINT_TEST_PEBBLE_NAMES is not set; run `cargo xtask test`");
    let (host, port) = door.rsplit_once(':').unwrap();
    let path = folder.join("txt");
    let text = format!(
        "#!/bin/bash\necho \"$1 $2\" >> '{folder}/asked'\n\
         if [ \"$1\" = present ]; then body='{{\"host\": \"'$2'.\", \"value\": \"'$3'\"}}'; door=set-txt\n\
         else body='{{\"host\": \"'$2'.\"}}'; door=clear-txt; fi\n\
         exec 3<>/dev/tcp/{host}/{port} || exit 1\n\
         printf 'POST /%s HTTP/1.0\\r\\nContent-Length: %s\\r\\n\\r\\n%s' \"$door\" \"${{#body}}\" \"$body\" >&3\n\
         read -r line <&3\ncase \"$line\" in *' 200 '*) exit 0;; *) exit 1;; esac\n",
        folder = folder.display()
    );
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

fn by_dns(pebble: &Pebble) -> Value {
    let mut settings = pebble.settings(&pebble.directory, &pebble.roots, true);
    settings["challenge"] = json!({"dns": {"command": "txt"}});
    settings
}

#[tokio::test]
async fn a_wildcard_is_issued_by_records_that_are_there_only_as_long_as_they_are_looked_at() {
    let pebble = Pebble::find().await;
    let folder = tempfile::tempdir().unwrap();
    let commands = BTreeMap::from([("txt".to_owned(), vec![program(folder.path())])]);
    let rules = HostRules { commands, ..HostRules::default() };
    let settings = by_dns(&pebble);
    let connector = remint_acme::kind().open(&settings, &rules).unwrap();
    let name = pebble.target().settings["names"][0].as_str().unwrap().to_owned();
    let target = Target { name: "wild".to_owned(), settings: json!({"names": [format!("*.{name}"), name]}) };
    assert_eq!(remint_acme::kind().check_target(&settings, &target, Strategy::Reissue), []);
    let call = pebble.acting(&std::sync::Arc::new(key()));
    let made = connector.mint(&call, &request(&target, Strategy::Reissue)).await.unwrap();
    let verified = connector.verify(&call, &target, &made.material).await.unwrap();
    assert!(verified.principal.contains(&format!("*.{name}")), "{}", verified.principal);
    let asked = std::fs::read_to_string(folder.path().join("asked")).unwrap();
    let count = |act: &str| asked.lines().filter(|line| *line == format!("{act} _acme-challenge.{name}")).count();
    assert_eq!((count("present"), count("remove")), (2, 2), "{asked}");
    connector.revoke(&call, &target, &made.version).await.unwrap();
    assert_eq!(pebble.status(&made.version.0).await["Status"], "Revoked");
}

#[tokio::test]
async fn a_command_that_is_not_allowed_or_fails_is_named_and_nothing_is_issued() {
    let pebble = Pebble::find().await;
    let target = pebble.target();
    for commands in [BTreeMap::new(), BTreeMap::from([("txt".to_owned(), vec!["/bin/false".to_owned()])])] {
        let rules = HostRules { commands, ..HostRules::default() };
        let connector = remint_acme::kind().open(&by_dns(&pebble), &rules).unwrap();
        let call = pebble.acting(&std::sync::Arc::new(key()));
        let failure = connector.mint(&call, &request(&target, Strategy::Reissue)).await.unwrap_err();
        assert_eq!(failure.kind, ErrorKind::Invalid, "{failure}");
        assert!(failure.to_string().contains("command"), "{failure}");
    }
}
