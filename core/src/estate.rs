//! The estate: what exists, as documents say it.
//!
//! [`model`] holds the typed documents. Loading text into them, with every problem at its position, is [`load()`];
//! cross-document rules are `validate`; how one estate differs from another is [`diff`], and how one follows another,
//! with what was removed but is not dead yet, is [`history`].
//!
//! ```text
//! bytes → documents → trees with places → pasted secrets withheld → typed documents → checks of the whole → estate
//! ```

mod admit;
mod apart;
mod around;
mod decode;
mod derive;
pub mod diff;
mod fields;
pub mod history;
mod load;
pub mod model;
mod node;
mod pasted;
mod problem;
mod refers;
mod source;
mod validate;
pub mod window;

pub use admit::{Admitted, admit};
pub use apart::{Apart, load_apart};
pub use around::Around;
pub use derive::derive_remint;
pub use diff::EstateDiff;
pub use history::History;
pub use load::{Loaded, load};

pub use model::{
    ApprovalPolicy, Begets, Budget, ClassOfIdentity, Confirm, ConfirmHow, Credential, CredentialClass, Destination,
    Era, Estate, Generate, Grant, Identity, IssuedBy, Meta, Owners, Reload, Rotation, RunsOn, Selection, System, Tier,
    Unlock, UnlockVerb, UnlockWhat, Workload,
};
pub use pasted::shape as secret_shape;
pub use problem::{Problem, Problems, Severity};
pub use source::SourceFile;
pub use window::{Blackout, Missed, RotationWindow};
