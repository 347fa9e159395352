//! The committed inputs, and some thousand mutations of each, as an ordinary test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use remint_fuzz::run::{Until, folder, run, seeds};
use remint_fuzz::sample;
use remint_fuzz::target::{TARGETS, Target};

#[test]
fn every_target_has_its_good_input_committed_and_takes_it() {
    for target in &TARGETS {
        let committed = std::fs::read(folder(target).join("good")).expect(target.name);
        assert_eq!(committed, sample::of(target.name).unwrap(), "{}: what is good changed", target.name);
        assert_ne!((target.read)(&committed), (target.read)(b""), "{}: it is refused like nothing at all", target.name);
    }
}

#[test]
fn no_committed_input_and_no_mutation_of_one_is_a_finding() {
    for target in &TARGETS {
        let ran = run(target, &seeds(target).unwrap(), 7, Until::Inputs(3000));
        let found = ran.found.map(|(_, words)| words);
        assert_eq!(found, None, "{}", target.name);
        assert!(ran.outcomes > 4, "{}: {} outcomes are few; it is not reached", target.name, ran.outcomes);
    }
}

#[test]
fn a_reader_that_forgets_a_byte_is_found() {
    let careless = Target {
        name: "careless",
        read: |bytes| {
            assert!(bytes.len() < 4 || bytes[3] != b'\n', "it fell over");
            String::new()
        },
        words: &["\n"],
    };
    let ran = run(&careless, &[b"abcdef".to_vec()], 7, Until::Inputs(20_000));
    assert_eq!(ran.found.unwrap().1, "it fell over");
}
