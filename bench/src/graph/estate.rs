//! An estate of very many credentials with everything that makes planning work: systems with their own logins, stores
//! that are read by pattern, chains of minters, parents with children, groups, shared workloads.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use remint_contract::{
    Capabilities, ConfirmGrade, Connector, ConnectorKind, HostRules, IssuerCapabilities, Kind, Location, MadeBy, Name,
    NameError, Pattern, ProbeCost, Ref, SettingProblem, Slots, Strategy, Target, Template,
};
use remint_core::estate::Meta;
use remint_core::estate::{
    Begets, Budget, ClassOfIdentity, Confirm, ConfirmHow, Credential, CredentialClass, Destination, Estate, Generate,
    Identity, IssuedBy, Owners, Reload, Rotation, RunsOn, System, Tier, Unlock, UnlockVerb, UnlockWhat, Workload,
};
use remint_core::plan::{Node, Request};

use super::families::Dice;

/// One system in five hundred credentials, one workload in twenty, and the request that reaches all of it.
pub(super) fn of(credentials: usize) -> Result<(Estate, Request), Box<dyn Error>> {
    let mut make = Make { estate: Estate::default(), dice: Dice(4), systems: credentials.div_ceil(500).max(1) };
    make.identity()?;
    for system in 0..make.systems {
        make.system(system)?;
    }
    for workload in 0..credentials.div_ceil(20) {
        make.workload(workload)?;
    }
    for number in 0..credentials {
        make.credential(number)?;
    }
    let runner = Node::Doc(named(Kind::Workload, "runner")?);
    make.runner()?;
    Ok((make.estate, Request::new(vec![runner])))
}

struct Make {
    estate: Estate,
    dice: Dice,
    systems: usize,
}

impl Make {
    fn identity(&mut self) -> Result<(), NameError> {
        let identity = Identity {
            meta: meta("service")?,
            class: ClassOfIdentity::Machine,
            tier: Tier::Standard,
            environment: Some("production".to_owned()),
            owners: Owners::default(),
        };
        self.estate.identities.insert(named(Kind::Identity, "service")?, identity);
        Ok(())
    }

    /// An issuer and the store beside it; Remint acts at the issuer with the first credential that it issues.
    fn system(&mut self, number: usize) -> Result<(), NameError> {
        for (name, auth) in [
            (format!("issuer-{number}"), Some(named(Kind::Credential, &format!("c{number}"))?)),
            (format!("store-{number}"), None),
        ] {
            let system = System {
                meta: meta(&name)?,
                connector: "plain".to_owned(),
                settings: serde_json::Value::Null,
                auth,
                budget: Budget::default(),
                propagation: None,
                zone: None,
            };
            self.estate.systems.insert(named(Kind::System, &name)?, system);
        }
        Ok(())
    }

    fn workload(&mut self, number: usize) -> Result<(), NameError> {
        let name = format!("w{number}");
        let host = named(Kind::System, &format!("store-{}", number % self.systems))?;
        let workload = workload(&name, Some(host))?;
        self.estate.workloads.insert(named(Kind::Workload, &name)?, workload);
        Ok(())
    }

    /// Starts with the first credential of every store, and so with all.
    fn runner(&mut self) -> Result<(), NameError> {
        let mut runner = workload("runner", None)?;
        for store in 0..self.systems {
            let system = named(Kind::System, &format!("store-{store}"))?;
            runner.reads.push(Pattern { system, path: "app-0/".to_owned(), wildcard: true });
        }
        self.estate.workloads.insert(named(Kind::Workload, "runner")?, runner);
        Ok(())
    }

    /// Credential `n` lies in store `n % systems`, in a folder of twenty. One in twenty reads the next folder of its
    /// store, one in ten is a child of the one before it in its store, one in fifty mints another, one in eight belongs
    /// to a group of up to sixteen.
    fn credential(&mut self, number: usize) -> Result<(), NameError> {
        let (store, place) = (number % self.systems, number / self.systems);
        let (folder, name) = (place / 20, format!("c{number}"));
        let system = |kind: &str| named(Kind::System, &format!("{kind}-{store}"));
        let mut unlocks = Vec::new();
        if place % 20 == 0 {
            let path = format!("app-{}/", folder + 1);
            let what = UnlockWhat::Places(Pattern { system: system("store")?, path, wildcard: true });
            unlocks.push(Unlock { what, verb: UnlockVerb::Read });
        }
        if self.dice.below(50) == 0 {
            let later = number + self.systems * (1 + self.dice.below(30) as usize);
            let what = UnlockWhat::Node(named(Kind::Credential, &format!("c{later}"))?);
            unlocks.push(Unlock { what, verb: UnlockVerb::Mint });
        }
        let child = place > 1 && self.dice.below(10) == 0;
        let before = named(Kind::Credential, &format!("c{}", number.saturating_sub(self.systems)))?;
        let group = (self.dice.below(8) == 0).then(|| format!("g{store}-{}", place / 128));
        let workloads = self.estate.workloads.len();
        let credential = Credential {
            meta: meta(&name)?,
            class: CredentialClass::Authenticator,
            kind: "api-key".to_owned(),
            identity: named(Kind::Identity, "service")?,
            issued_by: IssuedBy {
                system: system("issuer")?,
                target: Target { name: name.clone(), settings: serde_json::Value::Null },
                by: child.then_some(before),
                dies_with_issuer: child,
            },
            delivered_to: vec![Destination {
                at: Location { system: system("store")?, path: format!("app-{folder}/{name}"), field: None },
                fields: [("value".to_owned(), Template::secret())].into(),
                source: true,
            }],
            consumed_by: BTreeSet::from([named(
                Kind::Workload,
                &format!("w{}", self.dice.below(u32::try_from(workloads).unwrap_or(1))),
            )?]),
            trusted_by: Vec::new(),
            verified_by: BTreeSet::default(),
            unlocks,
            begets: Begets::default(),
            generate: Generate::default(),
            rotation: Rotation { group, ..Rotation::default() },
            ghost: false,
        };
        self.estate.credentials.insert(named(Kind::Credential, &name)?, credential);
        Ok(())
    }
}

fn workload(name: &str, host: Option<Ref>) -> Result<Workload, NameError> {
    Ok(Workload {
        meta: meta(name)?,
        runs_on: host.map(|system| RunsOn { system, reference: name.to_owned() }),
        reload: Reload { how: "none".to_owned(), settings: serde_json::Value::Null },
        confirm: Confirm {
            how: ConfirmHow(ConfirmGrade::IssuerSeen),
            within: Duration::from_mins(5),
            source: None,
            settings: serde_json::Value::Null,
        },
        reads: Vec::new(),
    })
}

fn meta(name: &str) -> Result<Meta, NameError> {
    Ok(Meta { name: Name::new(name)?, namespace: Name::default_namespace(), labels: BTreeMap::new() })
}

fn named(kind: Kind, name: &str) -> Result<Ref, NameError> {
    Ref::within(kind, &Name::default_namespace(), name)
}

/// One connector kind that only describes itself: planning opens nothing.
pub(super) struct Kinds;

impl remint_contract::Kinds for Kinds {
    fn kind(&self, _: &str) -> Option<&dyn ConnectorKind> {
        Some(&Plain)
    }

    fn names(&self) -> Vec<&'static str> {
        vec!["plain"]
    }
}

struct Plain;

impl ConnectorKind for Plain {
    fn name(&self) -> &'static str {
        "plain"
    }

    fn describe(&self, _: &serde_json::Value) -> Result<Capabilities, Vec<SettingProblem>> {
        Ok(Capabilities {
            verbs: BTreeSet::new(),
            issuer: Some(IssuerCapabilities {
                slots: Slots::Many,
                made_by: MadeBy::Remint,
                probe: ProbeCost::Free,
                propagation: Duration::ZERO,
                strategies: [Strategy::Overlap].into(),
                endpoints: vec!["main".to_owned()],
                verifies_at: None,
                reversible_disable: true,
                dies_with_issuer: true,
                calls: vec![(Strategy::Overlap, 8)],
            }),
            store: None,
            consumer: None,
        })
    }

    fn open(&self, _: &serde_json::Value, _: &HostRules) -> Result<Arc<dyn Connector>, remint_contract::Error> {
        Err(remint_contract::Error::unsupported(remint_contract::Verb::Check))
    }
}
