//! One question in Cedar's words.

use std::collections::{BTreeSet, HashMap, HashSet};

use cedar_policy::{Context, Entities, Entity, EntityUid, Request, RestrictedExpression};
use jiff::Timestamp;
use remint_core::approval::Party;
use remint_core::estate::{ClassOfIdentity, Tier};
use remint_core::gate::{Action, Caller, Resource, Scope};

use crate::schema::{action as action_uid, schema, uid};

/// A request, and the entities that it speaks of.
pub(crate) struct Asked {
    pub(crate) request: Request,
    pub(crate) entities: Entities,
    pub(crate) principal: EntityUid,
    pub(crate) groups: Vec<EntityUid>,
}

/// Puts a question; `None` when it does not fit the schema, like an action that is not done to such a thing.
pub(crate) fn ask(
    caller: &Caller,
    party: &Party,
    groups: &BTreeSet<String>,
    action: Action,
    resource: &Resource,
    now: Timestamp,
) -> Option<Asked> {
    let principal = match party {
        Party::Person { person, .. } => uid("Person", &person.0)?,
        Party::Service { name, .. } => uid("Service", name)?,
        Party::Unmapped { principal } => uid("Unmapped", principal)?,
    };
    // What the table does not know is in no group, whatever it says of itself.
    let known = !matches!(party, Party::Unmapped { .. });
    let groups: Vec<EntityUid> = groups.iter().filter(|_| known).filter_map(|group| uid("Group", group)).collect();
    let who = Entity::new_no_attrs(principal.clone(), groups.iter().cloned().collect());
    let what = entity(resource)?;
    let request = Request::new(principal.clone(), action_uid(action)?, what.uid(), context(caller, now)?, schema());
    let entities = Entities::from_entities([who, what], None).ok()?;
    Some(Asked { request: request.ok()?, entities, principal, groups })
}

fn entity(resource: &Resource) -> Option<Entity> {
    let uid = uid(resource.kind(), resource.id())?;
    match resource {
        Resource::Reset(scope) | Resource::Credential(scope) => {
            Entity::new(uid, attributes(scope)?, HashSet::new()).ok()
        }
        _ => Some(Entity::new_no_attrs(uid, HashSet::new())),
    }
}

fn attributes(scope: &Scope) -> Option<HashMap<String, RestrictedExpression>> {
    let mut attributes = HashMap::from([
        ("tiers".to_owned(), set(scope.tiers.iter().map(|tier| tier_word(*tier).to_owned()))),
        ("classes".to_owned(), set(scope.classes.iter().map(|class| class_word(*class).to_owned()))),
        ("namespaces".to_owned(), set(scope.namespaces.iter().cloned())),
        ("environments".to_owned(), set(scope.environments.iter().cloned())),
        ("contains".to_owned(), RestrictedExpression::new_bool(scope.contains)),
    ]);
    if let Some(requester) = &scope.requester {
        let requester = RestrictedExpression::new_entity_uid(uid("Person", &requester.0)?);
        attributes.insert("requester".to_owned(), requester);
    }
    Some(attributes)
}

fn context(caller: &Caller, now: Timestamp) -> Option<Context> {
    let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
    let mut pairs = vec![
        ("entrance".to_owned(), text(caller.entrance.word())),
        ("acr".to_owned(), text(&caller.acr)),
        ("amr".to_owned(), set(caller.amr.iter().cloned())),
        ("source".to_owned(), text(&caller.source)),
        ("principal".to_owned(), text(&caller.principal)),
    ];
    if let Some(age) = caller.auth_age(now) {
        pairs.push(("authAge".to_owned(), RestrictedExpression::new_long(age)));
    }
    Context::from_pairs(pairs).ok()
}

fn set(words: impl Iterator<Item = String>) -> RestrictedExpression {
    RestrictedExpression::new_set(words.map(RestrictedExpression::new_string))
}

const fn tier_word(tier: Tier) -> &'static str {
    match tier {
        Tier::Standard => "standard",
        Tier::Privileged => "privileged",
    }
}

const fn class_word(class: ClassOfIdentity) -> &'static str {
    match class {
        ClassOfIdentity::Workload => "workload",
        ClassOfIdentity::Machine => "machine",
        ClassOfIdentity::Agent => "agent",
        ClassOfIdentity::Human => "human",
        ClassOfIdentity::Emergency => "emergency",
    }
}
