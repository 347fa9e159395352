//! One document that somebody brings, beside those that are there.
//!
//! The checks are those of [`load`](super::load()), with two differences that come from documents arriving one by one: a
//! reference to what is not there yet refuses nothing, for two documents may need one another; and what is wrong among the
//! others already is not held against the one that comes.

use std::collections::BTreeSet;

use remint_contract::{Kinds, Ref};

use super::load::read;
use super::problem::{Problem, Reporter};
use super::source::SourceFile;
use super::validate;

/// What is said of a document that comes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Admitted {
    /// Why it is refused; empty: it is not.
    pub refused: Vec<Problem>,
    /// What it refers to and is not there.
    pub missing: Vec<Problem>,
}

/// Judges one document beside the others; of those, none has its name.
#[must_use]
pub fn admit(document: &SourceFile, others: &[SourceFile], kinds: &dyn Kinds) -> Admitted {
    let mut alone = Reporter::new(vec![&document.name]);
    read(std::slice::from_ref(document), kinds, &mut alone);
    if alone.has_errors() {
        return Admitted { refused: alone.finish(), missing: Vec::new() };
    }
    let mut all = others.to_vec();
    all.push(document.clone());
    let (after, missing) = problems(&all, kinds);
    let missing = missing.into_iter().filter(|problem| problem.file == document.name).collect();
    if after.is_empty() {
        return Admitted { refused: Vec::new(), missing };
    }
    let (before, _) = problems(others, kinds);
    let known: BTreeSet<(Option<Ref>, String)> = before.into_iter().map(told).collect();
    let refused = after.into_iter().filter(|problem| !known.contains(&told(problem.clone()))).collect();
    Admitted { refused, missing }
}

/// What is wrong with all of them, and what of them is not there.
fn problems(files: &[SourceFile], kinds: &dyn Kinds) -> (Vec<Problem>, Vec<Problem>) {
    let names = || files.iter().map(|file| file.name.as_str()).collect();
    let (mut report, mut lost) = (Reporter::new(names()), Reporter::new(names()));
    let draft = read(files, kinds, &mut report);
    validate::wrong(&draft, kinds, &mut report);
    validate::missing(&draft, &mut lost);
    (report.finish(), lost.finish())
}

/// A problem without its place, which moves with what stands before it.
fn told(problem: Problem) -> (Option<Ref>, String) {
    (problem.subject, problem.message)
}
