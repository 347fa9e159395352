//! How two estates differ, for a person who has to say yes to it.
//!
//! Changes to what has authority (endpoints, auth, destinations, consumers, unlocks, class, tier, owners, probes) come
//! first and are marked `!`: they are what an attacker who may edit files would touch. Before all of them stand new
//! destinations and endpoints, also those of documents that are new as a whole.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use remint_contract::{Kind, Ref};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::model::{CredentialClass, Estate, Generate, Rotation};

/// What happened to a document or a field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    DocumentAdded,
    DocumentRemoved,
    /// The field's path, and its value before and after as JSON; `None` where it was or is absent.
    Field {
        path: String,
        before: Option<String>,
        after: Option<String>,
    },
}

/// One difference. New destinations and endpoints sort first, then what else has authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    pub document: Ref,
    /// It changes who may do what, or where a value goes.
    pub authority: bool,
    pub change: Change,
}

/// Every difference between two estates.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EstateDiff {
    pub differences: Vec<Difference>,
}

/// First parts of field paths that carry authority. All fields of a Grant do, and of a window, which starts resets.
const AUTHORITY: [&str; 20] = [
    "auth",
    "begets",
    "class",
    "confirm",
    "connector",
    "consumed_by",
    "delivered_to",
    "environment",
    "generate",
    "identity",
    "issued_by",
    "owners",
    "reads",
    "reload",
    "rotation",
    "runs_on",
    "settings",
    "tier",
    "trusted_by",
    "verified_by",
];

/// Where a value goes, and who is talked to.
const LEADS: [&str; 2] = ["delivered_to", "settings"];

impl Estate {
    /// What changes when `next` follows `self`.
    #[must_use]
    pub fn diff(&self, next: &Self) -> EstateDiff {
        let (before, after) = (documents(self), documents(next));
        let mut differences = Vec::new();
        for (name, old) in &before {
            match after.get(name) {
                None => differences.push(whole(name, Change::DocumentRemoved)),
                Some(new) if new != old => fields(name, old, new, &mut differences),
                Some(_) => {}
            }
        }
        for (name, new) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
            differences.push(whole(name, Change::DocumentAdded));
            // Where its values go, and who is talked to, is said also of what is new as a whole.
            for key in LEADS {
                let come = new.get(key).filter(|come| !come.is_null());
                let none = empty_like(come).unwrap_or(&Value::Null);
                come.into_iter().for_each(|come| {
                    fields(
                        name,
                        &serde_json::json!({ key: none }),
                        &serde_json::json!({ key: come }),
                        &mut differences,
                    );
                });
            }
        }
        differences.sort_by(|a, b| (a.rank(), &a.document, &a.change).cmp(&(b.rank(), &b.document, &b.change)));
        EstateDiff { differences }
    }
}

impl Difference {
    /// New destinations and endpoints first, then whatever else has authority.
    fn rank(&self) -> u8 {
        match &self.change {
            Change::Field { path, after: Some(_), .. } if self.leads(path) => 0,
            _ if self.authority => 1,
            _ => 2,
        }
    }

    fn leads(&self, path: &str) -> bool {
        LEADS.contains(&path.split('.').next().unwrap_or_default())
            && matches!(self.document.kind, Kind::Credential | Kind::System)
    }
}

impl EstateDiff {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.differences.is_empty()
    }

    /// The differences that change who may do what, or where a value goes.
    pub fn authority(&self) -> impl Iterator<Item = &Difference> {
        self.differences.iter().filter(|difference| difference.authority)
    }
}

impl fmt::Display for EstateDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("no change");
        }
        for (index, difference) in self.differences.iter().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            let mark = if difference.authority { '!' } else { ' ' };
            write!(f, "{end}{mark} ")?;
            let document = &difference.document;
            match &difference.change {
                Change::DocumentAdded => write!(f, "+ {document}")?,
                Change::DocumentRemoved => write!(f, "- {document}")?,
                Change::Field { path, before: None, after: Some(after) } => write!(f, "+ {document} {path}: {after}")?,
                Change::Field { path, before: Some(before), after: None } => {
                    write!(f, "- {document} {path}: {before}")?;
                }
                Change::Field { path, before, after } => {
                    let show = |value: &Option<String>| value.clone().unwrap_or_default();
                    write!(f, "~ {document} {path}: {} → {}", show(before), show(after))?;
                }
            }
        }
        Ok(())
    }
}

/// Every document as JSON; the model's own types decide what a field is.
fn documents(estate: &Estate) -> BTreeMap<&Ref, Value> {
    fn add<'e, T: Serialize>(all: &mut BTreeMap<&'e Ref, Value>, of: &'e BTreeMap<Ref, T>) {
        // The model has string keys only, so that this cannot fail; a null would show as a change of the whole.
        all.extend(of.iter().map(|(name, document)| (name, serde_json::to_value(document).unwrap_or_default())));
    }
    let mut all = BTreeMap::new();
    add(&mut all, &estate.systems);
    add(&mut all, &estate.identities);
    add(&mut all, &estate.credentials);
    add(&mut all, &estate.workloads);
    add(&mut all, &estate.windows);
    add(&mut all, &estate.grants);
    add(&mut all, &estate.approvals);
    // A default is not written, but a reader sees what it was or becomes.
    let class = serde_json::to_value(CredentialClass::default());
    let generate = serde_json::to_value(Generate::default());
    let rotation = serde_json::to_value(Rotation::default());
    let defaults = [("class", class), ("generate", generate), ("rotation", rotation)];
    let defaults = defaults.map(|(field, value)| (field, value.unwrap_or_default()));
    for credential in estate.credentials.keys() {
        let Some(Value::Object(written)) = all.get_mut(credential) else { continue };
        for (field, default) in &defaults {
            written.entry(*field).or_insert_with(|| default.clone());
        }
    }
    all
}

/// Every whole document has authority: it brings or takes endpoints, owners, readers, or the hours of work.
fn whole(name: &Ref, change: Change) -> Difference {
    Difference { document: name.clone(), authority: true, change }
}

fn fields(name: &Ref, old: &Value, new: &Value, differences: &mut Vec<Difference>) {
    let mut stack = vec![(String::new(), Some(old), Some(new))];
    while let Some((path, old, new)) = stack.pop() {
        if old == new {
            continue;
        }
        // Nothing of many is written as nothing at all.
        let (old, new) = (old.or(empty_like(new)), new.or(empty_like(old)));
        match (old, new) {
            (Some(Value::Object(a)), Some(Value::Object(b))) if !is_duration(a) && !is_duration(b) => {
                let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
                for key in keys {
                    let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    stack.push((below, a.get(key), b.get(key)));
                }
            }
            // A list is a set to its reader: what came and what went.
            (Some(Value::Array(a)), Some(Value::Array(b))) => {
                for gone in a.iter().filter(|item| !b.contains(item)) {
                    differences.push(field(name, &path, Some(gone), None));
                }
                for come in b.iter().filter(|item| !a.contains(item)) {
                    differences.push(field(name, &path, None, Some(come)));
                }
                if a.iter().all(|item| b.contains(item)) && b.iter().all(|item| a.contains(item)) {
                    differences.push(field(name, &path, old, new));
                }
            }
            _ => differences.push(field(name, &path, old, new)),
        }
    }
}

/// The empty value of the kind of this one, where it has several parts.
fn empty_like(value: Option<&Value>) -> Option<&'static Value> {
    static OBJECT: LazyLock<Value> = LazyLock::new(|| Value::Object(serde_json::Map::new()));
    static ARRAY: Value = Value::Array(Vec::new());
    match value? {
        Value::Object(map) if !is_duration(map) => Some(&OBJECT),
        Value::Array(_) => Some(&ARRAY),
        _ => None,
    }
}

fn field(name: &Ref, path: &str, before: Option<&Value>, after: Option<&Value>) -> Difference {
    let first = path.split('.').next().unwrap_or_default();
    let authority = AUTHORITY.contains(&first)
        || first == "unlocks"
        || first == "ghost"
        || matches!(name.kind, Kind::Grant | Kind::ApprovalPolicy | Kind::RotationWindow);
    let show = |value: Option<&Value>| value.filter(|value| !value.is_null()).map(spell);
    let change = Change::Field { path: path.to_owned(), before: show(before), after: show(after) };
    Difference { document: name.clone(), authority, change }
}

/// Durations as people write them, everything else as JSON.
fn spell(value: &Value) -> String {
    match value {
        Value::Object(map) if is_duration(map) => {
            let (seconds, nanos) =
                (map["secs"].as_u64().unwrap_or_default(), map["nanos"].as_u64().unwrap_or_default());
            if nanos == 0 { format!("{seconds}s") } else { format!("{}ms", seconds * 1000 + nanos / 1_000_000) }
        }
        // A destination: where, and what is written there.
        Value::Object(map) if map.contains_key("at") && map.contains_key("fields") => {
            let fields = map["fields"].as_object().into_iter().flatten();
            let fields: Vec<String> = fields.map(|(field, template)| format!("{field}: {}", spell(template))).collect();
            let source = if map.get("source") == Some(&Value::Bool(true)) { ", source" } else { "" };
            format!("{} ({}{source})", spell(&map["at"]), fields.join(", "))
        }
        // An unlock: the verb, and what it opens.
        Value::Object(map) if map.contains_key("verb") && map.contains_key("what") => {
            let what = map["what"].as_object().and_then(|what| what.values().next());
            format!("{} {}", spell(&map["verb"]), what.map(spell).unwrap_or_default())
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn is_duration(map: &serde_json::Map<String, Value>) -> bool {
    map.len() == 2 && map.contains_key("secs") && map.contains_key("nanos")
}
