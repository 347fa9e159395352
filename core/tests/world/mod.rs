//! Estates made from a seed, and connector kinds that only describe themselves.
#![allow(dead_code, unreachable_pub, reason = "each test program uses its part")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use remint_contract::*;
use remint_core::estate::Workload;
use remint_core::estate::*;

pub struct Kinds2;

impl Kinds for Kinds2 {
    fn kind(&self, name: &str) -> Option<&dyn ConnectorKind> {
        match name {
            "plain" => Some(&Plain),
            "once" => Some(&Once),
            _ => None,
        }
    }
    fn names(&self) -> Vec<&'static str> {
        vec!["once", "plain"]
    }
}

struct Plain;
struct Once;

fn issuer(slots: Slots, made_by: MadeBy) -> Capabilities {
    Capabilities {
        verbs: BTreeSet::new(),
        issuer: Some(IssuerCapabilities {
            slots,
            made_by,
            probe: ProbeCost::Free,
            propagation: Duration::ZERO,
            strategies: [Strategy::Overlap, Strategy::Alternate, Strategy::InPlace].into(),
            endpoints: vec!["main".into()],
            reversible_disable: true,
            dies_with_issuer: false,
            calls: vec![(Strategy::Overlap, 8)],
        }),
        store: None,
        consumer: None,
    }
}

impl ConnectorKind for Plain {
    fn name(&self) -> &'static str {
        "plain"
    }
    fn describe(&self, _: &serde_json::Value) -> Result<Capabilities, Vec<SettingProblem>> {
        Ok(issuer(Slots::Many, MadeBy::Remint))
    }
    fn open(&self, _: &serde_json::Value, _: &HostRules) -> Result<Arc<dyn Connector>, Error> {
        unreachable!("planning opens nothing")
    }
}

impl ConnectorKind for Once {
    fn name(&self) -> &'static str {
        "once"
    }
    fn describe(&self, _: &serde_json::Value) -> Result<Capabilities, Vec<SettingProblem>> {
        Ok(issuer(Slots::One, MadeBy::IssuerOnce))
    }
    fn open(&self, _: &serde_json::Value, _: &HostRules) -> Result<Arc<dyn Connector>, Error> {
        unreachable!("planning opens nothing")
    }
}

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
                within: Duration::from_secs(300),
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

/// A generator small enough to read: the same seed gives the same estate for ever.
pub struct Dice(pub u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03)
    }
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
    pub fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }
}

/// A random estate of 2 to 9 credentials with everything the order rules are about.
pub fn random(dice: &mut Dice) -> Estate {
    let mut make = Make::default();
    make.identity("someone", Tier::Standard);
    for name in ["i0", "i1", "s0", "s1", "h0", "h1"] {
        make.system(name);
    }
    for index in 0..4 {
        let host = dice.chance(70).then(|| ["h0", "h1"][index % 2]);
        let reads = dice.chance(15).then(|| ["s0:a/*", "s1:b/*", "h0:*"][dice.below(3)]);
        let workload = make.workload(&format!("w{index}"), host);
        if let Some(UnlockWhat::Places(pattern)) = reads.map(pattern) {
            workload.reads.push(pattern);
        }
    }
    let count = 2 + dice.below(8);
    let names: Vec<String> = (0..count).map(|index| format!("c{index}")).collect();
    let mut place = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let stores = ["s0:a/", "s0:b/", "s1:a/", "s1:b/", "h0:", "h1:"];
        let mut places = vec![format!("{}{name}", stores[dice.below(6)])];
        if dice.chance(40) {
            places.push(format!("{}{name}-two", stores[dice.below(6)]));
        }
        let mut consumers = Vec::new();
        for workload in ["w0", "w1", "w2", "w3"] {
            if dice.chance(if index == 0 && workload == "w0" { 100 } else { 30 }) {
                consumers.push(workload);
            }
        }
        let system = ["i0", "i1"][dice.below(2)];
        let all: Vec<&str> = places.iter().map(String::as_str).collect();
        make.credential(name, system, &all, &consumers);
        place.push(places);
    }
    for index in 0..count {
        let (by, dies) = (dice.chance(30).then(|| dice.below(count)), dice.chance(50));
        let group = dice.chance(20).then(|| format!("g{}", dice.below(2)));
        let mut unlocks = Vec::new();
        if dice.chance(45) {
            let other = dice.below(count);
            let at = place[other][dice.below(place[other].len())].clone();
            unlocks.push(unlock(pattern(&at), UnlockVerb::Read));
        }
        if dice.chance(12) {
            let at = ["s0:a/*", "s1:b/*", "h1:*", "s0:*"][dice.below(4)];
            unlocks.push(unlock(pattern(at), if dice.chance(50) { UnlockVerb::Read } else { UnlockVerb::Admin }));
        }
        if dice.chance(20) {
            let other = cred(&names[dice.below(count)]);
            unlocks.push(unlock(UnlockWhat::Node(other), UnlockVerb::Mint));
        }
        if dice.chance(8) {
            let system = r(Kind::System, ["i0", "i1", "h0"][dice.below(3)]);
            unlocks.push(unlock(UnlockWhat::Node(system), UnlockVerb::Admin));
        }
        let credential = make.credential(&names[index], "i0", &[], &[]);
        credential.rotation.group = group;
        credential.unlocks = unlocks;
        if let Some(by) = by.filter(|by| *by != index) {
            credential.issued_by.by = Some(cred(&names[by]));
            credential.issued_by.dies_with_issuer = dies && by < index;
        }
    }
    for system in ["i0", "i1", "s0"] {
        if dice.chance(25) {
            let auth = cred(&names[dice.below(count)]);
            make.system(system).auth = Some(auth);
        }
    }
    make.0
}
