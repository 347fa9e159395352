//! Finding a secret in text that should hold none: as it is, and as base64, hex, URL and JSON escapes.

use std::collections::HashMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use remint_contract::{Material, SecretValue};

/// The secrets of a run and the places where they were found.
#[derive(Default)]
pub struct Leaks {
    /// By how they begin, so that a text is gone through once however many there are.
    forms: HashMap<[u8; PREFIX], Vec<String>>,
    found: Vec<String>,
}

impl Leaks {
    /// Searches for this secret from now on. Short ones are left out: they occur by chance.
    pub fn watch(&mut self, secret: &SecretValue) {
        if secret.expose().len() >= SHORTEST {
            for form in forms(secret.expose()) {
                if let Some(prefix) = form.as_bytes().first_chunk() {
                    let alike = self.forms.entry(*prefix).or_default();
                    if !alike.contains(&form) {
                        alike.push(form);
                    }
                }
            }
        }
    }

    /// Searches for a material's secret from now on.
    pub fn watch_material(&mut self, material: &Material) {
        self.watch(&material.secret);
    }

    /// Searches a text; `place` says where it came from.
    pub fn scan(&mut self, place: &str, text: &str) {
        self.scan_bytes(place, text.as_bytes());
    }

    /// Searches bytes that may be anything: a database page, an archive.
    pub fn scan_bytes(&mut self, place: &str, bytes: &[u8]) {
        if !self.found.iter().any(|found| found == place) && self.is_in(bytes) {
            self.found.push(place.to_owned());
        }
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        (0..bytes.len()).any(|start| {
            let rest = &bytes[start..];
            let alike = rest.first_chunk().and_then(|prefix| self.forms.get(prefix));
            alike.is_some_and(|alike| alike.iter().any(|form| rest.starts_with(form.as_bytes())))
        })
    }

    /// Where a secret was found.
    pub fn found(&self) -> &[String] {
        &self.found
    }
}

/// A secret in every form in which it could be printed.
fn forms(secret: &[u8]) -> Vec<String> {
    let hex: String = secret.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    let every_byte = secret.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "%{byte:02X}");
        text
    });
    let url = url(secret);
    let bytes = format!("{secret:?}");
    let lower_url = lower_escapes(&url);
    let mut forms = vec![hex.to_uppercase(), hex, url.replace("%20", "+"), lower_url, url, every_byte, bytes];
    // Inside a longer text a secret begins at one of three places of base64's groups; the ends mix with what is beside.
    for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        for shift in 0..3 {
            let shifted: Vec<u8> = std::iter::repeat_n(0, shift).chain(secret.iter().copied()).collect();
            let text = engine.encode(shifted);
            forms.push(text[if shift == 0 { 0 } else { 4 }..text.len() - 2].to_owned());
        }
    }
    if let Ok(text) = std::str::from_utf8(secret) {
        let json = in_json(text);
        let escaped = text.encode_utf16().fold(String::new(), |mut text, unit| {
            let _ = write!(text, "\\u{unit:04x}");
            text
        });
        forms.extend([text.to_owned(), text.escape_debug().to_string(), text.escape_default().to_string()]);
        forms.extend([json.replace('/', "\\/"), json, escaped.to_uppercase().replace("\\U", "\\u"), escaped]);
    }
    // JSON within JSON escapes its escapes again.
    let again: Vec<String> = forms.iter().filter(|form| form.contains(['\\', '"'])).map(|form| in_json(form)).collect();
    forms.extend(again);
    forms
}

/// As inside the quotes of a JSON string.
fn in_json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// As in a query: everything but letters, digits and `-._~` is escaped.
fn url(secret: &[u8]) -> String {
    secret.iter().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

/// The same escapes with small letters: only what follows a `%` may change.
fn lower_escapes(url: &str) -> String {
    let mut escaped = 0;
    url.chars()
        .map(|letter| {
            let small = escaped > 0;
            escaped = if letter == '%' { 2 } else { escaped.max(1) - 1 };
            if small { letter.to_ascii_lowercase() } else { letter }
        })
        .collect()
}

const SHORTEST: usize = 8;
/// The shortest form of the shortest secret: what base64 leaves of eight bytes in the middle of something.
const PREFIX: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_secret_is_found_in_every_form() {
        let secret = "p\"a ss/\\w0rd-4711";
        let mut leaks = Leaks::default();
        leaks.watch(&SecretValue::from(secret));
        let hex = secret.bytes().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        let texts = [
            format!("x{secret}y"),
            format!("{secret:?}"),
            STANDARD_NO_PAD.encode(secret),
            STANDARD_NO_PAD.encode(format!("user:{secret}")),
            URL_SAFE_NO_PAD.encode(format!("user1:{secret}!")),
            hex.to_uppercase(),
            hex,
            "p%22a%20ss%2F%5Cw0rd-4711".to_owned(),
            "p%22a%20ss%2f%5cw0rd-4711".to_owned(),
            "p%22a+ss%2F%5Cw0rd-4711".to_owned(),
            r#"p\"a ss\/\\w0rd-4711"#.to_owned(),
            secret.bytes().fold(String::new(), |text, byte| format!("{text}\\u{byte:04X}")),
            format!("{:?}", secret.as_bytes()),
        ];
        for (index, text) in texts.iter().enumerate() {
            leaks.scan(&index.to_string(), text);
            assert_eq!(leaks.found().len(), index + 1, "{text}");
        }
        leaks.scan("clean", "nothing here");
        assert_eq!(leaks.found().len(), texts.len());
    }
}
