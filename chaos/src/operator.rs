//! The person at the daemon: asks for one reset after another, approves, decides and retries, and asks again when the
//! daemon died before it answered.
//!
//! What is kept here between two looks is only what a person would remember. How things stand is asked anew each time, so
//! that this may be dropped at any moment, like a client whose daemon is killed.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use remint_contract::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::Outcome;
use crate::door::Door;

/// Between two looks.
const PACE: Duration = Duration::from_millis(50);

/// Looks between two retries of what is parked: a second.
const CALM: u32 = 20;

/// How likely a look at a running reset ends in a pause.
const MEDDLES: f64 = 0.05;

/// How long consumers may take to look again after a contained reset.
const AFTERWARDS: Duration = Duration::from_secs(2);

/// What may be asked for.
pub(crate) struct Scopes {
    /// Scopes that each lead to much.
    pub(crate) wide: Vec<Vec<String>>,
    /// Single credentials, of which some are taken.
    pub(crate) single: Vec<String>,
    pub(crate) except: Vec<String>,
}

pub(crate) struct Operator {
    door: Door,
    scopes: Scopes,
    rng: StdRng,
    current: Option<(String, Value)>,
    /// Every reset that the daemon took, in order.
    pub(crate) taken: Vec<String>,
    asked: u32,
    idle: u32,
    pub(crate) retries: u32,
    pub(crate) pauses: u32,
    pub(crate) escalations: u32,
    /// The reset that was escalated last: one revision of each is enough.
    escalated: Option<String>,
    /// Since when resets stop before they replace, or not.
    switches: Vec<(Timestamp, bool)>,
    /// What rested, by the reason that was given, and how often it was seen.
    pub(crate) parked: BTreeMap<String, u32>,
    /// What the sweeps called foreign, though nobody but Remint makes anything here.
    pub(crate) foreign: Vec<String>,
    /// Plans that the daemon refused.
    pub(crate) refused: Vec<String>,
    /// Whether a reset was under way at the first look since this was last taken.
    pub(crate) running: Option<bool>,
    /// No further reset is asked for.
    pub(crate) last: bool,
}

impl Operator {
    pub(crate) fn new(door: Door, scopes: Scopes, rng: StdRng) -> Self {
        Self {
            door,
            scopes,
            rng,
            current: None,
            taken: Vec::new(),
            asked: 0,
            idle: 0,
            retries: 0,
            pauses: 0,
            escalations: 0,
            escalated: None,
            switches: Vec::new(),
            parked: BTreeMap::new(),
            foreign: Vec::new(),
            refused: Vec::new(),
            running: None,
            last: false,
        }
    }

    /// Looks after the daemon until this is dropped, or the last reset is over.
    pub(crate) async fn attend(&mut self) {
        loop {
            // Nobody answers while the daemon starts, and in the middle of a request when it is killed.
            let looked = self.look().await;
            if looked.is_ok() && self.is_over() && self.current.is_none() {
                return;
            }
            tokio::time::sleep(PACE).await;
        }
    }

    /// No further reset is asked for, and there was one at least.
    fn is_over(&self) -> bool {
        self.last && !self.taken.is_empty()
    }

    async fn look(&mut self) -> Outcome<()> {
        let listed = self.door.get("/v1/resets").await?;
        let empty = Vec::new();
        let resets = listed.body.as_array().unwrap_or(&empty);
        if listed.is_good() && self.running.is_none() {
            self.running = Some(resets.iter().any(|reset| reset["status"] == "running"));
        }
        if self.current.is_none() && !self.is_over() {
            self.current = Some(self.next());
        }
        let Some((id, wish)) = self.current.clone() else { return Ok(()) };
        let status = resets.iter().find(|reset| reset["reset"] == id.as_str());
        match status.and_then(|reset| reset["status"].as_str()) {
            None => {
                let answer = self.door.post("/v1/resets", &wish).await?;
                // 409: it was taken by the daemon that died before it answered.
                if (400..500).contains(&answer.status) && answer.status != 409 {
                    self.refused.push(answer.why());
                    self.current = None;
                }
            }
            Some("requested") => {
                self.door.post(&format!("/v1/resets/{id}/approve"), &json!({})).await?;
            }
            Some("resting") => self.mend(&id).await?,
            Some("provisional" | "complete" | "rejected") => {
                self.taken.push(id);
                self.current = None;
            }
            Some("paused") => {
                self.door.post(&format!("/v1/resets/{id}/resume"), &json!({ "reason": "a cup of tea" })).await?;
            }
            Some("running") => self.meddle(&id).await?,
            Some(_) => {}
        }
        Ok(())
    }

    /// Pauses what runs now and then, or has what is left of it contained.
    async fn meddle(&mut self, id: &str) -> Outcome<()> {
        if self.rng.random_bool(MEDDLES) {
            let paused =
                self.door.post(&format!("/v1/resets/{id}/pause"), &json!({ "reason": "wait a moment" })).await?;
            self.pauses += u32::from(paused.is_good());
        } else if self.rng.random_bool(MEDDLES / 4.0) && self.escalated.as_deref() != Some(id) {
            // From here on a consumer may be without a value, whether or not the answer comes.
            self.switches.push((SystemClock.now(), true));
            self.escalated = Some(id.to_owned());
            let asked = json!({ "contain": "*", "reason": "it got worse" });
            let revised = self.door.post(&format!("/v1/resets/{id}/escalate"), &asked).await?;
            if revised.is_good() {
                self.escalations += 1;
                self.door.post(&format!("/v1/resets/{id}/approve"), &json!({})).await?;
            }
        }
        Ok(())
    }

    /// Decides what is undecided and lets what is parked try again, as a person would who finds it in the morning.
    async fn mend(&mut self, id: &str) -> Outcome<()> {
        self.idle += 1;
        if !self.idle.is_multiple_of(CALM) {
            return Ok(());
        }
        let findings = self.door.get("/v1/findings").await?;
        for finding in findings.body.as_array().into_iter().flatten().filter(|finding| finding["decision"].is_null()) {
            let name = format!("{} {} of {}", finding["label"], finding["version"], finding["credential"]);
            if !self.foreign.contains(&name) {
                self.foreign.push(name);
            }
            let path = format!("/v1/findings/{}/decide", finding["id"].as_str().unwrap_or_default());
            self.door.post(&path, &json!({ "decision": "revoke", "reason": "nobody but Remint makes these" })).await?;
        }
        let parked = self.door.get(&format!("/v1/resets/{id}/parked")).await?;
        for one in parked.body.as_array().into_iter().flatten() {
            let why = format!("{} {}: {}", one["credential"], one["state"], one["reason"]).replace('"', "");
            *self.parked.entry(why).or_default() += 1;
        }
        self.retries += 1;
        self.door.post(&format!("/v1/resets/{id}/retry"), &json!({})).await?;
        Ok(())
    }

    /// The next reset: rolling and contain in turn.
    fn next(&mut self) -> (String, Value) {
        self.asked += 1;
        let id = format!("chaos-{:03}", self.asked);
        let from = if self.rng.random_bool(0.7) {
            self.scopes.wide.choose(&mut self.rng).cloned().unwrap_or_default()
        } else {
            self.scopes.single.choose_multiple(&mut self.rng, 8).cloned().collect()
        };
        let mut wish = json!({
            "requestId": id, "from": from, "except": self.scopes.except, "reason": "chaos", "privileged": true,
            // Both ways to begin are met by kills.
            "approve": self.rng.random_bool(0.5),
        });
        let contain = self.asked.is_multiple_of(2);
        self.switches.push((SystemClock.now(), contain));
        if contain {
            wish["contain"] = json!("*");
        }
        (id, wish)
    }

    /// True when no consumer had to do without a working value at that time: its reset was a rolling one, and the one
    /// before was over long enough for every consumer to have looked again.
    pub(crate) fn rolled(&self, at: Timestamp) -> bool {
        let before = self.switches.iter().take_while(|(since, _)| *since <= at).last();
        before.is_some_and(|(since, contain)| !contain && at.duration_since(*since).unsigned_abs() > AFTERWARDS)
    }

    /// How many rotations of all resets are settled, in the daemon's words.
    pub(crate) async fn settled(&self) -> Outcome<usize> {
        let mut settled = 0;
        for id in &self.taken {
            let rotations = self.door.get(&format!("/v1/resets/{id}/rotations")).await?;
            let all = rotations.body.as_array().into_iter().flatten();
            settled += all.filter(|rotation| rotation["state"] == "settled").count();
        }
        Ok(settled)
    }
}
