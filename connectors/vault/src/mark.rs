//! How a version says which operation made it: `accessor@operation`, and the accessor alone where Remint did not.

use remint_contract::{OperationId, VersionId};

/// The key in the metadata of what Remint makes.
pub(crate) const MARK: &str = "remint";

pub(crate) fn named(accessor: &str, operation: Option<&OperationId>) -> VersionId {
    match operation {
        Some(operation) => VersionId(format!("{accessor}@{operation}")),
        None => VersionId(accessor.to_owned()),
    }
}

/// The server's own name for a version: accessors hold no `@`.
pub(crate) fn accessor(version: &VersionId) -> &str {
    version.0.split_once('@').map_or(version.0.as_str(), |(accessor, _)| accessor)
}

/// The operation that made a version.
pub(crate) fn operation(version: &VersionId) -> Option<&str> {
    version.0.split_once('@').map(|(_, operation)| operation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_names_its_accessor_and_who_made_it() {
        let made = named("b3f1-22", Some(&OperationId("op-1@2".into())));
        assert_eq!((accessor(&made), operation(&made)), ("b3f1-22", Some("op-1@2")));
        let found = named("b3f1-22", None);
        assert_eq!((accessor(&found), operation(&found)), ("b3f1-22", None));
    }
}
