//! From a tree to a typed document: the envelope, and which decoder reads the `spec`.

mod approval;
mod credential;
mod rest;
mod rotation;
mod system;
mod window;
mod workload;

use std::collections::BTreeMap;

use remint_contract::{Capabilities, Kind, Kinds, Name, Ref};

pub(super) use rotation::STRATEGIES;

use super::fields::{Decoder, Fields, Use, nearest, shorten};
use super::model::{ApprovalPolicy, Credential, Grant, Identity, Meta, System, Workload};
use super::node::{Node, Value};
use super::problem::Reporter;
use super::window::RotationWindow;

const API_VERSION: &str = "remint.dev/v1alpha1";
const KINDS: [&str; 7] = ["System", "Identity", "Credential", "Workload", "RotationWindow", "Grant", "ApprovalPolicy"];
const ACTS: [(&str, &str); 6] = [
    ("Reset", "remint reset"),
    ("Approval", "remint approve"),
    ("Exception", "remint except"),
    ("Task", "remint task"),
    ("Drill", "remint reset"),
    ("Access", "remint reset"),
];

/// A document that has a kind and a name; its spec may still be wrong.
pub(super) struct Document {
    pub(super) meta: Meta,
    pub(super) reference: Ref,
    pub(super) node: Node,
}

/// A document that could be read.
#[allow(clippy::large_enum_variant, reason = "it lives from its decoder to its map")]
pub(super) enum Typed {
    System(System, Option<Capabilities>),
    Identity(Identity),
    Credential(Credential),
    Workload(Workload),
    Window(RotationWindow),
    Grant(Grant),
    Approval(ApprovalPolicy),
}

/// Reads the envelope: version, kind, name. `None`: reported.
pub(super) fn envelope(node: Node, report: &mut Reporter<'_>) -> Option<Document> {
    let subject = subject(&node);
    let mut fields = Fields::of(&node, "document", report, None)?;
    let version = fields.require("apiVersion", report, subject.as_ref());
    let kind = fields.require("kind", report, None);
    let metadata = fields.require("metadata", report, None);
    fields.take("spec");
    fields.finish(report, subject.as_ref());

    if let Some(Node { span, value }) = version
        && !matches!(value, Value::Text(text) if text == API_VERSION)
    {
        report.error(
            *span,
            None,
            "the version of this document is not known",
            format!("write `apiVersion: {API_VERSION}`"),
        );
    }
    let kind = kind.and_then(|node| read_kind(node, report));
    let meta = metadata.and_then(|node| read_meta(node, report));
    let (kind, meta) = (kind?, meta?);
    let reference = Ref { kind, namespace: meta.namespace.clone(), name: meta.name.clone() };
    Some(Document { meta, reference, node })
}

/// What a tree seems to be about, for messages; nothing is reported.
pub(super) fn subject(tree: &Node) -> Option<Ref> {
    let text = |node: Option<&Node>| match node.map(|node| &node.value) {
        Some(Value::Text(text)) => Some(text.clone()),
        _ => None,
    };
    let kind: Kind = text(tree.key("kind"))?.parse().ok()?;
    let metadata = tree.key("metadata")?;
    let namespace = text(metadata.key("namespace")).map_or(Ok(Name::default_namespace()), Name::new).ok()?;
    Some(Ref { kind, namespace, name: Name::new(text(metadata.key("name"))?).ok()? })
}

/// Reads the spec. `None`: some part of it is wrong, and all of what is wrong is reported.
pub(super) fn spec(
    document: &Document,
    kinds: &dyn Kinds,
    uses: &mut Vec<Use>,
    report: &mut Reporter<'_>,
) -> Option<Typed> {
    let mut decoder = Decoder { report, kinds, uses, subject: document.reference.clone() };
    let Some(spec) = document.node.key("spec").filter(|node| !matches!(node.value, Value::Null)) else {
        decoder.error(document.node.span, "the document has no `spec`", "add `spec:`");
        return None;
    };
    let meta = document.meta.clone();
    match document.reference.kind {
        Kind::System => decoder.system(meta, spec),
        Kind::Identity => decoder.identity(meta, spec).map(Typed::Identity),
        Kind::Credential => decoder.credential(meta, spec).map(Typed::Credential),
        Kind::Workload => decoder.workload(meta, spec).map(Typed::Workload),
        Kind::RotationWindow => decoder.window(meta, spec).map(Typed::Window),
        Kind::Grant => decoder.grant(meta, spec).map(Typed::Grant),
        Kind::ApprovalPolicy => decoder.approval(meta, spec).map(Typed::Approval),
    }
}

fn read_kind(node: &Node, report: &mut Reporter<'_>) -> Option<Kind> {
    let Value::Text(text) = &node.value else {
        report.error(node.span, None, "`kind` is not text", format!("write one of {}", KINDS.join(", ")));
        return None;
    };
    if let Some((act, command)) = ACTS.iter().find(|(act, _)| act == text) {
        let message = format!("`{act}` is an act: it runs once, so it does not belong to an estate");
        report.error(node.span, None, message, format!("take it out and give it by command (`{command}`) or API"));
        return None;
    }
    let kind = KINDS.contains(&text.as_str()).then(|| text.parse().ok()).flatten();
    if kind.is_none() {
        let hint = match nearest(text, KINDS.into_iter()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("write one of {}", KINDS.join(", ")),
        };
        report.error(node.span, None, format!("`{}` is not a kind of document", shorten(text)), hint);
    }
    kind
}

fn read_meta(node: &Node, report: &mut Reporter<'_>) -> Option<Meta> {
    let mut fields = Fields::of(node, "metadata", report, None)?;
    let name = fields.require("name", report, None);
    let namespace = fields.take("namespace");
    let labels = fields.take("labels");
    fields.finish(report, None);
    let mut read = |node: &Node, what: &str| -> Option<Name> {
        match &node.value {
            Value::Text(text) => Name::new(text.as_str())
                .map_err(|error| report.error(node.span, None, format!("`{what}`: {error}"), "choose another name"))
                .ok(),
            Value::Withheld => None,
            _ => {
                report.error(node.span, None, format!("`{what}` is not text"), "write a name; put a number in quotes");
                None
            }
        }
    };
    let name = name.and_then(|node| read(node, "name"));
    let namespace = namespace.map_or_else(|| Some(Name::default_namespace()), |node| read(node, "namespace"));
    let labels = labels.map_or_else(BTreeMap::new, |node| read_labels(node, report));
    Some(Meta { name: name?, namespace: namespace?, labels })
}

fn read_labels(node: &Node, report: &mut Reporter<'_>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let Some(fields) = Fields::of(node, "labels", report, None) else { return labels };
    for (key, value) in fields.rest() {
        match &value.value {
            Value::Text(text) => {
                labels.insert(key.text.clone(), text.clone());
            }
            Value::Withheld => {}
            _ => report.error(value.span, None, "a label is not text", "write text; put a number in quotes"),
        }
    }
    labels
}
