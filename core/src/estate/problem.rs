//! Problems: everything that is wrong with an estate's text, each at its place, with what to do about it.
//!
//! A [`Reporter`] collects them while the text is read, so that one look at the text gives all of them. Nothing here
//! ever holds a character of a value that looks like a secret: such values are taken out of the tree before anything
//! else reads it.

use std::fmt;

use remint_contract::Ref;
use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The estate is refused.
    Error,
    /// The estate is taken; somebody should look.
    Warning,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Problem {
    pub file: String,
    /// From 1; 0 when the whole file is meant.
    pub line: u64,
    /// In characters, from 1; 0 when the whole file is meant.
    pub column: u64,
    pub severity: Severity,
    /// The document, when it is known which.
    pub subject: Option<Ref>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
    /// What the document refers to, where that is what is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Ref>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What the active estate says wrong beside a change stands in no file.
        if !self.file.is_empty() {
            f.write_str(&self.file)?;
            if self.line > 0 {
                write!(f, ":{}:{}", self.line, self.column)?;
            }
            f.write_str(": ")?;
        }
        let word = if self.severity == Severity::Warning { "warning: " } else { "" };
        write!(f, "{word}{}", self.message)?;
        if let Some(subject) = &self.subject {
            write!(f, " ({subject})")?;
        }
        write!(f, ": {}", self.hint)
    }
}

/// All problems of a load, sorted by place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

/// A place in the text: a file by its index, line and column from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Span {
    pub(super) file: usize,
    pub(super) line: u64,
    pub(super) column: u64,
}

impl Span {
    /// In no text.
    pub(super) const NOWHERE: Self = Self { file: usize::MAX, line: 0, column: 0 };
}

/// Collects problems under the names of their files.
pub(super) struct Reporter<'f> {
    files: Vec<&'f str>,
    problems: Vec<Problem>,
}

impl<'f> Reporter<'f> {
    pub(super) fn new(files: Vec<&'f str>) -> Self {
        Self { files, problems: Vec::new() }
    }

    pub(super) fn error(
        &mut self,
        span: Span,
        subject: Option<&Ref>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.add(Severity::Error, span, subject, message.into(), hint.into());
    }

    /// An error that is a reference, of `from` to `to`.
    pub(super) fn reference(
        &mut self,
        span: Span,
        [from, to]: [&Ref; 2],
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.error(span, Some(from), message, hint);
        if let Some(problem) = self.problems.last_mut() {
            problem.to = Some(to.clone());
        }
    }

    pub(super) fn warn(
        &mut self,
        span: Span,
        subject: Option<&Ref>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.add(Severity::Warning, span, subject, message.into(), hint.into());
    }

    /// `file:line`, or that it stands in none, to point from one problem at another place.
    pub(super) fn place(&self, span: Span) -> String {
        match self.files.get(span.file) {
            Some(file) => format!("{file}:{}", span.line),
            None => "in the active estate".to_owned(),
        }
    }

    pub(super) fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// Everything reported, sorted by file, line and column, each once.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        self.problems.sort();
        self.problems.dedup();
        self.problems
    }

    fn add(&mut self, severity: Severity, span: Span, subject: Option<&Ref>, message: String, hint: String) {
        let file = self.files.get(span.file).copied().unwrap_or_default().to_owned();
        let (line, column, subject) = (span.line, span.column, subject.cloned());
        self.problems.push(Problem { file, line, column, severity, subject, message, hint, to: None });
    }
}
