//! The words every layer of Remint shares: names and references, secrets, time, errors, and the connector contract.
//!
//! A connector is a thin adapter to one kind of system. It plays up to three roles, and declares which verbs of each
//! it supports in its [`Capabilities`]:
//!
//! - **issuer**: makes, tries and kills versions of a credential (`mint`, `verify`, `probe`, `revoke`, …);
//! - **store**: keeps values where consumers read them (`write`, `promote`, `read`, `destroy_version`, …);
//! - **consumer host**: makes workloads read a new value and says which one they use (`reload`, `observe`).
//!
//! Connectors contain no retry, timeout, rate limit, logging or metrics: the host wraps them. They hold no secret
//! longer than a call needs it, and never put one into an error, a log line, an argument or a URL.

pub mod capability;
pub mod clock;
pub mod connector;
pub mod error;
pub mod material;
pub mod names;
pub mod secret;

pub use capability::{
    Capabilities, ConfirmGrade, ConsumerCapabilities, IssuerCapabilities, MadeBy, ProbeCost, ProofGrade, Slots,
    StoreCapabilities, Strategy, Verb,
};
pub use clock::{Clock, SystemClock, TestClock};
pub use connector::{
    Call, Connector, ConnectorKind, Derived, DerivedOutcome, Ended, Expected, HostRules, Intent, Kinds, Live,
    MintRequest, Minted, Observation, ReadBack, Recovered, RightsChange, Seen, SettingProblem, Target, Use, Verdict,
    Verified, Workload, WriteRequest, Written,
};
pub use error::{Error, ErrorKind, Retry};
pub use material::{Material, Template, TemplateError};
pub use names::{
    CredentialId, DEFAULT_NAMESPACE, Kind, Location, Name, NameError, OperationId, Pattern, Ref, ResetId, VersionId,
    WHOLE,
};
pub use secret::SecretValue;
