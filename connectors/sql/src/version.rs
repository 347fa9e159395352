//! Which version of a login role lives: the role's comment says so, in the same transaction as the password.
//!
//! The comment ends in `remint:<operation>@<microseconds>`; what was there before stays in front of it. A role without
//! that mark carries a value that Remint never made: `role@initial`. A `!` at the end says that the version was revoked:
//! a role that is only disabled looks the same otherwise.

use aws_lc_rs::digest;
use jiff::Timestamp;
use remint_contract::{OperationId, VersionId};

const MARK: &str = "remint:";
const INITIAL: &str = "initial";
const REVOKED: char = '!';

/// What Remint wrote on a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) operation: OperationId,
    pub(crate) minted: Option<Timestamp>,
}

/// The mark in a comment, if Remint wrote one.
pub(crate) fn mark(comment: &str) -> Option<Mark> {
    let last = comment.split(' ').next_back()?.strip_prefix(MARK)?;
    let (operation, micros) = last.strip_suffix(REVOKED).unwrap_or(last).rsplit_once('@')?;
    let minted = micros.parse().ok().and_then(|micros| Timestamp::from_microsecond(micros).ok());
    Some(Mark { operation: OperationId(operation.to_owned()), minted })
}

/// The comment after a mint: what a person wrote stays.
pub(crate) fn comment(before: &str, operation: &OperationId, micros: i64) -> String {
    let kept = words(before);
    let operation = operation.0.replace(' ', "_");
    if kept.is_empty() { format!("{MARK}{operation}@{micros}") } else { format!("{kept} {MARK}{operation}@{micros}") }
}

/// What a person wrote.
fn words(comment: &str) -> &str {
    match comment.rsplit_once(' ') {
        Some((kept, last)) if last.starts_with(MARK) => kept,
        None if comment.starts_with(MARK) => "",
        _ => comment,
    }
}

/// The comment after a revoke: the version it names is over for good.
pub(crate) fn revoke(before: &str) -> String {
    if revoked(before) {
        before.to_owned()
    } else if mark(before).is_some() {
        format!("{before}{REVOKED}")
    } else if before.is_empty() {
        format!("{MARK}{INITIAL}{REVOKED}")
    } else {
        format!("{before} {MARK}{INITIAL}{REVOKED}")
    }
}

/// True when the version of this comment was revoked.
pub(crate) fn revoked(comment: &str) -> bool {
    comment.split(' ').next_back().is_some_and(|last| last.starts_with(MARK) && last.ends_with(REVOKED))
}

/// The version that a role with this comment carries.
pub(crate) fn of(role: &str, comment: &str) -> VersionId {
    match mark(comment) {
        Some(mark) => minted(role, &mark.operation),
        None => VersionId(format!("{role}@{INITIAL}")),
    }
}

/// The version that `operation` makes of `role`.
pub(crate) fn minted(role: &str, operation: &OperationId) -> VersionId {
    use std::fmt::Write as _;
    let digest = digest::digest(&digest::SHA256, operation.0.replace(' ', "_").as_bytes());
    let short = digest.as_ref().iter().take(6).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    VersionId(format!("{role}@{short}"))
}

/// The login role that a version is of.
pub(crate) fn role(version: &VersionId) -> &str {
    version.0.rsplit_once('@').map_or(version.0.as_str(), |(role, _)| role)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_reads_back_and_leaves_a_persons_words() {
        let first = OperationId("reset-1/7@x".into());
        let text = comment("owned by billing", &first, 5);
        assert_eq!(text, "owned by billing remint:reset-1/7@x@5");
        assert_eq!(mark(&text).unwrap().operation, first);
        let second = OperationId("reset-2".into());
        assert_eq!(comment(&text, &second, 6), "owned by billing remint:reset-2@6");
        assert_eq!(comment(&comment("", &first, 5), &second, 6), "remint:reset-2@6");
    }

    #[test]
    fn a_revoked_version_keeps_its_name_and_says_that_it_is_over() {
        let first = OperationId("a".into());
        for before in ["", "owned by billing", &comment("", &first, 5), &comment("owned by billing", &first, 5)] {
            let over = revoke(before);
            assert!(!revoked(before) && revoked(&over), "{before} {over}");
            assert_eq!(of("app", &over), of("app", before));
            assert_eq!(revoke(&over), over);
            assert_eq!(comment(&over, &first, 6), comment(before, &first, 6));
        }
    }

    #[test]
    fn each_operation_makes_another_version_of_the_same_role() {
        let (first, second) = (OperationId("a".into()), OperationId("b".into()));
        assert_ne!(minted("app", &first), minted("app", &second));
        assert_eq!(role(&minted("we@ird", &first)), "we@ird");
        assert_eq!(of("app", "owned by billing").0, "app@initial");
        assert_eq!(of("app", &comment("", &first, 1)), minted("app", &first));
    }
}
