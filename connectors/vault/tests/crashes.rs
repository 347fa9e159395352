//! A crash at each request of what the suite cannot call as it is: a login is delivered to the engine that uses it, and
//! ciphertexts are moved before their version is stopped.

use std::collections::BTreeMap;

use remint_conformance::{Crash, Harness as _, at_each_request};
use remint_contract::{ErrorKind, SecretValue, Target, VersionId, WriteRequest};
use serde_json::{Value, json};

use crate::bao::Bao;
use crate::engines::{Keys, Logins, in_place, rotated};

/// Two logins of the database, in turns; the first is the one that the server has.
struct Turns {
    logins: Logins,
    roles: [String; 2],
    turn: usize,
}

impl Turns {
    async fn new() -> Self {
        let logins = Logins::on(Bao::find()).await;
        let roles = ["root", "turn"].map(|turn| format!("{}_{turn}", logins.bao.prefix));
        logins.sql(format!("CREATE ROLE {} SUPERUSER", roles[1])).await;
        Self { logins, roles, turn: 0 }
    }

    /// The settings of the connection; its password is never shown.
    async fn settings(&self) -> Value {
        self.logins.bao.ask("GET", &format!("{}/config/pg", self.logins.mount), Value::Null).await["data"].take()
    }

    /// The server logs in anew with what it keeps, and gives a login out.
    async fn works(&self) {
        let logins = &self.logins;
        logins.bao.post(&format!("{}/reset/pg", logins.mount), json!({})).await;
        let target = logins.static_role().await;
        let made = logins.connector.mint(&logins.bao.call(), &in_place(&target, None)).await.unwrap();
        logins.connector.verify(&logins.bao.call(), &target, &made.material).await.unwrap();
    }

    /// True when the crash was.
    async fn delivered(&mut self, crash: Crash) -> bool {
        self.turn += 1;
        let [old, new] = [&self.roles[(self.turn + 1) % 2], &self.roles[self.turn % 2]];
        let (logins, before) = (&self.logins, self.settings().await);
        let password = format!("turns-marker-{}", self.turn);
        logins.sql(format!("ALTER ROLE {new} LOGIN PASSWORD '{password}'")).await;
        let fields = [("username", new.as_str()), ("password", &password)];
        let fields = fields.map(|(name, value)| (name.to_owned(), SecretValue::from(value)));
        let request = WriteRequest { path: "config/pg".to_owned(), fields: fields.into(), expect: None };
        let (call, gate) = (logins.bao.call(), logins.gate().unwrap());
        gate.arm(crash).await;
        let result = logins.connector.write(&call, &request).await;
        let crashed = gate.reopen().await;
        let said = format!("{result:?}");
        assert!(!said.contains("marker"), "{crash}: {said}");
        // The one login or the other, whole: it gets in with that one alone.
        let kept = self.settings().await["connection_details"]["username"].as_str().unwrap().to_owned();
        if kept == *new {
            assert!(result.as_ref().err().is_none_or(|error| error.kind == ErrorKind::Unclear), "{crash}: {said}");
        } else {
            assert!(kept == *old && result.is_err(), "{crash}: {said}");
        }
        let other = if kept == *new { old } else { new };
        logins.sql(format!("ALTER ROLE {other} NOLOGIN")).await;
        self.works().await;
        logins.sql(format!("ALTER ROLE {other} LOGIN")).await;
        // The same operation again, as the host does it; then the old login is ended.
        logins.connector.write(&call, &request).await.unwrap();
        logins.sql(format!("ALTER ROLE {old} NOLOGIN PASSWORD NULL")).await;
        self.works().await;
        let mut expected = before;
        expected["connection_details"]["username"] = json!(new);
        assert_eq!(self.settings().await, expected, "{crash}");
        crashed
    }
}

#[tokio::test]
async fn after_a_crash_at_each_request_the_server_has_its_new_login_and_gets_in() {
    let mut turns = Turns::new().await;
    at_each_request(async |crash| turns.delivered(crash).await).await;
}

/// A key, and two places with two ciphertexts each; what each field holds, in base64.
struct Shelf {
    keys: Keys,
    mount: String,
    target: Target,
    plain: BTreeMap<(String, &'static str), String>,
}

impl Shelf {
    async fn new() -> Self {
        let keys = Keys::new().await;
        let mount = keys.bao.mount("sys/mounts", "kv", json!({"version": "2"})).await;
        let name = keys.bao.name();
        keys.bao.post(&format!("{}/keys/{name}", keys.mount), json!({})).await;
        let paths = [keys.bao.name(), keys.bao.name()];
        let mut plain = BTreeMap::new();
        for (path, values) in paths.iter().zip([["b25l", "dHdv"], ["dGhyZWU=", "Zm91cg=="]]) {
            let mut fields = json!({"plain": "as it is", "count": 3});
            for (field, value) in ["card", "pin"].into_iter().zip(values) {
                let asked = json!({"plaintext": value, "key_version": 1});
                let made = keys.bao.post(&format!("{}/encrypt/{name}", keys.mount), asked).await;
                fields[field] = made["data"]["ciphertext"].clone();
                plain.insert((path.clone(), field), value.to_owned());
            }
            keys.bao.post(&format!("{mount}/data/{path}"), json!({"data": fields})).await;
        }
        let settings = json!({"data": {"mount": mount, "paths": paths}});
        Self { keys, target: Target { name, settings }, mount, plain }
    }

    /// Every field decrypts to what it held, and what is no ciphertext is as it was. How many versions of a place there
    /// are, and under which version of the key each field is.
    async fn look(&self, crash: Crash) -> (Vec<u64>, Vec<String>) {
        let (mut versions, mut under) = (Vec::new(), Vec::new());
        for ((path, field), value) in &self.plain {
            let read = self.keys.bao.ask("GET", &format!("{}/data/{path}", self.mount), Value::Null).await;
            let fields = &read["data"]["data"];
            assert_eq!((&fields["plain"], &fields["count"]), (&json!("as it is"), &json!(3)), "{crash}");
            let asked = json!({"ciphertext": fields[field]});
            let opened = self.keys.bao.post(&format!("{}/decrypt/{}", self.keys.mount, self.target.name), asked).await;
            assert_eq!(opened["data"]["plaintext"], value.as_str(), "{crash}: {path} {field}");
            under.push(fields[field].as_str().unwrap().split(':').nth(1).unwrap().to_owned());
            versions.push(read["data"]["metadata"]["version"].as_u64().unwrap());
        }
        (versions, under)
    }
}

/// True when the crash was.
async fn moved(crash: Crash) -> bool {
    let shelf = Shelf::new().await;
    let (keys, target) = (&shelf.keys, &shelf.target);
    let (call, connector) = (keys.bao.call(), &keys.connector);
    let old = VersionId(format!("{}@1", target.name));
    let new = connector.mint(&call, &rotated(target, Some(old.clone()))).await.unwrap();
    connector.promote(&call, &target.name, &new.version.0).await.unwrap();
    let gate = keys.gate().unwrap();
    gate.arm(crash).await;
    let result = connector.end_derived(&call, target, &old).await;
    let crashed = gate.reopen().await;
    shelf.look(crash).await;
    let left = connector.list_derived(&call, target, &old).await.unwrap();
    match &result {
        Ok(_) => assert_eq!(left, [], "{crash}: what was answered is not done"),
        Err(error) => assert!(!left.is_empty() || error.kind == ErrorKind::Unclear, "{crash}: {error}"),
    }
    let ended = connector.end_derived(&call, target, &old).await.unwrap();
    assert!(ended.iter().map(|ended| &ended.derived).eq(&left), "{crash}: {ended:?}");
    assert_eq!(connector.list_derived(&call, target, &old).await.unwrap(), [], "{crash}");
    connector.disable(&call, target, &old).await.unwrap();
    // Each place was written once.
    assert_eq!(shelf.look(crash).await, (vec![2; 4], vec!["v2".to_owned(); 4]), "{crash}");
    crashed
}

#[tokio::test]
async fn after_a_crash_at_each_request_every_ciphertext_is_under_the_new_version_and_decrypts() {
    at_each_request(moved).await;
}
