//! Estates of the simulated world: made by hand for one strategy, or at random.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use remint_contract::{ConfirmGrade, Kind, MadeBy, Name, Pattern, Ref, Slots, Strategy, Target, Template};
use remint_core::estate::{
    Begets, Budget, ClassOfIdentity, Confirm, ConfirmHow, Credential, CredentialClass, Destination, Estate, Generate,
    Identity, IssuedBy, Meta, Owners, Reload, Rotation, RunsOn, System, Tier, Unlock, UnlockVerb, UnlockWhat, Workload,
    derive_remint,
};
use remint_core::plan::{Node, Request};

use super::connector::{Issues, Role, Settings};
use super::dice::Dice;

pub(crate) fn name(kind: Kind, name: &str) -> Ref {
    Ref::within(kind, &Name::default_namespace(), name).unwrap()
}

fn meta(name: &str) -> Meta {
    Meta { name: Name::new(name).unwrap(), namespace: Name::default_namespace(), labels: BTreeMap::new() }
}

/// An estate under construction.
pub(crate) struct Make(pub(crate) Estate);

impl Make {
    pub(crate) fn new() -> Self {
        let mut estate = Estate::default();
        let identity = Identity {
            meta: meta("someone"),
            class: ClassOfIdentity::Machine,
            tier: Tier::Standard,
            environment: None,
            owners: Owners::default(),
        };
        estate.identities.insert(name(Kind::Identity, "someone"), identity);
        Self(estate)
    }

    pub(crate) fn system(&mut self, settings: &Settings, auth: Option<&str>, budget: Budget) {
        let system = System {
            meta: meta(&settings.name),
            connector: "sim".to_owned(),
            settings: serde_json::to_value(settings).unwrap(),
            auth: auth.map(|auth| name(Kind::Credential, auth)),
            budget,
            propagation: None,
            zone: None,
        };
        self.0.systems.insert(name(Kind::System, &settings.name), system);
    }

    /// The store whose readers see late what is written; its document says how late.
    pub(crate) fn late_store(&mut self) {
        let settings = Settings { lag: LATE, ..store("late", false, false, true) };
        self.system(&settings, None, Budget::default());
        let system = self.0.systems.get_mut(&name(Kind::System, "late")).unwrap();
        system.propagation = Some(Duration::from_millis(LATE));
    }

    pub(crate) fn workload(&mut self, of: &str) {
        let workload = Workload {
            meta: meta(of),
            runs_on: Some(RunsOn { system: name(Kind::System, "floor"), reference: of.to_owned() }),
            reload: Reload { how: "http".to_owned(), settings: serde_json::Value::Null },
            confirm: Confirm {
                how: ConfirmHow(ConfirmGrade::SelfReported),
                within: Duration::from_secs(20),
                source: None,
                settings: serde_json::Value::Null,
            },
            reads: Vec::new(),
        };
        self.0.workloads.insert(name(Kind::Workload, of), workload);
    }

    pub(crate) fn credential(
        &mut self,
        of: &str,
        system: &str,
        strategy: Strategy,
        places: &[String],
        consumers: &[String],
    ) -> &mut Credential {
        let mut fields = BTreeMap::from([("secret".to_owned(), Template::secret())]);
        if strategy == Strategy::Alternate {
            fields.insert("username".to_owned(), Template::parse("{username}").unwrap());
        }
        let place = |(index, place): (usize, &String)| Destination {
            at: place.parse().unwrap(),
            fields: fields.clone(),
            source: index == 0,
        };
        let outage = (strategy == Strategy::InPlace).then_some(Duration::from_mins(1));
        let credential = Credential {
            meta: meta(of),
            class: CredentialClass::Authenticator,
            kind: "api-key".to_owned(),
            identity: name(Kind::Identity, "someone"),
            issued_by: IssuedBy {
                system: name(Kind::System, system),
                target: Target { name: of.to_owned(), settings: serde_json::Value::Null },
                by: None,
                dies_with_issuer: false,
            },
            delivered_to: places.iter().enumerate().map(place).collect(),
            consumed_by: consumers.iter().map(|consumer| name(Kind::Workload, consumer)).collect(),
            trusted_by: Vec::new(),
            verified_by: BTreeSet::new(),
            unlocks: Vec::new(),
            begets: Begets::default(),
            generate: Generate::default(),
            rotation: Rotation { strategy, outage, ..Rotation::default() },
            ghost: false,
        };
        let at = name(Kind::Credential, of);
        self.0.credentials.insert(at.clone(), credential);
        self.0.credentials.get_mut(&at).unwrap()
    }

    /// A credential of one of the [`COURSES`], with the system that issues it and whoever has to trust it.
    pub(crate) fn of_course(
        &mut self,
        of: &str,
        course: &Course,
        places: &[String],
        consumers: &[String],
        budget: Budget,
    ) -> &mut Credential {
        let system = name(Kind::System, course.system);
        if !self.0.systems.contains_key(&system) {
            let settings = Settings {
                issues: course.issues,
                lag: course.lag,
                ..issuer(course.system, Slots::Many, course.made_by)
            };
            self.system(&settings, None, budget);
        }
        let leased = course.issues == Issues::Leases;
        let bundled = course.issues == Issues::Bundled;
        if leased {
            consumers.iter().for_each(|consumer| self.fetches(consumer));
        }
        let verifier = format!("v-{of}");
        if bundled {
            self.workload(&verifier);
        }
        let places: &[String] = if leased { &[] } else { places };
        let credential = self.credential(of, course.system, course.strategy, places, consumers);
        match course.issues {
            Issues::Signing => {
                credential.class = CredentialClass::VerifierPair;
                credential.begets.tokens = Some(Duration::from_secs(2));
            }
            Issues::Encryption => credential.class = CredentialClass::Encryption,
            Issues::Bundled => {
                let store = places[0].split(':').next().unwrap_or_default();
                credential.trusted_by = vec![format!("{store}:trust/{of}#keys").parse().unwrap()];
                credential.verified_by = [name(Kind::Workload, &verifier)].into();
                for place in &mut credential.delivered_to {
                    place.fields.insert("username".to_owned(), Template::parse("{username}").unwrap());
                }
            }
            Issues::Logins | Issues::Leases => {}
        }
        credential
    }

    /// A workload that fetches what it uses, so that only the issuer can say what that is.
    fn fetches(&mut self, of: &str) {
        self.workload(of);
        if let Some(workload) = self.0.workloads.get_mut(&name(Kind::Workload, of)) {
            workload.confirm.how = ConfirmHow(ConfirmGrade::IssuerSeen);
            workload.confirm.source = Some(of.to_owned());
        }
    }

    pub(crate) fn done(mut self) -> Estate {
        derive_remint(&mut self.0);
        self.0
    }
}

pub(crate) fn issuer(name: &str, slots: Slots, made_by: MadeBy) -> Settings {
    Settings { slots, made_by, ..store(name, false, false, false) }.with_role(Role::Issuer)
}

pub(crate) fn store(name: &str, staged: bool, versioned: bool, compares: bool) -> Settings {
    Settings {
        name: name.to_owned(),
        role: Role::Store,
        slots: Slots::Many,
        made_by: MadeBy::Remint,
        staged,
        versioned,
        compares,
        issues: Issues::default(),
        lag: 0,
    }
}

pub(crate) fn floor() -> Settings {
    store("floor", false, false, false).with_role(Role::Floor)
}

impl Settings {
    fn with_role(self, role: Role) -> Self {
        Self { role, ..self }
    }
}

/// The issuers of every estate, with the strategy that each is for.
pub(crate) const ISSUERS: [(&str, Slots, MadeBy, Strategy); 5] = [
    ("many", Slots::Many, MadeBy::Remint, Strategy::Overlap),
    ("shown", Slots::Many, MadeBy::Issuer, Strategy::Overlap),
    ("once", Slots::Two, MadeBy::IssuerOnce, Strategy::Overlap),
    ("roles", Slots::Two, MadeBy::Remint, Strategy::Alternate),
    ("slot", Slots::One, MadeBy::Remint, Strategy::InPlace),
];

/// What goes another way than a value that is replaced at once: an issuer that nothing has to be shown to.
pub(crate) struct Course {
    pub(crate) system: &'static str,
    pub(crate) issues: Issues,
    made_by: MadeBy,
    pub(crate) strategy: Strategy,
    /// How long until a change is seen, in milliseconds.
    lag: u64,
}

pub(crate) const COURSES: [Course; 6] = [
    course("signer", Issues::Signing, MadeBy::Issuer, Strategy::DualTrust, 1500),
    course("keyring", Issues::Bundled, MadeBy::IssuerOnce, Strategy::DualTrust, 0),
    course("cipher", Issues::Encryption, MadeBy::Issuer, Strategy::Overlap, 0),
    course("leaser", Issues::Leases, MadeBy::Issuer, Strategy::Ephemeral, 0),
    course("slow", Issues::Logins, MadeBy::Remint, Strategy::Overlap, 2500),
    course("hand", Issues::Logins, MadeBy::Remint, Strategy::Manual, 0),
];

/// So many of them need nobody. What a person makes and places is struck step by step elsewhere; here the same person would
/// also have to notice when a value of his was lost, widened or killed, and make another one.
const BY_ITSELF: usize = 5;

const fn course(system: &'static str, issues: Issues, made_by: MadeBy, strategy: Strategy, lag: u64) -> Course {
    Course { system, issues, made_by, strategy, lag }
}

/// All systems: each issuer with what Remint acts through there, two stores, and the floor where the workloads run.
pub(crate) fn systems(make: &mut Make, budget: Budget) {
    for (system, slots, made_by, strategy) in ISSUERS {
        let root = format!("root-{system}");
        make.system(&issuer(system, slots, made_by), Some(&root), budget);
        let credential = make.credential(&root, system, strategy, &[format!("vault:keep/{root}")], &[]);
        let what = UnlockWhat::Node(name(Kind::System, system));
        credential.unlocks.push(Unlock { what, verb: UnlockVerb::Admin });
    }
    make.system(&store("vault", true, true, true), None, budget);
    make.system(&store("plain", false, false, true), None, budget);
    make.system(&floor(), None, budget);
}

/// How late readers of that store see what is written, in milliseconds.
const LATE: u64 = 2000;

/// How many of a thousand credentials go another way.
const COURSES_OF_A_THOUSAND: u64 = 80;

/// 3 to 12 credentials with chains, groups, readers of one another and dirty nodes, and what is asked for.
pub(crate) fn random(dice: &Dice) -> (Estate, Request) {
    let mut make = Make::new();
    let concurrency = 2 + u32::try_from(dice.below(6)).unwrap();
    let per_second = dice.permille(400).then(|| 4 + u32::try_from(dice.below(40)).unwrap());
    let budget = Budget { concurrency, per_second, restarts: None };
    systems(&mut make, budget);
    let workloads: Vec<String> = (0..4).map(|index| format!("w{index}")).collect();
    workloads.iter().for_each(|workload| make.workload(workload));
    let count = usize::try_from(3 + dice.below(10)).unwrap();
    let names: Vec<String> = (0..count).map(|index| format!("c{index}")).collect();
    let mut places: Vec<Vec<String>> = Vec::new();
    let mut issuers = Vec::new();
    make.late_store();
    for own in &names {
        let store = if dice.permille(COURSES_OF_A_THOUSAND) { "late" } else { *dice.pick(&["vault", "plain"]) };
        let mut at = vec![format!("{store}:a/{own}")];
        if dice.permille(350) {
            at.push(format!("{}:b/{own}", dice.pick(&["vault", "plain"])));
        }
        let (system, _, _, strategy) = *dice.pick(&ISSUERS);
        let mut consumers: Vec<String> = workloads.iter().filter(|_| dice.permille(300)).cloned().collect();
        if dice.permille(COURSES_OF_A_THOUSAND) {
            let course = dice.pick(&COURSES[..BY_ITSELF]);
            if course.issues == Issues::Leases {
                // Whoever fetches is seen by the issuer only.
                consumers.iter_mut().for_each(|consumer| consumer.insert_str(0, "fetching-"));
            }
            make.of_course(own, course, &at, &consumers, budget);
            issuers.push(None);
        } else {
            make.credential(own, system, strategy, &at, &consumers);
            issuers.push(Some(system));
        }
        places.push(at);
    }
    for (index, own) in names.iter().enumerate() {
        let group = dice.permille(200).then(|| format!("g{}", dice.below(2)));
        let mut unlocks = Vec::new();
        if dice.permille(400) {
            let at = dice.pick(dice.pick::<Vec<String>>(&places)).clone();
            let what = UnlockWhat::Places(Pattern::parse_in(&Name::default_namespace(), &at).unwrap());
            unlocks.push(Unlock { what, verb: UnlockVerb::Read });
        }
        if dice.permille(60) {
            let at = ["vault:a/*", "plain:b/*", "vault:keep/*"];
            let what = UnlockWhat::Places(
                Pattern::parse_in(&Name::default_namespace(), at[usize::try_from(dice.below(3)).unwrap()]).unwrap(),
            );
            unlocks.push(Unlock { what, verb: UnlockVerb::Read });
        }
        // A minter is at the same issuer, and was there before.
        let minters: Vec<usize> =
            (0..index).filter(|&other| issuers[other].is_some() && issuers[other] == issuers[index]).collect();
        let by = (!minters.is_empty() && dice.permille(350)).then(|| *dice.pick(&minters));
        let dies = dice.permille(400);
        let credential = make.0.credentials.get_mut(&name(Kind::Credential, own)).unwrap();
        credential.rotation.group = group;
        credential.unlocks = unlocks;
        if let Some(by) = by {
            credential.issued_by.by = Some(name(Kind::Credential, &names[by]));
            credential.issued_by.dies_with_issuer = dies && credential.rotation.strategy == Strategy::Overlap;
        }
    }
    let start = match dice.below(4) {
        0 => name(Kind::Workload, dice.pick::<String>(&workloads)),
        _ => name(Kind::Credential, dice.pick::<String>(&names)),
    };
    let mut request = Request::new(vec![Node::Doc(start)]);
    if dice.permille(300) {
        let selector =
            if dice.permille(500) { "*".to_owned() } else { format!("name={}", dice.pick::<String>(&names)) };
        request.contain = Some(selector.parse().unwrap());
    }
    if dice.permille(300) {
        request.clean = workloads.iter().map(|own| Node::Doc(name(Kind::Workload, own))).collect();
    }
    // A verifier that is rebuilt reads its bundle by itself, and nothing here is rebuilt.
    let verifiers = make.0.credentials.values().flat_map(|credential| &credential.verified_by);
    request.clean.extend(verifiers.cloned().map(Node::Doc));
    // So that a wave that parks does not keep the others from being looked at.
    request.failure_budget = 50;
    request.canary = 1 + usize::try_from(dice.below(3)).unwrap();
    (make.done(), request)
}

/// Everything that a plan's clean consumers are promised at every moment: the members that keep two values side by side,
/// outside of a cut, and nothing of what they die with outside of that.
pub(crate) fn promised(estate: &Estate, plan: &remint_core::plan::Plan) -> BTreeSet<Ref> {
    let rolls = |credential: &Ref| {
        plan.members.iter().find(|member| member.credential == *credential).is_none_or(|member| {
            member.path == remint_core::step::Path::Rolling
                && member.cut.is_none()
                && member.strategy != Strategy::InPlace
        })
    };
    let all = plan.members.iter().map(|member| member.credential.clone());
    all.filter(|credential| {
        let mut next = Some(credential.clone());
        while let Some(at) = next {
            if !rolls(&at) {
                return false;
            }
            let issued = &estate.credentials[&at].issued_by;
            next = issued.by.clone().filter(|_| issued.dies_with_issuer);
        }
        true
    })
    .collect()
}
