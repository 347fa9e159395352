//! The connectors of this build, one line each.

use remint_contract::{ConnectorKind, Kinds};

/// Every connector kind, sorted by name.
pub struct Registry(Vec<Box<dyn ConnectorKind>>);

impl Registry {
    /// What this build has.
    #[must_use]
    pub fn new() -> Self {
        let mut kinds: Vec<Box<dyn ConnectorKind>> = vec![
            Box::new(remint_acme::kind()),
            Box::new(remint_aws::kind()),
            Box::new(remint_exec::kind()),
            Box::new(remint_fake::FakeKind),
            Box::new(remint_file::kind()),
            Box::new(remint_http::kind()),
            Box::new(remint_kubernetes::kind()),
            Box::new(remint_pki::kind()),
            Box::new(remint_sql::kind()),
            Box::new(remint_vault::kind()),
        ];
        kinds.sort_by_key(|kind| kind.name());
        Self(kinds)
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Kinds for Registry {
    fn kind(&self, name: &str) -> Option<&dyn ConnectorKind> {
        self.0.iter().find(|kind| kind.name() == name).map(AsRef::as_ref)
    }

    fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|kind| kind.name()).collect()
    }
}
