//! What one text carries: an object of texts, or one field that is the whole.

use std::collections::BTreeMap;

use remint_contract::{Error, ErrorKind, SecretValue, Verb, WHOLE};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::config::Format;

pub(crate) type Fields = BTreeMap<String, SecretValue>;

/// The fields of a text. None where it is not of this form.
pub(crate) fn read(format: Format, text: &str) -> Option<Fields> {
    match format {
        Format::Text => Some(Fields::from([(WHOLE.to_owned(), SecretValue::from(text))])),
        Format::Json => {
            let object: BTreeMap<String, Value> = serde_json::from_str(text).ok()?;
            let field = |(name, value): (String, Value)| match value {
                Value::String(text) => Some((name, SecretValue::from(text))),
                // A port, a flag: kept, and read as it is written.
                other => Some((name, SecretValue::from(other.to_string()))),
            };
            object.into_iter().map(field).collect()
        }
    }
}

/// A text with these fields laid over what was there. What is not text there stays what it is.
pub(crate) fn write(format: Format, there: Option<&str>, fields: &Fields) -> Option<Zeroizing<String>> {
    if format == Format::Text {
        return Some(Zeroizing::new(fields.get(WHOLE)?.expose_str()?.to_owned()));
    }
    let mut object: BTreeMap<String, Value> = match there {
        Some(there) => serde_json::from_str(there).ok()?,
        None => BTreeMap::new(),
    };
    for (name, value) in fields {
        object.insert(name.clone(), Value::from(value.expose_str()?));
    }
    serde_json::to_string(&object).ok().map(Zeroizing::new)
}

/// Are all of these there already?
pub(crate) fn holds(there: &Fields, fields: &Fields) -> bool {
    fields.iter().all(|(name, value)| there.get(name) == Some(value))
}

/// Could a text of at most so many bytes carry them?
pub(crate) fn fits(format: Format, path: &str, fields: &Fields, most: usize) -> Result<(), Error> {
    let refused = |message: String| Err(Error::new(ErrorKind::RefusedValue, Verb::Write, message).with("path", path));
    if format == Format::Text && fields.keys().ne([WHOLE]) {
        let message = format!("with `format: text` there is one field, `{WHOLE}`");
        return Err(Error::new(ErrorKind::Invalid, Verb::Write, message).with("path", path));
    }
    if fields.values().any(|value| value.expose_str().is_none_or(str::is_empty)) {
        return refused("a value is not text, or empty".to_owned());
    }
    let size: usize = fields.iter().map(|(name, value)| name.len() + value.expose().len() + 6).sum();
    if size > most { refused(format!("it is longer than the {most} bytes that this service takes")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, value: &str) -> Fields {
        Fields::from([(name.to_owned(), SecretValue::from(value))])
    }

    #[test]
    fn other_fields_stay_as_they_are() {
        let there = r#"{"host":"db","port":5432}"#;
        let text = write(Format::Json, Some(there), &one("password", "a\"b")).unwrap();
        assert_eq!(text.as_str(), r#"{"host":"db","password":"a\"b","port":5432}"#);
        let fields = read(Format::Json, &text).unwrap();
        assert!(holds(&fields, &one("password", "a\"b")) && holds(&fields, &one("port", "5432")));
    }

    #[test]
    fn a_text_is_one_field() {
        assert_eq!(write(Format::Text, Some("old"), &one(WHOLE, "new")).unwrap().as_str(), "new");
        assert!(holds(&read(Format::Text, "{\"a\":1}").unwrap(), &one(WHOLE, "{\"a\":1}")));
        assert_eq!(fits(Format::Text, "p", &one("password", "x"), 10).unwrap_err().kind, ErrorKind::Invalid);
        assert_eq!(fits(Format::Text, "p", &one(WHOLE, "long enough"), 10).unwrap_err().kind, ErrorKind::RefusedValue);
    }

    #[test]
    fn what_is_no_object_is_not_laid_over() {
        assert!(write(Format::Json, Some("plain"), &one("password", "x")).is_none());
        assert!(read(Format::Json, "[1]").is_none());
    }
}
