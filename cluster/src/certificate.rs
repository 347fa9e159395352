//! The webhooks' certificate where the daemon makes it: which one is shown, whom the API server trusts, when the next is due.
//!
//! Flow: a generation is one authority and the one certificate that it ever signs. The next one is [`due`] after two thirds
//! of a life; the API server is told of every authority that still lives ([`trusted`]); what is [`shown`] changes when the
//! API server has known of it for a while.
//!
//! Guarantees: once the API server was told of a generation, what is shown never goes ahead of what it was told; two
//! daemons that look at the same generations show the same. Assumption: somebody looks once in a third of a life; after a
//! longer silence everything has ended, and the next one is shown at once.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::crd::GROUP;

/// How long a generation lives.
pub const LIFE: Duration = Duration::from_hours(90 * 24);
/// How long the API server has known an authority before anything that it signed is shown.
pub const SETTLES: Duration = Duration::from_mins(5);

/// An authority and its certificate; the key lies elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// One more for each.
    pub number: u64,
    pub made: Timestamp,
    pub until: Timestamp,
    /// In PEM, like the next.
    pub authority: String,
    pub certificate: String,
    /// Since when the API server knows the authority.
    pub told: Option<Timestamp>,
}

impl Generation {
    fn lives(&self, now: Timestamp) -> bool {
        now < self.until
    }

    fn settled(&self, now: Timestamp) -> bool {
        self.told
            .is_some_and(|told| now.duration_since(told) >= jiff::SignedDuration::try_from(SETTLES).unwrap_or_default())
    }
}

/// True when another generation has to be made. `all` is ordered by number, here and below.
#[must_use]
pub fn due(all: &[Generation], now: Timestamp) -> bool {
    all.last().is_none_or(|newest| now >= newest.made.checked_add(LIFE * 2 / 3).unwrap_or(Timestamp::MAX))
}

/// What is shown: the newest that the API server has known for a while; where there is none, the oldest that lives.
#[must_use]
pub fn shown(all: &[Generation], now: Timestamp) -> Option<&Generation> {
    let living = || all.iter().filter(|one| one.lives(now));
    living().rfind(|one| one.settled(now)).or_else(|| living().next())
}

/// Every authority that the API server has to know, in PEM.
#[must_use]
pub fn trusted(all: &[Generation], now: Timestamp) -> String {
    all.iter().filter(|one| one.lives(now)).map(|one| one.authority.as_str()).collect()
}

/// Those that nobody needs any more.
pub fn over(all: &[Generation], now: Timestamp) -> impl Iterator<Item = &Generation> {
    all.iter().filter(move |one| !one.lives(now))
}

/// What the API server is told, by server-side apply of that field alone: the path of each configuration of this name, and
/// its body.
#[must_use]
pub fn told(name: &str, trusted: &str) -> [(String, Value); 2] {
    use base64::Engine as _;
    let bundle = base64::engine::general_purpose::STANDARD.encode(trusted);
    [("MutatingWebhookConfiguration", "mutate"), ("ValidatingWebhookConfiguration", "validate")].map(|(kind, hook)| {
        let path = format!("/apis/admissionregistration.k8s.io/v1/{}s/{name}", kind.to_lowercase());
        let body = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": { "name": name },
            "webhooks": [{ "name": format!("{hook}.{GROUP}"), "clientConfig": { "caBundle": bundle } }],
        });
        (path, body)
    })
}
