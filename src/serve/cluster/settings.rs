//! Which cluster, and what of it: `kubernetes:` in the state's configuration.

use std::path::PathBuf;

use serde::Deserialize;

/// A cluster whose custom resources are documents and acts.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct ClusterAt {
    /// The API server; the one of the pod when nothing is said.
    pub server: String,
    /// Holds the bearer token; read again when it changes.
    pub token_file: PathBuf,
    /// Who signs the API server's certificate, in PEM.
    pub ca: PathBuf,
    /// Where the Lease lies.
    pub namespace: String,
    /// The namespaces that are looked at; all of them when none is named.
    pub namespaces: Vec<String>,
    /// The user of the cluster who is this state's one operator, where nobody governs.
    pub operator: Option<String>,
    /// Users that carry what others wrote, and have no authority of their own: GitOps controllers. A name may end in `*`.
    pub carriers: Vec<String>,
    /// Where people read more than fits into a status.
    pub link: String,
}

impl Default for ClusterAt {
    fn default() -> Self {
        let account = PathBuf::from("/var/run/secrets/kubernetes.io/serviceaccount");
        Self {
            server: "https://kubernetes.default.svc".to_owned(),
            token_file: account.join("token"),
            ca: account.join("ca.crt"),
            namespace: "remint".to_owned(),
            namespaces: Vec::new(),
            operator: None,
            carriers: Vec::new(),
            link: String::new(),
        }
    }
}

impl ClusterAt {
    /// True for a user who carries what others wrote.
    #[must_use]
    pub fn carries(&self, user: &str) -> bool {
        self.carriers.iter().any(|carrier| match carrier.strip_suffix('*') {
            Some(prefix) => user.starts_with(prefix),
            None => carrier == user,
        })
    }
}
