//! Helm, as a program, over the chart.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// Helm, with a home of its own.
pub(crate) struct Helm {
    program: String,
    home: tempfile::TempDir,
}

impl Helm {
    /// # Panics
    /// It was not built for the tests: what is not tested is not claimed.
    pub(crate) fn new() -> Self {
        let Ok(program) = std::env::var("REMINT_TEST_HELM") else {
            panic!(
                "no Helm: REMINT_TEST_HELM is not set; run `cargo xtask test`, or export what `cargo xtask servers up helm` prints"
            )
        };
        writeln!(std::io::stderr(), "SERVER Helm").unwrap();
        Self { program, home: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).env_clear().env("HOME", self.home.path());
        command
    }

    /// What it renders for the release `remint` in the namespace `remint`.
    #[track_caller]
    pub(crate) fn rendered(&self, values: &Path) -> Rendered {
        let chart = chart();
        let [chart, values] = [&chart, values].map(|path| path.to_str().unwrap());
        let output = self.run(&["template", "remint", chart, "--namespace", "remint", "--values", values]);
        assert!(output.status.success(), "{values}: {}", String::from_utf8_lossy(&output.stderr));
        Rendered::read(&String::from_utf8(output.stdout).unwrap())
    }
}

pub(crate) fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find_map(chart_of).unwrap()
}

fn chart_of(folder: &Path) -> Option<PathBuf> {
    let chart = folder.join("helm/remint");
    chart.is_dir().then_some(chart)
}

/// The values that the chart is tried with, by name.
pub(crate) fn sets() -> BTreeMap<String, PathBuf> {
    let files = std::fs::read_dir(golden()).unwrap().map(|file| file.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|kind| kind == "yaml"));
    files.map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path)).collect()
}

pub(crate) fn golden() -> PathBuf {
    chart().join("../../tests/golden/chart")
}

/// Every object, by kind, namespace and name: as text, and read.
pub(crate) struct Rendered(pub(crate) BTreeMap<String, (String, Value)>);

impl Rendered {
    fn read(text: &str) -> Self {
        let documents = text.split("---\n").filter_map(|one| {
            // Where it comes from says nothing of what it is.
            let lines = one.lines().filter(|line| !line.starts_with("# Source: "));
            let text: String = lines.map(|line| format!("{line}\n")).collect();
            let text = format!("{}\n", text.trim());
            let object: Value = serde_yaml::from_str(&text).ok().filter(Value::is_object)?;
            let meta = &object["metadata"];
            let space = meta["namespace"].as_str().map(|space| format!("{space}/")).unwrap_or_default();
            let name = format!("{} {space}{}", object["kind"].as_str()?, meta["name"].as_str()?);
            Some((name, (text, object)))
        });
        Self(documents.collect())
    }

    pub(crate) fn objects(&self) -> impl Iterator<Item = &Value> {
        self.0.values().map(|(_, object)| object)
    }
}
