//! A destination that names no field: the value is the whole file.

use std::sync::Arc;

use remint::context::Context;
use remint::engine::host::{Ask, Buckets, Host, HostSettings};
use remint::registry::Registry;
use remint::store::sqlite::SqliteStore;
use remint_contract::{HostRules, Material, OperationId, Ref, Verb, WriteRequest};
use remint_core::estate::{SourceFile, load};

#[tokio::test]
async fn a_plain_file_without_fields_is_written_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "the-old-value").unwrap();
    let documents = format!(
        "apiVersion: remint.dev/v1alpha1
kind: System
metadata: {{name: keep}}
spec: {{file: {{root: \"{}\"}}}}
---
apiVersion: remint.dev/v1alpha1
kind: Identity
metadata: {{name: ci}}
spec: {{class: machine, owners: {{policy: p, execution: e, business: b}}}}
---
apiVersion: remint.dev/v1alpha1
kind: Credential
metadata: {{name: agent}}
spec:
  type: api-key
  identity: ci
  issuedBy: {{system: keep, target: agent}}
  deliveredTo: [{{at: \"keep:token\"}}]
  rotation: {{strategy: manual}}
",
        folder.path().display()
    );
    let kinds = Arc::new(Registry::new());
    let files = [SourceFile { name: "estate.yaml".to_owned(), bytes: documents.into_bytes() }];
    let estate = load(&files, &*kinds).map_err(|problems| panic!("{problems}")).unwrap().estate;
    let place = estate.credentials[&Ref::credential("agent").unwrap()].delivered_to[0].clone();
    let settings = HostSettings::default();
    let store = Arc::new(SqliteStore::open(&folder.path().join("state")).unwrap());
    let (progress, _) = tokio::sync::broadcast::channel(16);
    let buckets = Buckets::new(store, Context::system(), "test".to_owned(), settings, progress);
    let host = Host::new(Arc::new(estate), kinds, HostRules::default(), Context::system(), settings, Arc::new(buckets));

    assert_eq!(host.read(&place).await.unwrap(), Material::of("the-old-value".into()));

    let new = Material::of("the-new-value".into());
    let fields = place.fields.iter().map(|(field, template)| (field.clone(), template.render(&new).unwrap())).collect();
    let request = WriteRequest { path: place.at.path.clone(), fields, expect: None };
    let operation = OperationId("write".into());
    let write = Ask { system: &place.at.system, verb: Verb::Write, operation: &operation, actor: None };
    let written = host.call(write, |connector, call| {
        let request = request.clone();
        async move { connector.write(&call, &request).await }
    });
    let version = written.await.unwrap().version;
    let promote = Ask { system: &place.at.system, verb: Verb::Promote, operation: &operation, actor: None };
    let promoted = host.call(promote, |connector, call| {
        let (path, version) = (place.at.path.clone(), version.clone());
        async move { connector.promote(&call, &path, &version).await }
    });
    promoted.await.unwrap();
    assert_eq!(host.read(&place).await.unwrap(), new);
    assert_eq!(std::fs::read(folder.path().join("token")).unwrap(), b"the-new-value");
}
