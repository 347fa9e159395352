//! What the server knows of roles and their secret ids.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use remint_contract::{Call, Error, ErrorKind, OperationId, RightsChange, Verb, VersionId};
use serde::{Deserialize, Serialize};
use vaultrs::api::auth::approle::requests::{
    ListRolesRequest, ListSecretIDRequest, ReadAppRoleRequest, ReadRoleIDRequest, ReadSecretIDAccessorRequest,
};

use super::AppRole;
use crate::mark::{MARK, named};
use crate::request::{Effect, Request};

#[derive(Deserialize)]
pub(super) struct Role {
    #[serde(default)]
    pub(super) secret_id_num_uses: u64,
    #[serde(default)]
    token_policies: Option<Vec<String>>,
    #[serde(default)]
    token_no_default_policy: bool,
}

impl Role {
    /// Of the tokens that its logins give.
    pub(super) fn policies(self) -> BTreeSet<String> {
        let usual = (!self.token_no_default_policy).then(|| "default".to_owned());
        self.token_policies.into_iter().flatten().chain(usual).collect()
    }
}

#[derive(Deserialize)]
struct RoleId {
    role_id: String,
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<String>,
}

/// One secret id. What the server leaves out is empty.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Known {
    pub(super) secret_id_accessor: String,
    pub(super) cidr_list: Option<Vec<String>>,
    pub(super) token_bound_cidrs: Option<Vec<String>>,
    pub(super) secret_id_ttl: u64,
    pub(super) creation_time: Option<Timestamp>,
    expiration_time: Option<Timestamp>,
    metadata: Option<BTreeMap<String, String>>,
}

impl Known {
    pub(super) fn operation(&self) -> Option<OperationId> {
        self.metadata.as_ref()?.get(MARK).cloned().map(OperationId)
    }

    pub(super) fn version(&self) -> VersionId {
        named(&self.secret_id_accessor, self.operation().as_ref())
    }

    /// The server writes the year 1 where there is no end.
    pub(super) fn expires(&self) -> Option<Timestamp> {
        self.expiration_time.filter(|end| *end > Timestamp::UNIX_EPOCH)
    }
}

impl AppRole {
    pub(super) async fn role(&self, call: &Call, verb: Verb, role: &str) -> Result<Role, Error> {
        let request = ReadAppRoleRequest { mount: self.bare_mount(), role_name: role.to_owned() };
        let answer = self.0.act(call, &Request::of(verb, Effect::Reads, &request)?).await?;
        let found = answer.found("the role").map_err(|failure| failure.with("role", role))?;
        found.ok_or_else(|| {
            let message = "there is no such role; create it, or correct `issuedBy.target`";
            Error::new(ErrorKind::Missing, verb, message).with("role", role)
        })
    }

    pub(super) async fn role_id(&self, call: &Call, verb: Verb, role: &str) -> Result<String, Error> {
        let request = ReadRoleIDRequest { mount: self.bare_mount(), role_name: role.to_owned() };
        let answer = self.0.act(call, &Request::of(verb, Effect::Reads, &request)?).await?;
        let found: RoleId = answer.data("the role id").map_err(|failure| failure.with("role", role))?;
        Ok(found.role_id)
    }

    pub(super) async fn roles(&self, call: &Call, verb: Verb) -> Result<Vec<String>, Error> {
        let request = ListRolesRequest { mount: self.bare_mount() };
        let answer = self.0.act(call, &Request::of(verb, Effect::Reads, &request)?).await?;
        Ok(answer.found::<Keys>("the roles")?.map_or_else(Vec::new, |found| found.keys))
    }

    /// Every secret id of a role.
    pub(super) async fn all(&self, call: &Call, verb: Verb, role: &str) -> Result<Vec<Known>, Error> {
        let request = ListSecretIDRequest { mount: self.bare_mount(), role_name: role.to_owned() };
        let answer = self.0.act(call, &Request::of(verb, Effect::Reads, &request)?).await?;
        let found = answer.found::<Keys>("the secret ids").map_err(|failure| failure.with("role", role))?;
        let mut all = Vec::new();
        for accessor in found.map_or_else(Vec::new, |found| found.keys) {
            // One that ended since is none.
            all.extend(self.by_accessor(call, verb, role, &accessor).await?);
        }
        Ok(all)
    }

    pub(super) async fn by_accessor(
        &self,
        call: &Call,
        verb: Verb,
        role: &str,
        accessor: &str,
    ) -> Result<Option<Known>, Error> {
        let request = ReadSecretIDAccessorRequest {
            mount: self.bare_mount(),
            role_name: role.to_owned(),
            secret_id_accessor: accessor.to_owned(),
        };
        let answer = self.0.act(call, &Request::of(verb, Effect::Reads, &request)?).await?;
        known(&answer, role)
    }

    pub(super) async fn by_secret(
        &self,
        call: &Call,
        verb: Verb,
        role: &str,
        secret_id: &str,
    ) -> Result<Option<Known>, Error> {
        #[derive(Serialize)]
        struct Shown<'a> {
            secret_id: &'a str,
        }
        let path = format!("{}/role/{role}/secret-id/lookup", self.0.settings.mount);
        let answer = self.0.act(call, &Request::post(verb, Effect::Reads, &path, &Shown { secret_id })?).await?;
        known(&answer, role)
    }
}

/// An unknown one is a 404, or an answer without a body.
fn known(answer: &crate::answer::Answer, role: &str) -> Result<Option<Known>, Error> {
    if answer.status == 204 {
        return Ok(None);
    }
    answer.found("the secret id").map_err(|failure| failure.with("role", role))
}

/// What a secret id allows beside its role: from where it may be used, and whether it ends.
pub(super) fn difference(old: &Known, new: &Known) -> RightsChange {
    let (mut lost, mut added) = (Vec::new(), Vec::new());
    for (what, old, new) in
        [("logins", &old.cidr_list, &new.cidr_list), ("tokens", &old.token_bound_cidrs, &new.token_bound_cidrs)]
    {
        let set = |list: &Option<Vec<String>>| -> BTreeSet<String> {
            let list: BTreeSet<String> = list.iter().flatten().cloned().collect();
            // Without a list every address is good.
            if list.is_empty() { BTreeSet::from(["anywhere".to_owned()]) } else { list }
        };
        let (old, new) = (set(old), set(new));
        lost.extend(old.difference(&new).map(|place| format!("{what} from {place}")));
        added.extend(new.difference(&old).map(|place| format!("{what} from {place}")));
    }
    match (old.secret_id_ttl, new.secret_id_ttl) {
        (0, 1..) => lost.push("a life without end".to_owned()),
        (1.., 0) => added.push("a life without end".to_owned()),
        _ => {}
    }
    // From anywhere to some places is less, though a place appears that was not named before.
    if lost.iter().any(|right| right.ends_with("anywhere")) {
        added.retain(|right| !right.contains(" from "));
    }
    if added.iter().any(|right| right.ends_with("anywhere")) {
        lost.retain(|right| !right.contains(" from "));
    }
    match (added.is_empty(), lost.is_empty()) {
        (true, true) => RightsChange::Equal,
        (true, false) => RightsChange::Narrower(lost),
        (false, _) => RightsChange::Broader(added),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(logins: &[&str], tokens: &[&str], ttl: u64) -> Known {
        let list = |places: &[&str]| Some(places.iter().map(|place| (*place).to_owned()).collect());
        Known { cidr_list: list(logins), token_bound_cidrs: list(tokens), secret_id_ttl: ttl, ..Known::default() }
    }

    #[test]
    fn a_place_more_is_broader_and_one_less_is_narrower() {
        let broader = |right: &str| RightsChange::Broader(vec![right.to_owned()]);
        let narrower = |right: &str| RightsChange::Narrower(vec![right.to_owned()]);
        let home = known(&["10.0.0.0/8"], &[], 0);
        assert_eq!(difference(&home, &known(&["10.0.0.0/8"], &[], 0)), RightsChange::Equal);
        assert_eq!(difference(&home, &known(&[], &[], 0)), broader("logins from anywhere"));
        assert_eq!(difference(&known(&[], &[], 0), &home), narrower("logins from anywhere"));
        assert_eq!(
            difference(&home, &known(&["10.0.0.0/8", "192.0.2.1/32"], &[], 0)),
            broader("logins from 192.0.2.1/32")
        );
        assert_eq!(difference(&home, &known(&["10.0.0.0/8"], &["192.0.2.1/32"], 0)), narrower("tokens from anywhere"));
        assert_eq!(difference(&home, &known(&["10.0.0.0/8"], &[], 60)), narrower("a life without end"));
    }
}
