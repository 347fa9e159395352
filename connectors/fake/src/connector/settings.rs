//! The settings of a `fake` system: they say what the service is like, so that describing it makes no call.

use std::collections::BTreeSet;
use std::time::Duration;

use remint_contract::{
    Capabilities, ConfirmGrade, ConsumerCapabilities, IssuerCapabilities, MadeBy, ProbeCost, SettingProblem, Slots,
    StoreCapabilities, Strategy, Verb,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a System document says below `fake:`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key that a person writes true or false")]
pub struct Settings {
    pub role: Role,
    /// The addresses, first the one that takes changes.
    pub endpoints: Vec<String>,
    #[serde(default = "default_slots")]
    pub slots: Slots,
    #[serde(default = "default_made_by")]
    pub made_by: MadeBy,
    /// What its credentials are.
    #[serde(default)]
    pub issues: Issues,
    /// The default goes by what it issues.
    #[serde(default)]
    pub strategies: Option<BTreeSet<Strategy>>,
    #[serde(default = "yes")]
    pub reversible_disable: bool,
    /// It kills whatever value it is shown.
    #[serde(default)]
    pub revokes_values: bool,
    #[serde(default)]
    pub dies_with_issuer: bool,
    #[serde(default = "default_probe")]
    pub probe: ProbeCost,
    /// How long until a change is seen at every endpoint, in milliseconds.
    #[serde(default)]
    pub propagation_millis: u64,
    #[serde(default = "yes")]
    pub staged: bool,
    #[serde(default = "yes")]
    pub versioned: bool,
    /// Verbs that this system does not have.
    #[serde(default)]
    pub without: BTreeSet<Verb>,
}

/// What kind of thing an issuer issues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Issues {
    /// Values that are shown to get in.
    #[default]
    Logins,
    /// Certificates with serials and a revocation list.
    Certificates,
    /// Leases that consumers fetch by themselves.
    Leases,
    /// Keys that sign what its endpoints verify.
    SigningKeys,
    /// Keys that data are encrypted under.
    EncryptionKeys,
}

impl Issues {
    fn strategies(self) -> BTreeSet<Strategy> {
        match self {
            Self::Logins => BTreeSet::from([Strategy::Overlap, Strategy::InPlace]),
            Self::Certificates => BTreeSet::from([Strategy::Reissue, Strategy::Overlap]),
            Self::Leases => BTreeSet::from([Strategy::Ephemeral, Strategy::Overlap]),
            Self::SigningKeys => BTreeSet::from([Strategy::DualTrust, Strategy::Overlap]),
            Self::EncryptionKeys => BTreeSet::from([Strategy::Overlap]),
        }
    }

    const fn activates(self) -> bool {
        matches!(self, Self::SigningKeys | Self::EncryptionKeys)
    }
}

/// Which side of a system the fake plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    Issuer,
    Store,
    Workloads,
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    /// Every problem found.
    pub fn read(settings: &Value) -> Result<Self, Vec<SettingProblem>> {
        let problem = |path: &str, message: String| {
            let path = if path.is_empty() { Vec::new() } else { vec![path.to_owned()] };
            vec![SettingProblem { path, message }]
        };
        let read: Self = serde_json::from_value(settings.clone()).map_err(|error| problem("", error.to_string()))?;
        if read.endpoints.is_empty() {
            return Err(problem("endpoints", "no endpoint: name at least one, as http://host:port".to_owned()));
        }
        let strange = read.endpoints.iter().filter(|url| !url.starts_with("http://"));
        let problems: Vec<SettingProblem> = strange
            .flat_map(|url| problem("endpoints", format!("`{url}` is not an address: write http://host:port")))
            .collect();
        if problems.is_empty() { Ok(read) } else { Err(problems) }
    }

    /// What a system with these settings can do.
    pub fn describe(&self) -> Capabilities {
        let verbs: &[Verb] = match self.role {
            Role::Issuer => &[
                Verb::Check,
                Verb::Mint,
                Verb::Verify,
                Verb::CompareRights,
                Verb::Disable,
                Verb::Enable,
                Verb::Revoke,
                Verb::RevokeValue,
                Verb::ListDerived,
                Verb::EndDerived,
                Verb::Probe,
                Verb::Enumerate,
                Verb::LastUsed,
                Verb::Recover,
                Verb::Promote,
            ],
            Role::Store => &[
                Verb::Check,
                Verb::Write,
                Verb::Read,
                Verb::Promote,
                Verb::Versions,
                Verb::DestroyVersion,
                Verb::Recover,
            ],
            Role::Workloads => &[Verb::Check, Verb::Reload, Verb::Observe, Verb::Recover],
        };
        let without = |verb: &Verb| {
            self.without.contains(verb)
                || match verb {
                    Verb::RevokeValue => !self.revokes_values,
                    Verb::Promote if self.role == Role::Issuer => !self.issues.activates(),
                    Verb::Promote => !self.staged,
                    Verb::Versions | Verb::DestroyVersion => !self.versioned,
                    _ => false,
                }
        };
        Capabilities {
            verbs: verbs.iter().copied().filter(|verb| !without(verb)).collect(),
            issuer: (self.role == Role::Issuer).then(|| self.issuer()),
            store: (self.role == Role::Store).then_some(StoreCapabilities {
                compare_and_set: true,
                staged: self.staged,
                versioned: self.versioned,
                own_login: false,
            }),
            consumer: (self.role == Role::Workloads).then(|| ConsumerCapabilities {
                grades: BTreeSet::from([ConfirmGrade::SelfReported, ConfirmGrade::Served]),
            }),
        }
    }

    fn issuer(&self) -> IssuerCapabilities {
        let strategies = self.strategies.clone().unwrap_or_else(|| self.issues.strategies());
        IssuerCapabilities {
            slots: self.slots,
            made_by: self.made_by,
            probe: self.probe,
            propagation: Duration::from_millis(self.propagation_millis),
            endpoints: self.endpoints.clone(),
            // Both are a `use`, and `verify` asks the first endpoint.
            // A certificate is used at a server, and looked up in a list.
            verifies_at: (self.issues != Issues::Certificates
                && [Verb::Verify, Verb::Probe].iter().all(|verb| !self.without.contains(verb)))
            .then_some(0),
            reversible_disable: self.reversible_disable,
            dies_with_issuer: self.dies_with_issuer,
            // Mint, verify, two looks at rights, revoke, two at derived, three tries per endpoint, one list.
            calls: strategies.iter().map(|&strategy| (strategy, 11)).collect(),
            strategies,
        }
    }
}

const fn yes() -> bool {
    true
}

const fn default_slots() -> Slots {
    Slots::Many
}

const fn default_made_by() -> MadeBy {
    MadeBy::Issuer
}

const fn default_probe() -> ProbeCost {
    ProbeCost::Free
}
