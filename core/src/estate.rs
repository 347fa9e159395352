//! The estate: what exists, as documents say it.
//!
//! [`model`] holds the typed documents. Loading text into them, with every problem at its position, is `load`;
//! cross-document rules are `validate`; how one estate follows another is `history`.

pub mod model;

pub use model::{
    Begets, Budget, ClassOfIdentity, Confirm, ConfirmHow, Credential, CredentialClass, Destination, Estate, Generate,
    Grant, Identity, IssuedBy, Meta, Owners, Reload, Rotation, RotationWindow, RunsOn, System, Tier, Unlock,
    UnlockVerb, UnlockWhat, Workload,
};
