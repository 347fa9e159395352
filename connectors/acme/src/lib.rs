//! Certificates of an authority that speaks ACME (RFC 8555), with http-01 challenges.
//!
//! Flow: `mint` orders, answers the challenges from a web root or a listening address, and fetches the chain; `revoke` names
//! the certificate and a reason; `observe` looks which leaf an address serves. The credential in `auth` is the account's key;
//! the target `account` replaces it. An account that is not there yet can be bound to one elsewhere (`externalAccount`).
//!
//! Guarantees: what was issued is written down before anybody gets it; an order is written down before it is finished, so
//! that a certificate whose answer was lost is found and revoked; a new account key is kept before it is sent, so that a
//! lost answer locks nobody out; no key stands in an error, a log or an address.
//!
//! Assumptions: only Remint writes into the folder. The protocol lists no certificates and says nothing of a revoked one but
//! that it was revoked already: there is nothing to probe.
//!
//! Errors: by the problem types of RFC 8555 (section 6.7); `rateLimited` and 429 are `Throttled` with `Retry-After`. Nonces
//! that the server refuses are replaced by the ones it sends.

mod account;
mod binding;
mod calls;
mod challenge;
mod config;
mod connector;
mod dns;
mod error;
mod http;
mod jws;
mod order;
mod rollover;

use remint_contract::ConnectorKind;

/// The kind `acme`.
pub fn kind() -> impl ConnectorKind {
    connector::AcmeKind
}
