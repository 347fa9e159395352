//! The table of what every connector can do: made from the code, compared with the page that people read.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use remint::registry::Registry;
use remint_contract::{Capabilities, Kinds as _, MadeBy, ProbeCost, Slots, Verb};
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::assert_golden;

/// A connector with settings that make it what the row says, and what its conformance suite ran against.
struct Row {
    kind: &'static str,
    what: &'static str,
    settings: Value,
    tried: Tried,
}

#[derive(Clone, Copy)]
enum Tried {
    /// A server, its version, and the file that pins it; `None` where the system's packages say which.
    Server(&'static str, &'static str, Option<&'static str>),
    /// Each of them; the second on demand.
    Both(&'static Self, &'static Self),
    /// The thing itself, on this machine.
    Here(&'static str),
    /// A small server of the test.
    Double,
    Nothing,
}

const POSTGRESQL: Tried = Tried::Server("PostgreSQL", "15", None);
const OPENBAO: Tried = Tried::Server("OpenBao", "2.4.0", Some("xtask/src/servers/openbao.rs"));
const VAULT: Tried = Tried::Server("Vault", "1.14.2", Some("xtask/servers/vault/go.mod"));
const VAULTS: Tried = Tried::Both(&OPENBAO, &VAULT);
const PEBBLE: Tried = Tried::Server("Pebble", "2.4.0", None);
const MOTO: Tried = Tried::Server("moto", "5.2.5", Some("xtask/servers/moto/requirements.txt"));
const KUBERNETES: Tried = Tried::Server("Kubernetes", "1.36.3", Some("xtask/src/servers/kubernetes.rs"));
const JUPYTERHUB: Tried = Tried::Server("JupyterHub", "6.1.1", Some("xtask/servers/jupyterhub/requirements.txt"));

fn rows() -> Vec<Row> {
    let fake = |role: &str| json!({"role": role, "endpoints": ["http://127.0.0.1:1"]});
    let vault = |engine: &str| json!({"address": "https://vault.internal:8200", "engine": engine});
    let http =
        |recipe: &str, base: &str, settings: Value| json!({"recipe": recipe, "base": base, "settings": settings});
    let row = |kind, what, settings, tried| Row { kind, what, settings, tried };
    let kubernetes = |mut settings: Value| {
        settings["server"] = json!("https://10.0.0.1:6443");
        settings
    };
    let gitlab = "https://gitlab.com/api/v4";
    let cloudflare = ("https://api.cloudflare.com/client/v4", json!({"account": "1"}));
    let databases = json!({"address": "https://vault.internal:8200", "engine": "database",
        "endpoints": ["postgres://db.internal:5432/app"]});
    let acme = json!({"directory": "https://acme.internal/directory", "folder": "/var/lib/remint/acme",
        "challenge": {"webroot": "/srv/www"}});
    let relied_on = json!({"folder": "/var/lib/remint/pki", "relyingParties": [{"address": "db.internal:8443"}]});
    let wrapped = json!({"address": "https://vault.internal:8200", "engine": "kv2", "wrap": "10m"});
    let aws = |service: &str| json!({"service": service, "region": "eu-central-1"});
    vec![
        row("acme", "", acme, PEBBLE),
        row("aws", "iam", aws("iam"), MOTO),
        row("aws", "secretsmanager", aws("secretsmanager"), MOTO),
        row("aws", "rotation", aws("rotation"), Tried::Double),
        row("aws", "ssm", aws("ssm"), MOTO),
        row("exec", "token_office.py", office(), Tried::Here("its own program")),
        row("fake", "issuer", fake("issuer"), Tried::Here("itself")),
        row("fake", "store", fake("store"), Tried::Here("itself")),
        row("fake", "workloads", fake("workloads"), Tried::Here("itself")),
        row("file", "", json!({"root": "/srv/app"}), Tried::Here("files and processes")),
        row(
            "http",
            "cloudflare-account-token",
            http("cloudflare-account-token", cloudflare.0, cloudflare.1),
            Tried::Nothing,
        ),
        row(
            "http",
            "github-actions-secret",
            http("github-actions-secret", "https://api.github.com", json!({})),
            Tried::Double,
        ),
        row(
            "http",
            "github-personal-token",
            http("github-personal-token", "https://api.github.com", json!({})),
            Tried::Double,
        ),
        row("http", "gitlab-project-token", http("gitlab-project-token", gitlab, json!({})), Tried::Double),
        row("http", "gitlab-project-variable", http("gitlab-project-variable", gitlab, json!({})), Tried::Double),
        row(
            "http",
            "jupyterhub-user-token",
            http("jupyterhub-user-token", "https://hub.internal/hub/api", json!({})),
            JUPYTERHUB,
        ),
        row("pki", "", relied_on, Tried::Here("files, and servers of TLS")),
        row("kubernetes", "bound tokens, replaced Secrets", kubernetes(json!({"tokens": "bound"})), KUBERNETES),
        row(
            "kubernetes",
            "legacy tokens",
            kubernetes(json!({"tokens": "legacy", "secrets": "none", "workloads": false})),
            KUBERNETES,
        ),
        row("kubernetes", "versioned Secrets", kubernetes(json!({"secrets": "versioned"})), KUBERNETES),
        row("sql", "", json!({"url": "postgres://db.internal:5432/app"}), POSTGRESQL),
        row("vault", "approle", vault("approle"), VAULTS),
        row("vault", "database", databases, VAULTS),
        row("vault", "kv1", vault("kv1"), VAULTS),
        row("vault", "kv2", vault("kv2"), VAULTS),
        row("vault", "kv2, wrapped", wrapped, VAULTS),
        row("vault", "pki", vault("pki"), VAULTS),
        row("vault", "token", vault("token"), VAULTS),
        row("vault", "transit", vault("transit"), VAULTS),
    ]
}

/// The settings of the example in exec's README.
fn office() -> Value {
    let readme = std::fs::read_to_string(root().join("connectors/exec/README.md")).unwrap();
    let block = readme.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let document: Value = serde_yaml::from_str(block).unwrap();
    document["spec"]["exec"].clone()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_page_of_capabilities_says_what_the_code_says() {
    assert_golden(&root().join("src/docs/catalogue/capabilities.md"), &render(&rows()));
}

#[test]
fn every_connector_and_every_recipe_has_a_row() {
    let rows = rows();
    let kinds: BTreeSet<_> = rows.iter().map(|row| row.kind).collect();
    assert_eq!(kinds, Registry::new().names().into_iter().collect());
    let recipes: BTreeSet<_> = rows.iter().filter(|row| row.kind == "http").map(|row| row.what.to_owned()).collect();
    let files = std::fs::read_dir(root().join("manifests/catalogue")).unwrap();
    let stem = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
    assert_eq!(recipes, files.map(|file| stem(&file.unwrap().path())).collect());
}

#[test]
fn the_versions_of_the_table_are_those_that_the_tests_obtain() {
    for row in rows() {
        for (name, version, file) in row.tried.pinned() {
            let text = std::fs::read_to_string(root().join(file)).unwrap();
            assert!(text.contains(version), "{file} does not obtain {name} {version}");
        }
    }
}

fn render(rows: &[Row]) -> String {
    let registry = Registry::new();
    let described: Vec<(&Row, Capabilities)> = rows
        .iter()
        .map(|row| {
            let kind = registry.kind(row.kind).unwrap();
            let found = kind.describe(&row.settings).unwrap_or_else(|problems| panic!("{}: {problems:?}", row.name()));
            (row, found)
        })
        .collect();
    let mut page = HEAD.to_owned();
    issuers(&mut page, &described);
    stores(&mut page, &described);
    hosts(&mut page, &described);
    verbs(&mut page, &described);
    page
}

impl Row {
    fn name(&self) -> String {
        if self.what.is_empty() { self.kind.to_owned() } else { format!("{} {}", self.kind, self.what) }
    }

    fn tried(&self) -> String {
        self.tried.words()
    }
}

impl Tried {
    fn words(&self) -> String {
        match self {
            Self::Server(name, version, _) => format!("{name} {version}"),
            Self::Both(one, other) => format!("{}, {}", one.words(), other.words()),
            Self::Here(what) => (*what).to_owned(),
            Self::Double => "a small server of the test".to_owned(),
            Self::Nothing => "**nothing**".to_owned(),
        }
    }

    /// (name, version, file that pins it)
    fn pinned(&self) -> Vec<(&'static str, &'static str, &'static str)> {
        match self {
            Self::Server(name, version, Some(file)) => vec![(name, version, file)],
            Self::Both(one, other) => [one.pinned(), other.pinned()].concat(),
            _ => Vec::new(),
        }
    }
}

fn issuers(page: &mut String, described: &[(&Row, Capabilities)]) {
    page.push_str("\n## Issuers\n\n| connector | strategies, with the calls of a rotation | slots | value made by | a try costs | stops reversibly | dies with its issuer | its suite ran against |\n|---|---|---|---|---|---|---|---|\n");
    for (row, found) in described {
        let Some(issuer) = &found.issuer else { continue };
        let mut strategies: Vec<_> = issuer
            .strategies
            .iter()
            .map(|strategy| match issuer.calls.iter().find(|(one, _)| one == strategy) {
                Some((_, calls)) => format!("{} ({calls})", word(strategy)),
                None => word(strategy),
            })
            .collect();
        if strategies.is_empty() {
            strategies.push("manual; ends what it is shown".to_owned());
        }
        let slots = match issuer.slots {
            Slots::One => "1",
            Slots::Two => "2",
            Slots::Many => "many",
        };
        let made_by = match issuer.made_by {
            MadeBy::Remint => "Remint",
            MadeBy::Issuer => "issuer",
            MadeBy::IssuerOnce => "issuer, shown once",
        };
        let cost = match issuer.probe {
            ProbeCost::Free => "nothing",
            ProbeCost::Counted => "it is counted",
            ProbeCost::Unsafe => "**changes state**",
        };
        let (reversible, dies) = (yes(issuer.reversible_disable), yes(issuer.dies_with_issuer));
        let (name, strategies, tried) = (row.name(), strategies.join(", "), row.tried());
        writeln!(page, "| {name} | {strategies} | {slots} | {made_by} | {cost} | {reversible} | {dies} | {tried} |")
            .unwrap();
    }
}

fn stores(page: &mut String, described: &[(&Row, Capabilities)]) {
    page.push_str("\n## Stores\n\n| connector | compare-and-set | stages | keeps old versions | shows values | its suite ran against |\n|---|---|---|---|---|---|\n");
    for (row, found) in described {
        let Some(store) = &found.store else { continue };
        let words = [store.compare_and_set, store.staged, store.versioned, found.verbs.contains(&Verb::Read)].map(yes);
        writeln!(page, "| {} | {} | {} |", row.name(), words.join(" | "), row.tried()).unwrap();
    }
}

fn hosts(page: &mut String, described: &[(&Row, Capabilities)]) {
    page.push_str("\n## Hosts of workloads\n\n| connector | grades that `observe` gives | its suite ran against |\n|---|---|---|\n");
    for (row, found) in described {
        let Some(consumer) = &found.consumer else { continue };
        let grades: Vec<_> = consumer.grades.iter().map(word).collect();
        writeln!(page, "| {} | {} | {} |", row.name(), grades.join(", "), row.tried()).unwrap();
    }
}

fn verbs(page: &mut String, described: &[(&Row, Capabilities)]) {
    page.push_str("\n## Verbs\n\nA verb that a connector does not have answers `unsupported`.\n\n| connector |");
    for verb in Verb::ALL {
        write!(page, " {verb} |").unwrap();
    }
    page.push_str("\n|---|");
    page.push_str(&"---|".repeat(Verb::ALL.len()));
    page.push('\n');
    for (row, found) in described {
        write!(page, "| {} |", row.name()).unwrap();
        for verb in Verb::ALL {
            page.push_str(if found.verbs.contains(&verb) { " x |" } else { "  |" });
        }
        page.push('\n');
    }
}

fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).unwrap().as_str().unwrap().to_owned()
}

fn yes(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

const HEAD: &str = "# What every connector can do\n\nMade from the code, and compared with it by a test (`tests/remint/capabilities.rs`); not written by hand. What a system \
                    really\ncan do may depend on its settings (`exec`, `fake`: on what they declare).\n";
