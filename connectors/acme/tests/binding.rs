//! A Pebble of its own that makes no account without one elsewhere.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use remint_contract::{ErrorKind, Material, Strategy, Target};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::pebble::{Pebble, key, open, request};

/// As an authority gives it: 32 bytes, base64url.
const MAC_KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

struct Strict {
    child: Child,
    directory: String,
    folder: tempfile::TempDir,
    pebble: Pebble,
}

impl Drop for Strict {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Strict {
    async fn start() -> Self {
        let pebble = Pebble::find().await;
        // A port that is free now may be somebody else's a moment later.
        for _ in 0..5 {
            let folder = tempfile::tempdir().unwrap();
            let [listens, manages] =
                [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap());
            let settings = json!({"pebble": {
                "listenAddress": listens, "managementListenAddress": manages, "httpPort": 1, "tlsPort": 1,
                "certificate": pebble.roots, "privateKey": pebble.roots.with_file_name("server.key"),
                "ocspResponderURL": "", "externalAccountBindingRequired": true,
                "externalAccountMACKeys": {"kid-1": MAC_KEY}, "certificateValidityPeriod": 3600,
            }});
            std::fs::write(folder.path().join("pebble.json"), settings.to_string()).unwrap();
            let mut command = Command::new("pebble");
            command.args(["-config", "pebble.json", "-strict"]).current_dir(folder.path());
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let mut child =
                command.spawn().expect("`pebble` does not run; `cargo xtask servers up pebble` installs it");
            while child.try_wait().unwrap().is_none() {
                if TcpStream::connect(listens).await.is_ok() && TcpStream::connect(manages).await.is_ok() {
                    let directory = format!("https://localhost:{}/dir", SocketAddr::port(&listens));
                    return Self { child, directory, folder, pebble };
                }
                tokio::task::yield_now().await;
            }
        }
        panic!("a Pebble of its own did not come up");
    }

    fn settings(&self, key_id: &str, mac: &str, mode: u32) -> Value {
        let file = self.folder.path().join(format!("{key_id}-{mode:o}"));
        std::fs::write(&file, format!("{mac}\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let mut settings = self.pebble.settings(&self.directory, &self.pebble.roots, true);
        settings["externalAccount"] = json!({"keyId": key_id, "keyFile": file});
        settings
    }

    async fn checks(&self, settings: &Value, key: &Arc<Material>) -> Result<(), ErrorKind> {
        let checked = open(settings).check(&self.pebble.acting(key), None).await;
        checked.map_err(|failure| {
            assert!(!failure.to_string().contains(MAC_KEY) && !format!("{failure:?}").contains(MAC_KEY));
            failure.kind
        })
    }
}

#[tokio::test]
async fn an_account_is_bound_to_one_elsewhere_where_the_authority_makes_none_without() {
    let strict = Strict::start().await;
    let key = Arc::new(key());
    let plain = strict.pebble.settings(&strict.directory, &strict.pebble.roots, true);
    assert_eq!(strict.checks(&plain, &key).await, Err(ErrorKind::Denied), "it makes one without");
    let other = MAC_KEY.replace('z', "y");
    assert!(strict.checks(&strict.settings("kid-1", &other, 0o600), &key).await.is_err(), "another key is as good");
    assert!(strict.checks(&strict.settings("kid-2", MAC_KEY, 0o600), &key).await.is_err(), "nobody gave out this one");
    let read = strict.settings("kid-1", MAC_KEY, 0o644);
    assert_eq!(strict.checks(&read, &key).await, Err(ErrorKind::Invalid), "others may read it");

    let bound = strict.settings("kid-1", MAC_KEY, 0o600);
    assert_eq!(strict.checks(&bound, &key).await, Ok(()));
    // The account is there: from here on nothing is shown for it, and its key can be replaced.
    assert_eq!(strict.checks(&plain, &key).await, Ok(()));
    let own = Target { name: "account".to_owned(), settings: Value::Null };
    let connector = open(&bound);
    let new = connector.mint(&strict.pebble.acting(&key), &request(&own, Strategy::InPlace)).await.unwrap();
    connector.verify(&strict.pebble.acting(&key), &own, &new.material).await.unwrap();
    let failure = connector.verify(&strict.pebble.acting(&key), &own, &key).await.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::Denied);
}
