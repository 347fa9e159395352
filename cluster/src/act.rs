//! An object that asks for something: who asked, when, and whether that is still to be done.
//!
//! Guarantees: an act without a stamp of ours, or with another word in it than was stamped, is none; one that is older than
//! its `notAfter` is expired for ever, whenever its object was made; two objects of one name, namespace and `requestedAt`
//! ask for one thing.

use std::time::Duration;

use aws_lc_rs::{digest, hmac};
use jiff::Timestamp;
use serde_json::{Value, json};

/// How long an act may wait to be begun where nothing is said.
const NOT_AFTER: Duration = Duration::from_hours(1);
/// The longest that may be said.
const LONGEST: Duration = Duration::from_hours(24);
/// How far an author's clock may be ahead.
const AHEAD: Duration = Duration::from_mins(5);

/// Who asked, as the API server knew him.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requester {
    pub user: String,
    pub uid: String,
    pub groups: Vec<String>,
    pub at: Timestamp,
}

/// Whether an act is begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Age {
    Fresh,
    /// So old, in words.
    Expired(String),
}

/// Why an object is no act.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAct {
    #[error(
        "`requestedAt` is missing: write when you ask for this, as 2026-11-22T10:00:00Z; its age counts from there"
    )]
    NoTime,
    #[error("`requestedAt` is no time: write it as 2026-11-22T10:00:00Z")]
    Time,
    #[error("`requestedAt` is {0} ahead of the clock here: write when you ask, not when it shall happen")]
    Ahead(String),
    #[error("`notAfter` is no duration from 1s to 24h: write it as 1h")]
    NotAfter,
    #[error("nobody stamped it: it was made while Remint's webhook was not asked; delete it and apply it again")]
    Unstamped,
    #[error("it is not what was stamped: it was changed past Remint's webhook; delete it and apply it again")]
    Changed,
}

/// Reads the times of an act.
///
/// # Errors
/// They are missing, unreadable, or ahead of the clock.
pub fn age(object: &Value, now: Timestamp) -> Result<Age, NoAct> {
    let at = asked_at(object)?;
    let limit = match object["spec"].get("notAfter") {
        None => NOT_AFTER,
        Some(text) => text.as_str().and_then(duration).filter(|limit| *limit <= LONGEST).ok_or(NoAct::NotAfter)?,
    };
    let passed = now.duration_since(at);
    if passed.is_negative() {
        let ahead = passed.unsigned_abs();
        return if ahead > AHEAD { Err(NoAct::Ahead(words(ahead))) } else { Ok(Age::Fresh) };
    }
    let passed = passed.unsigned_abs();
    Ok(if passed > limit { Age::Expired(words(passed)) } else { Age::Fresh })
}

fn asked_at(object: &Value) -> Result<Timestamp, NoAct> {
    let written = object["spec"].get("requestedAt").ok_or(NoAct::NoTime)?;
    written.as_str().and_then(|text| text.parse().ok()).ok_or(NoAct::Time)
}

/// What an act is called in the state: it runs once under this, for ever. At most 64 letters.
///
/// # Errors
/// It has no time.
pub fn id(object: &Value) -> Result<String, NoAct> {
    let at = asked_at(object)?;
    let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default();
    let said = json!([object["kind"], text("namespace"), text("name"), at.to_string()]).to_string();
    let hash = hex(&digest::digest(&digest::SHA256, said.as_bytes()).as_ref()[..12]);
    let name: String = text("name").chars().take(36).collect();
    Ok(format!("k-{name}-{hash}"))
}

/// The stamp over all that an act asks for: by whom, when and what. What may be changed later is not in it.
#[must_use]
pub fn stamp(object: &Value, key: &hmac::Key) -> String {
    let mut spec = object["spec"].clone();
    if let Some(spec) = spec.as_object_mut() {
        spec.remove("suspend");
        if let Some(by) = spec.get_mut("requestedBy").and_then(Value::as_object_mut) {
            by.remove("stamp");
        }
    }
    let meta = &object["metadata"];
    let said = json!(["remint.dev/act", object["kind"], meta["namespace"], meta["name"], spec]).to_string();
    hex(hmac::sign(key, said.as_bytes()).as_ref())
}

/// Who asked, where the stamp is ours and of exactly this.
///
/// # Errors
/// There is no stamp, or it is of something else.
pub fn requester(object: &Value, key: &hmac::Key) -> Result<Requester, NoAct> {
    let by = &object["spec"]["requestedBy"];
    let text = |name: &str| by[name].as_str().unwrap_or_default().to_owned();
    let (user, at) = (text("user"), text("at"));
    let at: Option<Timestamp> = at.parse().ok();
    let (Some(at), false, Some(there)) = (at, user.is_empty(), by["stamp"].as_str()) else {
        return Err(NoAct::Unstamped);
    };
    // Whoever compares letter by letter tells a forger how far he came.
    if aws_lc_rs::constant_time::verify_slices_are_equal(there.as_bytes(), stamp(object, key).as_bytes()).is_err() {
        return Err(NoAct::Changed);
    }
    let groups = by["groups"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    Ok(Requester { user, uid: text("uid"), groups, at })
}

/// A duration as documents write it.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let unit = text.find(|letter: char| !letter.is_ascii_digit())?;
    let count: u64 = text[..unit].parse().ok()?;
    let seconds = match &text[unit..] {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    count.checked_mul(seconds).map(Duration::from_secs).filter(|duration| !duration.is_zero())
}

/// A duration as a person says it, in its largest unit.
fn words(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
