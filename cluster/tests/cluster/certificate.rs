//! The life of the webhooks' certificate, hour by hour.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use remint_cluster::certificate::{Generation, LIFE, SETTLES, due, over, shown, told, trusted};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn start() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

fn made(number: u64, now: Timestamp) -> Generation {
    Generation {
        number,
        made: now,
        until: now + LIFE,
        authority: format!("authority {number}\n"),
        certificate: format!("certificate {number}\n"),
        told: None,
    }
}

/// A daemon that looks every hour, and an API server that takes a word for as long as it likes.
struct Run {
    now: Timestamp,
    all: Vec<Generation>,
    /// What the API server believes.
    believed: String,
}

impl Run {
    fn look(&mut self, hears: bool) {
        if due(&self.all, self.now) {
            let number = self.all.last().map_or(1, |newest| newest.number + 1);
            let gone: Vec<u64> = over(&self.all, self.now).map(|one| one.number).collect();
            self.all.retain(|one| !gone.contains(&one.number));
            self.all.push(made(number, self.now));
        }
        if hears {
            self.believed = trusted(&self.all, self.now);
            for one in &mut self.all {
                one.told.get_or_insert(self.now);
            }
        }
        self.now += HOUR;
    }

    fn believes(&self) -> bool {
        let shown = shown(&self.all, self.now).unwrap();
        self.now < shown.until && self.believed.contains(&shown.authority)
    }
}

#[test]
fn through_years_the_api_server_never_stops_believing() {
    let mut run = Run { now: start(), all: Vec::new(), believed: String::new() };
    run.look(true);
    let mut most = 0;
    for hour in 0..3 * 365 * 24 {
        // Every so often it hears nothing for two weeks.
        run.look(hour % 1000 > 336);
        assert!(run.believes(), "at {}: {:?}", run.now, run.all);
        most = most.max(run.all.len());
    }
    assert!(most <= 3, "{most} generations at a time");
    assert!(run.all.last().unwrap().number >= 18, "it was renewed: {:?}", run.all.last());
}

#[test]
fn after_a_silence_longer_than_a_life_the_next_one_is_shown_at_once() {
    let mut run = Run { now: start(), all: Vec::new(), believed: String::new() };
    run.look(true);
    run.now += SignedDuration::try_from(LIFE * 2).unwrap();
    assert_eq!((shown(&run.all, run.now), trusted(&run.all, run.now).as_str()), (None, ""));
    run.look(false);
    assert_eq!(shown(&run.all, run.now).map(|one| one.number), Some(2));
    assert!(!run.believes());
    run.look(true);
    assert!(run.believes());
    assert_eq!(run.all.len(), 1, "what has ended is forgotten");
}

#[test]
fn what_is_shown_waits_until_the_api_server_has_known_of_it() {
    let mut all = vec![Generation { told: Some(start()), ..made(1, start()) }];
    let later = start() + LIFE * 2 / 3;
    assert!(!due(&all, later - HOUR) && due(&all, later));
    all.push(made(2, later));
    let number = |all: &[Generation], now| shown(all, now).map(|one| one.number);
    assert_eq!(number(&all, later + HOUR), Some(1), "nobody was told of the second");
    assert_eq!(trusted(&all, later), "authority 1\nauthority 2\n");
    all[1].told = Some(later + HOUR);
    assert_eq!(number(&all, later + HOUR + SETTLES - Duration::from_secs(1)), Some(1));
    assert_eq!(number(&all, later + HOUR + SETTLES), Some(2));
    assert_eq!(trusted(&all, start() + LIFE), "authority 2\n");
}

#[test]
fn one_field_of_each_configuration_is_written() {
    let [(mutating, body), (validating, _)] = told("remint-webhooks", "authority 1\n");
    assert_eq!(mutating, "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/remint-webhooks");
    assert_eq!(validating, "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/remint-webhooks");
    let hook = &body["webhooks"][0];
    assert_eq!((&hook["name"], hook.as_object().unwrap().len()), (&"mutate.remint.dev".into(), 2));
    assert_eq!(hook["clientConfig"], serde_json::json!({"caBundle": "YXV0aG9yaXR5IDEK"}));
}
