//! Secrets that somebody pasted into a document.
//!
//! An estate names the places of secrets and holds none. Every scalar and key is looked at; one that has the shape of a
//! secret is reported by its kind, taken out of the tree, and never seen by anything later: no message can echo it.
//! The check errs on the side of refusing: a long random-looking token is a secret until it is written elsewhere.

use super::decode;
use super::node::{Node, Value};
use super::problem::{Reporter, Span};

const HINT: &str = "remove it and reset that credential, for it was exposed here; a document names the place of a secret, never its value";

/// Withholds every secret in the tree and reports it.
pub(super) fn withhold(node: &mut Node, report: &mut Reporter<'_>) {
    let mut found = Vec::new();
    walk(node, &mut Vec::new(), &mut found);
    // The document's own name is safe to say only now.
    let subject = decode::subject(node);
    for (span, message) in found {
        report.error(span, subject.as_ref(), message, HINT);
    }
}

/// Reports secrets in text that could not be parsed.
pub(super) fn scan_lines(file: usize, first_line: u64, text: &str, report: &mut Reporter<'_>) {
    for (line, content) in (first_line..).zip(text.lines()) {
        if let Some(kind) = shape(content) {
            report.error(
                Span { file, line, column: 1 },
                None,
                format!("a secret value stands in this line ({kind})"),
                HINT,
            );
        }
    }
}

/// Recursion is bounded by the parser's depth.
fn walk(node: &mut Node, path: &mut Vec<String>, found: &mut Vec<(Span, String)>) {
    let span = node.span;
    match &mut node.value {
        Value::Text(text) => {
            let alphabet = path.iter().map(String::as_str).eq(["spec", "generate", "alphabet"]);
            let kind = if alphabet { None } else { shape(text).or_else(|| named(path, text)) };
            if let Some(kind) = kind {
                found.push((span, format!("a secret value stands here ({kind})")));
                node.value = Value::Withheld;
            }
        }
        Value::Whole(_) | Value::Float(_) => {
            if let Some(kind) = named(path, "number") {
                found.push((span, format!("a secret value stands here ({kind})")));
                node.value = Value::Withheld;
            }
        }
        Value::List(items) => {
            for item in items {
                walk(item, path, found);
            }
        }
        Value::Map(entries) => {
            for (key, value) in entries {
                if let Some(kind) = shape(&key.text) {
                    found.push((key.span, format!("a secret value stands here as a key ({kind})")));
                    "(withheld)".clone_into(&mut key.text);
                }
                path.push(key.text.clone());
                walk(value, path, found);
                path.pop();
            }
        }
        Value::Null | Value::Bool(_) | Value::Withheld => {}
    }
}

/// The value of a key that says it is a secret.
fn named(path: &[String], text: &str) -> Option<&'static str> {
    const NAMES: [&str; 13] = [
        "password",
        "passwd",
        "passphrase",
        "secret",
        "token",
        "apikey",
        "secretkey",
        "secretaccesskey",
        "privatekey",
        "clientsecret",
        "authtoken",
        "accesstoken",
        "secretvalue",
    ];
    let key = path.last()?;
    let placeholder = text.contains("{secret") || text.contains("{username");
    let lifetime = path.iter().map(String::as_str).take(2).eq(["spec", "begets"]);
    let word: String = key.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    (!text.is_empty() && !placeholder && !lifetime && NAMES.contains(&word.as_str()))
        .then_some("the value of a key that is named like a secret")
}

/// What kind of secret a text has the shape of.
#[must_use]
pub fn shape(text: &str) -> Option<&'static str> {
    if text.contains("-----BEGIN") {
        return text.contains("PRIVATE KEY").then_some("a private key in PEM form");
    }
    if text.contains("AGE-SECRET-KEY-") {
        return Some("an age key");
    }
    if userinfo(text) {
        return Some("a password in a URL");
    }
    let mut before = "";
    for token in
        text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '_' | '-' | '.' | ':')))
    {
        let found = prefixed(token).or_else(|| jwt(token)).or_else(|| {
            let public = before.starts_with("ssh-")
                || before.starts_with("ecdsa-")
                || token.contains("sha256:")
                || token.contains("SHA256:");
            token.split([':', '.']).filter(|_| !public).find_map(random)
        });
        if found.is_some() {
            return found;
        }
        before = token;
    }
    None
}

/// `scheme://user:password@host`, where the password is no placeholder.
fn userinfo(text: &str) -> bool {
    text.match_indices("://").any(|(at, _)| {
        let rest = &text[at + 3..];
        let authority =
            rest.split(|c: char| matches!(c, '/' | '?' | '#' | '"') || c.is_whitespace()).next().unwrap_or("");
        // A password may hold `/` unescaped by mistake: what matters is that something stands between `:` and `@`.
        let head = authority.rsplit_once('@').map(|(head, _)| head);
        head.and_then(|head| head.split_once(':')).is_some_and(|(_, password)| {
            !password.is_empty() && !password.contains("{secret") && !password.contains("{username")
        })
    })
}

fn prefixed(token: &str) -> Option<&'static str> {
    const PREFIXES: [(&str, usize, &str); 18] = [
        ("AKIA", 20, "an AWS access key"),
        ("ASIA", 20, "an AWS access key"),
        ("ghp_", 20, "a GitHub token"),
        ("gho_", 20, "a GitHub token"),
        ("ghs_", 20, "a GitHub token"),
        ("ghu_", 20, "a GitHub token"),
        ("ghr_", 20, "a GitHub token"),
        ("github_pat_", 20, "a GitHub token"),
        ("glpat-", 20, "a GitLab token"),
        ("xoxb-", 14, "a Slack token"),
        ("xoxp-", 14, "a Slack token"),
        ("xoxa-", 14, "a Slack token"),
        ("xoxs-", 14, "a Slack token"),
        ("sk_live_", 16, "a Stripe key"),
        ("rk_live_", 16, "a Stripe key"),
        ("hvs.", 20, "a Vault token"),
        ("hvb.", 20, "a Vault token"),
        ("AIza", 35, "a Google API key"),
    ];
    // The token may hang behind `KEY=` or a path: look at every place where a word begins.
    token
        .char_indices()
        .filter(|(at, _)| *at == 0 || matches!(token.as_bytes()[at - 1], b'=' | b':' | b'/' | b'.'))
        .find_map(|(at, _)| {
            PREFIXES.iter().find(|(prefix, least, _)| token[at..].starts_with(prefix) && token.len() - at >= *least)
        })
        .map(|(_, _, kind)| *kind)
}

fn jwt(token: &str) -> Option<&'static str> {
    let mut parts = token.split('.');
    let header = parts.next().is_some_and(|part| part.contains("eyJ") && part.len() >= 15);
    (header && parts.next().is_some_and(|part| part.len() >= 10) && parts.next().is_some())
        .then_some("a JSON web token")
}

/// A long token without structure: hex of 40 digits or more, or mixed letters and digits that look drawn at random.
fn random(token: &str) -> Option<&'static str> {
    const KIND: &str = "a long random token";
    if named_by_vault(token) {
        return None;
    }
    // A path's parts are judged one by one: together they look like anything.
    if token.starts_with('/') && token.matches('/').count() >= 3 {
        return token.split('/').find_map(random);
    }
    // `KEY=value`: the value counts; `=` at the end is base64 padding.
    let token = token.trim_end_matches('=');
    let token = token.rsplit('=').next().unwrap_or(token);
    let count = |test: fn(&u8) -> bool| token.bytes().filter(test).count();
    let (digits, upper, lower) =
        (count(u8::is_ascii_digit), count(u8::is_ascii_uppercase), count(u8::is_ascii_lowercase));
    if token.len() >= 40 && token.bytes().all(|byte| byte.is_ascii_hexdigit()) && digits >= 4 {
        return Some(KIND);
    }
    let mixed = token.len() >= 32 && digits >= 3 && upper >= 3 && lower >= 3;
    (mixed && entropy(token) >= 4.2).then_some(KIND)
}

/// A login that Vault's database engine named by its default template: `v-` and words, twenty letters and digits, a time. It
/// is a name, however random it looks.
fn named_by_vault(token: &str) -> bool {
    let mut parts = token.rsplitn(3, '-');
    let (time, random) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    time.len() == 10
        && time.bytes().all(|byte| byte.is_ascii_digit())
        && random.len() == 20
        && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && parts.next().is_some_and(|words| words.starts_with("v-") && words.len() <= 24)
}

/// Shannon entropy in bits per byte.
#[allow(clippy::cast_precision_loss, reason = "token lengths are far below 2^52")]
fn entropy(token: &str) -> f64 {
    let mut counts = [0_usize; 256];
    token.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    let length = token.len() as f64;
    counts.iter().filter(|count| **count > 0).map(|count| *count as f64 / length).map(|part| -part * part.log2()).sum()
}
