//! Values that lie wrapped: fetched once, by whoever is first, and noticed by whoever is second.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use remint_conformance::gate::Gate;
use remint_conformance::{Crash, Cut, Harness, StoreCase, assert_passes, run};
use remint_contract::{Call, Connector, Material, SecretValue, WriteRequest};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::bao::{Bao, Proxy, nowhere, open};

struct Wrapped {
    bao: Bao,
    proxy: Proxy,
    settings: Value,
    connector: Arc<dyn Connector>,
    nobody: Arc<Material>,
    /// What was fetched, by the token that gave it.
    fetched: Mutex<HashMap<String, Value>>,
}

impl Wrapped {
    async fn new() -> Self {
        let bao = Bao::find();
        let mount = bao.mount("sys/mounts", "kv", json!({"version": "2"})).await;
        let proxy = Proxy::to(&bao.address).await;
        let settings = json!({"engine": "kv2", "mount": mount, "wrap": "10m"});
        let connector = open(&proxy.address, &settings);
        let nobody = bao.token(&["default"]).await;
        Self { bao, proxy, settings, connector, nobody, fetched: Mutex::default() }
    }

    /// What lies at a path, as its reader finds it.
    async fn lies(&self, path: &str) -> Option<Value> {
        let place = format!("{}/data/{path}", self.settings["mount"].as_str().unwrap());
        let root = self.bao.root.secret.expose_str().unwrap();
        let (status, answer) = self.bao.try_as(root, "GET", &place, Value::Null).await;
        (status == 200).then(|| answer["data"]["data"].clone())
    }

    /// What a token gives: the token is all that it takes.
    async fn unwrap(&self, token: &str) -> (u16, Value) {
        let (status, answer) = self.bao.try_as(token, "POST", "sys/wrapping/unwrap", json!({})).await;
        (status, answer["data"].clone())
    }
}

#[async_trait]
impl Harness for Wrapped {
    fn connector(&self) -> Arc<dyn Connector> {
        Arc::clone(&self.connector)
    }

    async fn call(&self) -> Call {
        self.bao.call()
    }

    async fn store_case(&self) -> Option<StoreCase> {
        let path = format!("team/{}", self.bao.name());
        let missing = format!("nowhere/{}", self.bao.name());
        Some(StoreCase { path, field: "password".to_owned(), kept: None, missing })
    }

    async fn stored(&self, path: &str, field: &str) -> Option<SecretValue> {
        let token = self.lies(path).await?["wrapping_token"].as_str()?.to_owned();
        let mut fetched = self.fetched.lock().await;
        if !fetched.contains_key(&token) {
            let (_, value) = self.unwrap(&token).await;
            fetched.insert(token.clone(), value);
        }
        fetched[&token][field].as_str().map(SecretValue::from)
    }

    async fn wrong_actor(&self) -> Option<Call> {
        Some(self.bao.acting(&self.nobody))
    }

    async fn unreachable(&self) -> Option<Arc<dyn Connector>> {
        Some(open(&nowhere(), &self.settings))
    }

    async fn requests(&self) -> Option<u64> {
        Some(self.proxy.requests())
    }

    fn gate(&self) -> Option<&Gate> {
        Some(&self.proxy.gate)
    }
}

#[tokio::test]
async fn what_lies_wrapped_behaves_as_the_contract_says() {
    let report = run(&Wrapped::new().await).await;
    assert_passes(&report);
    let not_shown: Vec<_> = report.not_shown.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        not_shown,
        [
            "store: readers see a staged value only after promote, which may be repeated",
            "store: a write that expects another version is a Conflict",
            "store: a late promote of an older version leaves the newer value alone"
        ],
        "{report}"
    );
}

#[tokio::test]
async fn a_wrapped_value_is_fetched_once_and_what_nobody_fetched_ends_with_the_next() {
    let wrapped = Wrapped::new().await;
    let write = async |value: &str| {
        let fields = [("secret_id".to_owned(), SecretValue::from(value))].into();
        let request = WriteRequest { path: "team/app".to_owned(), fields, expect: None };
        wrapped.connector.write(&wrapped.bao.call(), &request).await.unwrap();
        let lies = wrapped.lies("team/app").await.unwrap();
        assert!(!lies.to_string().contains("marker"), "{lies}");
        lies["wrapping_token"].as_str().unwrap().to_owned()
    };
    let first = write("first-marker").await;
    assert_eq!(wrapped.unwrap(&first).await, (200, json!({"secret_id": "first-marker"})));
    // Whoever comes second is told.
    assert_ne!(wrapped.unwrap(&first).await.0, 200);
    let second = write("second-marker").await;
    let third = write("third-marker").await;
    assert_ne!(wrapped.unwrap(&second).await.0, 200);
    assert_eq!(wrapped.unwrap(&third).await, (200, json!({"secret_id": "third-marker"})));
}

/// Else what lay there before could be fetched until its time is over.
#[tokio::test]
async fn what_a_crash_left_of_the_value_before_ends_when_the_write_is_made_again() {
    let wrapped = Wrapped::new().await;
    let mut crashes = 0;
    for request in 1.. {
        let path = format!("team/{}", wrapped.bao.name());
        let asked = |value: &str| {
            let fields = [("secret_id".to_owned(), SecretValue::from(value))].into();
            WriteRequest { path: path.clone(), fields, expect: None }
        };
        wrapped.connector.write(&wrapped.bao.call(), &asked("first-marker")).await.unwrap();
        let first = wrapped.lies(&path).await.unwrap()["wrapping_token"].as_str().unwrap().to_owned();
        let call = wrapped.bao.call();
        wrapped.proxy.gate.arm(Crash { request, how: Cut::Unread }).await;
        let result = wrapped.connector.write(&call, &asked("second-marker")).await;
        if !wrapped.proxy.gate.reopen().await {
            break;
        }
        crashes += 1;
        assert!(result.is_err());
        wrapped.connector.write(&call, &asked("second-marker")).await.unwrap();
        assert_ne!(wrapped.unwrap(&first).await.0, 200, "at request {request} it is left behind");
        let second = wrapped.lies(&path).await.unwrap()["wrapping_token"].as_str().unwrap().to_owned();
        assert_eq!(wrapped.unwrap(&second).await, (200, json!({"secret_id": "second-marker"})));
    }
    assert!(crashes > 3, "{crashes}");
}
