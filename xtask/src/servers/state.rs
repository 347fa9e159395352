//! What `servers up` left running: one file, read by people's shells through `servers list`.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use crate::Outcome;

/// Every server that is up.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct State(pub(super) Vec<Entry>);

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) folder: PathBuf,
    /// Lines for a shell.
    exports: Vec<String>,
}

/// Stands before the name and the folder of each server.
const SERVER: &str = "# server ";

impl Entry {
    pub(super) fn new(name: &str, folder: PathBuf, environment: &[(&str, String)]) -> Self {
        let exports = environment.iter().map(|(name, value)| format!("export {name}='{value}'")).collect();
        Self { name: name.to_owned(), folder, exports }
    }
}

impl State {
    pub(super) fn read() -> Outcome<Self> {
        let path = path();
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(failure) if failure.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(failure) => Err(format!("{} could not be read: {failure}", path.display())),
        }
    }

    /// Puts the file in place whole, for nobody else to read: it holds passwords. Without a server there is no file.
    pub(super) fn write(&self) -> Outcome<()> {
        let path = path();
        let failed = |failure: std::io::Error| format!("{} could not be written: {failure}", path.display());
        if self.0.is_empty() {
            return match fs::remove_file(&path) {
                Err(failure) if failure.kind() != std::io::ErrorKind::NotFound => Err(failed(failure)),
                _ => Ok(()),
            };
        }
        let beside = path.with_extension(format!("{}.new", std::process::id()));
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).map_err(failed)?;
        file.write_all(self.render().as_bytes()).and_then(|()| fs::rename(&beside, &path)).map_err(failed)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|entry| entry.name == name)
    }

    /// What a shell evaluates.
    pub(super) fn exports(&self) -> String {
        self.0.iter().flat_map(|entry| &entry.exports).map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    fn parse(text: &str) -> Self {
        let mut state = Self::default();
        for line in text.lines() {
            let place = line.strip_prefix(SERVER).and_then(|line| line.split_once(' '));
            if let Some((name, folder)) = place {
                state.0.push(Entry { name: name.to_owned(), folder: folder.into(), exports: Vec::new() });
            } else if let Some(entry) = state.0.last_mut() {
                entry.exports.push(line.to_owned());
            }
        }
        state
    }

    fn render(&self) -> String {
        use std::fmt::Write as _;
        self.0.iter().fold(String::new(), |mut text, entry| {
            let _ = writeln!(text, "{SERVER}{} {}", entry.name, entry.folder.display());
            entry.exports.iter().for_each(|line| {
                let _ = writeln!(text, "{line}");
            });
            text
        })
    }
}

fn path() -> PathBuf {
    std::env::temp_dir().join("remint-test-servers.state")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_up_reads_back_as_written() {
        let one = Entry::new("One", "/tmp/with space".into(), &[("A", "1".into()), ("B", "2".into())]);
        let state = State(vec![one, Entry::new("Two", "/tmp/two".into(), &[])]);
        assert_eq!(State::parse(&state.render()), state);
        assert_eq!(state.exports(), "export A='1'\nexport B='2'");
    }
}
