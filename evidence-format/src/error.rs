//! Why bytes are not an entry, a note, a checkpoint or a bundle.

/// A refusal of the format. Nothing in it quotes a value: a value may be secret, a field's name is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Written by a newer version, or by something else: never guessed at.
    #[error("not understood: {what}; use the version of remint that wrote it")]
    NotUnderstood { what: String },
    /// The same content has exactly one form, and this is not it.
    #[error("not canonical at byte {at}: {what}")]
    NotCanonical { at: usize, what: &'static str },
    /// A value that has no canonical form here: null, a fraction, an integer beyond 2^53 − 1.
    #[error("not allowed in evidence: {what}; write it as a string")]
    NotAllowed { what: &'static str },
    #[error("the field `{field}` is wrong: {why}")]
    Field { field: &'static str, why: &'static str },
    #[error("{what} is larger than {limit} bytes")]
    TooLarge { what: &'static str, limit: usize },
    #[error("nested deeper than {limit} levels")]
    TooDeep { limit: usize },
    /// A note, checkpoint, key or archive that does not have the shape of one.
    #[error("not a {what}: {why}")]
    Malformed { what: &'static str, why: &'static str },
    #[error("the signature of `{name}` does not fit the text")]
    BadSignature { name: String },
    #[error("no signature by the key `{name}`")]
    Unsigned { name: String },
    #[error("the signing key was refused: {why}")]
    Key { why: &'static str },
}
