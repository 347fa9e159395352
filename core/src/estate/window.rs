//! `RotationWindow`: in which hours credentials are replaced without anybody asking, and which.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::digest::is_default;
use crate::estate::model::{Credential, Estate, Meta};
use crate::plan::Selector;

/// Hours that come again, and the credentials of its namespace that are replaced in them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationWindow {
    pub meta: Meta,
    /// When it opens: five fields, read in the time zone.
    pub cron: String,
    pub time_zone: String,
    /// How long it is open.
    pub duration: Duration,
    /// Key → value pairs that a credential must have (`tier`, `identity`, `kind`, `name`, labels).
    pub select: BTreeMap<String, String>,
    /// Dates on which it is closed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub blackout: Vec<Blackout>,
    /// Each opening is up to this much later, so that many windows do not open at once.
    #[serde(default, skip_serializing_if = "is_default")]
    pub jitter: Option<Duration>,
    /// What becomes of an opening that nobody was there for.
    #[serde(default, skip_serializing_if = "is_default")]
    pub missed: Missed,
    /// It opens for nobody: it only says when a person should.
    #[serde(default, skip_serializing_if = "is_default")]
    pub manual_only: bool,
}

/// What becomes of openings that were missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missed {
    /// The next one comes when it comes: work stays within its hours.
    #[default]
    Skip,
    /// It opens once as soon as somebody is there, however many were missed.
    CatchUp,
}

/// Dates in a row, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Blackout {
    pub first: Date,
    pub last: Date,
}

/// Not a date, and not two with `..` between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a date, nor two with `..` between them")]
pub struct NoDates;

impl Blackout {
    #[must_use]
    pub fn holds(&self, date: Date) -> bool {
        (self.first..=self.last).contains(&date)
    }
}

impl FromStr for Blackout {
    type Err = NoDates;

    fn from_str(text: &str) -> Result<Self, NoDates> {
        let (first, last) = text.split_once("..").unwrap_or((text, text));
        let date = |text: &str| text.parse::<Date>().ok().filter(|date| date.to_string() == text).ok_or(NoDates);
        let (first, last) = (date(first)?, date(last)?);
        if first <= last { Ok(Self { first, last }) } else { Err(NoDates) }
    }
}

impl TryFrom<String> for Blackout {
    type Error = NoDates;

    fn try_from(text: String) -> Result<Self, NoDates> {
        text.parse()
    }
}

impl From<Blackout> for String {
    fn from(blackout: Blackout) -> Self {
        blackout.to_string()
    }
}

impl fmt::Display for Blackout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { self.first.fmt(f) } else { write!(f, "{}..{}", self.first, self.last) }
    }
}

impl RotationWindow {
    /// True for a credential of its namespace that has what the window selects by.
    #[must_use]
    pub fn selects(&self, estate: &Estate, credential: &Credential) -> bool {
        credential.meta.namespace == self.meta.namespace
            && !credential.ghost
            && Selector::from(&self.select).matches(estate, credential)
    }
}
