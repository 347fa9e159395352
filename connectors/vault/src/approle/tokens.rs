//! What a secret id gave: tokens of this role's logins that carry its mark.

use remint_contract::{Call, Derived, Error, Target, Verb, VersionId};

use crate::client::Client;
use crate::mark::{self, MARK};
use crate::tokens::{self, Token};

/// The living tokens of a version. Those of a version that Remint did not make carry no mark, as those of all others of
/// that sort.
pub(super) async fn of(
    client: &Client,
    call: &Call,
    verb: Verb,
    target: &Target,
    version: &VersionId,
) -> Result<Vec<Derived>, Error> {
    let login = format!("{}/login", client.settings.mount);
    let operation = mark::operation(version);
    let ours = |token: &Token| {
        token.path == login && token.meta("role_name") == Some(&target.name) && token.meta(MARK) == operation
    };
    let living = tokens::all(client, call, verb).await?;
    Ok(living.into_iter().filter(ours).map(Token::derived).collect())
}
