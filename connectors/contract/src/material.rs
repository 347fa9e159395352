//! What a credential consists of when it is used: a secret, and the public name that goes with it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::secret::SecretValue;

/// One version of a credential as a consumer needs it. User name and secret change together.
#[derive(Clone, PartialEq, Eq)]
pub struct Material {
    /// The public half: login role, key id, client id. Not a secret.
    pub username: Option<String>,
    /// The secret half.
    pub secret: SecretValue,
}

impl Material {
    /// A secret without a public half.
    #[must_use]
    pub const fn of(secret: SecretValue) -> Self {
        Self { username: None, secret }
    }

    /// A login.
    pub fn login(username: impl Into<String>, secret: SecretValue) -> Self {
        Self { username: Some(username.into()), secret }
    }

    /// `sha256:` and the first 16 bytes of the SHA-256 of the secret, in hex: what a consumer reports as "in use".
    ///
    /// Assumption: the secret has at least 64 bits of entropy; never call it on something a person chose.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        use std::fmt::Write as _;
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.secret.expose());
        digest.as_ref().iter().take(16).fold(String::from("sha256:"), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Material").field("username", &self.username).finish_non_exhaustive()
    }
}

/// How a destination's field is made from a [`Material`]: text with `{secret}`, `{username}`, and `{secret|url}`,
/// `{username|url}` for the percent-encoded form inside a URL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Part {
    Text(String),
    Secret { url: bool },
    Username { url: bool },
}

/// A template that cannot be read, or a value that does not fit it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("`{0}` is not a placeholder; use {{secret}}, {{username}}, {{secret|url}} or {{username|url}}")]
    Placeholder(String),
    #[error("a `{{` has no `}}`")]
    Unclosed,
    #[error("it has no {{secret}} and no {{username}}, so nothing of the credential would be delivered")]
    Constant,
    #[error("the credential has no user name, but the template asks for one")]
    NoUsername,
    #[error("the value is not text, but the template needs text")]
    NotText,
    #[error("the text does not match the template")]
    NoMatch,
}

impl Template {
    /// The template that is the secret and nothing else.
    #[must_use]
    pub fn secret() -> Self {
        Self(vec![Part::Secret { url: false }])
    }

    /// Reads a template.
    ///
    /// # Errors
    /// An unknown or unclosed placeholder, or none at all.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find('{') {
            if start > 0 {
                parts.push(Part::Text(rest[..start].to_owned()));
            }
            let end = rest[start..].find('}').ok_or(TemplateError::Unclosed)? + start;
            parts.push(match &rest[start + 1..end] {
                "secret" => Part::Secret { url: false },
                "secret|url" => Part::Secret { url: true },
                "username" => Part::Username { url: false },
                "username|url" => Part::Username { url: true },
                other => return Err(TemplateError::Placeholder(other.to_owned())),
            });
            rest = &rest[end + 1..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        if parts.iter().all(|part| matches!(part, Part::Text(_))) {
            return Err(TemplateError::Constant);
        }
        Ok(Self(parts))
    }

    /// True when the secret is part of what is written.
    #[must_use]
    pub fn has_secret(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Secret { .. }))
    }

    /// True when the user name is part of what is written.
    #[must_use]
    pub fn has_username(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Username { .. }))
    }

    /// The field's value for this material.
    ///
    /// # Errors
    /// The material has no user name, or its bytes are not text where text is needed.
    pub fn render(&self, material: &Material) -> Result<SecretValue, TemplateError> {
        let mut out = zeroize::Zeroizing::new(Vec::new());
        for part in &self.0 {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Secret { url: false } => out.extend_from_slice(material.secret.expose()),
                Part::Secret { url: true } => percent_encode(material.secret.expose(), &mut out),
                Part::Username { url } => {
                    let name = material.username.as_deref().ok_or(TemplateError::NoUsername)?;
                    if *url {
                        percent_encode(name.as_bytes(), &mut out);
                    } else {
                        out.extend_from_slice(name.as_bytes());
                    }
                }
            }
        }
        Ok(SecretValue::new(std::mem::take(&mut *out)))
    }

    /// Takes a field's value apart again: (user name, secret), each when the template holds it.
    ///
    /// Guarantee: for a template whose placeholders are separated by text that the values do not contain, this undoes
    /// [`Template::render`].
    ///
    /// # Errors
    /// The value is not what this template makes.
    pub fn extract(&self, value: &SecretValue) -> Result<(Option<String>, Option<SecretValue>), TemplateError> {
        if let [Part::Secret { url: false }] = self.0.as_slice() {
            return Ok((None, Some(value.clone())));
        }
        let mut rest = value.expose_str().ok_or(TemplateError::NotText)?;
        let (mut username, mut secret) = (None, None);
        for (index, part) in self.0.iter().enumerate() {
            match part {
                Part::Text(text) => rest = rest.strip_prefix(text.as_str()).ok_or(TemplateError::NoMatch)?,
                Part::Secret { url } | Part::Username { url } => {
                    let end = match self.0.get(index + 1) {
                        None => rest.len(),
                        Some(Part::Text(text)) => rest.find(text.as_str()).ok_or(TemplateError::NoMatch)?,
                        Some(_) => return Err(TemplateError::NoMatch),
                    };
                    let raw = &rest[..end];
                    rest = &rest[end..];
                    let bytes = if *url { percent_decode(raw) } else { raw.as_bytes().to_vec() };
                    if matches!(part, Part::Secret { .. }) {
                        secret = Some(SecretValue::new(bytes));
                    } else {
                        username = Some(String::from_utf8(bytes).map_err(|_| TemplateError::NotText)?);
                    }
                }
            }
        }
        if rest.is_empty() { Ok((username, secret)) } else { Err(TemplateError::NoMatch) }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.0 {
            match part {
                Part::Text(text) => f.write_str(text)?,
                Part::Secret { url: false } => f.write_str("{secret}")?,
                Part::Secret { url: true } => f.write_str("{secret|url}")?,
                Part::Username { url: false } => f.write_str("{username}")?,
                Part::Username { url: true } => f.write_str("{username|url}")?,
            }
        }
        Ok(())
    }
}

impl Serialize for Template {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // By far the most templates are this one.
        match self.0.as_slice() {
            [Part::Secret { url: false }] => serializer.serialize_str("{secret}"),
            _ => serializer.collect_str(self),
        }
    }
}

impl TryFrom<String> for Template {
    type Error = TemplateError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

/// RFC 3986: everything but unreserved characters.
fn percent_encode(bytes: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(byte);
        } else {
            out.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}

fn percent_decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let pair = (bytes[index] == b'%').then(|| bytes.get(index + 1..index + 3)).flatten();
        let decoded =
            pair.and_then(|pair| std::str::from_utf8(pair).ok()).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        if let Some(byte) = decoded {
            out.push(byte);
            index += 3;
        } else {
            out.push(bytes[index]);
            index += 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_makes_a_url_and_takes_it_apart_again() {
        let template = Template::parse("postgres://{username|url}:{secret|url}@db:5432/app").unwrap();
        let material = Material::login("pay@a", SecretValue::from("p@ss:/ö%"));
        let value = template.render(&material).unwrap();
        assert_eq!(value.expose_str(), Some("postgres://pay%40a:p%40ss%3A%2F%C3%B6%25@db:5432/app"));
        let (username, secret) = template.extract(&value).unwrap();
        assert_eq!((username.as_deref(), secret.as_ref()), (Some("pay@a"), Some(&material.secret)));
    }

    #[test]
    fn a_template_that_carries_nothing_of_the_credential_is_refused() {
        assert_eq!(Template::parse("hello"), Err(TemplateError::Constant));
        assert_eq!(Template::parse("{user}"), Err(TemplateError::Placeholder("user".into())));
        assert_eq!(Template::parse("{secret"), Err(TemplateError::Unclosed));
    }

    #[test]
    fn debug_of_material_hides_the_secret() {
        let text = format!("{:?}", Material::login("app", SecretValue::from("marker-4711")));
        assert!(text.contains("app") && !text.contains("marker"));
    }
}
