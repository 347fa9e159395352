//! What a person and a script see: stdout, stderr and exit code of the real program, as golden text under
//! `tests/golden/cli`. Run with `REMINT_GOLDEN=write` to write what is said now, and read the difference.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use normal::normal;

mod contracts;
mod normal;
mod sessions;

/// A user with a home of their own.
struct User {
    home: tempfile::TempDir,
    said: String,
}

impl User {
    fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), said: String::new() }
    }

    fn path(&self, name: &str) -> String {
        self.home.path().join(name).display().to_string()
    }

    /// Runs a command line of words, where `~` is the home.
    fn run(&self, line: &str) -> Output {
        let home = self.home.path().display().to_string();
        let words = line
            .split_whitespace()
            .map(|word| if word.starts_with('~') { word.replacen('~', &home, 1) } else { word.to_owned() });
        Command::new(env!("CARGO_BIN_EXE_remint"))
            .args(words)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env_clear()
            .env("HOME", self.home.path())
            .env("USER", "tester")
            .env("COLUMNS", "110")
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs it and writes down what was said.
    fn does(&mut self, line: &str) -> Output {
        let output = self.run(line);
        self.note(line, &output);
        output
    }

    fn note(&mut self, line: &str, output: &Output) {
        let home = self.home.path().display().to_string();
        let text = |bytes: &[u8]| normal(&String::from_utf8_lossy(bytes), &home);
        let line = normal(line, &home).trim_end().to_owned();
        let _ = write!(self.said, "$ remint {line}\n{}", text(&output.stdout));
        if !output.stderr.is_empty() {
            for line in text(&output.stderr).lines() {
                let _ = writeln!(self.said, "{}", format!("2> {line}").trim_end());
            }
        }
        let _ = write!(self.said, "exit {}\n\n", output.status.code().unwrap());
    }

    /// Compares everything that was said with the golden text.
    fn check(&self, name: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/cli").join(format!("{name}.txt"));
        assert_golden(&path, &self.said);
    }
}

/// Compares what is said with the golden text of a file.
pub(crate) fn assert_golden(path: &Path, said: &str) {
    #[expect(clippy::disallowed_methods, reason = "whoever runs the tests says that golden text is written anew")]
    if std::env::var("REMINT_GOLDEN").is_ok_and(|word| word == "write") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, said).unwrap();
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    let differs = golden.lines().zip(said.lines()).position(|(golden, said)| golden != said);
    assert!(
        golden == said,
        "{} is not what is said now; the first difference is at line {}. To take it over: REMINT_GOLDEN=write\n\n{said}",
        path.display(),
        differs.unwrap_or(golden.lines().count().min(said.lines().count())) + 1,
    );
}

fn object(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn exit(output: &Output) -> i32 {
    output.status.code().unwrap()
}
