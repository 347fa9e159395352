//! Who comes in over a network: local tokens, bearer tokens of OpenID providers, client certificates.
//!
//! Flow: a door that the file system does not guard hands over what a request carries ([`Credentials`]); [`Identities`] says
//! which principal that is and how strongly it was verified, as a [`Caller`] for the gate. Who that principal is, and what
//! he may, is the gate's business: nothing here gives anybody a right.
//!
//! Guarantees:
//! - a token of an issuer is checked with the keys of that issuer and of no other, each key with the one algorithm that it
//!   is for; what the token's header says of keys and algorithms chooses nothing;
//! - time is the context's, and never before the newest decision: a clock that is set back revives no token;
//! - local tokens are kept as hashes; the text of one is shown once.

mod claims;
mod issuer;
mod keys;
mod store;
mod token;
mod verify;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use remint_core::digest::Digest;
use remint_core::gate::{Caller, Entrance};

use crate::context::Context;
use crate::engine::newest;
use crate::store::{Store, StoreError};

pub use claims::Claims;
pub(crate) use issuer::safe;
pub use issuer::{Discovery, Issuer, IssuerAt, IssuerError, discover};
pub use keys::{Keys, KeysError};
pub use store::{Made, Tokens, TokensError};
pub use token::{TokenRecord, TokenText};
pub use verify::{Expected, Untrusted, read_claims, verify};

/// What a request carries to say who sends it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Credentials<'a> {
    /// The `Authorization` header.
    pub authorization: Option<&'a [u8]>,
    /// SHA-256 of the client certificate that the handshake proved, in hex.
    pub certificate: Option<&'a str>,
}

/// Everybody who can vouch for a principal.
pub struct Identities {
    tokens: Tokens,
    issuers: BTreeMap<String, Issuer>,
    store: Arc<dyn Store>,
    context: Context,
}

/// Why nobody is known.
#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    #[error(
        "say who you are: Authorization: Bearer …, with the token of the file that --token-file names, a local one (remint token create) or an identity provider's (remint login); or show a client certificate"
    )]
    Nothing,
    #[error("the bearer token is no local token of this state, and of no issuer that it trusts")]
    Foreign,
    #[error("the local token is not known, was revoked, or has expired; make another: remint token create")]
    Token,
    #[error("the token of {issuer} is not taken: {why}")]
    Untrusted {
        issuer: String,
        #[source]
        why: Untrusted,
    },
    #[error("the keys of {issuer} cannot be had now, so nobody can say whether its token is good")]
    Issuer {
        issuer: String,
        #[source]
        why: IssuerError,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Unknown {
    /// One word, of few: for entries and metrics.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Nothing | Self::Foreign | Self::Token => "token",
            Self::Untrusted { why, .. } => why.word(),
            Self::Issuer { .. } => "issuer",
            Self::Store(_) => "store",
        }
    }
}

impl Identities {
    /// Whoever this state knows. Makes no call.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, context: Context, issuers: Vec<Issuer>) -> Self {
        let tokens = Tokens::new(Arc::clone(&store), context.clone());
        let issuers = issuers.into_iter().map(|issuer| (issuer.name().to_owned(), issuer)).collect();
        Self { tokens, issuers, store, context }
    }

    /// The local tokens.
    #[must_use]
    pub const fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// The providers that are trusted.
    pub fn issuers(&self) -> impl Iterator<Item = &Issuer> {
        self.issuers.values()
    }

    /// Who it is. A bearer token is looked at before a certificate: one that is wrong is refused, whatever else there is.
    ///
    /// # Errors
    /// Nobody whom this state knows, or nobody can say now.
    pub async fn who(&self, shown: Credentials<'_>, entrance: Entrance, source: &str) -> Result<Caller, Unknown> {
        if let Some(header) = shown.authorization {
            let text = bearer(header).ok_or(Unknown::Foreign)?;
            if let Some(token) = TokenText::parse(text) {
                let record = self.tokens.find(&token, self.now().await?).await?.ok_or(Unknown::Token)?;
                return Ok(Caller {
                    source: source.to_owned(),
                    scope: Some(record.scope.clone()),
                    ..Caller::plain(record.principal(), entrance)
                });
            }
            let (issuer, claims) = self.claims(text, None, shown.certificate).await?;
            if claims.nonce.as_deref().is_some_and(|nonce| nonce.starts_with(SIGNING)) {
                // A signature lies among the records; whoever reads them comes in by none.
                return Err(Unknown::Untrusted { issuer: issuer.name().to_owned(), why: Untrusted::Nonce });
            }
            return Ok(Caller {
                acr: claims.acr.clone().unwrap_or_default(),
                amr: claims.amr.clone(),
                auth_time: claims.auth_time(),
                source: source.to_owned(),
                groups: issuer.groups(&claims),
                ..Caller::plain(claims.principal(), entrance)
            });
        }
        let certificate = shown.certificate.ok_or(Unknown::Nothing)?;
        Ok(Caller { source: source.to_owned(), ..Caller::plain(format!("mtls:{certificate}"), entrance) })
    }

    /// What somebody signed by having his provider make a token for exactly this digest, a moment ago.
    ///
    /// # Errors
    /// It is not that, and why.
    pub async fn signed(&self, token: &str, digest: &Digest) -> Result<Claims, Unknown> {
        if token.len() > LARGEST {
            return Err(Unknown::Foreign);
        }
        let (issuer, claims) = self.claims(token, Some(&digest.to_string()), None).await?;
        let made = claims.issued_at();
        let now = self.now().await?;
        // A minute ahead is another machine's clock.
        let fresh =
            made.is_some_and(|made| now.duration_since(made) <= SignedDuration::try_from(FRESH).unwrap_or_default());
        if fresh {
            return Ok(claims);
        }
        Err(Unknown::Untrusted { issuer: issuer.name().to_owned(), why: Untrusted::Expired })
    }

    /// What an issuer's token says, once it is known to be good.
    ///
    /// # Errors
    /// It is not, or nobody can say now.
    async fn claims(
        &self,
        token: &str,
        nonce: Option<&str>,
        certificate: Option<&str>,
    ) -> Result<(&Issuer, Claims), Unknown> {
        let name = verify::issuer_of(token).ok_or(Unknown::Foreign)?;
        let issuer = self.issuers.get(&name).ok_or(Unknown::Foreign)?;
        let now = self.now().await?;
        let claims = issuer.check(token, nonce, now, &*self.context.clock).await?;
        if claims.bound_to.as_deref().is_some_and(|bound| Some(bound) != certificate) {
            return Err(Unknown::Untrusted { issuer: name, why: Untrusted::Bound });
        }
        Ok((issuer, claims))
    }

    /// A clock that was set back counts from where it had been.
    async fn now(&self) -> Result<jiff::Timestamp, StoreError> {
        Ok(self.context.clock.now().max(newest::seen(&*self.store).await?))
    }
}

/// What the nonce of a token begins with that signs something: a digest.
const SIGNING: &str = "sha256:";
/// How old a signature may be when it is handed in.
const FRESH: Duration = Duration::from_mins(10);

/// The text of a bearer token.
fn bearer(header: &[u8]) -> Option<&str> {
    let (scheme, token) = header.split_at_checked(7)?;
    let token = std::str::from_utf8(token).ok()?;
    let fit = scheme.eq_ignore_ascii_case(b"bearer ") && (1..=LARGEST).contains(&token.len());
    (fit && token.bytes().all(|byte| byte.is_ascii_graphic())).then_some(token)
}

/// The largest bearer token: an ID token with many groups has some kilobytes.
const LARGEST: usize = 16 << 10;
