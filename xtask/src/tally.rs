//! What `cargo test` printed, counted: a row for each test program.

use std::fmt;

/// A line that a test prints when it leaves out what it has no server for.
const SKIPPED: &str = "SKIPPED ";
/// A line that a test prints when it talks to a server: the server's name follows.
const SERVER: &str = "SERVER ";

#[derive(Default)]
struct Suite {
    name: String,
    server: Option<String>,
    passed: usize,
    failed: usize,
    skipped: usize,
    ended: bool,
}

/// Every suite that began, in order.
#[derive(Default)]
pub(crate) struct Tally(Vec<Suite>);

impl Tally {
    /// Takes one line of output.
    pub(crate) fn see(&mut self, line: &str) {
        if let Some(name) = begins(line) {
            self.0.push(Suite { name, ..Suite::default() });
            return;
        }
        let Some(suite) = self.0.last_mut() else { return };
        if let Some((_, counts)) = line.split_once("test result: ") {
            let count = |word: &str| {
                let before = counts.split_once(word).map_or("", |(before, _)| before.trim_end());
                before.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
            };
            suite.passed += count("passed");
            suite.failed += count("failed");
            suite.skipped += count("ignored");
            suite.ended = true;
        } else if line.contains(SKIPPED) {
            suite.skipped += 1;
        } else if let Some((_, server)) = line.split_once(SERVER) {
            suite.server = Some(server.trim().to_owned());
        }
    }

    /// What passed and what failed. A suite that never came to its end failed; so did a run without any suite.
    pub(crate) fn sums(&self, succeeded: bool) -> (usize, usize) {
        let passed = self.0.iter().map(Suite::really_passed).sum();
        let failed: usize = self.0.iter().map(Suite::really_failed).sum();
        (passed, if succeeded { failed } else { failed.max(1) })
    }

    /// The table, with the version of every server that was there.
    pub(crate) fn render(&self, version: impl Fn(&str) -> Option<String>) -> String {
        use fmt::Write as _;
        let mut text = format!(
            "{:<44} {:<11} {:<30} {:>6} {:>6} {:>7}\n",
            "suite", "server", "version", "passed", "failed", "skipped"
        );
        for suite in self.0.iter().filter(|suite| suite.passed + suite.really_failed() + suite.skipped > 0) {
            let server = suite.server.as_deref();
            let version = server.and_then(&version).unwrap_or_else(|| "-".to_owned());
            let _ = writeln!(
                text,
                "{:<44} {:<11} {version:<30} {:>6} {:>6} {:>7}",
                suite.name,
                server.unwrap_or("-"),
                suite.really_passed(),
                suite.really_failed(),
                suite.skipped
            );
        }
        text
    }
}

impl Suite {
    /// The harness counts what was skipped for want of a server as passed.
    fn really_passed(&self) -> usize {
        self.passed.saturating_sub(self.skipped)
    }

    fn really_failed(&self) -> usize {
        if self.ended { self.failed } else { self.failed.max(1) }
    }
}

/// The suite that begins with this line: `Running <source> (<program>)` or `Doc-tests <crate>`.
fn begins(line: &str) -> Option<String> {
    let line = line.trim_start();
    if let Some(name) = line.strip_prefix("Doc-tests ") {
        return Some(format!("{name} documentation"));
    }
    let (source, program) = line.strip_prefix("Running ")?.strip_suffix(')')?.split_once(" (")?;
    let program = program.rsplit('/').next()?;
    let name = program.rsplit_once('-').map_or(program, |(name, _)| name);
    Some(format!("{name} {}", source.trim_start_matches("unittests ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(text: &str) -> Tally {
        let mut tally = Tally::default();
        text.lines().for_each(|line| tally.see(line));
        tally
    }

    #[test]
    fn a_suite_is_counted_under_its_program_and_server() {
        let tally = tally(
            "     Running tests/postgres.rs (target/debug/deps/postgres-4c1d)\nrunning 3 tests\nSERVER PostgreSQL\n\
             SKIPPED of one: not asked for\ntest a ... ok\n\
             test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s\n",
        );
        assert_eq!(tally.sums(false), (1, 1));
        let text = tally.render(|server| (server == "PostgreSQL").then(|| "15.1".to_owned()));
        assert_eq!(
            text.lines().nth(1).unwrap_or_default().split_whitespace().collect::<Vec<_>>(),
            ["postgres", "tests/postgres.rs", "PostgreSQL", "15.1", "1", "1", "1"]
        );
    }

    #[test]
    fn a_suite_that_never_ended_failed() {
        let tally = tally("     Running unittests src/lib.rs (target/debug/deps/remint-4c1d)\nrunning 3 tests\n");
        assert_eq!(tally.sums(false), (0, 1));
    }

    #[test]
    fn what_does_not_compile_failed() {
        assert_eq!(tally("error[E0308]: mismatched types\n").sums(false), (0, 1));
    }
}
