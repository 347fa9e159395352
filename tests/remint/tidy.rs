//! The house rules, as a walk over the text of the repository: layers, sizes, names, lists that must agree.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Above this a file has to stand in [`LONG`].
const LONGEST: usize = 500;
/// Above this a file is named, so that it is looked at before it grows.
const WANTED: usize = 400;

/// Files that may be longer, and why.
const LONG: [(&str, &str); 0] = [];

/// What a layer must not name. What decides is pure; what does knows nothing of the edges.
const LAYERS: [(&str, &[&str]); 5] = [
    (
        "core/src",
        &[
            "tokio",
            "std::fs",
            "std::net",
            "std::env",
            "std::process",
            "rand::",
            "SystemTime",
            "Instant::now",
            "Timestamp::now",
        ],
    ),
    (
        "cluster/src",
        &["tokio", "std::fs", "std::net", "std::env", "std::process", "SystemTime", "Timestamp::now", "kube::"],
    ),
    ("evidence-format/src", &["tokio", "std::fs", "std::net", "SystemTime", "Timestamp::now", "remint_core"]),
    (
        "src/engine",
        &["crate::cli", "crate::app", "crate::demo", "crate::serve", "crate::registry", "rusqlite", "clap::"],
    ),
    ("src/store", &["crate::cli", "crate::app", "crate::demo", "crate::serve", "crate::engine", "crate::evidence"]),
];

/// What a connector may depend on.
const BELOW: [&str; 2] = ["remint-contract", "remint-certificate"];

/// Marks that never stay: in pieces, so that this page does not find itself.
const MARKS: [(&str, &str); 5] =
    [("todo", "!("), ("dbg", "!("), ("unimplemented", "!("), ("/wo", "rk/"), ("/ro", "ot/")];

#[test]
fn no_layer_names_what_is_above_it() {
    let mut problems = Vec::new();
    for (folder, words) in LAYERS {
        for file in files(folder, "rs") {
            for (number, line) in lines(&file) {
                let code = line.split("//").next().unwrap_or_default();
                if let Some(word) = words.iter().find(|word| code.contains(**word)) {
                    problems.push(format!("{}:{number}: {folder} must not know {word}", shown(&file)));
                }
            }
        }
    }
    none(&problems);
}

#[test]
fn a_connector_depends_on_the_contract_and_on_no_other_connector() {
    let kinds = connectors();
    let mut problems = Vec::new();
    for kind in &kinds {
        let manifest = read(&root().join("connectors").join(kind).join("Cargo.toml"));
        let dependencies = manifest.split("[dev-dependencies]").next().unwrap_or_default();
        for line in dependencies.lines().filter(|line| line.starts_with("remint")) {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            if !BELOW.contains(&name) {
                problems
                    .push(format!("connectors/{kind}/Cargo.toml depends on {name}; only the contract and the certificates are below it"));
            }
        }
    }
    none(&problems);
}

#[test]
fn a_connector_is_a_folder_a_dependency_and_a_line_of_the_registry() {
    let registry = read(&root().join("src/registry.rs"));
    let manifest = read(&root().join("Cargo.toml"));
    let mut problems = Vec::new();
    for kind in connectors() {
        if !registry.contains(&format!("remint_{kind}::")) {
            problems.push(format!("connectors/{kind} has no line in src/registry.rs"));
        }
        if !manifest.contains(&format!("\nremint-{kind}.workspace = true")) {
            problems.push(format!("connectors/{kind} is no dependency of the root package"));
        }
        for file in ["README.md", "src/lib.rs", "tests/conformance.rs"] {
            if !root().join("connectors").join(&kind).join(file).exists() {
                problems.push(format!("connectors/{kind} lacks {file}"));
            }
        }
    }
    let listed = registry.match_indices("remint_").filter_map(|(at, _)| registry[at + 7..].split("::").next());
    for kind in listed.filter(|kind| *kind != "contract") {
        if !connectors().contains(kind) {
            problems.push(format!("src/registry.rs names {kind}, which is no folder of connectors/"));
        }
    }
    none(&problems);
}

#[test]
fn a_file_is_one_noun_or_one_verb() {
    let mut problems = Vec::new();
    for file in files(".", "rs") {
        let count = lines(&file).len();
        let name = shown(&file);
        let allowed = LONG.iter().any(|(long, _)| *long == name);
        if count > LONGEST && !allowed {
            problems.push(format!("{name} has {count} lines; split it by noun or verb, or say why not in LONG"));
        } else if count <= LONGEST && allowed && count <= WANTED {
            problems.push(format!("{name} has {count} lines; it needs its place in LONG no more"));
        } else if count > WANTED {
            println!("long: {name} has {count} lines");
        }
        if file.file_name().is_some_and(|name| name == "mod.rs") && !name.contains("/tests/") {
            problems.push(format!("{name}: call it after its folder, beside the folder"));
        }
    }
    none(&problems);
}

#[test]
fn nothing_stays_that_was_meant_to_go() {
    let mut problems = Vec::new();
    let kinds = ["rs", "toml", "md", "yaml", "yml", "json", "txt", "sh"];
    for file in kinds.iter().flat_map(|kind| files(".", kind)).chain([root().join(".ci/run")]) {
        for (number, line) in lines(&file) {
            let place = format!("{}:{number}", shown(&file));
            for (begin, end) in MARKS {
                if line.contains(&format!("{begin}{end}")) {
                    problems.push(format!("{place}: {begin}{end}"));
                }
            }
            if line.trim() == concat!("#[ig", "nore]") {
                problems.push(format!("{place}: an ignored test says why"));
            }
        }
    }
    none(&problems);
}

#[test]
fn every_decision_is_listed() {
    let folder = root().join("src/docs/decisions");
    let list = read(&folder.join("README.md"));
    let mut problems = Vec::new();
    for file in files("src/docs/decisions", "md") {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        if name != "README.md" && !list.contains(&format!("]({name})")) {
            problems.push(format!("src/docs/decisions/README.md does not link {name}"));
        }
    }
    for link in list.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        if !folder.join(link).is_file() {
            problems.push(format!("src/docs/decisions/README.md links {link}, which is not there"));
        }
    }
    none(&problems);
}

#[test]
fn the_two_commands_are_what_the_readme_and_ci_say() {
    let readme = read(&root().join("README.md"));
    let mut problems: Vec<String> = ["cargo run --release -- demo", "cargo xtask test"]
        .into_iter()
        .filter(|command| !readme.contains(command))
        .map(|command| format!("README.md does not say `{command}`"))
        .collect();
    if !read(&root().join(".ci/run")).lines().any(|line| line.trim().trim_start_matches("exec ") == "cargo xtask test")
    {
        problems.push(".ci/run does not call `cargo xtask test`".to_owned());
    }
    none(&problems);
}

/// Folders of connectors; the contract and its suite are not one.
fn connectors() -> BTreeSet<String> {
    let items = std::fs::read_dir(root().join("connectors")).unwrap().map(Result::unwrap);
    let names = items.filter(|item| item.path().is_dir()).map(|item| item.file_name().to_string_lossy().into_owned());
    names.filter(|name| name != "contract" && name != "conformance").collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn shown(file: &Path) -> String {
    file.strip_prefix(root()).unwrap_or(file).display().to_string()
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_default()
}

fn lines(file: &Path) -> Vec<(usize, String)> {
    let text = std::fs::read(file).unwrap();
    String::from_utf8_lossy(&text).lines().enumerate().map(|(index, line)| (index + 1, line.to_owned())).collect()
}

/// Files of a kind below a folder, sorted; nothing that is built or hidden.
pub(crate) fn files(folder: &str, kind: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![if folder == "." { root() } else { root().join(folder) }];
    while let Some(folder) = folders.pop() {
        for item in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = item.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && !name.starts_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == kind) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[track_caller]
fn none(problems: &[String]) {
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
}
