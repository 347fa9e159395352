//! What people read of reach and plans, word for word.
#![allow(clippy::unwrap_used, reason = "a test that cannot make its estate has failed")]

#[path = "world/world.rs"]
mod world;

use jiff::Timestamp;
use remint_contract::Kind;
use remint_core::estate::{Estate, UnlockVerb, UnlockWhat};
use remint_core::graph::{Graph, reach};
use remint_core::plan::{Node, Plan, Request, plan, render_plan, render_reach, to_json};
use world::{Make, TestKinds, cred, pattern, r, unlock};

fn made(estate: &Estate, from: Node, change: impl FnOnce(&mut Request)) -> Plan {
    let mut request = Request::new(vec![from]);
    change(&mut request);
    plan(estate, &request, &TestKinds, Timestamp::UNIX_EPOCH).unwrap()
}

/// The text, with the digests under names of their own: what they cover is tested elsewhere.
fn rendered(plan: &Plan, estate: &Estate) -> String {
    let text = render_plan(plan, estate);
    assert!(text.contains(&plan.digest.to_string()) && text.contains(&plan.estate.to_string()), "in full");
    text.replace(&plan.digest.to_string(), "PLAN").replace(&plan.estate.to_string(), "ESTATE")
}

fn runner() -> Node {
    Node::Doc(r(Kind::Workload, "runner"))
}

/// A runner with a token that reads two secrets of others.
fn simple() -> Make {
    let mut make = Make::default();
    make.identity("someone", remint_core::estate::Tier::Standard);
    for system in ["issuer", "vault", "host"] {
        make.system(system);
    }
    make.workload("runner", Some("host"));
    make.workload("web", None);
    make.workload("pay", None);
    make.credential("ci-token", "issuer", &["host:ci-token"], &["runner", "web"]).unlocks =
        vec![unlock(pattern("vault:ci/*"), UnlockVerb::Read)];
    make.credential("web-db", "issuer", &["vault:ci/web-db"], &["web"]);
    make.credential("pay-db", "issuer", &["vault:ci/pay-db", "vault:copy/pay-db"], &["pay"]);
    make.credential("other", "issuer", &["vault:prod/other"], &["pay"]);
    make
}

#[test]
fn reach_is_a_tree_of_credentials() {
    let graph = Graph::build(&simple().0);
    let start = graph.number(&runner()).unwrap();
    insta::assert_snapshot!(render_reach(&reach(&graph, &[start]).explain(&graph)), @r"
    Workload/runner
      └─ read  Credential/ci-token
         ├─ read  Credential/pay-db  at vault:ci/pay-db
         └─ read  Credential/web-db  at vault:ci/web-db

      also 1 place        host:ci-token

    6 reached: 3 credentials, 3 places.
    ");
}

#[test]
fn a_simple_plan_reads_from_what_is_new_to_what_it_takes() {
    let estate = simple().0;
    insta::assert_snapshot!(rendered(&made(&estate, runner(), |_| ()), &estate), @r"
    Plan of a reset from Workload/runner
    6 reached: 3 credentials to replace, 0 tasks, 0 exceptions, 3 places and workloads.

    NEW DESTINATIONS  4 places where these credentials were not when they last settled. Read them first.
      host                ci-token
      vault               ci/pay-db, ci/web-db, copy/pay-db

    OUTAGES  None is announced: no clean workload is to be without a working value.

    STILL ALIVE UNTIL CLEAN
      1 held              ci-token. A clean consumer needs the old value, or a dirty node could mint it anew: it
                          is replaced after `remint clean Workload/runner`.

      credential  strategy  mode           goes to                     confirmed by  waits for
      ─────────────────────────────────────────────────────────────────────────────────────────────
      Wave 1 of 2: 1 credential
      ci-token    overlap   rolling, held                              web
          minted only after Workload/runner is clean, then written to host:ci-token

      Wave 2 of 2: 2 credentials
      pay-db      overlap   rolling        vault:ci/pay-db,            pay           dead: ci-token
                                           vault:copy/pay-db
      web-db      overlap   rolling        vault:ci/web-db             web           dead: ci-token

      dirty               Workload/runner: no new value is written where it can read, until `remint clean`

    About 5 s for 3 credentials in 2 waves.
    Plan   PLAN
    Estate ESTATE
    ");
}

#[test]
fn a_cut_is_announced_by_name_with_its_bound() {
    let mut make = simple();
    make.credential("loop-a", "issuer", &["vault:ci/loop-a"], &["web"]).unlocks =
        vec![unlock(pattern("vault:loop/loop-b"), UnlockVerb::Read)];
    make.credential("loop-b", "issuer", &["vault:loop/loop-b"], &["pay"]).unlocks =
        vec![unlock(pattern("vault:ci/loop-a"), UnlockVerb::Read)];
    insta::assert_snapshot!(rendered(&made(&make.0, runner(), |_| ()), &make.0), @r"
    Plan of a reset from Workload/runner
    10 reached: 5 credentials to replace, 0 tasks, 0 exceptions, 5 places and workloads.

    NEW DESTINATIONS  6 places where these credentials were not when they last settled. Read them first.
      host                ci-token
      vault               ci/loop-a, ci/pay-db, ci/web-db, copy/pay-db, loop/loop-b

    ANNOUNCED OUTAGES
      cut, up to 31 s     loop-a, loop-b, together, because one reads where the other lies. Without a working
                          value: pay, web.

    STILL ALIVE UNTIL CLEAN
      1 held              ci-token. A clean consumer needs the old value, or a dirty node could mint it anew: it
                          is replaced after `remint clean Workload/runner`.

      credential  strategy  mode           goes to                     confirmed by  waits for
      ─────────────────────────────────────────────────────────────────────────────────────────────────────
      Wave 1 of 2: 1 credential
      ci-token    overlap   rolling, held                              web
          minted only after Workload/runner is clean, then written to host:ci-token

      Wave 2 of 2: 4 credentials
      pay-db      overlap   rolling        vault:ci/pay-db,            pay           dead: ci-token
                                           vault:copy/pay-db
      web-db      overlap   rolling        vault:ci/web-db             web           dead: ci-token
      loop-a      overlap   cut            vault:ci/loop-a             web           dead: ci-token;
                                                                                     together with: loop-b
      loop-b      overlap   cut            vault:loop/loop-b           pay           together with: loop-a

      dirty               Workload/runner: no new value is written where it can read, until `remint clean`

    About 5 s for 5 credentials in 2 waves.
    Plan   PLAN
    Estate ESTATE
    ");
}

#[test]
fn what_stays_dark_and_what_is_left_to_people_is_said() {
    let mut make = simple();
    make.system("manual-desk").connector = "nobody-knows".into();
    make.credential("paper-key", "manual-desk", &["vault:ci/paper-key"], &["web"]);
    make.credential("own", "issuer", &["host:own"], &["runner"]);
    let text = made(&make.0, runner(), |request| {
        request.exceptions.insert(cred("web-db"));
        request.contain = "name=pay-db".parse().ok();
    });
    insta::assert_snapshot!(rendered(&text, &make.0), @r"
    Plan of a reset from Workload/runner
    10 reached: 3 credentials to replace, 1 task, 1 exception, 5 places and workloads.

    NEW DESTINATIONS  4 places where these credentials were not when they last settled. Read them first.
      host                ci-token, own
      vault               ci/pay-db, copy/pay-db

    ANNOUNCED OUTAGES
      1 contained         pay-db. Killed first, replaced after. Without a working value until then: pay.
      1 dark              own. Killed, and nothing new is minted before `remint clean Workload/runner`.

    STILL ALIVE UNTIL CLEAN
      1 held              ci-token. A clean consumer needs the old value, or a dirty node could mint it anew: it
                          is replaced after `remint clean Workload/runner`.

      credential  strategy  mode           goes to                     confirmed by  waits for
      ─────────────────────────────────────────────────────────────────────────────────────────────
      Wave 1 of 2: 1 credential
      own         overlap   contain, dark
          minted only after Workload/runner is clean, then written to host:own

      Wave 2 of 2: 2 credentials
      ci-token    overlap   rolling, held                              web
          minted only after Workload/runner is clean, then written to host:ci-token
      pay-db      overlap   contain        vault:ci/pay-db,            pay           dead: ci-token
                                           vault:copy/pay-db

      task                Credential/paper-key: no connector of this build issues at System/manual-desk: replace
                          it by hand and attest it
      exception           Credential/web-db stays as it is, on somebody's word; no new value is written where it
                          can read
      dirty               Credential/paper-key, Workload/runner: no new value is written where it can read, until
                          `remint clean`

    About 5 s for 3 credentials in 2 waves.
    Plan   PLAN
    Estate ESTATE
    ");
}

#[test]
fn no_line_is_wider_than_a_page_and_no_name_moves_the_cursor() {
    let mut make = Make::default();
    make.identity("someone", remint_core::estate::Tier::Standard);
    for system in ["issuer", "vault", "host"] {
        make.system(system);
    }
    make.workload("runner", Some("host"));
    let long = format!("vault:ci/{}", "very/long/".repeat(40));
    let hostile = "vault:ci/\u{1b}[2Jgone";
    for (name, at) in [("a-credential-with-a-really-long-name-that-goes-on", long.as_str()), ("b", hostile)] {
        make.credential(name, "issuer", &[at], &["runner"]);
    }
    make.credential("c", "issuer", &["host:c"], &["runner"]).unlocks =
        vec![unlock(UnlockWhat::Node(r(Kind::System, "vault")), UnlockVerb::Read)];
    let text = render_plan(&made(&make.0, runner(), |_| ()), &make.0);
    assert!(text.lines().all(|line| line.chars().count() <= 112), "{text}");
    let graph = Graph::build(&make.0);
    let reached = reach(&graph, &[graph.number(&runner()).unwrap()]).explain(&graph);
    for text in [text, render_reach(&reached)] {
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}

#[test]
fn a_long_chain_is_written_without_a_staircase() {
    let node = |index: usize| Node::Place(format!("vault:{index}").parse().unwrap());
    let reached: Vec<_> = (1..400)
        .map(|index| remint_core::plan::Reached {
            node: if index % 2 == 0 { Node::Doc(cred(&format!("c{index}"))) } else { node(index) },
            path: (0..=index)
                .map(|step| if step % 2 == 0 { Node::Doc(cred(&format!("c{step}"))) } else { node(step) })
                .collect(),
            verb: UnlockVerb::Read,
        })
        .collect();
    let text = render_reach(&reached);
    assert!(text.lines().all(|line| line.chars().count() < 110), "{text}");
    assert!(text.contains("Credential/c398"), "{text}");
}

#[test]
fn the_json_of_a_plan_has_the_keys_that_scripts_rely_on() {
    let json = to_json(&made(&simple().0, runner(), |_| ()));
    let keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["cuts", "digest", "eta_seconds", "exceptions", "new_destinations", "tasks", "waves"]);
    let first = json["waves"][0][0].as_object().unwrap();
    assert_eq!(first.keys().collect::<Vec<_>>(), ["credential", "exposed_by", "mode", "strategy"]);
    assert_eq!(json["waves"].as_array().unwrap().iter().map(|wave| wave.as_array().unwrap().len()).sum::<usize>(), 3);
}
