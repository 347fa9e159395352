//! Vendors' HTTP APIs, each described by one recipe of `manifests/catalogue`: an issuer of tokens.
//!
//! Flow: `mint` posts what the recipe says and takes the value out of the answer, `verify` and `probe` ask as the token
//! itself, `enumerate` goes through every page of the list, `revoke` deletes one token by its id,
//! `revoke-value` hands in tokens that a person made, as many in one request as wait for it.
//!
//! Guarantees: a secret goes into the recipe's one header and nowhere else, because a recipe has no word for it; no
//! redirect is followed; the host is the recipe's own or one that the daemon's configuration allows; an address is
//! looked up once, checked, and that very address is connected to; answers are bounded; no word of an answer reaches an
//! error.
//!
//! Assumptions: what Remint makes carries its target and operation in the name that the vendor lists, so that a lost
//! answer is found again.
//!
//! Errors: by status. 429, and a 403 whose `x-ratelimit-remaining` is 0, is `Throttled` with `Retry-After` when it is in
//! seconds; a 5xx or a lost answer is `Unclear` where the request changes something, and else `Unreachable`.

mod address;
mod client;
mod config;
mod connector;
mod error;
mod issuer;
mod list;
mod recipe;
mod rights;
mod seal;
mod store;
mod template;
mod together;

use remint_contract::ConnectorKind;

/// The kind `http`.
pub fn kind() -> impl ConnectorKind {
    connector::HttpKind
}
