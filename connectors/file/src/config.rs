//! The settings of a `file` system: `file: {root: /srv/ci, owner: "1000:1000", mode: "0600"}`.

use std::path::PathBuf;

use remint_contract::SettingProblem;
use serde::Deserialize;

/// The settings, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    /// The folder that every path is below.
    pub(crate) root: PathBuf,
    /// Who owns new files; a replaced file keeps its owner.
    pub(crate) owner: Option<Owner>,
    /// The permissions of new files; a replaced file keeps its own.
    pub(crate) mode: u32,
}

/// A user and, when given, a group, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) user: u32,
    pub(crate) group: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    root: PathBuf,
    owner: Option<String>,
    mode: Option<String>,
}

impl Config {
    /// # Errors
    /// Every problem of the settings.
    pub(crate) fn read(settings: &serde_json::Value) -> Result<Self, Vec<SettingProblem>> {
        let written = Written::deserialize(settings).map_err(|error| vec![problem(None, error.to_string())])?;
        let mut problems = Vec::new();
        if !written.root.is_absolute() {
            problems.push(problem(Some("root"), "write the folder as an absolute path, like /srv/app".to_owned()));
        }
        let owner = written.owner.as_deref().map(owner);
        if owner == Some(None) {
            problems.push(problem(Some("owner"), "write the user's number, or user:group, like 1000:1000".to_owned()));
        }
        let mode = written.mode.as_deref().map_or(Some(NEW_FILE), mode);
        if mode.is_none() {
            let message = "write the permissions in octal, at most 0777, like 0640".to_owned();
            problems.push(problem(Some("mode"), message));
        }
        match mode {
            Some(mode) if problems.is_empty() => Ok(Self { root: written.root, owner: owner.flatten(), mode }),
            _ => Err(problems),
        }
    }
}

fn problem(key: Option<&str>, message: String) -> SettingProblem {
    SettingProblem { path: key.map(str::to_owned).into_iter().collect(), message }
}

fn owner(text: &str) -> Option<Owner> {
    // The highest number means "leave as it is" to the system, so nobody can have it.
    let number = |text: &str| text.parse().ok().filter(|number| *number != u32::MAX);
    match text.split_once(':') {
        None => Some(Owner { user: number(text)?, group: None }),
        Some((user, group)) => Some(Owner { user: number(user)?, group: Some(number(group)?) }),
    }
}

fn mode(text: &str) -> Option<u32> {
    u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777)
}

const NEW_FILE: u32 = 0o600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_and_every_problem_is_named() {
        let good = Config::read(&serde_json::json!({"root": "/srv/ci", "owner": "12:34", "mode": "0640"})).unwrap();
        assert_eq!(good.owner, Some(Owner { user: 12, group: Some(34) }));
        assert_eq!(good.mode, 0o640);
        let bad = Config::read(&serde_json::json!({"root": "ci", "owner": "app", "mode": "rw"})).unwrap_err();
        let paths: Vec<_> = bad.iter().map(|problem| problem.path.join(".")).collect();
        assert_eq!(paths, ["root", "owner", "mode"]);
        assert!(Config::read(&serde_json::json!({"root": "/x", "rot": 1})).is_err());
    }
}
