//! The schemas know the keys and the words that the reader of documents knows: it is asked, map by map.

use std::collections::BTreeSet;

use remint_cluster::{RESOURCES, Resource, document};
use remint_contract::{ConnectorKind, Kinds};
use remint_core::estate::admit;
use remint_fake::FakeKind;
use serde_json::{Value, json};

/// A build with one connector.
pub(crate) struct Fake;

impl Kinds for Fake {
    fn kind(&self, name: &str) -> Option<&dyn ConnectorKind> {
        (name == "fake").then_some(&FakeKind)
    }

    fn names(&self) -> Vec<&'static str> {
        vec!["fake"]
    }
}

/// A word that nothing knows, and is near to nothing.
const STRANGE: &str = "zzqqxxyy";

/// A spec of each kind in which every map and list of it stands.
fn sample(kind: &str) -> Value {
    match kind {
        "System" => {
            json!({"fake": {"role": "store"}, "auth": {"credential": "c"}, "budget": {"concurrency": 1, "perSecond": 1, "restarts": 1}, "propagation": "1s", "zone": "z"})
        }
        "Identity" => {
            json!({"class": "workload", "tier": "standard", "environment": "e", "owners": {"policy": "p", "execution": "e", "business": "b"}})
        }
        "Credential" => json!({
            "class": "authenticator", "type": "t", "identity": "i", "issuedBy": {"system": "s", "target": "t", "by": "c", "diesWithIssuer": false},
            "deliveredTo": [{"at": "s:p", "fields": {"A": "{secret}"}, "source": true}], "consumedBy": ["w"],
            "trustedBy": ["s:q#f"], "verifiedBy": ["w"], "unlocks": [{"what": "s:r", "verb": "read"}], "begets": {"sessions": "1h"},
            "generate": {"length": 32, "alphabet": "abcdefghijklmnop"},
            "rotation": {"strategy": "manual", "overlap": "1m", "quiet": "1m", "maxAge": "9d", "earlyStart": "1d", "group": "g", "pair": "p", "offset": "1m", "outage": "1s", "instructions": "x", "due": "1d"},
        }),
        "Workload" => {
            json!({"runsOn": {"system": "s", "ref": "r"}, "reload": "signal", "confirm": {"how": "attested", "within": "1m", "source": "s"}, "reads": ["s:p*"]})
        }
        "RotationWindow" => {
            json!({"cron": "0 2 * * 0", "timeZone": "UTC", "duration": "1h", "select": {"tier": "standard"}, "blackout": ["2026-12-24"], "jitter": "1m", "missed": "skip", "manualOnly": false})
        }
        "Grant" => json!({"from": "a", "to": ["System/s"]}),
        _ => json!({
            "select": {"classes": ["workload"], "tiers": ["standard"], "environments": ["e"]},
            "require": {"approvals": 1, "roles": ["r"], "separate": [], "stepUp": "1m", "expires": "1h", "coolDown": "1m", "canary": 1, "leastConfirm": "served", "leastProof": "refused"},
        }),
    }
}

fn said(resource: Resource, spec: &Value) -> Vec<[String; 2]> {
    let object =
        json!({"apiVersion": "remint.dev/v1alpha1", "kind": resource.kind, "metadata": {"name": "n"}, "spec": spec});
    let admitted = admit(&document::document(&object), &[], &Fake);
    admitted.refused.into_iter().map(|problem| [problem.message, problem.hint]).collect()
}

fn words(hint: &str, before: &str) -> BTreeSet<String> {
    hint.strip_prefix(before).unwrap_or_default().split(", ").map(str::to_owned).collect()
}

/// Looks at one place of the schema and what the reader says there; `at` leads to it in the sample.
fn compare(resource: Resource, schema: &Value, at: &str, wrong: &mut Vec<String>) {
    let sample = json!({ "spec": sample(resource.kind) });
    let Some(there) = sample.pointer(at) else {
        wrong.push(format!("{}{at} is not in the sample", resource.kind));
        return;
    };
    let with = |value: Value| {
        let mut changed = sample.clone();
        *changed.pointer_mut(at).unwrap() = value;
        said(resource, &changed["spec"])
    };
    let open = schema["x-kubernetes-preserve-unknown-fields"] == true;
    if let Some(properties) = schema["properties"].as_object() {
        let mut planted = there.clone();
        planted[STRANGE] = json!("x");
        let found = with(planted).into_iter().find(|[message, _]| message.contains(STRANGE));
        let known: BTreeSet<String> = properties.keys().filter(|key| *key != "suspend").cloned().collect();
        match found {
            _ if open || resource.kind == "System" && at == "/spec" => {}
            None => wrong.push(format!("{}{at}: the reader takes any key, the schema does not", resource.kind)),
            Some([_, hint]) => {
                let reader = words(&hint, "the keys here are ");
                if reader != known {
                    wrong.push(format!("{}{at}: the reader knows {reader:?}, the schema {known:?}", resource.kind));
                }
            }
        }
        for (key, one) in properties.iter().filter(|(key, _)| *key != "suspend") {
            let connector = resource.kind == "System" && one["x-kubernetes-preserve-unknown-fields"] == true;
            // What is of no type that is known is refused by the reader: it reads the key.
            let mut planted = there.clone();
            planted[key] = json!([[{ "a": [] }]]);
            if !connector && with(planted).is_empty() {
                wrong.push(format!("{}{at}/{key}: the reader does not read it", resource.kind));
            }
            if !connector && (one["type"] == "object" || one["type"] == "array" || one["enum"].is_array()) {
                compare(resource, one, &format!("{at}/{key}"), wrong);
            }
        }
    } else if schema["items"].is_object() && there.get(0).is_some() {
        compare(resource, &schema["items"], &format!("{at}/0"), wrong);
    } else if let Some(known) = schema["enum"].as_array() {
        let known: BTreeSet<String> = known.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let hint = with(json!(STRANGE)).into_iter().find(|[message, _]| message.contains(STRANGE));
        let reader = hint.map(|[_, hint]| words(&hint, "write one of ")).unwrap_or_default();
        if reader != known {
            wrong.push(format!("{}{at}: the reader knows {reader:?}, the schema {known:?}", resource.kind));
        }
    }
}

#[test]
fn the_schemas_have_the_keys_and_words_of_the_reader() {
    let mut wrong = Vec::new();
    for resource in RESOURCES.into_iter().filter(|resource| resource.estate) {
        let plain = said(resource, &sample(resource.kind));
        assert!(plain.iter().all(|[message, _]| !message.contains("no key")), "{}: {plain:?}", resource.kind);
        compare(resource, &resource.spec(), "/spec", &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_object_is_the_document_that_its_author_wrote() {
    let object = json!({
        "apiVersion": "remint.dev/v1alpha1", "kind": "Identity",
        "metadata": {"name": "a", "namespace": "team", "uid": "u", "resourceVersion": "7", "managedFields": [{}], "labels": {"app": "x"}, "annotations": {"a": "b"}},
        "spec": {"class": "workload"}, "status": {"conditions": []},
    });
    let written: Value = serde_json::from_slice(&document::document(&object).bytes).unwrap();
    assert_eq!(
        written,
        json!({
            "apiVersion": "remint.dev/v1alpha1", "kind": "Identity",
            "metadata": {"name": "a", "namespace": "team", "labels": {"app": "x"}}, "spec": {"class": "workload"},
        })
    );
    let system =
        json!({"apiVersion": "remint.dev/v1alpha1", "kind": "System", "metadata": {"name": "s"}, "spec": {"fake": {}}});
    assert_eq!(document::name(&system), "System/s", "what is of the cluster stands in `default`");
    let window =
        json!({"kind": "RotationWindow", "metadata": {"name": "w", "namespace": "team"}, "spec": {"suspend": true}});
    assert!(document::suspended(&window));
    assert!(!String::from_utf8(document::document(&window).bytes).unwrap().contains("suspend"));
}

#[test]
fn what_comes_is_not_blamed_for_what_is_there() {
    let identity = |name: &str, class: &str| {
        document::document(
            &json!({"apiVersion": "remint.dev/v1alpha1", "kind": "Identity", "metadata": {"name": name}, "spec": {"class": class}}),
        )
    };
    let bad = identity("bad", "robot");
    assert!(admit(&identity("good", "workload"), &[bad], &Fake).refused.is_empty());
    let lost = json!({"apiVersion": "remint.dev/v1alpha1", "kind": "System", "metadata": {"name": "s"}, "spec": {"fake": {"role": "store", "endpoints": ["http://127.0.0.1:1"]}, "auth": {"credential": "later"}}});
    let admitted = admit(&document::document(&lost), &[], &Fake);
    assert!(admitted.refused.is_empty(), "{admitted:?}");
    assert_eq!(
        document::sentence(&admitted.missing[0]),
        "Credential/later does not exist (System/s): correct the name, or add the document"
    );
}
