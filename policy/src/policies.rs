//! A set of policies that may decide.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr as _;

use cedar_policy::{Authorizer, Decision as Cedar, Effect, PolicyId, PolicySet, Response, ValidationMode, Validator};
use jiff::Timestamp;
use remint_core::approval::Party;
use remint_core::gate::{Action, Caller, Decider, Decision, Resource, Why};

use crate::asked::{Asked, ask};
use crate::schema::schema;
use crate::sorted::Sorted;

/// Policies that fit the schema.
#[derive(Debug)]
pub struct Policies {
    sorted: Sorted,
    /// Id → what it says of itself, in words.
    words: BTreeMap<String, String>,
    all: PolicySet,
}

/// Why a text is no set of policies.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    #[error("{file} cannot be read as Cedar policies:\n{why}")]
    Syntax { file: String, why: String },
    #[error("{file}: the policy at place {place} has no @id(\"…\"); reasons name policies by their ids")]
    NoId { file: String, place: usize },
    #[error("{file}: the id `{id}` is given twice")]
    Twice { file: String, id: String },
    #[error("{file} has a template; write each policy out")]
    Template { file: String },
    #[error("the policies do not fit what can be asked:\n{0}")]
    Unfit(String),
    #[error("nothing is permitted by these policies: whoever activates them locks everybody out")]
    NothingPermitted,
    #[error("the schema of this build cannot be read")]
    Schema,
}

impl Policies {
    /// Reads policies from files: name and text.
    ///
    /// # Errors
    /// The first file that cannot be read, or everything in which the whole does not fit the schema.
    pub fn parse<'t>(files: impl IntoIterator<Item = (&'t str, &'t str)>) -> Result<Self, PolicyError> {
        let mut all = PolicySet::new();
        let mut words = BTreeMap::new();
        let mut permits = false;
        for (file, text) in files {
            let file = || file.to_owned();
            let set =
                PolicySet::from_str(text).map_err(|error| PolicyError::Syntax { file: file(), why: chain(&error) })?;
            if set.templates().next().is_some() {
                return Err(PolicyError::Template { file: file() });
            }
            let mut policies: Vec<_> = set.policies().collect();
            policies.sort_by_key(|policy| place(policy.id()));
            for (place, policy) in policies.into_iter().enumerate() {
                let id = policy.annotation("id").filter(|id| !id.is_empty());
                let id = id.ok_or_else(|| PolicyError::NoId { file: file(), place: place + 1 })?.to_owned();
                permits |= policy.effect() == Effect::Permit;
                let said = policy.annotation("because").unwrap_or(match policy.effect() {
                    Effect::Permit => "permitted",
                    Effect::Forbid => "forbidden",
                });
                if words.insert(id.clone(), said.to_owned()).is_some() {
                    return Err(PolicyError::Twice { file: file(), id });
                }
                let named = policy.new_id(PolicyId::new(&id));
                all.add(named).map_err(|_| PolicyError::Twice { file: file(), id })?;
            }
        }
        if !permits {
            return Err(PolicyError::NothingPermitted);
        }
        let schema = schema().ok_or(PolicyError::Schema)?;
        let result = Validator::new(schema.clone()).validate(&all, ValidationMode::Strict);
        let errors: Vec<String> = result.validation_errors().map(ToString::to_string).collect();
        if !errors.is_empty() {
            return Err(PolicyError::Unfit(errors.join("\n")));
        }
        let sorted = Sorted::of(&all).ok_or(PolicyError::Schema)?;
        Ok(Self { sorted, words, all })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// True when there is none, which [`Policies::parse`] refuses.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Decides by asking every policy: what the sorted ones must agree with.
    #[must_use]
    pub fn decide_by_all(
        &self,
        caller: &Caller,
        party: &Party,
        groups: &BTreeSet<String>,
        action: Action,
        resource: &Resource,
        now: Timestamp,
    ) -> Decision {
        let Some(asked) = ask(caller, party, groups, action, resource, now) else { return unasked(action, resource) };
        self.answer(action, &asked, std::iter::once(&self.all))
    }

    fn answer<'s>(&self, action: Action, asked: &Asked, sets: impl Iterator<Item = &'s PolicySet>) -> Decision {
        let authorizer = Authorizer::new();
        let mut permits = BTreeSet::new();
        let mut forbids = BTreeSet::new();
        for set in sets {
            let response = authorizer.is_authorized(&asked.request, set, &asked.entities);
            // Cedar leaves out what fails; here it denies.
            forbids.extend(failed(&response));
            let reasons = response.diagnostics().reason().map(|id| self.why(id));
            match response.decision() {
                Cedar::Allow => permits.extend(reasons),
                Cedar::Deny => forbids.extend(reasons),
            }
        }
        if !forbids.is_empty() {
            return Decision { allowed: false, why: forbids.into_iter().collect() };
        }
        if permits.is_empty() {
            return Decision::denied(format!("no policy permits {action}"));
        }
        Decision { allowed: true, why: permits.into_iter().collect() }
    }

    fn why(&self, id: &PolicyId) -> Why {
        let policy = id.to_string();
        let words = self.words.get(&policy).cloned().unwrap_or_default();
        Why { policy, words }
    }
}

impl Decider for Policies {
    fn decide(
        &self,
        caller: &Caller,
        party: &Party,
        groups: &BTreeSet<String>,
        action: Action,
        resource: &Resource,
        now: Timestamp,
    ) -> Decision {
        let Some(asked) = ask(caller, party, groups, action, resource, now) else { return unasked(action, resource) };
        let who = std::iter::once(&asked.principal).chain(&asked.groups);
        self.answer(action, &asked, self.sorted.about(action, who))
    }
}

/// What cannot be asked is not permitted.
fn unasked(action: Action, resource: &Resource) -> Decision {
    Decision::denied(format!("{action} is nothing that is done to {resource}"))
}

fn failed(response: &Response) -> impl Iterator<Item = Why> + '_ {
    response
        .diagnostics()
        .errors()
        .map(|error| Why { policy: "none".into(), words: format!("a policy failed: {error}") })
}

/// Cedar numbers the policies of a text: policy0, policy1, …
fn place(id: &PolicyId) -> usize {
    let text = id.to_string();
    text.trim_start_matches(|letter: char| !letter.is_ascii_digit()).parse().unwrap_or(usize::MAX)
}

/// An error and its causes in one text.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
