//! Every sort of credential that can be rotated, each with a world of its own kind.

use std::fmt::Write as _;

use remint_contract::{ConfirmGrade, MadeBy, ProofGrade, Slots};
use remint_fake::world::{Holding, TargetSpec, WorkloadSpec};

use crate::rig::Shape;

/// What is rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Sort {
    #[default]
    Login,
    InPlace,
    /// `reissue`: serials and a revocation list.
    Certificate,
    /// `ephemeral`: fetched by the consumers themselves.
    Lease,
    /// `dual-trust`: verifiers read a bundle that Remint writes.
    Trusted,
    /// A verifier pair: the issuer tells its verifiers itself.
    SigningKey,
    EncryptionKey,
    /// `manual`: a person does it, Remint looks.
    Manual,
    /// The same, at an issuer that kills whatever value it is shown.
    HandedIn,
}

/// The world and estate of one credential of a sort.
pub(crate) fn estate_of(sort: Sort) -> Shape {
    let shape = Shape { sort, ..Shape::default() };
    match sort {
        Sort::Login | Sort::InPlace | Sort::Manual | Sort::HandedIn => shape,
        Sort::Certificate => Shape { made_by: MadeBy::IssuerOnce, slots: Slots::Many, ..shape },
        Sort::Lease => Shape { made_by: MadeBy::Issuer, ..shape },
        Sort::Trusted | Sort::SigningKey | Sort::EncryptionKey => {
            Shape { made_by: MadeBy::Issuer, endpoints: 2, ..shape }
        }
    }
}

impl Sort {
    pub(crate) fn target(self, name: &str) -> TargetSpec {
        let usernames = matches!(self, Self::Certificate | Self::Trusted | Self::SigningKey);
        TargetSpec { usernames, ..TargetSpec::new(name) }
    }

    /// What an application and, where there is one, its verifier hold.
    pub(crate) fn workloads(self, index: usize) -> Vec<WorkloadSpec> {
        let holds = if self == Self::Lease {
            Holding::leased("bank", &format!("app{index}"))
        } else {
            let username = self.target("x").usernames.then(|| "username".to_owned());
            Holding { username, ..Holding::new("shelf", &format!("apps/{index}"), "bank") }
        };
        let app = WorkloadSpec { name: format!("w{index}"), holds: vec![holds] };
        let bundle = Holding { field: "keys".to_owned(), ..Holding::new("shelf", "trust/all", "") };
        let verifier = WorkloadSpec { name: format!("v{index}"), holds: vec![bundle] };
        if self == Self::Trusted { vec![app, verifier] } else { vec![app] }
    }

    /// What its issuer issues, in the words of the fake's settings.
    pub(crate) const fn issues(self) -> &'static str {
        match self {
            Self::Login | Self::InPlace | Self::Manual => "logins",
            Self::HandedIn => {
                "logins, revokesValues: true, without: [mint, revoke, disable, enable, list-derived, end-derived, enumerate, recover]"
            }
            Self::Certificate => "certificates",
            Self::Lease => "leases",
            Self::Trusted | Self::SigningKey => "signing-keys",
            Self::EncryptionKey => "encryption-keys",
        }
    }

    /// The best proof that it can have.
    pub(crate) const fn proof(self) -> ProofGrade {
        if matches!(self, Self::Certificate) { ProofGrade::Published } else { ProofGrade::Refused }
    }

    pub(crate) const fn confirm(self) -> ConfirmGrade {
        match self {
            Self::Certificate => ConfirmGrade::Served,
            Self::Lease => ConfirmGrade::IssuerSeen,
            _ => ConfirmGrade::SelfReported,
        }
    }

    /// The documents of one credential and of what uses it.
    pub(crate) fn documents(self, index: usize) -> String {
        let (class, strategy) = match self {
            Self::Login => ("authenticator", "overlap"),
            Self::InPlace => ("authenticator", "in-place, outage: 5s"),
            Self::Certificate => ("authenticator", "reissue"),
            Self::Lease => ("authenticator", "ephemeral"),
            Self::Trusted => ("authenticator", "dual-trust"),
            Self::SigningKey => ("verifier-pair", "dual-trust"),
            Self::EncryptionKey => ("encryption", "overlap"),
            Self::Manual | Self::HandedIn => ("authenticator", "manual"),
        };
        let delivered = match self {
            Self::Lease => String::new(),
            Self::Certificate | Self::Trusted | Self::SigningKey => format!(
                "\n  deliveredTo: [{{at: \"shelf:apps/{index}\", fields: {{secret: \"{{secret}}\", username: \"{{username}}\"}}}}]"
            ),
            _ => format!("\n  deliveredTo: [{{at: \"shelf:apps/{index}#secret\"}}]"),
        };
        let trust = if self == Self::Trusted {
            format!("\n  trustedBy: [\"shelf:trust/all#keys\"]\n  verifiedBy: [v{index}]")
        } else {
            String::new()
        };
        let begets = if self == Self::SigningKey { "\n  begets: {tokens: 50ms}" } else { "" };
        let how = match self.confirm() {
            ConfirmGrade::Served => "served",
            ConfirmGrade::IssuerSeen => "issuer-seen",
            _ => "self-reported",
        };
        let mut text = format!(
            "---\napiVersion: remint.dev/v1alpha1\nkind: Credential\nmetadata: {{name: app{index}}}\nspec:\n  class: {class}\n  type: api-key\n  identity: apps\n  issuedBy: {{system: bank, target: app{index}}}{delivered}\n  consumedBy: [w{index}]{trust}{begets}\n  rotation: {{strategy: {strategy}}}\n"
        );
        let mut workload = |name: String, how: &str| {
            let _ = write!(
                text,
                "---\napiVersion: remint.dev/v1alpha1\nkind: Workload\nmetadata: {{name: {name}}}\nspec:\n  runsOn: {{system: floor, ref: {name}}}\n  reload: http\n  confirm: {{how: {how}, within: 1s}}\n"
            );
        };
        workload(format!("w{index}"), how);
        if self == Self::Trusted {
            workload(format!("v{index}"), "self-reported");
        }
        text
    }
}
