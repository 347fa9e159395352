//! A small reset in a log that has entries of others between its own.

use remint_evidence_format::bundle::{Bundle, Parts, Placed};
use remint_evidence_format::checkpoint::Checkpoint;
use remint_evidence_format::ledger::Ledger;
use remint_evidence_format::note::{SigningKey, VerifierKey};
use remint_evidence_format::outcome::{Confirm, Decision, Outcome, Proof};
use remint_evidence_format::tree::{Tree, leaf_hash, sha256};
use remint_evidence_format::{Draft, Stored, entry};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

pub(crate) const RESET: &str = "reset-7";
/// What of a plan the format reads: nothing that it reaches may be missing from the entries.
pub(crate) const PLAN: &[u8] = b"{\"digest\":\"demo\",\"members\":[]}\n";

pub(crate) fn key() -> SigningKey {
    SigningKey::from_seed("log.example.org/remint", Zeroizing::new([7; 32])).unwrap()
}

pub(crate) fn verifier() -> VerifierKey {
    key().verifier().clone()
}

/// The entries of one reset as a store would keep them.
pub(crate) struct Story {
    pub(crate) entries: Vec<Vec<u8>>,
}

impl Story {
    pub(crate) fn started() -> Self {
        Self::started_with(PLAN)
    }

    pub(crate) fn started_with(plan: &[u8]) -> Self {
        let mut story = Self { entries: Vec::new() };
        story.tell(
            "reset.started",
            None,
            &json!({
                "plan_sha256": sha256(plan).to_string(),
                "approved-by": "grace",
                "grade": "recorded",
                "reason": "runner compromised",
            }),
        );
        story
    }

    pub(crate) fn tell(&mut self, kind: &str, subject: Option<&str>, body: &Value) {
        self.write(kind, subject, body.as_object().unwrap().clone());
    }

    pub(crate) fn reached(&mut self, subject: &str) {
        self.tell("credential.reached", Some(subject), &json!({}));
    }

    pub(crate) fn became(&mut self, subject: &str, outcome: &Outcome) {
        let (kind, body) = outcome.to_entry();
        self.write(kind, Some(subject), body);
    }

    pub(crate) fn closed(mut self) -> Self {
        let body = self.ledger().closing();
        self.write("reset.closed", None, body);
        self
    }

    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::of(RESET, self.entries.iter().map(Vec::as_slice)).unwrap()
    }

    fn write(&mut self, kind: &str, subject: Option<&str>, body: Map<String, Value>) {
        let number = self.entries.len() as u64 + 1;
        let previous = self.entries.last().map_or(entry::FIRST, |bytes| entry::hash(bytes));
        let draft = Draft {
            kind: kind.to_owned(),
            at: format!("2026-01-31T08:30:{number:02}Z"),
            reset: Some(RESET.to_owned()),
            subject: subject.map(str::to_owned),
            body,
        };
        self.entries.push(entry::seal(&draft, number, previous).unwrap());
    }

    /// With two entries of others before each.
    pub(crate) fn placed(&self) -> (Vec<Placed>, String) {
        let stored: Vec<Stored> = (0_u64..)
            .zip(&self.entries)
            .map(|(at, bytes)| Stored {
                id: at,
                index: Some(at * 3 + 2),
                reset: Some(RESET.to_owned()),
                number: at + 1,
                bytes: bytes.clone(),
            })
            .collect();
        let tree = self.tree();
        let size = tree.size() as u64;
        let root = tree.root(tree.size()).unwrap();
        let checkpoint = Checkpoint { origin: verifier().name().to_owned(), size, root }.sign(&key()).unwrap();
        (stored.iter().map(|stored| Placed::new(stored, &tree, size).unwrap()).collect(), checkpoint)
    }

    pub(crate) fn bundle(&self) -> Bundle {
        let (entries, checkpoint) = self.placed();
        Bundle::build(&parts(&entries, &checkpoint), &key()).unwrap()
    }

    /// The tree that [`Story::placed`] places the entries in.
    pub(crate) fn tree(&self) -> Tree {
        let others = [leaf_hash(b"of another reset"), leaf_hash(b"of no reset")];
        Tree::new(self.entries.iter().flat_map(|bytes| others.into_iter().chain([leaf_hash(bytes)])).collect())
    }
}

/// With one plan, and nothing that was seen before.
pub(crate) fn parts<'a>(entries: &'a [Placed], checkpoint: &'a str) -> Parts<'a> {
    static PLANS: std::sync::LazyLock<Vec<Vec<u8>>> = std::sync::LazyLock::new(|| vec![PLAN.to_vec()]);
    Parts {
        reset: RESET,
        plans: &PLANS,
        entries,
        checkpoint,
        earlier: &[],
        persons: &[],
        links: &[],
        approvals: &[],
        exceptions: &[],
    }
}

/// One of everything that counts as done.
pub(crate) fn complete() -> Story {
    let mut story = Story::started();
    for subject in ["Credential/ci", "Credential/db", "Credential/mainframe", "Credential/vendor"] {
        story.reached(subject);
    }
    story.tell("effect.done", Some("Credential/ci"), &json!({"verb": "revoke", "operation": "op-1"}));
    story.became("Credential/ci", &Outcome::Settled { proof: Proof::Refused, confirm: Some(Confirm::Served) });
    story.became("Credential/db", &Outcome::Settled { proof: Proof::Absent, confirm: None });
    story.became(
        "Credential/mainframe",
        &Outcome::Task { why: "changed at the console".to_owned(), by: Some("ada".to_owned()) },
    );
    story.became(
        "Credential/vendor",
        &Outcome::Exception {
            by: "grace".to_owned(),
            until: "2026-03-01T00:00:00Z".to_owned(),
            why: "the vendor needs a week".to_owned(),
        },
    );
    story.became("System/pg:role#x9", &Outcome::Foreign { decided: None });
    story.became("System/pg:role#x9", &Outcome::Foreign { decided: Some((Decision::Revoke, "grace".to_owned())) });
    story.closed()
}
