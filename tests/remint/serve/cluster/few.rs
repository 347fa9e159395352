//! How much is written into the cluster, counted on the way to it.

use std::collections::BTreeMap;
use std::time::Duration;

use remint_fake::world::{Fault, Trouble};
use serde_json::{Value, json};

use super::between::{Between, Went};
use super::incident::yes;
use super::{Cluster, Place, act, object, until};

/// Credentials, and how many of them come to rest before their end.
const COUNT: usize = 40;
const PARKED: usize = 25;

fn names() -> Vec<String> {
    (0..COUNT).map(|index| format!("app{index}")).collect()
}

/// Writes to each object of a kind, with the time of each.
fn writes(went: &[Went], plural: &str, name: &str) -> Vec<jiff::Timestamp> {
    went.iter().filter(|one| one.wrote(plural, name)).map(|one| one.at).collect()
}

fn events(went: &[Went]) -> BTreeMap<String, Vec<String>> {
    let made = went.iter().filter(|one| one.method == "POST" && one.path.ends_with("/events") && one.status == 201);
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for one in made {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        all.entry(text(&one.body["involvedObject"]["name"])).or_default().push(text(&one.body["reason"]));
    }
    all
}

#[tokio::test]
async fn a_reset_of_many_writes_three_times_and_two_events_for_each_and_its_status_is_small() {
    let cluster = Cluster::start().await;
    let place = Place::new(COUNT).await;
    cluster.documents(&place.documents()).await;
    let between = Between::open(&cluster.server).await;
    let daemon = cluster.serve_through(&between.address, &place, place.open().await).await;
    until("every credential is held and told of", async || {
        let all = cluster.server.ask("GET", "/apis/remint.dev/v1alpha1/credentials", &Value::Null).await.ok();
        let items = all["items"].as_array()?.clone();
        let done = |one: &Value| one["status"]["conditions"].is_array() && one["metadata"]["finalizers"].is_array();
        (items.len() == COUNT + 1 && items.iter().all(done)).then_some(())
    })
    .await;

    // Some of them cannot be revoked, which somebody has to look at.
    let stuck = Fault::on("revoke", Trouble::Forbid).times(u32::try_from(PARKED).unwrap());
    place.rig.world.fault("bank", stuck).unwrap();
    let from: Vec<String> = names().iter().map(|name| format!("Credential/{name}")).collect();
    let asked = act("Reset", "inc-1", json!({"from": from, "reason": "INC-1", "failureBudget": COUNT}));
    cluster.server.apply(&asked).await.ok();
    let there = cluster.stands(&asked, "/status/phase", "Requested").await;
    let before = between.went().len();
    cluster.server.apply(&yes(&there, "yes")).await.ok();
    let rests = cluster.stands(&asked, "/status/phase", "Resting").await;
    let status = &rests["status"];
    let (size, shown) = (status.to_string().len(), status["parked"].as_array().unwrap().clone());
    assert!(size <= 32 << 10, "{size}");
    assert_eq!((shown.len(), &status["parkedTotal"]), (20, &json!(PARKED)), "{status}");
    assert!(shown.iter().all(|one| one["nextAction"].as_str().unwrap().starts_with("remint ")), "{shown:#?}");
    assert_eq!(status["credentials"], json!(COUNT));
    let states: u64 = status["states"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!((states, &status["states"]["settled"]), (COUNT as u64, &json!(COUNT - PARKED)));

    // Nobody hindered them any more, and somebody sends them on.
    let id = status["reset"].as_str().unwrap().to_owned();
    for name in names() {
        cluster.stands(&object("Credential", &name, json!({})), "/status/reset", &id).await;
    }
    until("every credential says how it stands", async || {
        let all = cluster.server.ask("GET", "/apis/remint.dev/v1alpha1/credentials", &Value::Null).await.ok();
        let state = |one: &Value| one["status"]["state"].as_str().unwrap_or_default().to_owned();
        let parked = all["items"].as_array()?.iter().filter(|one| state(one) == "Parked").count();
        let settled = all["items"].as_array()?.iter().filter(|one| state(one) == "Settled").count();
        (parked == PARKED && settled == COUNT - PARKED).then_some(())
    })
    .await;
    daemon.client.post(&format!("/v1/resets/{id}/retry"), &json!({})).await;
    cluster.stands(&asked, "/status/phase", "Complete").await;
    until("every credential is settled", async || {
        let all = cluster.server.ask("GET", "/apis/remint.dev/v1alpha1/credentials", &Value::Null).await.ok();
        let mut states = all["items"].as_array()?.iter().map(|one| one["status"]["state"].clone());
        (states.clone().count() == COUNT + 1 && states.by_ref().filter(|state| *state == "Settled").count() == COUNT)
            .then_some(())
    })
    .await;

    let went = &between.went()[before..];
    let per: Vec<usize> = names().iter().map(|name| writes(went, "credentials", name).len()).collect();
    let made = events(went);
    let most = made.values().map(Vec::len).max().unwrap();
    let resets = writes(went, "resets", "inc-1");
    let gaps = resets.windows(2).map(|two| two[1].duration_since(two[0]).unsigned_abs());
    let least = gaps.min().unwrap_or_default();
    let bytes = went.iter().map(|one| one.body["status"].to_string().len()).max().unwrap();
    println!(
        "MEASURED per credential and rotation at most {} writes (mean {:.2}) and {most} Events; the Reset was written {} times, never sooner than {} ms after the last; its status has {size} bytes, the largest of all {bytes}",
        per.iter().max().unwrap(),
        per.iter().sum::<usize>() as f64 / COUNT as f64,
        resets.len(),
        least.as_millis(),
    );
    assert!(per.iter().all(|count| (1..=3).contains(count)), "{per:?}");
    assert!(made.len() == COUNT && most <= 2, "{made:#?}");
    let parked = made.values().filter(|reasons| reasons.contains(&"Parked".to_owned())).count();
    assert_eq!(parked, PARKED);
    // The clock of the daemon and the one here are one; what lies between is the request itself.
    assert!(least >= Duration::from_millis(1900), "{least:?}");
    assert!(bytes <= 32 << 10);
    daemon.stop().await;
}
