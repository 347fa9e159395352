//! Every request of a recipe, compared with what the vendor itself published: the address, the method, parameters, keys of
//! the body, and the places in the answer. `tests/facts` holds as much of each description as the recipes need.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Body, CATALOGUE, Line, Method, Pages, Recipe};

/// As much of a vendor's description as its recipes need.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Facts {
    source: String,
    base: String,
    /// By `METHOD /path/{place}`.
    requests: BTreeMap<String, Fact>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Fact {
    query: Vec<String>,
    body: Vec<String>,
    required: Vec<String>,
    #[serde(rename = "statuses")]
    _statuses: Vec<u16>,
    /// Pointers into the answer; `*` is any item of a list.
    answer: Vec<String>,
}

const FACTS: [(&str, &str); 3] = [
    ("cloudflare-", include_str!("../../tests/facts/cloudflare.json")),
    ("github-", include_str!("../../tests/facts/github.json")),
    ("gitlab-", include_str!("../../tests/facts/gitlab.json")),
];
/// Tried against the vendor's own server instead.
const TRIED: [&str; 1] = ["jupyterhub-user-token"];

/// One request, with what the recipe takes out of its answer.
struct Asked<'a> {
    line: &'a Line,
    body: Option<&'a Body>,
    /// A parameter that is added to the address.
    page: Option<&'a str>,
    takes: Vec<String>,
}

impl Facts {
    fn problems(&self, asked: &Asked<'_>) -> Vec<String> {
        let shape = asked.line.path.shape();
        let (path, query) = shape.split_once('?').unwrap_or((&shape, ""));
        let (word, _) = Method::ALL.into_iter().find(|(_, method)| *method == asked.line.method).unwrap();
        let wanted = format!("{word} {path}");
        let Some((_, fact)) = self.requests.iter().find(|(line, _)| shaped(line) == wanted) else {
            return vec![format!("{wanted} is not in {}", self.source)];
        };
        let mut problems = Vec::new();
        let parameters = query.split('&').filter(|part| !part.is_empty()).filter_map(|part| part.split('=').next());
        for parameter in parameters.chain(asked.page).filter(|parameter| !fact.query.iter().any(|one| one == parameter))
        {
            problems.push(format!("{wanted} takes no parameter {parameter}"));
        }
        let keys: Vec<&str> = asked.body.into_iter().flat_map(Body::keys).collect();
        problems.extend(
            keys.iter().filter(|key| !fact.body.iter().any(|one| one == *key)).map(|key| format!("{wanted}: no {key}")),
        );
        let lacking = fact.required.iter().filter(|key| !keys.contains(&key.as_str()));
        problems.extend(lacking.map(|key| format!("{wanted} needs {key}")));
        let unknown = asked.takes.iter().filter(|pointer| !fact.answer.contains(pointer));
        problems.extend(unknown.map(|pointer| format!("the answer to {wanted} has no {pointer}")));
        problems
    }
}

/// With every place as `{}`.
fn shaped(line: &str) -> String {
    let parts = line.split('{').enumerate().map(|(index, part)| match part.split_once('}') {
        Some((_, after)) if index > 0 => format!("{{}}{after}"),
        _ => part.to_owned(),
    });
    parts.collect()
}

fn asked(recipe: &Recipe) -> Vec<Asked<'_>> {
    let plain = |line, takes: Vec<String>| Asked { line, body: None, page: None, takes };
    let mut all = vec![plain(&recipe.check.call, Vec::new())];
    if let Some(issuer) = &recipe.issuer {
        let test = &issuer.test;
        if let Some(create) = &issuer.create {
            all.extend(create.reach.as_ref().map(|reach| plain(&reach.call, Vec::new())));
            let takes = vec![create.version.clone(), create.secret.clone()];
            all.push(Asked { line: &create.call, body: Some(&create.body), page: None, takes });
        }
        if let Some(list) = &issuer.list {
            let items = [Some(&list.version), Some(&list.label), list.created.as_ref()];
            let takes = items.into_iter().flatten().map(|pointer| format!("{}/*{pointer}", list.items)).collect();
            let page =
                if let Pages::Numbered { parameter, .. } = &list.pages { Some(parameter.as_str()) } else { None };
            all.push(Asked { line: &list.call, body: None, page, takes });
        }
        all.extend(issuer.delete.as_ref().map(|delete| plain(&delete.call, Vec::new())));
        all.extend(issuer.revoke_values.as_ref().map(|revoke| Asked {
            line: &revoke.call,
            body: Some(&revoke.body),
            page: None,
            takes: Vec::new(),
        }));
        let takes = [&test.version, &test.expires, &test.principal_at].into_iter().flatten();
        let takes = takes.chain(test.holds.keys()).cloned().collect();
        all.push(plain(&test.call, takes));
        all.extend(
            issuer.one.as_ref().map(|one| plain(&one.call, one.last_used.iter().chain(&one.rights).cloned().collect())),
        );
        all.extend(issuer.identity.as_ref().map(|who| plain(&who.call, vec![who.principal.clone()])));
    }
    if let Some(store) = &recipe.store {
        all.extend([&store.reach.call, &store.there.call].map(|line| plain(line, Vec::new())));
        all.extend(store.read.as_ref().map(|read| plain(&read.call, vec![read.value.clone()])));
        all.extend(store.seal.as_ref().map(|seal| plain(&seal.call, vec![seal.id.clone(), seal.key.clone()])));
        let writes = [Some(&store.write), store.create.as_ref()].into_iter().flatten();
        all.extend(writes.map(|put| Asked { line: &put.call, body: Some(&put.body), page: None, takes: Vec::new() }));
    }
    all
}

fn facts(name: &str) -> Option<Facts> {
    let (_, text) = FACTS.iter().find(|(vendor, _)| name.starts_with(vendor))?;
    Some(serde_json::from_str(text).unwrap())
}

#[test]
fn every_request_of_a_recipe_is_one_that_the_vendor_published() {
    let mut problems = Vec::new();
    for text in CATALOGUE {
        let recipe: Recipe = serde_yaml::from_str(text).unwrap();
        let Some(facts) = facts(&recipe.name) else {
            assert!(TRIED.contains(&recipe.name.as_str()), "{} is compared with nothing", recipe.name);
            continue;
        };
        assert_eq!(recipe.base.as_ref(), Some(&facts.base));
        assert_eq!(asked(&recipe).len(), recipe.requests().len(), "{}: a request is not compared", recipe.name);
        let found = asked(&recipe).iter().flat_map(|asked| facts.problems(asked)).collect::<Vec<_>>();
        problems.extend(found.into_iter().map(|problem| format!("{}: {problem}", recipe.name)));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn a_recipe_that_the_vendor_did_not_publish_is_found() {
    let facts = facts("gitlab-").unwrap();
    let wrong = [
        ("GET /projects/{target.project}/access_token", "{}", "", "is not in"),
        ("PATCH /projects/{target.project}", "{}", "", "is not in"),
        ("GET /projects/{target.project}/access_tokens?status=active", "{}", "", "no parameter status"),
        ("POST /projects/{target.project}/access_tokens", "{role: 1}", "", "no role"),
        ("GET /personal_access_tokens/self", "{}", "/token", "has no /token"),
    ];
    for (line, body, pointer, words) in wrong {
        let line = Line::try_from(line.to_owned()).unwrap();
        let body: Body = serde_yaml::from_str(body).unwrap();
        let takes = if pointer.is_empty() { Vec::new() } else { vec![pointer.to_owned()] };
        let problems = facts.problems(&Asked { line: &line, body: Some(&body), page: None, takes });
        assert!(problems.len() == 1 && problems[0].contains(words), "{problems:?}");
    }
}

/// Whoever rotates by GitLab's own address a second time has it revoke every token of the family.
#[test]
fn no_recipe_rotates_by_an_address_that_kills_the_old_token_first() {
    for text in CATALOGUE {
        let recipe: Recipe = serde_yaml::from_str(text).unwrap();
        for (line, _) in recipe.requests() {
            assert!(!line.path.shape().contains("rotate"), "{}", recipe.name);
        }
    }
}
