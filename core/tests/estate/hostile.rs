//! Text made to hurt: it is refused, quickly, and nothing falls over.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::kinds::{bad, document, ground, loading};

/// Far above what any of these takes unoptimised, also on a crowded machine; a quadratic walk takes far longer.
const PATIENCE: Duration = Duration::from_mins(2);

fn refused_quickly(name: &str, text: impl Into<Vec<u8>>) -> String {
    let start = Instant::now();
    let problems = bad(text);
    assert!(start.elapsed() < PATIENCE, "{name} took {:?}", start.elapsed());
    problems
}

/// `before`, a number, `after`, again and again.
fn numbered(count: usize, before: &str, after: &str) -> String {
    (0..count).fold(String::new(), |text, number| text + before + &number.to_string() + after)
}

#[test]
fn nesting_of_any_form_is_refused() {
    let deep = 10_000;
    for piece in ["[", "{a: ", "- ", "? ", "[{", "!!seq [", "- ? ", "a: [", "\"a\": {"] {
        let problems = refused_quickly(piece, piece.repeat(deep));
        assert_eq!(problems.lines().count(), 1, "{piece}: {problems}");
    }
    let stairs = (0..1000).fold(String::new(), |text, depth| text + &" ".repeat(depth) + "a:\n");
    for (name, text) in [("stairs", stairs), ("brackets", "[".repeat(deep))] {
        let problems = refused_quickly(name, text);
        assert!(problems.contains("nested more than 32 deep"), "{name}: {problems}");
    }
    refused_quickly("a megabyte of brackets", "[".repeat(1 << 20));
}

#[test]
fn an_alias_bomb_is_refused_at_its_first_anchor() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..30 {
        let item = format!("*a{}, ", level - 1);
        let _ = writeln!(text, "a{level}: &a{level} [{}]", item.repeat(9));
    }
    assert!(refused_quickly("bomb", text).contains("anchors and aliases (`&`, `*`) are not taken"));
}

#[test]
fn great_numbers_of_anything_are_refused_or_read_quickly() {
    let size = 1 << 20;
    for (name, text) in [
        ("documents", "---\na\n".repeat(size / 6)),
        ("scalars", "- a\n".repeat(size / 4)),
        ("keys", numbered(100_000, "k", ": 1\n")),
        ("one long line", "a".repeat(2 * size)),
        ("one long quote", format!("\"{}\"", "\\n".repeat(size))),
        ("anchors", "- &a b\n".repeat(size / 8)),
        ("comments", "a # b\n".repeat(size / 6)),
        ("colons", ": ".repeat(size / 2)),
        ("quotes", "'".repeat(size)),
        ("folded", format!("a: >\n{}", "  b\n\n".repeat(size / 6))),
        ("percents", "%".repeat(size)),
        ("exclamations", "!".repeat(size)),
        ("ampersands", "&".repeat(size)),
    ] {
        refused_quickly(name, text);
    }
}

#[test]
fn a_thousand_wrong_keys_are_a_thousand_problems() {
    let keys = numbered(1000, "  wrong", ": 1\n");
    let problems = bad(document(
        "Identity",
        "one",
        &format!("\n  class: machine\n  owners: {{policy: a, execution: b, business: c}}\n{keys}"),
    ));
    assert_eq!(problems.lines().count(), 1000);
}

#[test]
fn a_long_circle_is_found_without_recursion() {
    let count = 2_000;
    let mut text = ground();
    for index in 0..count {
        let next = (index + 1) % count;
        let spec = format!(
            "{{type: key, identity: app, consumedBy: [web], issuedBy: {{system: issuer, target: t, by: c{next}, diesWithIssuer: true}}}}"
        );
        text += &document("Credential", &format!("c{index}"), &spec);
    }
    let problems = refused_quickly("circle", text);
    assert_eq!(problems.lines().count(), 1, "{problems}");
    assert!(problems.contains("each of these dies with the next, in a circle"), "{problems}");
}

#[test]
fn thousands_of_references_that_lead_nowhere_end_quickly() {
    let names = numbered(15_000, "nobody-", ", ");
    let spec = format!("{{type: key, identity: app, issuedBy: {{system: issuer, target: t}}, consumedBy: [{names}]}}");
    let mut text = ground() + &document("Credential", "key", &spec);
    for index in 0..1_000 {
        text += &document("Workload", &format!("somebody-{index}"), "{}");
    }
    assert_eq!(refused_quickly("dangling", text).lines().count(), 15_000);
}

const EXAMPLE: &str = include_str!("../../../manifests/examples/incident.yaml");

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = loading(bytes);
    }

    #[test]
    fn random_yaml_marks_never_panic(text in "[-?:,\\[\\]{}#&*!|>'\"%@` a\n\t0~<=.]{0,300}") {
        let _ = loading(text);
    }

    #[test]
    fn a_changed_example_never_panics(
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), 0_usize..12, "[-?:,\\[\\]{}#&*!|>'\" a\n0~é]{0,4}"), 1..6)
    ) {
        let mut text: Vec<char> = EXAMPLE.chars().collect();
        for (at, length, piece) in cuts {
            let start = at.index(text.len());
            let end = (start + length).min(text.len());
            text.splice(start..end, piece.chars());
        }
        if let Err(problems) = loading(text.into_iter().collect::<String>()) {
            prop_assert!(!problems.0.is_empty());
            prop_assert!(problems.0.iter().all(|problem| !problem.hint.is_empty()));
        }
    }
}
