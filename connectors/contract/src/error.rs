//! One error for all connectors: what failed, of which class, and whether trying again can help.

use std::fmt;
use std::time::Duration;

use crate::capability::Verb;
use crate::connector::SettingProblem;

/// The class of a connector's failure. The host decides by it; nobody reads the message to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// The thing named does not exist there.
    Missing,
    /// The system knows who asks and says no (rights, or the credential itself).
    Denied,
    /// Somebody else changed it, or it exists already.
    Conflict,
    /// There is no room for another version: a quota or every slot is taken. Nothing was done; waiting does not help,
    /// what fills it has to go first.
    Full,
    /// Too many calls; come back later.
    Throttled,
    /// The system does not take this value (rules on length or characters). A new value may help.
    RefusedValue,
    /// No connection, or it broke before the request was sent: nothing was done.
    Unreachable,
    /// The request was sent and the answer is lost or not understood: it may or may not have been done.
    Unclear,
    /// This connector does not have the verb.
    Unsupported,
    /// The settings or the request are wrong.
    Invalid,
}

/// What the host may do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Trying again gives the same answer.
    Never,
    /// Nothing was done; the same call may be tried again, not before this long when given.
    After(Option<Duration>),
    /// It may have been done: ask the target (`recover`) before anything else.
    AskTarget,
}

/// A connector's failure. Carries context, never a secret.
#[derive(Debug, thiserror::Error)]
#[error("{verb}: {}{}", .message, Context(.context))]
pub struct Error {
    /// The class of the failure.
    pub kind: ErrorKind,
    /// The verb that failed.
    pub verb: Verb,
    /// What happened, in words, without a secret.
    pub message: String,
    /// Names that help to find the thing: role, path, endpoint, status.
    pub context: Vec<(&'static str, String)>,
    /// How long the system asked us to wait (`Retry-After`).
    pub retry_after: Option<Duration>,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

struct Context<'a>(&'a [(&'static str, String)]);

impl fmt::Display for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (key, value)) in self.0.iter().enumerate() {
            f.write_str(if index == 0 { " (" } else { ", " })?;
            write!(f, "{key} {value}")?;
        }
        if self.0.is_empty() { Ok(()) } else { f.write_str(")") }
    }
}

impl Error {
    /// A failure of `verb` of class `kind`.
    pub fn new(kind: ErrorKind, verb: Verb, message: impl Into<String>) -> Self {
        Self { kind, verb, message: message.into(), context: Vec::new(), retry_after: None, source: None }
    }

    /// The verb is not supported by this connector.
    #[must_use]
    pub fn unsupported(verb: Verb) -> Self {
        Self::new(ErrorKind::Unsupported, verb, "this connector does not support it")
    }

    /// An instance with such settings cannot be opened: every problem, in one sentence.
    pub fn settings(problems: Vec<SettingProblem>) -> Self {
        let each: Vec<_> = problems.into_iter().map(|problem| problem.to_string()).collect();
        Self::new(ErrorKind::Invalid, Verb::Check, each.join("; "))
    }

    /// Adds a name that helps to find the thing.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.context.push((key, value.into()));
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Says how long the system asked us to wait.
    #[must_use]
    pub const fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// What the host may do about it.
    #[must_use]
    pub const fn retry(&self) -> Retry {
        match self.kind {
            ErrorKind::Throttled | ErrorKind::Unreachable => Retry::After(self.retry_after),
            ErrorKind::Unclear => Retry::AskTarget,
            ErrorKind::Missing
            | ErrorKind::Denied
            | ErrorKind::Conflict
            | ErrorKind::Full
            | ErrorKind::RefusedValue
            | ErrorKind::Unsupported
            | ErrorKind::Invalid => Retry::Never,
        }
    }
}
