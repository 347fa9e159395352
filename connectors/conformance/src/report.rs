//! What the suite found.

use std::fmt;

/// Every check by its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    pub passed: Vec<String>,
    /// (check, why)
    pub failed: Vec<(String, String)>,
    /// (check, why): the harness has no means to show it.
    pub not_shown: Vec<(String, String)>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in &self.passed {
            writeln!(f, "passed     {name}")?;
        }
        for (name, why) in &self.not_shown {
            writeln!(f, "not shown  {name}: {why}")?;
        }
        for (name, why) in &self.failed {
            writeln!(f, "FAILED     {name}: {why}")?;
        }
        write!(f, "{} passed, {} failed, {} not shown", self.passed.len(), self.failed.len(), self.not_shown.len())
    }
}

/// Ends a test when a check failed, or none passed.
///
/// # Panics
/// When the report holds a failure or nothing at all.
#[track_caller]
pub fn assert_passes(report: &Report) {
    assert!(report.failed.is_empty() && !report.passed.is_empty(), "\n{report}\n");
}
