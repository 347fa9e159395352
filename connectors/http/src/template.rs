//! Text of a recipe with places to fill in. There is no word for a secret: a recipe cannot put one into an address or a
//! body.

use jiff::ToSpan as _;
use jiff::tz::TimeZone;
use remint_contract::{Call, Target};
use serde_json::Value;

/// Text with `{system.KEY}`, `{target}`, `{target.KEY}`, `{label}`, `{version}`, `{expires}`, `{seconds}`, and of a store's
/// path `{path.1}`, `{path.2}`, …, `{path.last}` and `{path.rest}`; `{key}` is the id of the key that values are sealed to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Place(Place),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    System(String),
    TargetName,
    Target(String),
    Label,
    Version,
    Expires,
    Seconds,
    Segment(usize),
    Last,
    Rest,
    Key,
}

/// What the places are filled with.
#[derive(Clone, Copy)]
pub(crate) struct Values<'a> {
    pub(crate) system: &'a serde_json::Map<String, Value>,
    pub(crate) target: Option<&'a Target>,
    pub(crate) version: Option<&'a str>,
    /// Of a store.
    pub(crate) path: Option<&'a str>,
    /// The id of the key that a value is sealed to.
    pub(crate) key: Option<&'a str>,
    pub(crate) call: &'a Call,
}

/// A place that nothing fills.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TemplateError {
    #[error(
        "`{{{0}}}` is no place of a recipe: use system.KEY, target, target.KEY, label, version, expires, seconds, path.NUMBER, path.last, path.rest or key"
    )]
    Unknown(String),
    #[error("a `{{` has no `}}`")]
    Unclosed,
    #[error("nothing says what `{{{0}}}` is here")]
    Empty(String),
}

/// Between a target's name and the operation in the label of what Remint makes.
pub(crate) const MARK: &str = " remint:";

impl TryFrom<String> for Template {
    type Error = TemplateError;

    fn try_from(text: String) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let (place, after) = after.split_once('}').ok_or(TemplateError::Unclosed)?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(Part::Place(Place::read(place)?));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }
}

impl Template {
    /// The keys of the system's and of the target's settings that it asks for.
    #[cfg(test)]
    pub(crate) fn keys(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().filter_map(|part| match part {
            Part::Place(Place::System(key)) => Some(("system", key.as_str())),
            Part::Place(Place::Target(key)) => Some(("target", key.as_str())),
            _ => None,
        })
    }

    /// With every place as `{}`.
    #[cfg(test)]
    pub(crate) fn shape(&self) -> String {
        self.0.iter().map(|part| if let Part::Text(text) = part { text } else { "{}" }).collect()
    }

    /// Filled in as text.
    pub(crate) fn text(&self, values: &Values<'_>) -> Result<String, TemplateError> {
        self.fill(values, |text, out| out.push_str(text))
    }

    /// Filled in as a part of an address: what is filled in cannot add a segment, a parameter or another host.
    pub(crate) fn path(&self, values: &Values<'_>) -> Result<String, TemplateError> {
        self.fill(values, escape)
    }

    /// Filled in as a JSON value: a place that stands alone keeps its kind, so that a list stays a list.
    pub(crate) fn value(&self, values: &Values<'_>) -> Result<Value, TemplateError> {
        match self.0.as_slice() {
            [Part::Place(place)] => place.value(values),
            _ => self.text(values).map(Value::from),
        }
    }

    fn fill(&self, values: &Values<'_>, put: impl Fn(&str, &mut String)) -> Result<String, TemplateError> {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Place(place) => match place.value(values)? {
                    Value::String(text) => put(&text, &mut out),
                    other => put(&other.to_string(), &mut out),
                },
            }
        }
        Ok(out)
    }
}

impl Place {
    fn read(text: &str) -> Result<Self, TemplateError> {
        Ok(match (text.split_once('.'), text) {
            (Some(("system", key)), _) => Self::System(key.to_owned()),
            (Some(("target", key)), _) => Self::Target(key.to_owned()),
            (Some(("path", "last")), _) => Self::Last,
            (Some(("path", "rest")), _) => Self::Rest,
            (Some(("path", number)), _) if number.parse().is_ok_and(|number: usize| number > 0) => {
                Self::Segment(number.parse().unwrap_or_default())
            }
            (None, "target") => Self::TargetName,
            (None, "label") => Self::Label,
            (None, "version") => Self::Version,
            (None, "expires") => Self::Expires,
            (None, "seconds") => Self::Seconds,
            (None, "key") => Self::Key,
            _ => return Err(TemplateError::Unknown(text.to_owned())),
        })
    }

    fn value(&self, values: &Values<'_>) -> Result<Value, TemplateError> {
        let setting = |key: &str| values.target.and_then(|target| target.settings.get(key)).cloned();
        let (found, name) = match self {
            Self::System(key) => (values.system.get(key).cloned(), format!("system.{key}")),
            Self::Target(key) => (setting(key), format!("target.{key}")),
            Self::TargetName => (values.target.map(|target| Value::from(target.name.as_str())), "target".to_owned()),
            Self::Version => (values.version.map(Value::from), "version".to_owned()),
            Self::Label => {
                let label = |target: &Target| Value::from(format!("{}{MARK}{}", target.name, values.call.operation));
                (values.target.map(label), "label".to_owned())
            }
            Self::Expires => {
                let days = setting("lifetimeDays").and_then(|days| days.as_i64());
                let last = days.and_then(|days| {
                    // The call's deadline is the nearest time that a connector knows.
                    let day = values.call.deadline.to_zoned(TimeZone::UTC).date();
                    day.checked_add(days.days()).ok()
                });
                (last.map(|day| Value::from(day.to_string())), "expires".to_owned())
            }
            Self::Seconds => {
                let days = setting("lifetimeDays").and_then(|days| days.as_i64());
                (days.map(|days| Value::from(days.saturating_mul(24 * 60 * 60))), "seconds".to_owned())
            }
            Self::Segment(number) => {
                let segment = values.path.and_then(|path| path.split('/').nth(number - 1));
                (segment.map(Value::from), format!("path.{number}"))
            }
            Self::Last => (
                values.path.map(|path| path.rsplit('/').next().unwrap_or(path)).map(Value::from),
                "path.last".to_owned(),
            ),
            Self::Rest => {
                let rest = values.path.and_then(|path| path.rsplit_once('/'));
                (rest.map(|(rest, _)| Value::from(rest)), "path.rest".to_owned())
            }
            Self::Key => (values.key.map(Value::from), "key".to_owned()),
        };
        found.filter(|value| !value.is_null()).ok_or(TemplateError::Empty(name))
    }
}

fn escape(text: &str, out: &mut String) {
    use std::fmt::Write as _;
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) || (byte == b'.' && text.len() > 2) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use remint_contract::OperationId;
    use serde_json::json;

    use super::*;

    fn filled(text: &str) -> Result<Value, TemplateError> {
        let system = json!({"account": "a/b"});
        let settings = json!({"project": "../../admin?x#y", "scopes": ["api"], "lifetimeDays": 30});
        let target = Target { name: "ci".to_owned(), settings };
        let deadline = "2026-12-15T23:00:00Z".parse().unwrap();
        let call = Call { operation: OperationId("op-1".to_owned()), deadline, actor: None };
        let path = Some("group/sub/TOKEN");
        let system = system.as_object().unwrap();
        let values = Values { system, target: Some(&target), version: None, path, key: None, call: &call };
        let template = Template::try_from(text.to_owned())?;
        if text.starts_with('/') { template.path(&values).map(Value::from) } else { template.value(&values) }
    }

    #[test]
    fn what_is_filled_into_an_address_stays_one_segment() {
        assert_eq!(filled("/p/{target.project}").unwrap(), "/p/..%2F..%2Fadmin%3Fx%23y");
        assert_eq!(filled("/p/{system.account}/{target}").unwrap(), "/p/a%2Fb/ci");
        assert_eq!(filled("/p/{path.rest}/{path.last}").unwrap(), "/p/group%2Fsub/TOKEN");
        assert_eq!(filled("/p/{path.1}/{path.2}").unwrap(), "/p/group/sub");
    }

    #[test]
    fn a_place_that_stands_alone_keeps_its_kind() {
        assert_eq!(filled("{target.scopes}").unwrap(), json!(["api"]));
        assert_eq!(filled("{label}").unwrap(), "ci remint:op-1");
        assert_eq!(filled("{expires}").unwrap(), "2027-01-14");
        assert_eq!(filled("{seconds}").unwrap(), 30 * 86_400);
    }

    #[test]
    fn a_recipe_has_no_word_for_a_secret() {
        for text in ["{actor}", "{secret}", "{actor.secret}", "{bearer}", "{value}", "{path.0}"] {
            assert!(matches!(filled(text), Err(TemplateError::Unknown(_))), "{text}");
        }
        assert_eq!(filled("{target.nothing}"), Err(TemplateError::Empty("target.nothing".to_owned())));
        assert_eq!(filled("{version}"), Err(TemplateError::Empty("version".to_owned())));
    }
}
