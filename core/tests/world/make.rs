//! A small language for estates.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use remint_contract::*;
use remint_core::estate::{Workload, *};

pub fn r(kind: Kind, name: &str) -> Ref {
    Ref::within(kind, &Name::default_namespace(), name).unwrap()
}

pub fn cred(name: &str) -> Ref {
    r(Kind::Credential, name)
}

pub fn meta(name: &str) -> Meta {
    Meta { name: Name::new(name).unwrap(), namespace: Name::default_namespace(), labels: BTreeMap::new() }
}

/// A small language for estates.
#[derive(Default, Clone)]
pub struct Make(pub Estate);

impl Make {
    pub fn system(&mut self, name: &str) -> &mut System {
        self.0.systems.entry(r(Kind::System, name)).or_insert_with(|| System {
            meta: meta(name),
            connector: "plain".into(),
            settings: serde_json::Value::Null,
            auth: None,
            budget: Budget::default(),
            propagation: None,
            zone: None,
        })
    }

    pub fn identity(&mut self, name: &str, tier: Tier) {
        let identity = Identity {
            meta: meta(name),
            class: ClassOfIdentity::Machine,
            tier,
            environment: None,
            owners: Owners::default(),
        };
        self.0.identities.insert(r(Kind::Identity, name), identity);
    }

    pub fn workload(&mut self, name: &str, host: Option<&str>) -> &mut Workload {
        let runs_on = host.map(|host| RunsOn { system: r(Kind::System, host), reference: name.into() });
        self.0.workloads.entry(r(Kind::Workload, name)).or_insert_with(|| Workload {
            meta: meta(name),
            runs_on,
            reload: Reload { how: "none".into(), settings: serde_json::Value::Null },
            confirm: Confirm {
                how: ConfirmHow(ConfirmGrade::IssuerSeen),
                within: Duration::from_mins(5),
                source: None,
                settings: serde_json::Value::Null,
            },
            reads: Vec::new(),
        })
    }

    pub fn credential(&mut self, name: &str, system: &str, places: &[&str], consumers: &[&str]) -> &mut Credential {
        let delivered_to = places
            .iter()
            .enumerate()
            .map(|(index, place)| Destination {
                at: place.parse().unwrap(),
                fields: [("value".to_owned(), Template::secret())].into(),
                source: index == 0,
            })
            .collect();
        self.0.credentials.entry(cred(name)).or_insert_with(|| Credential {
            meta: meta(name),
            class: CredentialClass::Authenticator,
            kind: "api-key".into(),
            identity: r(Kind::Identity, "someone"),
            issued_by: IssuedBy {
                system: r(Kind::System, system),
                target: Target { name: name.into(), settings: serde_json::Value::Null },
                by: None,
                dies_with_issuer: false,
            },
            delivered_to,
            consumed_by: consumers.iter().map(|name| r(Kind::Workload, name)).collect(),
            trusted_by: Vec::new(),
            verified_by: BTreeSet::default(),
            unlocks: Vec::new(),
            begets: Begets::default(),
            generate: Generate::default(),
            rotation: Rotation::default(),
            ghost: false,
        })
    }
}

pub fn pattern(text: &str) -> UnlockWhat {
    UnlockWhat::Places(Pattern::parse_in(&Name::default_namespace(), text).unwrap())
}

pub fn unlock(what: UnlockWhat, verb: UnlockVerb) -> Unlock {
    Unlock { what, verb }
}
