//! The settings of an `http` system: which recipe, where, and what the recipe asks to know.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use remint_contract::{
    Capabilities, Error, ErrorKind, HostRules, IssuerCapabilities, MadeBy, ProbeCost, SettingProblem,
    StoreCapabilities, Target, Verb,
};
use serde::Deserialize;
use serde_json::{Map, Value};
use url::{Host, Url};

use crate::address::{Private, is_public};
use crate::recipe::{Issuer, Recipe};

/// The settings, read.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) recipe: Recipe,
    pub(crate) base: Url,
    pub(crate) settings: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    recipe: String,
    base: Option<String>,
    #[serde(default)]
    settings: Map<String, Value>,
}

impl Config {
    /// # Errors
    /// Every problem of the settings.
    pub(crate) fn read(settings: &Value) -> Result<Self, Vec<SettingProblem>> {
        let written = Written::deserialize(settings).map_err(|error| vec![problem(&[], error.to_string())])?;
        let Some(recipe) = Recipe::of(&written.recipe) else {
            let message = format!("there is no recipe of that name: this build has {}", Recipe::names().join(", "));
            return Err(vec![problem(&["recipe"], message)]);
        };
        let mut problems = missing(&recipe.system, &written.settings, &["settings"]);
        let base = written.base.as_ref().or(recipe.base.as_ref());
        let base = base.and_then(|base| Url::parse(base).ok()).filter(|base| {
            let plain = base.query().is_none() && base.fragment().is_none();
            let named = base.username().is_empty() && base.password().is_none() && base.has_host();
            plain && named && matches!(base.scheme(), "https" | "http")
        });
        match base {
            Some(base) if problems.is_empty() => Ok(Self { recipe, base, settings: written.settings }),
            Some(_) => Err(problems),
            None => {
                let message = "write an address like https://gitlab.example.com/api/v4, without a user and a query";
                problems.push(problem(&["base"], message.to_owned()));
                Err(problems)
            }
        }
    }

    /// Whether the daemon's configuration allows the host wherever it is.
    ///
    /// # Errors
    /// Neither the recipe nor the configuration allows it, or the address is private, or the connection would be plain.
    pub(crate) fn allowed(&self, rules: &HostRules) -> Result<bool, Error> {
        let wrong = |message: String| Error::new(ErrorKind::Invalid, Verb::Check, message);
        let (host, port) = (self.base.host(), self.base.port_or_known_default().unwrap_or_default());
        let named = host.as_ref().map(|host| format!("{host}:{port}")).unwrap_or_default();
        let allowed = rules.hosts.contains(&named);
        let own = self.recipe.base.as_ref().and_then(|own| Url::parse(own).ok());
        let own = own.is_some_and(|own| own.origin() == self.base.origin());
        if !allowed && !own {
            return Err(wrong(format!(
                "{named} is not the host of the recipe {}; the daemon's configuration must allow it in `hosts`",
                self.recipe.name
            )));
        }
        let literal: Option<IpAddr> = match host {
            Some(Host::Ipv4(address)) => Some(address.into()),
            Some(Host::Ipv6(address)) => Some(address.into()),
            _ => None,
        };
        if !allowed && literal.is_some_and(|address| !is_public(address)) {
            return Err(wrong(Private(named).to_string()));
        }
        if self.base.scheme() != "https" && !literal.is_some_and(|address| address.is_loopback()) {
            return Err(wrong(format!("{named}: only https, or http to an address of this machine")));
        }
        Ok(allowed)
    }

    pub(crate) fn check_target(&self, target: &Target) -> Vec<SettingProblem> {
        let empty = Map::new();
        let Some(issuer) = &self.recipe.issuer else { return Vec::new() };
        missing(&issuer.target, target.settings.as_object().unwrap_or(&empty), &[])
    }

    pub(crate) fn capabilities(&self) -> Capabilities {
        let mut verbs = BTreeSet::from([Verb::Check]);
        let issuer = self.recipe.issuer.as_ref();
        if let Some(issuer) = issuer {
            verbs.extend([Verb::Verify, Verb::Probe]);
            if issuer.create.is_some() {
                verbs.extend([Verb::Mint, Verb::Revoke, Verb::Enumerate, Verb::Recover]);
            }
            verbs.extend(issuer.revoke_values.is_some().then_some(Verb::RevokeValue));
            let one = issuer.one.as_ref();
            verbs.extend(one.is_some_and(|one| one.last_used.is_some()).then_some(Verb::LastUsed));
            verbs.extend(one.is_some_and(|one| !one.rights.is_empty()).then_some(Verb::CompareRights));
        }
        let store = self.recipe.store.as_ref();
        if let Some(store) = store {
            verbs.insert(Verb::Write);
            verbs.extend(store.read.is_some().then_some(Verb::Read));
        }
        let plain = StoreCapabilities { compare_and_set: false, staged: false, versioned: false, own_login: false };
        Capabilities {
            verbs,
            issuer: issuer.map(|issuer| self.issues(issuer)),
            store: store.map(|_| plain),
            consumer: None,
        }
    }

    fn issues(&self, issuer: &Issuer) -> IssuerCapabilities {
        IssuerCapabilities {
            slots: issuer.slots,
            made_by: MadeBy::IssuerOnce,
            probe: ProbeCost::Free,
            propagation: Duration::from_secs(issuer.propagation_seconds),
            strategies: issuer.strategies.keys().copied().collect(),
            endpoints: vec![self.base.to_string()],
            // With an identity asked for, verify is more than the probe.
            verifies_at: issuer.identity.is_none().then_some(0),
            reversible_disable: false,
            dies_with_issuer: false,
            calls: issuer.strategies.iter().map(|(strategy, calls)| (*strategy, *calls)).collect(),
        }
    }
}

fn missing(
    needed: &std::collections::BTreeMap<String, String>,
    given: &Map<String, Value>,
    path: &[&str],
) -> Vec<SettingProblem> {
    let absent = needed.iter().filter(|(key, _)| given.get(*key).is_none_or(Value::is_null));
    absent.map(|(key, meaning)| problem(&[path, &[key]].concat(), format!("is missing: {meaning}"))).collect()
}

fn problem(path: &[&str], message: String) -> SettingProblem {
    SettingProblem { path: path.iter().map(|key| (*key).to_owned()).collect(), message }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    fn allowed(base: &str, hosts: &[&str]) -> Result<bool, String> {
        let config = Config::read(&json!({"recipe": "gitlab-project-token", "base": base})).unwrap();
        let hosts: BTreeSet<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
        config.allowed(&HostRules { hosts, ..HostRules::default() }).map_err(|error| error.to_string())
    }

    #[test]
    fn a_host_is_the_recipes_own_or_one_that_the_configuration_allows() {
        assert_eq!(allowed("https://gitlab.com/api/v4", &[]), Ok(false));
        assert!(allowed("https://gitlab.example.com/api/v4", &[]).is_err());
        assert_eq!(allowed("https://gitlab.example.com/api/v4", &["gitlab.example.com:443"]), Ok(true));
        assert!(allowed("https://gitlab.com:8443/api/v4", &[]).is_err(), "another port is another server");
        assert!(allowed("http://gitlab.com/api/v4", &["gitlab.com:80"]).is_err(), "a token never goes in the clear");
        assert!(allowed("https://169.254.169.254/", &[]).is_err());
        assert_eq!(allowed("http://127.0.0.1:8080/", &["127.0.0.1:8080"]), Ok(true));
        assert!(allowed("http://127.0.0.1:8080/", &[]).is_err());
    }

    #[test]
    fn what_the_recipe_asks_for_is_named_when_it_is_missing() {
        let problems =
            Config::read(&json!({"recipe": "cloudflare-account-token", "base": "https://a:b@c/"})).unwrap_err();
        let paths: Vec<_> = problems.iter().map(|problem| problem.path.join(".")).collect();
        assert_eq!(paths, ["settings.account", "base"]);
        let unknown = Config::read(&json!({"recipe": "no"})).unwrap_err();
        let known = "this build has cloudflare-account-token, github-actions-secret, github-personal-token, ";
        assert!(unknown[0].message.contains(known), "{}", unknown[0].message);
    }
}
