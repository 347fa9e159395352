//! What `issuedBy` says of a target: a leaf of an authority, or the authority itself.

use std::time::Duration;

use remint_contract::{Error, ErrorKind, SettingProblem, Strategy, Target, Verb};
use serde::Deserialize;

use crate::config::{Settings, span, wrong};

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The folder of the authority.
    pub(crate) authority: String,
    pub(crate) common_name: String,
    pub(crate) life: Duration,
    /// None: the authority itself.
    pub(crate) leaf: Option<Leaf>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) alt_names: Vec<String>,
    pub(crate) uses: Vec<Use>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Use {
    Server,
    Client,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Written {
    /// Of a leaf: who signs it.
    authority: Option<String>,
    common_name: String,
    alt_names: Option<Vec<String>>,
    uses: Option<Vec<Use>>,
    ttl: Option<String>,
}

impl Wanted {
    /// What the target asks for.
    ///
    /// # Errors
    /// Every problem of it.
    pub(crate) fn read(target: &Target) -> Result<Self, Vec<SettingProblem>> {
        let written = Written::deserialize(&target.settings).map_err(|problem| {
            vec![wrong(&[], format!("{problem}; write commonName, of a leaf authority, altNames, uses, ttl"))]
        })?;
        let mut problems = Vec::new();
        let authority = written.authority.as_deref().unwrap_or(&target.name);
        if !plain(authority) {
            let key = if written.authority.is_some() { "authority" } else { "target" };
            problems.push(wrong(&[key], "write a name of lower-case letters, digits and `-`"));
        }
        if written.common_name.is_empty() {
            problems.push(wrong(&["commonName"], "write a name"));
        }
        let is_leaf = written.authority.is_some();
        if !is_leaf && (written.alt_names.is_some() || written.uses.is_some()) {
            problems.push(wrong(&[], "an authority has no altNames and no uses; a leaf names its `authority`"));
        }
        let usual = if is_leaf { LEAF_LIFE } else { AUTHORITY_LIFE };
        let life = written.ttl.as_deref().map_or(Some(usual), span);
        if life.is_none() {
            problems.push(wrong(&["ttl"], "write a time like 12h or 90d"));
        }
        let Some(life) = life.filter(|_| problems.is_empty()) else { return Err(problems) };
        let leaf = is_leaf.then(|| Leaf {
            alt_names: written.alt_names.unwrap_or_default(),
            uses: written.uses.unwrap_or_else(|| vec![Use::Server]),
        });
        Ok(Self { authority: authority.to_owned(), common_name: written.common_name, life, leaf })
    }

    /// As [`Wanted::read`], for a verb.
    pub(crate) fn of(verb: Verb, target: &Target) -> Result<Self, Error> {
        Self::read(target).map_err(|problems| {
            let text: Vec<_> = problems.into_iter().map(|one| one.message).collect();
            let message = format!("`issuedBy`: {}", text.join("; "));
            Error::new(ErrorKind::Invalid, verb, message).with("target", &target.name)
        })
    }
}

/// Every problem of a target, with this strategy, at these settings.
pub(crate) fn check(settings: &Settings, target: &Target, strategy: Strategy) -> Vec<SettingProblem> {
    let wanted = match Wanted::read(target) {
        Ok(wanted) => wanted,
        Err(problems) => return problems,
    };
    match (strategy, &wanted.leaf) {
        (Strategy::Reissue, None) => vec![wrong(&[], "a leaf names who signs it: write `authority`")],
        (Strategy::DualTrust, Some(_)) => {
            vec![wrong(&["authority"], "an authority is its own; take `authority` out, or write `strategy: reissue`")]
        }
        (Strategy::Reissue, Some(leaf)) if !settings.relying.is_empty() && !leaf.uses.contains(&Use::Client) => {
            let message = "the relying parties of this System ask for client certificates: write `uses: [client]`, or issue \
                           it by a System without `relyingParties` over the same folder";
            vec![wrong(&["uses"], message)]
        }
        _ => Vec::new(),
    }
}

/// A name that is one segment of a path and means itself.
fn plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 63
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

const LEAF_LIFE: Duration = Duration::from_hours(90 * 24);
const AUTHORITY_LIFE: Duration = Duration::from_hours(10 * 365 * 24);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn target(name: &str, settings: serde_json::Value) -> Target {
        Target { name: name.to_owned(), settings }
    }

    #[test]
    fn a_target_is_a_leaf_or_an_authority_and_no_path() {
        let leaf = Wanted::read(&target("web", json!({"authority": "int", "commonName": "web.internal"}))).unwrap();
        assert_eq!((leaf.authority.as_str(), leaf.leaf.map(|leaf| leaf.uses)), ("int", Some(vec![Use::Server])));
        assert!(Wanted::read(&target("int", json!({"commonName": "Internal"}))).unwrap().leaf.is_none());
        for bad in ["../x", "", "A", "a/b"] {
            assert!(Wanted::read(&target(bad, json!({"commonName": "x"}))).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_leaf_that_no_relying_party_would_take_is_refused_before_it_is_tried() {
        let settings = json!({"folder": "/pki", "relyingParties": [{"address": "db:1"}]});
        let settings = Settings::read(&settings).unwrap();
        let leaf = |uses| target("web", json!({"authority": "int", "commonName": "web", "uses": uses}));
        assert_eq!(check(&settings, &leaf(json!(["server"])), Strategy::Reissue).len(), 1);
        assert!(check(&settings, &leaf(json!(["client"])), Strategy::Reissue).is_empty());
        assert_eq!(check(&settings, &leaf(json!(["client"])), Strategy::DualTrust).len(), 1);
    }
}
