//! What a document is judged beside says what all others would.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use remint_contract::Ref;
use remint_core::estate::{Admitted, Around, SourceFile, admit};

use super::kinds::{KINDS, file};

type Documents = BTreeMap<Ref, SourceFile>;

fn document(kind: &str, space: &str, name: &str, spec: &str) -> (Ref, SourceFile) {
    let text = format!(
        "apiVersion: remint.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}, namespace: {space}}}\nspec: {spec}\n"
    );
    let reference: Ref = format!("{kind}/{space}/{name}").parse().unwrap();
    (reference.clone(), file(&reference.to_string(), text))
}

fn around(all: &Documents) -> Around {
    let mut around = Around::default();
    for (name, document) in all {
        around.put(name, document, &KINDS);
    }
    around
}

/// Beside those that it has to do with.
fn near(around: &Around, all: &Documents, name: &Ref, document: &SourceFile) -> (Admitted, usize) {
    let near = around.of(name, document, &KINDS);
    let others: Vec<SourceFile> = near.iter().map(|name| all[name].clone()).collect();
    (admit(document, &others, &KINDS), near.len())
}

/// Beside all others.
fn whole(all: &Documents, name: &Ref, document: &SourceFile) -> Admitted {
    let others: Vec<SourceFile> = all.iter().filter(|(one, _)| *one != name).map(|(_, file)| file.clone()).collect();
    admit(document, &others, &KINDS)
}

/// Few names, so that most documents have to do with one another, and much is wrong.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn once(&mut self, of: u64) -> bool {
        self.below(of) == 0
    }

    fn of<'w>(&mut self, words: &[&'w str]) -> &'w str {
        words[usize::try_from(self.below(words.len() as u64)).unwrap()]
    }

    fn space(&mut self) -> &'static str {
        self.of(&["default", "default", "a", "b"])
    }

    /// A name as a document of a namespace writes it, mostly of its own.
    fn name(&mut self, names: &[&str]) -> String {
        let name = self.of(names);
        match self.below(6) {
            0 => format!("default/{name}"),
            1 => format!("a/{name}"),
            _ => name.to_owned(),
        }
    }

    fn system(&mut self) -> String {
        let settings =
            self.of(&["{}", "{}", "{slots: one}", "{issues: false}", "{stores: false}", "{strategies: [in-place]}"]);
        match self.below(3) {
            0 => format!("{{fake: {settings}, auth: {{credential: {}}}}}", self.name(&["key0", "key1", "key2"])),
            _ => format!("{{fake: {settings}}}"),
        }
    }

    fn credential(&mut self) -> String {
        let systems = ["sys0", "sys1", "sys2", "sys11"];
        let mut spec = format!("{{type: key, identity: {}", self.name(&["app0", "app1"]));
        spec += &format!(", issuedBy: {{system: {}, target: x", self.name(&systems));
        if self.once(4) {
            spec += &format!(", by: {}", self.name(&["key0", "key1", "key2"]));
        }
        if self.once(4) {
            spec += ", diesWithIssuer: true";
        }
        spec += "}";
        if self.once(2) {
            spec += &format!(", consumedBy: [{}", self.name(&["web0", "web1"]));
            if self.once(2) {
                spec += &format!(", {}", self.name(&["web0", "web1"]));
            }
            spec += "]";
        }
        if self.once(5) {
            spec += &format!(", class: verifier-pair, verifiedBy: [{}]", self.name(&["web0", "web1"]));
            spec += &format!(", trustedBy: [\"{}:p{}\"]", self.name(&systems), self.below(3));
        }
        if !self.once(4) {
            spec += &format!(", deliveredTo: [{{at: \"{}:p{}", self.name(&systems), self.below(3));
            spec += self.of(&["", "#K", "#K", "#L"]);
            spec += "\"}]";
        }
        match self.below(4) {
            0 => spec += ", rotation: {strategy: ephemeral}",
            1 => spec += ", rotation: {offset: 2h}",
            2 => spec += ", rotation: {strategy: manual}",
            _ => {}
        }
        spec + "}"
    }

    fn any(&mut self) -> (Ref, SourceFile) {
        let space = self.space();
        let number = self.below(3);
        match self.below(10) {
            0 | 1 => document("System", space, &format!("sys{number}"), &self.system()),
            2 => document("Identity", space, &format!("app{}", number % 2), "{class: workload}"),
            3 => {
                let how = self.of(&["self-reported", "issuer-seen", "rolled-out"]);
                let host = self.name(&["sys0", "sys1"]);
                let runs = if self.once(4) { String::new() } else { format!("runsOn: {{system: {host}, ref: w}}, ") };
                let spec = format!("{{{runs}confirm: {{how: {how}}}}}");
                document("Workload", space, &format!("web{}", number % 2), &spec)
            }
            4 => {
                let long = self.of(&["1h", "3h"]);
                let spec = format!("{{cron: \"0 3 * * *\", timeZone: UTC, duration: {long}}}");
                document("RotationWindow", space, &format!("night{number}"), &spec)
            }
            5 => {
                let to = if self.once(3) { format!(", to: [System/sys{number}]") } else { String::new() };
                document(
                    "Grant",
                    space,
                    &format!("grant{number}"),
                    &format!("{{from: {}{to}}}", self.of(&["a", "b", "default"])),
                )
            }
            6 => {
                let spec = "{select: {tiers: [standard]}, require: {approvals: 1}}";
                document("ApprovalPolicy", space, &format!("policy{number}"), spec)
            }
            _ => document("Credential", space, &format!("key{number}"), &self.credential()),
        }
    }
}

/// How much is tried: what takes a minute unoptimised takes a second optimised.
const fn much(slow: u64, fast: u64) -> u64 {
    if cfg!(debug_assertions) { slow } else { fast }
}

/// Whatever comes, whatever is there, and however that came and went.
#[test]
fn beside_what_it_has_to_do_with_is_beside_all() {
    for seed in 0..much(60, 600) {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (mut all, mut around) = (Documents::new(), Around::default());
        for _ in 0..=dice.below(40) {
            let (name, document) = dice.any();
            around.put(&name, &document, &KINDS);
            all.insert(name, document);
        }
        for _ in 0..dice.below(8) {
            let (name, _) = dice.any();
            around.remove(&name);
            all.remove(&name);
        }
        for _ in 0..4 {
            let (name, document) = dice.any();
            let (told, _) = near(&around, &all, &name, &document);
            let all_told = whole(&all, &name, &document);
            assert_eq!(
                told,
                all_told,
                "{seed}: {name} beside {:?}",
                all.keys().map(ToString::to_string).collect::<Vec<_>>()
            );
        }
    }
}

#[test]
fn much_of_what_is_tried_there_is_refused_and_much_is_not() {
    let (mut refused, mut missing, mut good) = (BTreeSet::new(), 0, 0);
    for seed in 0..much(60, 300) {
        let mut dice = Dice(seed);
        let all: Documents = (0..30).map(|_| dice.any()).collect();
        let (name, document) = dice.any();
        let told = whole(&all, &name, &document);
        good += usize::from(told == Admitted::default());
        missing += usize::from(!told.missing.is_empty());
        let words = told.refused.iter().map(|problem| problem.hint.split([' ', ':']).next().unwrap().to_owned());
        refused.extend(words);
    }
    assert!(good > 10 && missing > 10 && refused.len() > 4, "{good} {missing} {refused:?}");
}

/// Ten thousand documents, as a cluster may have them; fewer where nothing is optimised.
#[test]
fn beside_thousands_a_document_is_judged_with_the_few_it_has_to_do_with() {
    let many = usize::try_from(much(1200, 10_000)).unwrap();
    let mut all: Documents = [
        document("System", "default", "bank", "{fake: {}, auth: {credential: root}}"),
        document("System", "default", "shelf", "{fake: {}}"),
        document("Identity", "default", "apps", "{class: workload}"),
        document(
            "Credential",
            "default",
            "root",
            "{type: key, identity: apps, issuedBy: {system: bank, target: root}, deliveredTo: [{at: \"shelf:root\"}]}",
        ),
    ]
    .into();
    let credential = |index: usize, at: usize| {
        let spec = format!(
            "{{type: key, identity: apps, issuedBy: {{system: bank, target: a{index}}}, deliveredTo: [{{at: \"shelf:a{at}\"}}]}}"
        );
        document("Credential", "default", &format!("a{index}"), &spec)
    };
    all.extend((0..many).map(|index| credential(index, index)));
    let begun = Instant::now();
    let around = around(&all);
    println!("MEASURED an index of {} documents in {:?}", all.len(), begun.elapsed());

    let begun = Instant::now();
    let mut looked = 0;
    for index in 0..100 {
        let (name, document) = credential(many + index, index * 7);
        let (told, beside) = near(&around, &all, &name, &document);
        assert_eq!(told.refused.len(), 1, "{told:?}");
        assert!(told.refused[0].message.contains("is written to System/shelf:a"), "{told:?}");
        looked = looked.max(beside);
    }
    assert!(looked < 10, "{looked}");
    println!("MEASURED one credential beside them: {:?}, looked at with {looked}", begun.elapsed() / 100);

    // All of them refer to these.
    for (name, spec) in [("System", "{fake: {issues: false}}"), ("Identity", "{class: machine}")] {
        let (name, document) = document(name, "default", if name == "System" { "bank" } else { "apps" }, spec);
        let begun = Instant::now();
        let (told, beside) = near(&around, &all, &name, &document);
        println!("MEASURED {name} that {beside} documents refer to: {:?}", begun.elapsed());
        assert!(beside > many && told.refused.is_empty() == (name.kind.as_str() == "Identity"), "{name}");
    }
}
