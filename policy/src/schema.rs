//! The schema, and the names in it.

use std::str::FromStr as _;
use std::sync::OnceLock;

use cedar_policy::{EntityId, EntityTypeName, EntityUid, Schema};
use remint_core::gate::Action;

const TEXT: &str = include_str!("remint.cedarschema");

/// The schema, parsed once; `None` is a fault of ours that every test of this crate shows.
pub(crate) fn schema() -> Option<&'static Schema> {
    static SCHEMA: OnceLock<Option<Schema>> = OnceLock::new();
    SCHEMA.get_or_init(|| Schema::from_cedarschema_str(TEXT).ok().map(|(schema, _)| schema)).as_ref()
}

/// An entity of a type of ours.
pub(crate) fn uid(kind: &str, id: &str) -> Option<EntityUid> {
    Some(EntityUid::from_type_name_and_id(name(kind)?.clone(), EntityId::new(id)))
}

/// The entity of an action.
pub(crate) fn action(action: Action) -> Option<EntityUid> {
    uid("Action", action.word())
}

/// A type's name, parsed once: a decision names several.
fn name(kind: &str) -> Option<&'static EntityTypeName> {
    static NAMES: OnceLock<Vec<(&'static str, EntityTypeName)>> = OnceLock::new();
    let names = NAMES.get_or_init(|| {
        let parsed = |kind: &&'static str| Some((*kind, EntityTypeName::from_str(&format!("Remint::{kind}")).ok()?));
        KINDS.iter().filter_map(parsed).collect()
    });
    names.iter().find(|(known, _)| *known == kind).map(|(_, name)| name)
}

const KINDS: [&str; 13] = [
    "Action",
    "Credential",
    "Estate",
    "Group",
    "Keys",
    "Log",
    "Node",
    "Person",
    "Policy",
    "Reset",
    "Service",
    "Store",
    "Unmapped",
];
