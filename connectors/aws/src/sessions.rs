//! What came from a key and outlives it: sessions of its user, and of roles that it may have assumed.
//!
//! AWS lists no sessions. They are ended by a policy on the user and on each role that the target names: whatever was
//! issued before a moment is denied everything. The new key is no session, so it is not touched; other bearers of a
//! session of these roles have to assume the role again. What a policy already says of a version is not said again.

use jiff::{SignedDuration, Timestamp, Unit};
use percent_encoding::percent_decode_str;
use remint_contract::{
    Call, Clock as _, Derived, DerivedOutcome, Ended, Error, SettingProblem, SystemClock, Target, Verb, VersionId,
};
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::error::Failure;
use crate::query::ask;
use crate::xml::Answer;

/// The policy's name on a user or role.
const POLICY: &str = "remint-older-sessions";
/// Statements that are kept, the newest first: policies have an end, and each later moment covers the earlier ones.
const KEPT: usize = 4;

/// The target's own settings.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Names of roles of this account.
    #[serde(default)]
    roles: Vec<String>,
}

/// Who may bear sessions that came from a key.
enum Holder<'a> {
    User(&'a str),
    Role(String),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Policy {
    version: String,
    statement: Vec<Statement>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    sid: String,
    effect: String,
    action: String,
    resource: String,
    condition: serde_json::Value,
}

/// Every problem of a target's own settings.
pub(crate) fn problems(target: &Target) -> Vec<SettingProblem> {
    match read(target) {
        Ok(_) => Vec::new(),
        Err(problem) => vec![SettingProblem { path: Vec::new(), message: problem.to_string() }],
    }
}

/// The holders whose older sessions are not denied on behalf of this version.
pub(crate) async fn list(
    client: &Client,
    call: &Call,
    verb: Verb,
    target: &Target,
    version: &VersionId,
) -> Result<Vec<Derived>, Error> {
    let mut open = Vec::new();
    for holder in holders(target, verb)? {
        if !holder.statements(client, call, verb).await?.iter().any(|one| one.sid == sid(version)) {
            open.push(holder.derived());
        }
    }
    Ok(open)
}

/// Denies what is older than now.
pub(crate) async fn end(
    client: &Client,
    call: &Call,
    target: &Target,
    version: &VersionId,
) -> Result<Vec<Ended>, Error> {
    let verb = Verb::EndDerived;
    let mut ended = Vec::new();
    for holder in holders(target, verb)? {
        let mut statement = holder.statements(client, call, verb).await?;
        if statement.iter().any(|one| one.sid == sid(version)) {
            continue;
        }
        statement.insert(0, denial(version, SystemClock.now()));
        statement.truncate(KEPT);
        holder.put(client, call, &Policy { version: "2012-10-17".to_owned(), statement }).await?;
        ended.push(Ended { derived: holder.derived(), outcome: DerivedOutcome::DeniedByPolicy });
    }
    Ok(ended)
}

fn read(target: &Target) -> Result<Settings, serde_json::Error> {
    if target.settings.is_null() { Ok(Settings::default()) } else { Settings::deserialize(&target.settings) }
}

fn holders(target: &Target, verb: Verb) -> Result<Vec<Holder<'_>>, Error> {
    let settings = read(target).map_err(|problem| {
        Error::new(remint_contract::ErrorKind::Invalid, verb, problem.to_string()).with("user", &target.name)
    })?;
    Ok([Holder::User(&target.name)].into_iter().chain(settings.roles.into_iter().map(Holder::Role)).collect())
}

fn sid(version: &VersionId) -> String {
    format!("Remint{}", version.0)
}

fn denial(version: &VersionId, now: Timestamp) -> Statement {
    // Moments of sessions are whole seconds; one that begins in this very second is older, too.
    let until = now.round(Unit::Second).unwrap_or(now) + SignedDuration::from_secs(1);
    Statement {
        sid: sid(version),
        effect: "Deny".to_owned(),
        action: "*".to_owned(),
        resource: "*".to_owned(),
        condition: serde_json::json!({"DateLessThan": {"aws:TokenIssueTime": until.to_string()}}),
    }
}

impl Holder<'_> {
    /// The word of the API, and the name.
    fn named(&self) -> (&'static str, &'static str, &str) {
        match self {
            Self::User(name) => ("User", "UserName", name),
            Self::Role(name) => ("Role", "RoleName", name),
        }
    }

    fn derived(&self) -> Derived {
        let (id, what) = match self {
            Self::User(name) => (format!("user/{name}"), "session"),
            Self::Role(name) => (format!("role/{name}"), "role"),
        };
        Derived { id, what: what.to_owned(), expires: None }
    }

    /// What the policy says so far.
    async fn statements(&self, client: &Client, call: &Call, verb: Verb) -> Result<Vec<Statement>, Error> {
        let (word, field, name) = self.named();
        let failed = |failure: &Failure| {
            // Looking leaves nothing open, whatever it is for.
            Error { verb, ..failure.error(Verb::ListDerived, "the policy") }.with("on", self.derived().id)
        };
        let fields = [(field, name), ("PolicyName", POLICY)];
        let text = match ask(client, call, verb, &format!("Get{word}Policy"), &fields).await? {
            Ok(text) => text,
            Err(failure) if failure.is("NoSuchEntity") => return Ok(Vec::new()),
            Err(failure) => return Err(failed(&failure)),
        };
        let not_read = || failed(&Failure::Lost);
        let answer = Answer::read(&text).ok_or_else(not_read)?;
        let document = answer.root().text("PolicyDocument").ok_or_else(not_read)?;
        let document = percent_decode_str(document).decode_utf8().map_err(|_| not_read())?;
        serde_json::from_str::<Policy>(&document).map(|policy| policy.statement).map_err(|_| not_read())
    }

    async fn put(&self, client: &Client, call: &Call, policy: &Policy) -> Result<(), Error> {
        let verb = Verb::EndDerived;
        let (word, field, name) = self.named();
        let failed = |failure: Failure| failure.error(verb, "the policy").with("on", self.derived().id);
        let document = serde_json::to_string(policy).map_err(|_| failed(Failure::Invalid))?;
        let fields = [(field, name), ("PolicyName", POLICY), ("PolicyDocument", document.as_str())];
        ask(client, call, verb, &format!("Put{word}Policy"), &fields).await?.map(drop).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_began_before_the_moment_is_denied_and_nothing_else() {
        let now = "2026-10-21T07:28:00.25Z".parse().unwrap();
        let said = serde_json::to_string(&denial(&VersionId("AKIA1".to_owned()), now)).unwrap();
        let wanted = r#"{"Sid":"RemintAKIA1","Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"2026-10-21T07:28:01Z"}}}"#;
        assert_eq!(said, wanted);
    }
}
