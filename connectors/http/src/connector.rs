//! The connector itself: each verb as one or two requests of the recipe.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use remint_contract::{
    Call, Capabilities, Connector, ConnectorKind, Error, ErrorKind, HostRules, Intent, Live, Material, MintRequest,
    Minted, OperationId, Recovered, RightsChange, SecretValue, SettingProblem, Strategy, Target, Use, Verb, Verdict,
    Verified, VersionId,
};
use reqwest::StatusCode;
use serde_json::Value;

use crate::client::{Client, Reply};
use crate::config::Config;
use crate::error::lost;
use crate::recipe::{Line, Method, One, Pages};
use crate::rights;
use crate::template::{MARK, Values};

/// The kind `http`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HttpKind;

/// One vendor behind one recipe.
#[derive(Debug)]
struct Vendor {
    config: Config,
    client: Client,
}

impl ConnectorKind for HttpKind {
    fn name(&self) -> &'static str {
        "http"
    }

    fn describe(&self, settings: &Value) -> Result<Capabilities, Vec<SettingProblem>> {
        Config::read(settings).map(|config| config.capabilities())
    }

    fn check_target(&self, settings: &Value, target: &Target, _strategy: Strategy) -> Vec<SettingProblem> {
        Config::read(settings).map(|config| config.check_target(target)).unwrap_or_default()
    }

    fn open(&self, settings: &Value, rules: &HostRules) -> Result<Arc<dyn Connector>, Error> {
        let config = Config::read(settings).map_err(|problems| {
            let text: Vec<_> =
                problems.iter().map(|problem| format!("{}: {}", problem.path.join("."), problem.message)).collect();
            Error::new(ErrorKind::Invalid, Verb::Check, text.join("; "))
        })?;
        let client = Client::open(&config, rules)?;
        Ok(Arc::new(Vendor { config, client }))
    }
}

impl Vendor {
    fn values<'a>(&'a self, call: &'a Call, target: Option<&'a Target>) -> Values<'a> {
        Values { system: &self.config.settings, target, version: None, call }
    }

    /// A line of the recipe, asked by `bearer`.
    async fn ask(
        &self,
        verb: Verb,
        line: &Line,
        values: &Values<'_>,
        bearer: Option<&Material>,
    ) -> Result<Reply, Error> {
        let address = self.client.address(verb, line, values)?;
        self.client.ask(verb, line.method, address, bearer, None).await
    }

    /// Every token of a target, page by page: (version, label, item).
    async fn list(&self, verb: Verb, call: &Call, target: &Target) -> Result<Vec<(String, String, Value)>, Error> {
        let list = &self.config.recipe.list;
        let base = self.client.address(verb, &list.call, &self.values(call, Some(target)))?;
        let mut found = Vec::new();
        let mut next = Some(base.clone());
        for number in 1..=PAGES {
            let Some(mut address) = next.take() else { return Ok(found) };
            if let Pages::Numbered { parameter, .. } = &list.pages {
                address.query_pairs_mut().append_pair(parameter, &number.to_string());
            }
            let reply = self.client.ask(verb, Method::Get, address, call.actor.as_deref(), None).await?;
            let link = linked(&reply);
            let page = reply.json()?;
            let items = page.pointer(&list.items).and_then(Value::as_array);
            let items = items.ok_or_else(|| not_there(verb, "the list"))?;
            for item in items {
                let version = text(item.pointer(&list.version)).ok_or_else(|| not_there(verb, "a token's id"))?;
                let label = text(item.pointer(&list.label)).unwrap_or_default();
                found.push((version, label, item.clone()));
            }
            next = match &list.pages {
                Pages::One => None,
                Pages::Numbered { size, .. } => (items.len() >= *size).then(|| base.clone()),
                Pages::Link => match link {
                    None => None,
                    Some(link) => Some(link.parse().ok().filter(|link| self.client.is_own(link)).ok_or_else(|| {
                        Error::new(ErrorKind::Invalid, verb, "the list's next page is not on this host; it is not read")
                    })?),
                },
            };
        }
        // A list that never ends must not be taken for a whole one.
        Err(Error::new(ErrorKind::Invalid, verb, format!("the list has more than {PAGES} pages")))
    }

    /// Asks as the token itself: what the vendor answers, or that it does not know the token.
    async fn test(&self, verb: Verb, call: &Call, target: &Target, material: &Material) -> Result<Tested, Error> {
        let test = &self.config.recipe.test;
        let reply = self.ask(verb, &test.call, &self.values(call, Some(target)), Some(material)).await?;
        if test.denied.contains(&reply.status.as_u16()) {
            return Ok(Tested::Denied);
        }
        if !reply.status.is_success() {
            return Ok(Tested::Unclear(reply.refusal()));
        }
        let answer = reply.json()?;
        let holds = test.holds.iter().all(|(pointer, value)| answer.pointer(pointer) == Some(value));
        Ok(if holds { Tested::Accepted(answer) } else { Tested::Denied })
    }

    async fn one(&self, verb: Verb, call: &Call, target: &Target, version: &VersionId) -> Result<(&One, Value), Error> {
        let one = self.config.recipe.one.as_ref().ok_or_else(|| Error::unsupported(verb))?;
        let values = Values { version: Some(&version.0), ..self.values(call, Some(target)) };
        let reply = self.ask(verb, &one.call, &values, call.actor.as_deref()).await?;
        Ok((one, reply.json()?))
    }
}

/// What a token's own request gave.
enum Tested {
    Accepted(Value),
    Denied,
    /// Neither: the vendor knows the token and says no, or says nothing of it.
    Unclear(Error),
}

#[async_trait]
impl Connector for Vendor {
    fn describe(&self) -> Capabilities {
        self.config.capabilities()
    }

    async fn check(&self, call: &Call, _path: Option<&str>) -> Result<(), Error> {
        let line = &self.config.recipe.check.call;
        let reply = self.ask(Verb::Check, line, &self.values(call, None), call.actor.as_deref()).await?;
        if reply.status.is_success() {
            Ok(())
        } else {
            Err(reply.refusal().with("needs", self.config.recipe.needs.clone()))
        }
    }

    async fn mint(&self, call: &Call, request: &MintRequest) -> Result<Minted, Error> {
        let verb = Verb::Mint;
        let create = &self.config.recipe.create;
        if !self.config.recipe.strategies.contains_key(&request.strategy) {
            return Err(Error::new(ErrorKind::Invalid, verb, "the recipe does not have this strategy"));
        }
        let values = self.values(call, Some(&request.target));
        let body: Result<serde_json::Map<_, _>, _> =
            create.body.iter().map(|(key, template)| Ok((key.clone(), template.value(&values)?))).collect();
        let body = body.map_err(|error: crate::template::TemplateError| {
            Error::new(ErrorKind::Invalid, verb, error.to_string()).with("target", request.target.name.clone())
        })?;
        let address = self.client.address(verb, &create.call, &values)?;
        let reply =
            self.client.ask(verb, create.call.method, address, call.actor.as_deref(), Some(&body.into())).await?;
        let mut answer = reply.json()?;
        let version = text(answer.pointer(&create.version)).ok_or_else(|| not_there(verb, "the new token's id"))?;
        // Moved out, not copied: what remains of the answer holds no secret.
        match answer.pointer_mut(&create.secret).map(Value::take) {
            Some(Value::String(secret)) if !secret.is_empty() => {
                Ok(Minted { version: VersionId(version), material: Material::of(SecretValue::from(secret)) })
            }
            _ => Err(not_there(verb, "the new token's value").with("version", version)),
        }
    }

    async fn verify(&self, call: &Call, target: &Target, material: &Material) -> Result<Verified, Error> {
        let verb = Verb::Verify;
        let denied = || Error::new(ErrorKind::Denied, verb, "the vendor does not know the token");
        let answer = match self.test(verb, call, target, material).await? {
            Tested::Accepted(answer) => answer,
            Tested::Denied => return Err(denied()),
            Tested::Unclear(error) => return Err(known(error)),
        };
        let test = &self.config.recipe.test;
        let version = text(answer.pointer(&test.version)).ok_or_else(|| not_there(verb, "the token's id"))?;
        let expires = test.expires.as_ref().and_then(|pointer| moment(answer.pointer(pointer)));
        let values = self.values(call, Some(target));
        let principal = match (&self.config.recipe.identity, &test.principal) {
            (Some(identity), _) => {
                let reply = self.ask(verb, &identity.call, &values, Some(material)).await?;
                if test.denied.contains(&reply.status.as_u16()) {
                    return Err(denied());
                }
                let answer = reply.json().map_err(known)?;
                text(answer.pointer(&identity.principal))
            }
            (None, Some(principal)) => principal.text(&values).ok(),
            (None, None) => None,
        };
        let principal = principal.ok_or_else(|| not_there(verb, "who the token speaks for"))?;
        Ok(Verified { version: VersionId(version), principal, expires })
    }

    async fn probe(
        &self,
        call: &Call,
        target: &Target,
        material: &Material,
        endpoint: usize,
    ) -> Result<Verdict, Error> {
        if endpoint > 0 {
            return Err(Error::new(ErrorKind::Invalid, Verb::Probe, "a recipe has one endpoint"));
        }
        Ok(match self.test(Verb::Probe, call, target, material).await? {
            Tested::Accepted(_) => Verdict::Accepted,
            Tested::Denied => Verdict::Denied,
            Tested::Unclear(error) => Verdict::Unclear(error.message),
        })
    }

    async fn compare_rights(
        &self,
        call: &Call,
        target: &Target,
        old: &VersionId,
        new: &VersionId,
    ) -> Result<RightsChange, Error> {
        let (one, old) = self.one(Verb::CompareRights, call, target, old).await?;
        let (_, new) = self.one(Verb::CompareRights, call, target, new).await?;
        Ok(rights::compare(&rights::of(&old, &one.rights), &rights::of(&new, &one.rights)))
    }

    async fn revoke(&self, call: &Call, target: &Target, version: &VersionId) -> Result<(), Error> {
        let values = Values { version: Some(&version.0), ..self.values(call, Some(target)) };
        let line = &self.config.recipe.delete.call;
        let reply = self.ask(Verb::Revoke, line, &values, call.actor.as_deref()).await?;
        // Gone already, or never there: the probe tells whether it is dead, not this answer.
        let gone = matches!(reply.status, StatusCode::NOT_FOUND | StatusCode::GONE);
        if reply.status.is_success() || gone { Ok(()) } else { Err(reply.refusal()) }
    }

    async fn enumerate(&self, call: &Call, targets: &[Target]) -> Result<Vec<Live>, Error> {
        let mut live = BTreeMap::new();
        for target in targets {
            for (version, label, item) in self.list(Verb::Enumerate, call, target).await? {
                let (name, operation) = match label.split_once(MARK) {
                    Some((name, operation)) => (name, Some(OperationId(operation.to_owned()))),
                    None => (label.as_str(), None),
                };
                let owner = targets.iter().find(|target| target.name == name).map(|target| target.name.clone());
                let created = self.config.recipe.list.created.as_ref().and_then(|at| moment(item.pointer(at)));
                let version = VersionId(version);
                live.insert(version.clone(), Live { version, target: owner, label, operation, created });
            }
        }
        Ok(live.into_values().collect())
    }

    async fn last_used(
        &self,
        call: &Call,
        target: &Target,
        version: &VersionId,
        since: Timestamp,
    ) -> Result<Vec<Use>, Error> {
        let (one, token) = self.one(Verb::LastUsed, call, target, version).await?;
        let pointer = one.last_used.as_ref().ok_or_else(|| Error::unsupported(Verb::LastUsed))?;
        let at = moment(token.pointer(pointer)).filter(|at| *at >= since);
        Ok(at.map(|at| Use { at, source: "not told by this API".to_owned() }).into_iter().collect())
    }

    async fn recover(&self, call: &Call, intent: &Intent) -> Result<Recovered, Error> {
        let listed = self.list(Verb::Recover, call, &intent.target).await?;
        match (intent.verb, &intent.version) {
            (Verb::Mint, _) => {
                let label = format!("{}{MARK}{}", intent.target.name, intent.operation);
                let made = listed.into_iter().find(|(_, found, _)| *found == label);
                Ok(made.map_or(Recovered::NotDone, |(version, _, _)| Recovered::Orphan(VersionId(version))))
            }
            (Verb::Revoke, Some(version)) => {
                let alive = listed.iter().any(|(found, _, _)| *found == version.0);
                Ok(if alive { Recovered::NotDone } else { Recovered::Done(None) })
            }
            _ => Err(Error::unsupported(Verb::Recover)),
        }
    }
}

/// The vendor's 401 alone says that it does not know a token; every other refusal of a token's own request says nothing
/// about that, and must not be taken for it.
fn known(mut error: Error) -> Error {
    if error.kind == ErrorKind::Denied {
        error.kind = ErrorKind::Invalid;
    }
    error
}

fn not_there(verb: Verb, what: &str) -> Error {
    let kind = if lost(verb) == ErrorKind::Unclear { ErrorKind::Unclear } else { ErrorKind::Invalid };
    Error::new(kind, verb, format!("the answer does not hold {what} where the recipe says"))
}

/// An id or a name: text, or a number.
fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A moment, or a day: its midnight in UTC.
fn moment(value: Option<&Value>) -> Option<Timestamp> {
    let text = value?.as_str()?;
    let day = || text.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
    text.parse().ok().or_else(|| day().map(|day| day.timestamp()))
}

/// The next page by the header `Link`.
fn linked(reply: &Reply) -> Option<String> {
    let links = reply.headers.get_all("link").iter().filter_map(|value| value.to_str().ok());
    let next = links.flat_map(|text| text.split(',')).find(|link| link.contains("rel=\"next\""))?;
    Some(next.split_once('<')?.1.split_once('>')?.0.to_owned())
}

/// More than any project has tokens for.
const PAGES: usize = 1000;
