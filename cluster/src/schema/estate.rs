//! The specs of the estate's kinds. A test asks the reader of documents which keys and words it knows, and compares.

use serde_json::Value;

use super::{
    MANY, NAME, and_others, count, duration, either, form, list, map, name, open, place, reference, rule, ruled, set,
    text, texts, truth, word,
};

/// The words for grades of a confirmation.
const CONFIRM: [&str; 5] = ["issuer-seen", "self-reported", "served", "rolled-out", "attested"];
/// The words for grades of a proof.
const PROOF: [&str; 5] = ["refused", "refused-uncontrolled", "published", "absent", "attested"];

/// `connectors`: the kinds that a System can be of.
#[must_use]
pub fn system(connectors: &[&str]) -> Value {
    let mut spec = map(
        "One reachable target.",
        &[],
        [
            (
                "auth",
                map(
                    "The credential that Remint acts with here.",
                    &["credential"],
                    [("credential", reference("A Credential: its name, or namespace/name."))],
                ),
            ),
            (
                "budget",
                map(
                    "How hard it may be worked.",
                    &[],
                    [
                        ("concurrency", count("Calls at a time; 8 when nothing is said.", 1, u32::MAX)),
                        ("perSecond", count("Calls per second; no limit when nothing is said.", 1, u32::MAX)),
                        ("restarts", count("Workloads that restart at a time.", 1, u32::MAX)),
                    ],
                ),
            ),
            ("propagation", duration("How long a change takes to be seen everywhere.")),
            ("zone", text("Where it stands, for people and selectors.", 253)),
        ],
    );
    for connector in connectors {
        spec["properties"][*connector] = open(&format!("A system of the kind `{connector}`, with its settings."));
    }
    let there: Vec<String> = connectors.iter().map(|connector| format!("has(self.{connector})")).collect();
    let one = format!("[{}].filter(there, there).size() == 1", there.join(", "));
    ruled(spec, &[rule(&one, "`spec` names no connector, or a second one: a System has one connector")])
}

#[must_use]
pub fn identity() -> Value {
    map(
        "A non-human (or emergency) identity.",
        &["class"],
        [
            ("class", word("What it is.", &["workload", "machine", "agent", "human", "emergency"])),
            ("tier", word("What it takes to touch it; `standard` when nothing is said.", &["standard", "privileged"])),
            ("environment", text("Where it acts: production, staging.", 253)),
            (
                "owners",
                map(
                    "Who answers for it.",
                    &[],
                    [
                        ("policy", text("Who says what is allowed.", 253)),
                        ("execution", text("Who does it.", 253)),
                        ("business", text("Whose it is.", 253)),
                    ],
                ),
            ),
        ],
    )
}

#[must_use]
pub fn credential() -> Value {
    let destination = map(
        "One place: one write of all its fields.",
        &["at"],
        [
            ("at", place("system:path#field; without a field, the whole path or `fields`.")),
            ("fields", texts("Field to template: \"{secret}\", \"{username}\".", 100)),
            ("source", truth("The system of record.")),
        ],
    );
    let destination = ruled(
        destination,
        &[rule(
            "!has(self.fields) || !self.at.contains('#')",
            "the field is given twice, in `at` and in `fields`: take `#…` out of `at`",
        )],
    );
    let unlock = map(
        "What, and what can be done with it.",
        &["what", "verb"],
        [
            ("what", place("system:path, system:prefix*, System/name or Credential/name.")),
            ("verb", word("How it opens it.", &["read", "write", "mint", "admin", "use"])),
        ],
    );
    map(
        "A credential: a set of versions at its issuer.",
        &["type", "identity", "issuedBy"],
        [
            (
                "class",
                word(
                    "What it is for; `authenticator` when nothing is said.",
                    &["authenticator", "verifier-pair", "encryption"],
                ),
            ),
            ("type", text("A word for people and selectors: database-login, api-key.", 253)),
            ("identity", reference("Whose it is: an Identity.")),
            (
                "issuedBy",
                and_others(map(
                    "Who issues it; further keys are the connector's own.",
                    &["system", "target"],
                    [
                        ("system", reference("A System.")),
                        ("target", text("What it is called there: a role, a user, a path.", 1024)),
                        ("by", reference("The Credential that mints it, when that is not the system's `auth`.")),
                        ("diesWithIssuer", truth("It dies with the version that minted it.")),
                    ],
                )),
            ),
            ("deliveredTo", list("Where its value lies.", 100, &destination)),
            ("consumedBy", set("Workloads that read it.", MANY, &reference("A Workload."))),
            ("trustedBy", list("Places that must trust a new version first.", 100, &place("system:path#field"))),
            ("verifiedBy", set("Workloads that verify it.", MANY, &reference("A Workload."))),
            ("unlocks", list("What it opens.", MANY, &unlock)),
            (
                "begets",
                either("What comes from using it: `none`, or sessions, tokens and leases with their longest life."),
            ),
            (
                "generate",
                map(
                    "How a new value is made, where Remint makes it.",
                    &[],
                    [
                        ("length", count("Characters; 32 when nothing is said.", 16, 65_535)),
                        ("alphabet", text("The characters to draw from.", 94)),
                    ],
                ),
            ),
            ("rotation", rotation()),
        ],
    )
}

fn rotation() -> Value {
    let strategies = ["overlap", "alternate", "in-place", "reissue", "ephemeral", "dual-trust", "manual"];
    let rotation = map(
        "How it is replaced.",
        &[],
        [
            ("strategy", word("By which way.", &strategies)),
            ("overlap", duration("How long the old version is kept after everything is confirmed.")),
            ("quiet", duration("How long nobody may use the old version before it is revoked.")),
            ("maxAge", duration("How old a version may become.")),
            ("earlyStart", duration("How much sooner than that it may be replaced.")),
            ("group", text("Credentials of one group are cut over together.", 253)),
            ("pair", text("Credentials of one pair have one turn in a window.", 253)),
            ("offset", duration("How long after the turn of its pair it begins.")),
            ("outage", duration("How long consumers may be without a working value: the approved word.")),
            ("instructions", text("What a person has to know to do it by hand.", 16_384)),
            ("due", duration("How long a person has for it.")),
        ],
    );
    ruled(
        rotation,
        &[
            rule(
                "!has(self.strategy) || self.strategy != 'in-place' || has(self.outage)",
                "the strategy `in-place` leaves every consumer without a working value for a while: say how long that may last, as `outage: 30s`, or take another strategy",
            ),
            rule(
                "!has(self.instructions) || (has(self.strategy) && self.strategy == 'manual')",
                "`instructions` are for a person, and nobody is asked here: take them out, or write `strategy: manual`",
            ),
            rule(
                "!has(self.due) || (has(self.strategy) && self.strategy == 'manual')",
                "`due` is for a person's task, and nobody is asked here: take it out, or write `strategy: manual`",
            ),
        ],
    )
}

#[must_use]
pub fn workload() -> Value {
    // What stands in `reload` has no one type, so that no rule can look into it.
    map(
        "Something that reads credentials.",
        &[],
        [
            (
                "runsOn",
                map(
                    "Where it runs.",
                    &["system", "ref"],
                    [("system", reference("A System.")), ("ref", text("What it is called there.", 1024))],
                ),
            ),
            (
                "reload",
                either("How it reads anew: none, signal, http, command or rollout; or one of them with settings."),
            ),
            (
                "confirm",
                and_others(map(
                    "How it is seen on the new value; further keys are the host's own.",
                    &["how"],
                    [
                        ("how", word("The grade that it gives.", &CONFIRM)),
                        ("within", duration("How long to wait before it parks; 5m when nothing is said.")),
                        ("source", text("What the issuer calls this one among several consumers.", 1024)),
                    ],
                )),
            ),
            (
                "reads",
                list("Places that it can read beside what it consumes.", MANY, &place("system:path or system:prefix*")),
            ),
        ],
    )
}

#[must_use]
pub fn window() -> Value {
    map(
        "Hours in which credentials are replaced without anybody asking.",
        &["cron", "timeZone", "duration"],
        [
            ("cron", text("When it opens: minute, hour, day, month, week day.", 256)),
            ("timeZone", text("The zone that is read in: Europe/Berlin, UTC.", 64)),
            ("duration", duration("How long it is open, 1m to 31d.")),
            ("select", texts("Key to value that a credential must have: tier, identity, type, name, labels.", 50)),
            (
                "blackout",
                list("Dates on which it is closed.", 366, &text("A date, or two with `..` between them.", 24)),
            ),
            ("jitter", duration("Each opening is up to this much later.")),
            ("missed", word("What becomes of an opening that nobody was there for.", &["skip", "catch-up"])),
            ("manualOnly", truth("It opens for nobody: it only says when a person should.")),
            ("suspend", truth("It does not open until this is gone.")),
        ],
    )
}

#[must_use]
pub fn grant() -> Value {
    map(
        "Lets documents of one namespace refer to documents of this one.",
        &["from"],
        [
            ("from", name("The namespace whose documents may refer here.")),
            (
                "to",
                set(
                    "What of this namespace; everything when it is empty.",
                    MANY,
                    &form("Kind/name.", 160, r"^(System|Identity|Credential|Workload)/"),
                ),
            ),
        ],
    )
}

#[must_use]
pub fn approval_policy() -> Value {
    let spec = map(
        "What it takes to rotate the credentials of some identities.",
        &["require"],
        [
            (
                "select",
                map(
                    "Whose credentials; everybody's when nothing is said.",
                    &[],
                    [
                        (
                            "classes",
                            set(
                                "Classes of identities.",
                                5,
                                &word("", &["workload", "machine", "agent", "human", "emergency"]),
                            ),
                        ),
                        ("tiers", set("Tiers.", 2, &word("", &["standard", "privileged"]))),
                        ("environments", set("Environments.", 100, &text("", 253))),
                    ],
                ),
            ),
            (
                "require",
                map(
                    "What it takes.",
                    &["approvals"],
                    [
                        ("approvals", count("Persons who say yes.", 0, 20)),
                        ("roles", set("One of them has one of these.", 100, &text("", NAME * 4))),
                        (
                            "separate",
                            set(
                                "Who may not be one person; all of them when nothing is said.",
                                3,
                                &word("", &["requester-approver", "approver-executor", "requester-executor"]),
                            ),
                        ),
                        ("stepUp", duration("How fresh the login of whoever says yes must be.")),
                        ("expires", duration("How long a yes counts.")),
                        ("coolDown", duration("How long after the last yes it begins.")),
                        ("canary", count("So many go first.", 1, u32::MAX)),
                        ("leastConfirm", word("The least grade of a confirmation.", &CONFIRM)),
                        ("leastProof", word("The least grade of a proof.", &PROOF)),
                    ],
                ),
            ),
        ],
    );
    let everybody = "has(self.select) && has(self.select.tiers) && self.select.tiers.size() > 0 && !('privileged' in self.select.tiers)";
    ruled(
        spec,
        &[rule(
            &format!("self.require.approvals > 0 || ({everybody})"),
            "nobody would have to approve a privileged credential: write `approvals: 1` or more, or `select: {tiers: [standard]}`",
        )],
    )
}
