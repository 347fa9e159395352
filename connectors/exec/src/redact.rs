//! What a program says, made fit to be shown: short, in one line, and withheld when it holds a secret of the call.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use remint_contract::{Material, SecretValue};
use zeroize::Zeroizing;

/// The secrets that a call told the program.
#[derive(Default)]
pub(crate) struct Told(Vec<Zeroizing<Vec<u8>>>);

impl Told {
    pub(crate) fn material(mut self, material: Option<&Material>) -> Self {
        self.add(material.map(|material| &material.secret));
        self
    }

    pub(crate) fn secrets<'a>(mut self, secrets: impl IntoIterator<Item = &'a SecretValue>) -> Self {
        for secret in secrets {
            self.add(Some(secret));
        }
        self
    }

    fn add(&mut self, secret: Option<&SecretValue>) {
        if let Some(secret) = secret.filter(|secret| secret.expose().len() >= SHORTEST) {
            self.0.extend(forms(secret.expose()));
        }
    }

    /// Does the text hold one of them: as it is, or as JSON, URL, hex or base64 would write it?
    pub(crate) fn is_in(&self, text: &[u8]) -> bool {
        self.0.iter().any(|form| text.windows(form.len()).any(|part| part.eq_ignore_ascii_case(form)))
    }

    /// The program's words as an error may carry them.
    pub(crate) fn words(&self, text: &str) -> String {
        if self.is_in(text.as_bytes()) {
            return "(its words are withheld: they hold a secret of this call)".to_owned();
        }
        let line = text.trim().chars().map(|letter| if letter.is_control() { ' ' } else { letter });
        let (short, rest) = line.enumerate().partition::<Vec<_>, _>(|(index, _)| *index < WORDS);
        let more = if rest.is_empty() { "" } else { "..." };
        short.into_iter().map(|(_, letter)| letter).chain(more.chars()).collect()
    }
}

/// Every way in which a tool would print it. Letters are compared without case, so one case of hex is enough.
fn forms(secret: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
    let mut forms = vec![Zeroizing::new(secret.to_vec())];
    let mut hex = Zeroizing::new(String::with_capacity(secret.len() * 2));
    let mut url = Zeroizing::new(String::with_capacity(secret.len() * 3));
    for byte in secret {
        let _ = write!(hex, "{byte:02x}");
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            url.push(char::from(*byte));
        } else {
            let _ = write!(url, "%{byte:02x}");
        }
    }
    forms.extend([hex, url].map(|text| Zeroizing::new(text.as_bytes().to_vec())));
    if let Ok(text) = std::str::from_utf8(secret) {
        let json = Zeroizing::new(serde_json::Value::from(text).to_string().into_bytes());
        forms.push(Zeroizing::new(json[1..json.len() - 1].to_vec()));
    }
    // Inside a longer text it begins at one of three places of a group; the ends mix with what stands beside.
    for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        for shift in 0..3 {
            let shifted = Zeroizing::new([&[0; 3][..shift], secret].concat());
            let text = Zeroizing::new(engine.encode(&*shifted).into_bytes());
            forms.push(Zeroizing::new(text[if shift == 0 { 0 } else { 4 }..text.len() - 2].to_vec()));
        }
    }
    forms
}

/// Shorter ones occur by chance.
const SHORTEST: usize = 6;
const WORDS: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_hold_a_secret_in_any_form_are_withheld() {
        let secret = "p\"a ss/w0rd-4711";
        let told = Told::default().secrets([&SecretValue::from(secret)]);
        let printed = [
            format!("login with {secret} failed"),
            format!("{secret:?}"),
            format!("Basic {}", STANDARD_NO_PAD.encode(format!("admin:{secret}!"))),
            "GET /?key=p%22a%20ss%2Fw0rd-4711".to_owned(),
            secret.bytes().fold(String::new(), |text, byte| format!("{text}{byte:02X}")),
        ];
        for text in printed {
            assert!(told.words(&text).starts_with("(its words are withheld"), "{text}");
        }
        assert_eq!(told.words(" no such\tuser\n"), "no such user");
    }

    #[test]
    fn words_are_cut() {
        assert_eq!(Told::default().words(&"x".repeat(1000)).len(), WORDS + 3);
    }
}
