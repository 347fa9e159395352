//! The ten kinds as custom resource definitions: one per kind, made from its schemas, written to `manifests/crds`.

use serde_json::{Value, json};

use crate::schema::{acts, estate, rule, status};

/// The group of all of them.
pub const GROUP: &str = "remint.dev";
/// The version of all of them.
pub const VERSION: &str = "v1alpha1";
/// The connectors that a System can name: those of the build. A test of the daemon compares.
pub const CONNECTORS: [&str; 10] = ["acme", "aws", "exec", "fake", "file", "http", "kubernetes", "pki", "sql", "vault"];

/// One kind, as a cluster knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resource {
    pub kind: &'static str,
    pub plural: &'static str,
    pub short: &'static str,
    /// False: of the whole cluster.
    pub namespaced: bool,
    /// True: a document of the estate; false: an act.
    pub estate: bool,
}

/// All of them.
pub const RESOURCES: [Resource; 10] = [
    of("System", "systems", "rsys", false, true),
    of("ApprovalPolicy", "approvalpolicies", "rpol", false, true),
    of("Identity", "identities", "rid", true, true),
    of("Credential", "credentials", "rcred", true, true),
    of("Workload", "workloads", "rwl", true, true),
    of("RotationWindow", "rotationwindows", "rwin", true, true),
    of("Grant", "grants", "rgrant", true, true),
    of("Reset", "resets", "rreset", true, false),
    of("Approval", "approvals", "rapp", true, false),
    of("Exception", "exceptions", "rexc", true, false),
];

const fn of(kind: &'static str, plural: &'static str, short: &'static str, namespaced: bool, estate: bool) -> Resource {
    Resource { kind, plural, short, namespaced, estate }
}

impl Resource {
    /// The resource of a kind.
    #[must_use]
    pub fn named(kind: &str) -> Option<Self> {
        RESOURCES.into_iter().find(|resource| resource.kind == kind)
    }

    /// The schema of its `spec`.
    #[must_use]
    pub fn spec(self) -> Value {
        match self.kind {
            "System" => estate::system(&CONNECTORS),
            "ApprovalPolicy" => estate::approval_policy(),
            "Identity" => estate::identity(),
            "Credential" => estate::credential(),
            "Workload" => estate::workload(),
            "RotationWindow" => estate::window(),
            "Grant" => estate::grant(),
            "Reset" => acts::reset(),
            "Approval" => acts::approval(),
            _ => acts::exception(),
        }
    }

    fn status(self) -> Value {
        match self.kind {
            "Credential" => status::credential(),
            "Reset" => status::reset(),
            "Approval" | "Exception" => status::act(),
            _ => status::document(),
        }
    }

    /// What `kubectl get` shows; what is wide comes at priority 1.
    fn columns(self) -> Vec<Value> {
        let ready = column("Ready", ".status.conditions[?(@.type==\"Ready\")].status", 0);
        let valid = column("Valid", ".status.conditions[?(@.type==\"Valid\")].status", 0);
        let who = column("Requester", ".spec.requestedBy.user", 1);
        let next = column("Next", ".status.nextAction", 1);
        let mut columns = match self.kind {
            "System" => vec![valid, column("Auth", ".spec.auth.credential", 0)],
            "Identity" => vec![valid, column("Class", ".spec.class", 0), column("Tier", ".spec.tier", 0)],
            "Credential" => vec![
                ready,
                valid,
                column("State", ".status.state", 0),
                column("Rotated", ".status.lastRotated", 0),
                column("Old-dies", ".status.oldDiesAt", 1),
                next,
            ],
            "Workload" => vec![valid, column("Confirm", ".spec.confirm.how", 0)],
            "RotationWindow" => {
                vec![valid, column("Cron", ".spec.cron", 0), column("Zone", ".spec.timeZone", 0)]
            }
            "Grant" => vec![valid, column("From", ".spec.from", 0)],
            "ApprovalPolicy" => vec![valid, column("Approvals", ".spec.require.approvals", 0)],
            "Reset" => vec![
                column("Phase", ".status.phase", 0),
                ready,
                column("Reason", ".spec.reason", 0),
                column("Parked", ".status.parkedTotal", 0),
                who,
                next,
            ],
            "Approval" => vec![column("Phase", ".status.phase", 0), column("Reset", ".spec.reset", 0), who, next],
            _ => vec![
                column("Phase", ".status.phase", 0),
                column("Credential", ".spec.credential", 0),
                column("Until", ".spec.until", 0),
                who,
                next,
            ],
        };
        columns.push(json!({ "name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp" }));
        columns
    }

    /// The definition.
    #[must_use]
    pub fn definition(self) -> Value {
        let spec = self.spec();
        let says = spec["description"].clone();
        let schema = json!({
            "type": "object",
            "description": says,
            "required": ["spec"],
            "properties": {
                "apiVersion": { "type": "string" },
                "kind": { "type": "string" },
                "metadata": { "type": "object" },
                "spec": spec,
                "status": self.status(),
            },
            "x-kubernetes-validations": [rule(
                "self.metadata.name.size() <= 63",
                "`name` is not a name: use lower-case letters, digits, `-` and `.`, at most 63 characters, beginning and ending with a letter or digit",
            )],
        });
        json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {
                "name": format!("{}.{GROUP}", self.plural),
                "labels": { "app.kubernetes.io/name": "remint", "app.kubernetes.io/component": "crds" },
            },
            "spec": {
                "group": GROUP,
                "scope": if self.namespaced { "Namespaced" } else { "Cluster" },
                "names": {
                    "kind": self.kind,
                    "listKind": format!("{}List", self.kind),
                    "plural": self.plural,
                    "singular": self.kind.to_lowercase(),
                    "shortNames": [self.short],
                    "categories": ["remint"],
                },
                "versions": [{
                    "name": VERSION,
                    "served": true,
                    "storage": true,
                    "schema": { "openAPIV3Schema": schema },
                    "subresources": { "status": {} },
                    "additionalPrinterColumns": self.columns(),
                }],
            },
        })
    }

    /// The definition as a file: its name and its text.
    ///
    /// # Errors
    /// It cannot be written as YAML.
    pub fn file(self) -> Result<(String, String), serde_yaml::ser::Error> {
        let text = serde_yaml::to_string(&self.definition())?;
        Ok((format!("{}.{GROUP}.yaml", self.plural), format!("# Made by `remint generate crds`.\n{text}")))
    }
}

fn column(name: &str, path: &str, priority: u8) -> Value {
    let kind = if name == "Approvals" || name == "Parked" { "integer" } else { "string" };
    json!({ "name": name, "type": kind, "jsonPath": path, "priority": priority })
}
