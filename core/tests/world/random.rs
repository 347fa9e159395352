//! Estates made from a seed. The same seed gives the same estate for ever.

use remint_contract::{Kind, Strategy};
use remint_core::estate::{CredentialClass, Estate, Tier, UnlockVerb, UnlockWhat};

use super::make::{Make, cred, pattern, r, unlock};

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
        usize::try_from(self.next() % bound.max(1) as u64).unwrap()
    }
    pub fn below32(&mut self, bound: u32) -> u32 {
        u32::try_from(self.next() % u64::from(bound.max(1))).unwrap()
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
    for name in &names {
        if dice.chance(10) {
            let other = dice.below(count);
            let bundle = place[other][dice.below(place[other].len())].parse().unwrap();
            make.credential(name, "i0", &[], &[]).trusted_by.push(bundle);
        }
    }
    for system in ["i0", "i1", "s0"] {
        if dice.chance(25) {
            let auth = cred(&names[dice.below(count)]);
            make.system(system).auth = Some(auth);
        }
    }
    // What is trusted before it is used, and what data are encrypted under. Remint logs in with none of these.
    let logins: Vec<_> = make.0.systems.values().filter_map(|system| system.auth.clone()).collect();
    for name in names.iter().filter(|name| !logins.contains(&cred(name))) {
        let (class, strategy) = match dice.below(12) {
            0 => (CredentialClass::VerifierPair, Strategy::DualTrust),
            1 => (CredentialClass::Authenticator, Strategy::DualTrust),
            2 => (CredentialClass::Encryption, Strategy::Overlap),
            _ => continue,
        };
        let credential = make.credential(name, "i0", &[], &[]);
        (credential.class, credential.rotation.strategy) = (class, strategy);
    }
    make.0
}
