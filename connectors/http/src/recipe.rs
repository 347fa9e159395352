//! A vendor's API as data: which request makes a token, which lists, tests and deletes it, which writes a value, and where
//! in the answers things stand.

use std::collections::BTreeMap;

use remint_contract::{ErrorKind, Slots, Strategy};
use serde::Deserialize;
use serde_json::Value;

pub(crate) use crate::recipe::line::{Body, Carried, Carrying, Line, Method};
use crate::template::{Template, TemplateError};

#[cfg(test)]
mod facts;
mod line;

/// One recipe of `manifests/catalogue`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Recipe {
    pub(crate) name: String,
    /// Where the vendor describes it.
    #[cfg_attr(not(test), expect(dead_code, reason = "for people, and asked for by a test"))]
    pub(crate) source: String,
    /// What Remint's own credential must be allowed.
    pub(crate) needs: String,
    #[cfg_attr(not(test), expect(dead_code, reason = "for people, and asked for by a test"))]
    pub(crate) limits: Vec<String>,
    #[cfg_attr(not(test), expect(dead_code, reason = "for people, and asked for by a test"))]
    pub(crate) cannot: Vec<String>,
    /// The vendor's own address; `None` when everybody has one of his own.
    pub(crate) base: Option<String>,
    /// Settings that the system must have, with what they mean.
    #[serde(default)]
    pub(crate) system: BTreeMap<String, String>,
    pub(crate) authorization: Authorization,
    /// Headers that go with every request.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// Statuses that mean something else here than they do elsewhere.
    #[serde(default)]
    pub(crate) classes: BTreeMap<u16, ErrorKind>,
    pub(crate) check: Plain,
    pub(crate) issuer: Option<Issuer>,
    pub(crate) store: Option<Store>,
}

/// The one place where a secret of Remint's goes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Authorization {
    pub(crate) header: String,
    #[serde(default)]
    pub(crate) prefix: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plain {
    pub(crate) call: Line,
}

/// Tokens that the vendor makes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Issuer {
    /// Settings that a target must have, with what they mean.
    #[serde(default)]
    pub(crate) target: BTreeMap<String, String>,
    pub(crate) slots: Slots,
    /// With the API calls of one rotation.
    pub(crate) strategies: BTreeMap<Strategy, u32>,
    #[serde(default)]
    pub(crate) propagation_seconds: u64,
    /// What a token has beside its id, where the vendor may give the id of a dead one again: the two together are one token
    /// for ever.
    pub(crate) once: Option<String>,
    /// `None`, as `list` and `delete`: a person makes the tokens, and `revoke_values` ends them.
    pub(crate) create: Option<Create>,
    pub(crate) list: Option<List>,
    pub(crate) one: Option<One>,
    pub(crate) delete: Option<Plain>,
    pub(crate) revoke_values: Option<RevokeValues>,
    pub(crate) test: Test,
    pub(crate) identity: Option<Identity>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Create {
    /// Asked first, where the vendor's refusal of `call` does not tell a target that is not there from a missing right.
    pub(crate) reach: Option<Plain>,
    pub(crate) call: Line,
    pub(crate) body: Body,
    pub(crate) version: String,
    pub(crate) secret: String,
}

/// Ends whatever token it is shown. Nobody logs in for it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RevokeValues {
    pub(crate) call: Line,
    pub(crate) body: Body,
    /// A pointer to the list in the body that the values go into.
    pub(crate) values: String,
    /// The most that one request takes.
    pub(crate) most: usize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct List {
    pub(crate) call: Line,
    /// Where the items are; the whole answer when it is empty.
    #[serde(default)]
    pub(crate) items: String,
    #[serde(default)]
    pub(crate) pages: Pages,
    pub(crate) version: String,
    pub(crate) label: String,
    pub(crate) created: Option<String>,
}

/// How a list goes on.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(try_from = "WrittenPages")]
pub(crate) enum Pages {
    #[default]
    One,
    /// The header `Link` with `rel="next"`.
    Link,
    /// A parameter counts from 1, until a page holds fewer than `size`.
    Numbered { parameter: String, size: usize },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenPages {
    Word(String),
    Numbered { parameter: String, size: usize },
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct One {
    pub(crate) call: Line,
    pub(crate) last_used: Option<String>,
    /// What must be the same of the old one and the new one.
    #[serde(default)]
    pub(crate) rights: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Test {
    pub(crate) call: Line,
    /// `None`: the vendor has no name for a token, and the fingerprint of its value stands for it.
    pub(crate) version: Option<String>,
    pub(crate) expires: Option<String>,
    /// What an accepted answer must hold beside its status.
    #[serde(default, rename = "where")]
    pub(crate) holds: BTreeMap<String, Value>,
    /// The statuses by which the vendor says that it does not know the token.
    pub(crate) denied: Vec<u16>,
    /// Who the token speaks for, where the address that accepted it says so.
    pub(crate) principal: Option<Template>,
    /// The same, where the answer says so.
    pub(crate) principal_at: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    pub(crate) call: Line,
    pub(crate) principal: String,
}

/// Values that the vendor keeps, one at each path.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Store {
    /// What a path is, for people.
    pub(crate) path: String,
    /// So many segments, or, with `more`, at least so many.
    pub(crate) segments: usize,
    #[serde(default)]
    pub(crate) more: bool,
    /// Asked by `check`: shows that what the path lies in is there, and seen.
    pub(crate) reach: Plain,
    /// Asked by `check`: 404 is fine.
    pub(crate) there: Plain,
    /// `None`: what was written can never be read again.
    pub(crate) read: Option<ReadValue>,
    pub(crate) write: WriteValue,
    /// Asked when `write` says 404.
    pub(crate) create: Option<WriteValue>,
    /// The key that values are encrypted to before they are sent.
    pub(crate) seal: Option<SealKey>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadValue {
    pub(crate) call: Line,
    pub(crate) value: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WriteValue {
    pub(crate) call: Line,
    pub(crate) body: Body,
    /// Where in the body the value goes: a JSON pointer to a place that the body has.
    pub(crate) value: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SealKey {
    pub(crate) call: Line,
    /// The public key, base64.
    pub(crate) key: String,
    /// What `{key}` stands for in the body.
    pub(crate) id: String,
}

/// Why a recipe cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecipeError {
    #[error("write METHOD /path, with GET, POST, PUT, PATCH or DELETE and a path that begins with /")]
    Line,
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error("write pages: link, or pages: {{parameter, size}}")]
    Pages,
}

impl TryFrom<WrittenPages> for Pages {
    type Error = RecipeError;

    fn try_from(written: WrittenPages) -> Result<Self, RecipeError> {
        match written {
            WrittenPages::Word(word) if word == "link" => Ok(Self::Link),
            WrittenPages::Word(_) => Err(RecipeError::Pages),
            WrittenPages::Numbered { size: 0, .. } => Err(RecipeError::Pages),
            WrittenPages::Numbered { parameter, size } => Ok(Self::Numbered { parameter, size }),
        }
    }
}

impl Recipe {
    /// The recipe of that name.
    pub(crate) fn of(name: &str) -> Option<Self> {
        CATALOGUE.iter().filter_map(|text| serde_yaml::from_str::<Self>(text).ok()).find(|recipe| recipe.name == name)
    }

    /// The names of all recipes.
    pub(crate) fn names() -> Vec<String> {
        let recipes = CATALOGUE.iter().filter_map(|text| serde_yaml::from_str::<Self>(text).ok());
        recipes.map(|recipe| recipe.name).collect()
    }

    /// Every request of it: its line, and its body where it has one.
    #[cfg(test)]
    fn requests(&self) -> Vec<(&Line, Option<&Body>)> {
        let mut requests = vec![(&self.check.call, None)];
        if let Some(issuer) = &self.issuer {
            if let Some(create) = &issuer.create {
                requests.extend(create.reach.as_ref().map(|reach| (&reach.call, None)));
                requests.push((&create.call, Some(&create.body)));
            }
            requests.extend(issuer.list.as_ref().map(|list| (&list.call, None)));
            requests.extend(issuer.delete.as_ref().map(|delete| (&delete.call, None)));
            requests.extend(issuer.revoke_values.as_ref().map(|revoke| (&revoke.call, Some(&revoke.body))));
            requests.push((&issuer.test.call, None));
            requests.extend(issuer.one.as_ref().map(|one| (&one.call, None)));
            requests.extend(issuer.identity.as_ref().map(|identity| (&identity.call, None)));
        }
        if let Some(store) = &self.store {
            requests.extend([&store.reach.call, &store.there.call].map(|line| (line, None)));
            requests.extend(store.read.as_ref().map(|read| (&read.call, None)));
            requests.extend(store.seal.as_ref().map(|seal| (&seal.call, None)));
            let writes = [Some(&store.write), store.create.as_ref()];
            requests.extend(writes.into_iter().flatten().map(|write| (&write.call, Some(&write.body))));
        }
        requests
    }
}

/// Every file of `manifests/catalogue`, sorted.
pub(crate) const CATALOGUE: [&str; 6] = [
    include_str!("../../../manifests/catalogue/cloudflare-account-token.yaml"),
    include_str!("../../../manifests/catalogue/github-actions-secret.yaml"),
    include_str!("../../../manifests/catalogue/github-personal-token.yaml"),
    include_str!("../../../manifests/catalogue/gitlab-project-token.yaml"),
    include_str!("../../../manifests/catalogue/gitlab-project-variable.yaml"),
    include_str!("../../../manifests/catalogue/jupyterhub-user-token.yaml"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_catalogue_is_a_recipe_that_names_what_it_asks_for() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../manifests/catalogue");
        let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        let texts: Vec<_> = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
        assert_eq!(files.len(), CATALOGUE.len(), "CATALOGUE lists every file of manifests/catalogue");
        for (index, (file, text)) in files.iter().zip(&texts).enumerate() {
            assert!(text == CATALOGUE[index], "{} is not in its place in CATALOGUE", file.display());
            let recipe: Recipe =
                serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            assert_eq!(file.file_stem().unwrap().to_str(), Some(recipe.name.as_str()));
            whole(&recipe);
        }
    }

    fn whole(recipe: &Recipe) {
        let name = &recipe.name;
        let said = [&recipe.source, &recipe.needs];
        assert!(said.into_iter().chain(&recipe.limits).chain(&recipe.cannot).all(|text| text.len() > 20), "{name}");
        assert!(recipe.source.contains("https://"), "{name}");
        assert!(recipe.base.as_ref().is_none_or(|base| base.starts_with("https://")), "{name}");
        assert!(recipe.issuer.is_some() || recipe.store.is_some(), "{name} does nothing");
        let explained = recipe.issuer.as_ref().map(|issuer| &issuer.target);
        let requests = recipe.requests();
        let bodies = requests.iter().filter_map(|(_, body)| *body).flat_map(Body::templates);
        let principal = recipe.issuer.as_ref().and_then(|issuer| issuer.test.principal.as_ref());
        for (whose, key) in
            requests.iter().map(|(line, _)| &line.path).chain(bodies).chain(principal).flat_map(Template::keys)
        {
            let known = if whose == "system" { Some(&recipe.system) } else { explained };
            assert!(known.is_some_and(|known| known.contains_key(key)), "{name}: {whose}.{key} is not explained");
        }
        if let Some(issuer) = &recipe.issuer {
            let test = &issuer.test;
            let who = [issuer.identity.is_some(), test.principal.is_some(), test.principal_at.is_some()];
            assert_eq!(who.into_iter().filter(|said| *said).count(), 1, "{name}: who is it?");
            let makes = [issuer.create.is_some(), issuer.list.is_some(), issuer.delete.is_some()];
            let makes_all = makes.iter().all(|there| *there);
            assert!(makes_all || !makes.contains(&true), "{name}: create, list and delete go together");
            assert!(makes_all || issuer.revoke_values.is_some(), "{name}: nothing ends a token");
            assert_eq!(makes_all, !issuer.strategies.is_empty(), "{name}: a strategy needs a token to be made");
            if let Some(revoke) = &issuer.revoke_values {
                let key = revoke.values.trim_start_matches('/');
                assert!(revoke.most > 0 && revoke.body.keys().any(|known| known == key), "{name}: no {key}");
            }
        }
        if let Some(store) = &recipe.store {
            assert!(store.path.len() > 10, "{name}");
            for write in [Some(&store.write), store.create.as_ref()].into_iter().flatten() {
                let key = write.value.trim_start_matches('/').split('/').next().unwrap();
                assert!(write.body.keys().any(|known| known == key), "{name}: the body has no {}", write.value);
            }
        }
    }
}
