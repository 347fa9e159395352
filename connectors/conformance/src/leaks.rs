//! Finding a secret in text that should hold none: as it is, and as base64, hex, URL and JSON escapes.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use remint_contract::{Material, SecretValue};

/// The secrets of a run and the places where they were found.
#[derive(Default)]
pub struct Leaks {
    forms: Vec<String>,
    found: Vec<String>,
}

impl Leaks {
    /// Searches for this secret from now on. Short ones are left out: they occur by chance.
    pub fn watch(&mut self, secret: &SecretValue) {
        if secret.expose().len() >= SHORTEST {
            self.forms.extend(forms(secret.expose()));
            self.forms.sort();
            self.forms.dedup();
        }
    }

    /// Searches for a material's secret from now on.
    pub fn watch_material(&mut self, material: &Material) {
        self.watch(&material.secret);
    }

    /// Searches a text; `place` says where it came from.
    pub fn scan(&mut self, place: &str, text: &str) {
        if self.forms.iter().any(|form| text.contains(form.as_str())) && !self.found.iter().any(|found| found == place)
        {
            self.found.push(place.to_owned());
        }
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
    let url = secret.iter().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    });
    let bytes = format!("{secret:?}");
    let mut forms = vec![hex.to_uppercase(), hex, url, bytes];
    // Inside a longer text a secret begins at one of three places of base64's groups; the ends mix with what is beside.
    for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        for shift in 0..3 {
            let shifted: Vec<u8> = std::iter::repeat_n(0, shift).chain(secret.iter().copied()).collect();
            let text = engine.encode(shifted);
            forms.push(text[if shift == 0 { 0 } else { 4 }..text.len() - 2].to_owned());
        }
    }
    if let Ok(text) = std::str::from_utf8(secret) {
        forms.extend([text.to_owned(), text.escape_debug().to_string(), text.escape_default().to_string()]);
    }
    forms
}

const SHORTEST: usize = 8;

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
