//! What in a text may be a secret: words, values of dotenv lines, strings of JSON, parts of URLs, and what base64 hides.
//!
//! Nothing is recognised by its form: a fingerprint says whether it is one of ours, so that taking too much only costs time.
//! Work is bounded: [`MOST`] candidates, [`LAYERS`] of encoding.

use std::collections::BTreeSet;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use remint_contract::SecretValue;
use zeroize::Zeroizing;

/// At most so many of one text.
pub const MOST: usize = 20_000;
/// How often what was found is looked into again.
pub const LAYERS: usize = 3;
/// What is shorter has no 64 bits.
const SHORTEST: usize = 8;
const LONGEST: usize = 16 * 1024;

/// The candidates of a text, each once, and whether there were more than are taken.
#[must_use]
pub fn candidates(text: &[u8]) -> (Vec<SecretValue>, bool) {
    let mut found = Found::default();
    let mut layer = vec![Zeroizing::new(String::from_utf8_lossy(text).into_owned())];
    for _ in 0..LAYERS {
        let mut next = Vec::new();
        for text in &layer {
            found.take(text, &mut next);
        }
        layer = next;
    }
    (found.values, found.full)
}

#[derive(Default)]
struct Found {
    values: Vec<SecretValue>,
    /// Hashes of those, for as long as this takes.
    seen: BTreeSet<Vec<u8>>,
    full: bool,
}

impl Found {
    /// Everything in one text; what may hide more goes to `next`.
    fn take(&mut self, text: &str, next: &mut Vec<Zeroizing<String>>) {
        if let Ok(value) = serde_json::from_str::<serde_json::Value>(text) {
            self.strings(&value, next);
        }
        for line in text.lines() {
            let line = line.trim();
            // `export NAME=value`, with or without quotes; the value may hold anything.
            if let Some((name, value)) = line.strip_prefix("export ").unwrap_or(line).split_once('=')
                && !name.is_empty()
                && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-.".contains(letter))
            {
                self.add(unquoted(value.trim()), next);
            }
            // `name: value`, as in YAML and in headers.
            if let Some((_, value)) = line.split_once(": ") {
                self.add(unquoted(value.trim()), next);
            }
            for word in line.split(|letter: char| letter.is_whitespace() || "\"'`,;<>()[]{}|".contains(letter)) {
                self.add(word, next);
                self.url(word, next);
            }
        }
    }

    /// Strings of JSON, however deep: by a list of what is still to be looked at.
    fn strings(&mut self, value: &serde_json::Value, next: &mut Vec<Zeroizing<String>>) {
        let mut rest = vec![value];
        while let Some(value) = rest.pop() {
            match value {
                serde_json::Value::String(text) => self.add(text, next),
                serde_json::Value::Array(items) => rest.extend(items),
                serde_json::Value::Object(members) => rest.extend(members.values()),
                _ => {}
            }
        }
    }

    /// User, password, and the values of the query and the fragment.
    fn url(&mut self, word: &str, next: &mut Vec<Zeroizing<String>>) {
        let Some((_, rest)) = word.split_once("://") else { return };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        if let Some((login, _)) = rest[..end].rsplit_once('@') {
            for part in login.splitn(2, ':') {
                self.add(&decoded(part), next);
            }
        }
        for pair in rest[end..].split(['?', '&', '#', '/']) {
            let value = pair.split_once('=').map_or(pair, |(_, value)| value);
            self.add(&decoded(value), next);
        }
    }

    fn add(&mut self, word: &str, next: &mut Vec<Zeroizing<String>>) {
        if !(SHORTEST..=LONGEST).contains(&word.len()) {
            return;
        }
        if !self.keep(word.as_bytes()) {
            return;
        }
        let encoded = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=-_".contains(&byte));
        for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD].into_iter().filter(|_| encoded) {
            let Ok(bytes) = engine.decode(word).map(Zeroizing::new) else { continue };
            match std::str::from_utf8(&bytes) {
                Ok(text) => next.push(Zeroizing::new(text.to_owned())),
                // A key may be any bytes.
                Err(_) => {
                    self.keep(&bytes);
                }
            }
            break;
        }
        // A password in a login, a token behind its scheme, a value in a string that is itself structured.
        if word.contains([':', '=', '{', '\n', '%']) {
            next.push(Zeroizing::new(word.replacen(':', " ", 1)));
        }
    }
}

impl Found {
    /// True for one that was not there yet, and has room.
    fn keep(&mut self, value: &[u8]) -> bool {
        if value.len() < SHORTEST {
            return false;
        }
        let hash = digest(&SHA256, value).as_ref().to_vec();
        if self.seen.contains(&hash) {
            return false;
        }
        if self.values.len() >= MOST {
            self.full = true;
            return false;
        }
        self.values.push(SecretValue::new(value.to_vec()));
        self.seen.insert(hash)
    }
}

fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner;
        }
    }
    // A comment behind a value.
    value.split(" #").next().unwrap_or(value).trim_end()
}

/// Percent-decoded, where that gives text.
fn decoded(part: &str) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(part.len()));
    let raw = part.as_bytes();
    let mut at = 0;
    while at < raw.len() {
        let digits = raw.get(at + 1..at + 3).and_then(|pair| std::str::from_utf8(pair).ok());
        match digits.filter(|_| raw[at] == b'%').and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                at += 3;
            }
            None => {
                bytes.push(raw[at]);
                at += 1;
            }
        }
    }
    Zeroizing::new(std::str::from_utf8(&bytes).map_or_else(|_| part.to_owned(), str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::{MOST, candidates};

    const SECRET: &str = "s3cr3t/Value+with=signs";

    fn finds(text: &str) -> bool {
        candidates(text.as_bytes()).0.iter().any(|value| value.expose() == SECRET.as_bytes())
    }

    #[test]
    fn a_secret_is_found_wherever_people_put_one() {
        for text in [
            "the token is s3cr3t/Value+with=signs, sorry",
            "TOKEN=s3cr3t/Value+with=signs",
            "export TOKEN=\"s3cr3t/Value+with=signs\"",
            "TOKEN='s3cr3t/Value+with=signs' # of the runner",
            "TOKEN=s3cr3t/Value+with=signs # of the runner",
            "{\"a\": [{\"b\": \"s3cr3t/Value+with=signs\"}]}",
            "postgres://app:s3cr3t%2FValue%2Bwith%3Dsigns@db.example:5432/app",
            "see https://api.example/x?page=2&token=s3cr3t%2FValue%2Bwith%3Dsigns#top",
            "password: s3cr3t/Value+with=signs",
            "Authorization: Bearer s3cr3t/Value+with=signs",
            // base64 of the value, of `app:value` as in basic authentication, and of a JSON object with it.
            "czNjcjN0L1ZhbHVlK3dpdGg9c2lnbnM=",
            "Authorization: Basic YXBwOnMzY3IzdC9WYWx1ZSt3aXRoPXNpZ25z",
            "{\"data\":{\"token\":\"eyJhIjoiczNjcjN0L1ZhbHVlK3dpdGg9c2lnbnMifQ\"}}",
        ] {
            assert!(finds(text), "{text}");
        }
    }

    #[test]
    fn a_large_text_gives_no_more_than_is_said() {
        let text: String = (0..MOST * 2).map(|at| format!("word-number-{at} ")).collect();
        let (found, more) = candidates(text.as_bytes());
        assert!(more && found.len() <= MOST);
        let (found, more) = candidates(b"short words are no secrets");
        assert!(found.is_empty() && !more, "nothing of less than eight letters is looked at");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_fail(text: Vec<u8>) {
            drop(candidates(&text));
        }
    }
}
