//! A vendor's API as data: which request makes a token, which lists, tests and deletes it, and where in the answers
//! things stand.

use std::collections::BTreeMap;

use remint_contract::{Slots, Strategy};
use serde::Deserialize;
use serde_json::Value;

use crate::template::{Template, TemplateError};

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
    pub(crate) base: String,
    /// Settings that the system must have, with what they mean.
    #[serde(default)]
    pub(crate) system: BTreeMap<String, String>,
    /// Settings that a target must have, with what they mean.
    #[serde(default)]
    pub(crate) target: BTreeMap<String, String>,
    pub(crate) slots: Slots,
    /// With the API calls of one rotation.
    pub(crate) strategies: BTreeMap<Strategy, u32>,
    #[serde(default)]
    pub(crate) propagation_seconds: u64,
    pub(crate) authorization: Authorization,
    pub(crate) check: Plain,
    pub(crate) create: Create,
    pub(crate) list: List,
    pub(crate) one: Option<One>,
    pub(crate) delete: Plain,
    pub(crate) test: Test,
    pub(crate) identity: Option<Identity>,
}

/// The one place where a secret goes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Authorization {
    pub(crate) header: String,
    #[serde(default)]
    pub(crate) prefix: String,
}

/// `METHOD /path`, the path below the base.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Line {
    pub(crate) method: Method,
    pub(crate) path: Template,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
    Put,
    Delete,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plain {
    pub(crate) call: Line,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Create {
    pub(crate) call: Line,
    pub(crate) body: BTreeMap<String, Template>,
    pub(crate) version: String,
    pub(crate) secret: String,
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
#[serde(rename_all = "camelCase", try_from = "WrittenPages")]
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
#[serde(deny_unknown_fields)]
pub(crate) struct Test {
    pub(crate) call: Line,
    pub(crate) version: String,
    pub(crate) expires: Option<String>,
    /// What an accepted answer must hold beside its status.
    #[serde(default, rename = "where")]
    pub(crate) holds: BTreeMap<String, Value>,
    /// The statuses by which the vendor says that it does not know the token.
    pub(crate) denied: Vec<u16>,
    /// Who the token speaks for, where the address that accepted it says so.
    pub(crate) principal: Option<Template>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    pub(crate) call: Line,
    pub(crate) principal: String,
}

/// Why a recipe cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecipeError {
    #[error("write METHOD /path, with GET, POST, PUT or DELETE and a path that begins with /")]
    Line,
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error("write pages: link, or pages: {{parameter, size}}")]
    Pages,
}

impl TryFrom<String> for Line {
    type Error = RecipeError;

    fn try_from(text: String) -> Result<Self, RecipeError> {
        let (method, path) = text.split_once(' ').filter(|(_, path)| path.starts_with('/')).ok_or(RecipeError::Line)?;
        let method = match method {
            "GET" => Method::Get,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "DELETE" => Method::Delete,
            _ => return Err(RecipeError::Line),
        };
        Ok(Self { method, path: Template::try_from(path.to_owned())? })
    }
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
}

/// Every file of `manifests/catalogue`, sorted.
pub(crate) const CATALOGUE: [&str; 2] = [
    include_str!("../../../manifests/catalogue/cloudflare-account-token.yaml"),
    include_str!("../../../manifests/catalogue/gitlab-project-token.yaml"),
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
        assert_eq!(texts, CATALOGUE, "CATALOGUE lists every file of manifests/catalogue");
        for (file, text) in files.iter().zip(&texts) {
            let recipe: Recipe =
                serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            assert_eq!(file.file_stem().unwrap().to_str(), Some(recipe.name.as_str()));
            let said = [&recipe.source, &recipe.needs];
            assert!(said.into_iter().chain(&recipe.limits).chain(&recipe.cannot).all(|text| text.len() > 20));
            assert!(recipe.source.contains("https://") && recipe.base.starts_with("https://"));
            let mut lines = vec![&recipe.check.call, &recipe.create.call, &recipe.list.call, &recipe.delete.call];
            lines.push(&recipe.test.call);
            lines.extend(recipe.one.as_ref().map(|one| &one.call));
            lines.extend(recipe.identity.as_ref().map(|identity| &identity.call));
            let templates = lines.iter().map(|line| &line.path).chain(recipe.create.body.values());
            for (whose, key) in templates.chain(&recipe.test.principal).flat_map(Template::keys) {
                let known = if whose == "system" { &recipe.system } else { &recipe.target };
                assert!(known.contains_key(key), "{}: {whose}.{key} is not explained", recipe.name);
            }
            assert!(recipe.identity.is_some() != recipe.test.principal.is_some(), "{}: who is it?", recipe.name);
        }
    }
}
