//! What the server's own log says happened: logins by what they were for, statements, commits.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use serde::Serialize;

use super::roles::Roles;
use crate::Outcome;

/// Logins of one run, each named.
#[derive(Clone, Default, Serialize)]
pub(super) struct Logins {
    /// Kept connections that changes are made through.
    pub(super) acting: usize,
    /// The old value before anything is done: what it is, and the control of the proof.
    pub(super) old_accepted_before: usize,
    /// The new value, used as its consumer would before it is delivered.
    pub(super) new_verified: usize,
    /// The old value after, once more after the propagation time.
    pub(super) old_refused_after: usize,
    /// The control after: the new value by the same way.
    pub(super) new_accepted_after: usize,
    /// Anything else.
    pub(super) other: usize,
}

/// What one run cost the server.
#[derive(Clone, Default)]
pub(super) struct Counts {
    pub(super) logins: Logins,
    pub(super) statements: usize,
    pub(super) commits: usize,
}

impl Logins {
    pub(super) const fn total(&self) -> usize {
        self.acting
            + self.old_accepted_before
            + self.new_verified
            + self.old_refused_after
            + self.new_accepted_after
            + self.other
    }
}

/// Where the log ends now.
pub(super) fn end(log: &Path) -> Outcome<u64> {
    Ok(log.metadata()?.len())
}

/// Counts what was written since `from`.
pub(super) fn count(log: &Path, from: u64, roles: &Roles) -> Outcome<Counts> {
    let mut file = File::open(log)?;
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(read(&String::from_utf8_lossy(&bytes), roles))
}

fn read(text: &str, roles: &Roles) -> Counts {
    let mut counts = Counts::default();
    let mut news: BTreeMap<&str, usize> = BTreeMap::new();
    for line in text.lines() {
        if let Some((_, rest)) = line.split_once("LOG:  connection authorized: user=") {
            let user = rest.split(' ').next().unwrap_or_default();
            let logins = &mut counts.logins;
            if user == roles.admin.user {
                logins.acting += 1;
            } else if user.starts_with(&roles.prefix) && user.ends_with("_a") {
                logins.old_accepted_before += 1;
            } else if user.starts_with(&roles.prefix) && user.ends_with("_b") {
                let earlier = news.entry(user).or_default();
                *(if *earlier == 0 { &mut logins.new_verified } else { &mut logins.new_accepted_after }) += 1;
                *earlier += 1;
            } else {
                logins.other += 1;
            }
        } else if line.contains("FATAL:  password authentication failed for user") {
            counts.logins.old_refused_after += 1;
        } else if line.contains("LOG:  statement: ") || line.contains("LOG:  execute ") {
            counts.statements += 1;
            counts.commits += usize::from(line.ends_with("statement: COMMIT"));
        }
    }
    counts
}
