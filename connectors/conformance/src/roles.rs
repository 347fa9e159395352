//! What all checks share: their outcome, the report, and the scanner that sees every answer.

use std::fmt::Debug;
use std::sync::Arc;

use remint_contract::{Connector, Error, ErrorKind, Material, SecretValue};

use crate::harness::Harness;
use crate::leaks::Leaks;
use crate::report::Report;

/// Why a check ended before its end.
#[derive(Debug)]
pub(crate) enum Stop {
    Failed(String),
    NotShown(&'static str),
}

pub(crate) type Outcome = Result<(), Stop>;

/// One run.
pub(crate) struct Suite<'a> {
    pub(crate) harness: &'a dyn Harness,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) leaks: Leaks,
    report: Report,
    made: u32,
}

impl<'a> Suite<'a> {
    pub(crate) fn new(harness: &'a dyn Harness) -> Self {
        let connector = harness.connector();
        Self { harness, connector, leaks: Leaks::default(), report: Report::default(), made: 0 }
    }

    /// Writes one check's outcome down.
    pub(crate) fn note(&mut self, name: impl Into<String>, outcome: Outcome) {
        match outcome {
            Ok(()) => self.report.passed.push(name.into()),
            Err(Stop::Failed(why)) => self.report.failed.push((name.into(), why)),
            Err(Stop::NotShown(why)) => self.report.not_shown.push((name.into(), why.to_owned())),
        }
    }

    pub(crate) fn finish(mut self) -> Report {
        let found = self.leaks.found().join(", ");
        let outcome = if found.is_empty() { Ok(()) } else { Err(Stop::Failed(format!("found in: {found}"))) };
        self.note("no error and no printed value holds a secret", outcome);
        self.report
    }

    /// A new secret that the scanner knows, long and of plain characters.
    pub(crate) fn secret(&mut self) -> SecretValue {
        self.made += 1;
        let secret = SecretValue::from(format!("Conformance-marker-4711-{:04}", self.made));
        self.leaks.watch(&secret);
        secret
    }

    /// The answer of a call that must succeed. What it prints is scanned.
    pub(crate) fn good<T: Debug>(&mut self, what: &str, result: Result<T, Error>) -> Result<T, Stop> {
        match result {
            Ok(value) => {
                self.leaks.scan(&format!("the answer of {what}"), &format!("{value:?}"));
                Ok(value)
            }
            Err(error) => {
                self.scan_error(what, &error);
                Err(Stop::Failed(format!("{what}: {error}")))
            }
        }
    }

    /// The class of the error of a call that must fail with one of `kinds`.
    pub(crate) fn bad<T>(&mut self, what: &str, result: Result<T, Error>, kinds: &[ErrorKind]) -> Outcome {
        match result {
            Ok(_) => Err(Stop::Failed(format!("{what}: succeeded, expected one of {kinds:?}"))),
            Err(error) => {
                self.scan_error(what, &error);
                if kinds.contains(&error.kind) {
                    return Ok(());
                }
                Err(Stop::Failed(format!("{what}: {:?} ({error}), expected one of {kinds:?}", error.kind)))
            }
        }
    }

    /// A call that may do either; only its words are looked at.
    pub(crate) fn either<T: Debug>(&mut self, what: &str, result: Result<T, Error>) {
        let _ = self.good(what, result);
    }

    pub(crate) fn watch(&mut self, material: &Material) {
        self.leaks.watch_material(material);
    }

    fn scan_error(&mut self, what: &str, error: &Error) {
        let place = format!("the error of {what}");
        self.leaks.scan(&place, &format!("{error} {error:?}"));
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            self.leaks.scan(&place, &format!("{error} {error:?}"));
            cause = error.source();
        }
    }
}

/// A condition with a sentence for when it does not hold.
pub(crate) fn hold(condition: bool, why: impl Into<String>) -> Outcome {
    if condition { Ok(()) } else { Err(Stop::Failed(why.into())) }
}
