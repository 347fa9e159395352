//! Drawings of the graph in every form.
#![allow(clippy::unwrap_used, reason = "a test that cannot make its estate has failed")]

#[path = "world/world.rs"]
mod world;

use remint_contract::Kind;
use remint_core::estate::{Tier, UnlockVerb, UnlockWhat};
use remint_core::graph::{Graph, Reach, draw, reach};
use remint_core::plan::Node;
use world::{Make, pattern, r, unlock};

fn small() -> Make {
    let mut make = Make::default();
    make.identity("someone", Tier::Standard);
    for system in ["issuer", "vault", "host"] {
        make.system(system);
    }
    make.workload("runner", Some("host"));
    make.workload("web", None);
    make.credential("token", "issuer", &["host:token"], &["runner"]).unlocks =
        vec![unlock(pattern("vault:ci/*"), UnlockVerb::Read), unlock(pattern("vault:prod/*"), UnlockVerb::Write)];
    make.credential("db", "issuer", &["vault:ci/db"], &["web"]).unlocks =
        vec![unlock(UnlockWhat::Node(r(Kind::System, "host")), UnlockVerb::Use)];
    make.credential("other", "issuer", &["vault:prod/other"], &["web"]);
    make
}

/// Five systems and fifty-five credentials, workloads and chains among them.
fn sixty() -> Make {
    let mut make = Make::default();
    make.identity("someone", Tier::Standard);
    for system in ["issuer", "vault", "host"] {
        make.system(system);
    }
    make.workload("runner", Some("host"));
    for index in 0..55 {
        let web = format!("service-{}", index % 9);
        make.workload(&web, None);
        let at = format!("vault:team-{}/a-rather-long-path/secret-{index:03}", index / 6);
        let name = format!("credential-number-{index:03}");
        let readers = if index == 0 { vec!["runner", &web] } else { vec![web.as_str()] };
        let credential = make.credential(&name, "issuer", &[&at], &readers);
        if index % 6 == 0 {
            let next = format!("vault:team-{}/*", index / 6 + 1);
            credential.unlocks = vec![unlock(pattern(&next), UnlockVerb::Read)];
        }
    }
    make
}

fn from_runner(make: &Make) -> (Graph, Reach) {
    let graph = Graph::build(&make.0);
    let start = graph.number(&Node::Doc(r(Kind::Workload, "runner"))).unwrap();
    let reached = reach(&graph, &[start]);
    (graph, reached)
}

/// The numbers of an attribute in each element of a name.
fn numbers(svg: &str, element: &str, attribute: &str) -> Vec<i32> {
    svg.split(&format!("<{element} "))
        .skip(1)
        .map(|rest| {
            let tag = rest.split('>').next().unwrap();
            let value = tag.split(&format!(" {attribute}=\"")).nth(1).unwrap().split('"').next().unwrap();
            value.parse().unwrap()
        })
        .collect()
}

/// The left end, the size, and the words.
type Words = (i32, i32, String);
/// Its corner, width and height, and its texts.
type Card = (i32, i32, i32, i32, Vec<Words>);

fn cards(svg: &str) -> Vec<Card> {
    svg.split("<g class=\"box ")
        .skip(1)
        .map(|group| {
            let group = group.split("</g>").next().unwrap();
            let (card, texts) = group.split_once("/>").unwrap();
            let one = |name: &str| numbers(card, "rect", name)[0];
            let texts = texts.split("<text ").skip(1).map(|text| {
                let size = if text.contains("class=\"name\"") { 12 } else { 10 };
                let x = numbers(&format!("<text {text}"), "text", "x")[0];
                let words = text.split_once('>').unwrap().1.split('<').next().unwrap();
                let words =
                    words.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
                (if text.contains("flag") { i32::MIN } else { x }, size, words)
            });
            (one("x"), one("y"), one("width"), one("height"), texts.collect())
        })
        .collect()
}

fn assert_readable(svg: &str) {
    let cards = cards(svg);
    for (index, (x, y, width, height, texts)) in cards.iter().enumerate() {
        for (left, size, words) in texts.iter().filter(|text| text.0 > i32::MIN) {
            // 0.6 of its size is the advance of a common monospaced face.
            let letters = i32::try_from(words.chars().count()).unwrap();
            assert!(left + letters * size * 6 / 10 <= x + width, "{words} leaves its box");
        }
        for (there, at, wide, tall, _) in &cards[index + 1..] {
            let apart = x + width <= *there || there + wide <= *x || y + height <= *at || at + tall <= *y;
            assert!(apart, "two boxes overlap at {x},{y} and {there},{at}");
        }
    }
    let (width, height) = (numbers(svg, "svg", "width")[0], numbers(svg, "svg", "height")[0]);
    assert!(cards.iter().all(|card| card.0 + card.2 < width && card.1 + card.3 < height));
    assert!(svg.contains(&format!("viewBox=\"0 0 {width} {height}\"")));
}

#[test]
fn an_estate_of_sixty_is_readable_and_says_what_is_reached() {
    let (graph, reached) = from_runner(&sixty());
    let svg = draw::svg(&graph, &reached);
    assert_readable(&svg);
    assert_eq!(svg, draw::svg(&graph, &reached), "the same graph, the same bytes");
    assert_eq!(svg.matches("credential reached\"").count(), 50, "all but five of the first team hang on the chain");
    assert_eq!(svg.matches(" start\"").count(), 1);
    assert!(svg.contains(">START</text>"));
    for index in 0..55 {
        assert!(svg.contains(&format!("at vault:team-{}/a-rather-long-path/secret-{index:03}", index / 6)), "{index}");
    }
    let plain = draw::svg(&graph, &reach(&graph, &[]));
    assert!(
        !plain.contains(" reached\"") && !plain.contains("path\"><title>"),
        "nothing is marked when nothing is asked"
    );
}

#[test]
fn reached_edges_are_marked_and_uses_are_dashed() {
    let (graph, reached) = from_runner(&small());
    let svg = draw::svg(&graph, &reached);
    assert!(svg.contains("edge read path\"><title>runner read token</title>"), "{svg}");
    assert!(svg.contains("edge read path\"><title>token read db</title>"), "{svg}");
    assert!(svg.contains("edge use\"><title>token write other</title>"), "{svg}");
    assert!(svg.contains("edge use\"><title>db use host</title>"), "{svg}");
}

#[test]
fn a_hostile_name_stays_text_in_every_form() {
    let mut make = small();
    let hostile = "vault:ci/</title><script>alert(1)</script>\"]; \\ & |x| \u{1b}[2J";
    make.credential("evil", "issuer", &[hostile, "vault:ci/two"], &["runner"]);
    let (graph, reached) = from_runner(&make);
    let svg = draw::svg(&graph, &reached);
    assert_readable(&svg);
    assert!(!svg.contains("<script") && svg.contains("&lt;script&gt;"), "{svg}");
    assert_eq!(svg.matches("<title>").count(), svg.matches("</title>").count());
    let dot = draw::dot(&graph, &reached);
    assert!(dot.contains(r#"alert(1)</script>\"]; \\ & |x|"#), "{dot}");
    let mermaid = draw::mermaid(&graph, &reached);
    assert!(!mermaid.contains("<script") && !mermaid.contains("\"];"), "{mermaid}");
    let text = draw::text(&graph, &reached);
    for form in [svg, dot, mermaid, text] {
        assert!(!form.contains('\u{1b}'), "an escape sequence would move the reader's cursor");
    }
}

#[test]
fn a_very_large_graph_is_drawn_by_system_and_says_so() {
    let mut make = small();
    for index in 0..1500 {
        make.credential(&format!("c{index}"), "issuer", &[&format!("vault:ci/c{index}")], &["web"]);
    }
    let (graph, reached) = from_runner(&make);
    for reached in [reached, reach(&graph, &[])] {
        let svg = draw::svg(&graph, &reached);
        assert_readable(&svg);
        assert!(svg.contains("drawn by system"), "it says that it folds");
        assert!(svg.matches("<g class=\"box ").count() < 400);
    }
}

#[test]
fn of_a_large_graph_only_what_is_reached_is_drawn_when_that_is_little() {
    let mut make = small();
    for index in 0..500 {
        make.credential(&format!("c{index}"), "issuer", &[&format!("vault:far/c{index}")], &["web"]);
    }
    let (graph, reached) = from_runner(&make);
    let svg = draw::svg(&graph, &reached);
    assert_readable(&svg);
    assert!(svg.contains("Only what is reached is drawn: 3 of 50"), "{}", &svg[svg.len() - 600..]);
}

#[test]
fn an_empty_graph_is_a_picture_too() {
    let graph = Graph::default();
    let svg = draw::svg(&graph, &reach(&graph, &[]));
    assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
}

#[test]
fn the_json_names_nodes_and_edges() {
    let (graph, reached) = from_runner(&small());
    let json = draw::json(&graph, &reached);
    assert_eq!(json["nodes"].as_array().unwrap().len(), graph.len() as usize);
    let token = json["nodes"].as_array().unwrap().iter().find(|node| node["ref"] == "Credential/token").unwrap();
    assert_eq!(*token, serde_json::json!({"ref": "Credential/token", "kind": "Credential", "reached": true}));
    let write = serde_json::json!(
        {"from": "Credential/token", "to": "System/vault:prod/other", "verb": "write", "followed": false}
    );
    assert!(json["edges"].as_array().unwrap().contains(&write));
}

#[test]
fn text_dot_and_mermaid_show_the_same_edges() {
    let (graph, reached) = from_runner(&small());
    let text = draw::text(&graph, &reached);
    assert!(
        text.contains("Workload/runner  << start\n  read   Credential/token\n  read   System/host:token\n"),
        "{text}"
    );
    let edges = graph.edges.all().count();
    let dot = draw::dot(&graph, &reached);
    assert_eq!(dot.matches(" -> ").count(), edges);
    assert_eq!(dot.matches("penwidth=2").count(), reached.order.len() - 1, "one edge for each that is reached");
    let mermaid = draw::mermaid(&graph, &reached);
    assert_eq!(mermaid.matches("-->|").count() + mermaid.matches("-.->|").count(), edges);
    assert!(mermaid.starts_with("flowchart LR\n") && mermaid.contains("  class n"));
}
