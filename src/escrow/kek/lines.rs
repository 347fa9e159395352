//! What stands in a key file, as it lies there: read first, so that what a service wrapped can be unwrapped, and only then
//! understood.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::super::cipher::KEY;
use super::super::recovery::{Recipient, RecoveryKey};
use super::{FORMAT, Kek, KekError, keeping};

/// What a service unwrapped, in base64, by the word that stood in the file.
pub type Opened = BTreeMap<String, remint_contract::SecretValue>;

/// The lines of a key file, of a folder of keys, or of a variable.
pub struct Lines {
    pub(super) lines: Vec<Line>,
    /// Where a mistake is that is nowhere in particular.
    pub(super) whole: (PathBuf, usize),
}

/// One of them, and where it stands.
pub(super) struct Line {
    pub(super) path: PathBuf,
    pub(super) number: usize,
    pub(super) text: Zeroizing<String>,
}

impl Lines {
    /// Reads a key file, or a folder of keys as it is mounted for a container.
    ///
    /// # Errors
    /// As for [`Kek::load`], but for what the lines hold.
    pub fn read(path: &Path, state_folder: &Path, allow_same_folder: bool) -> Result<Self, KekError> {
        keeping::read(path, state_folder, allow_same_folder)
    }

    /// The text of a key file that an environment variable held.
    ///
    /// # Errors
    /// It is not in the form of a key file.
    pub fn of_environment(name: &str, text: &str) -> Result<Self, KekError> {
        Self::of_text(Path::new(&format!("{}{name}", keeping::ENVIRONMENT)), text)
    }

    pub(super) fn of_text(path: &Path, text: &str) -> Result<Self, KekError> {
        let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
        if lines.next().is_none_or(|(_, line)| line != FORMAT) {
            let why = "it must be `remint-kek-v1`; a newer file needs a newer remint";
            return Err(KekError::Format { path: path.to_owned(), line: 1, why });
        }
        let line = |(number, line): (usize, &str)| Line {
            path: path.to_owned(),
            number,
            text: Zeroizing::new(line.to_owned()),
        };
        let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).map(line).collect();
        Ok(Self { lines, whole: (path.to_owned(), text.lines().count()) })
    }

    /// The keys that a service wrapped: each word once.
    #[must_use]
    pub fn wrapped(&self) -> BTreeSet<&str> {
        self.lines
            .iter()
            .filter_map(|line| line.text.split_ascii_whitespace().last())
            .filter(|key| is_wrapped(key))
            .collect()
    }

    /// The keys that stand there in the clear, but for those of recovery keys, which have to open everything alone.
    #[must_use]
    pub fn plain(&self) -> BTreeSet<&str> {
        let lines = self.lines.iter().map(|line| line.text.as_str());
        let ours = lines.filter(|line| line.starts_with("fingerprint ") || line.starts_with("generation "));
        ours.filter_map(|line| line.split_ascii_whitespace().last()).filter(|key| !is_wrapped(key)).collect()
    }

    /// A key of [`Lines::plain`].
    ///
    /// # Errors
    /// It is none.
    pub fn key(&self, text: &str) -> Result<Zeroizing<[u8; KEY]>, KekError> {
        let (path, line) = &self.whole;
        decode(text, &Opened::new()).map_err(|why| KekError::Format { path: path.clone(), line: *line, why })
    }

    /// The keys, with what was unwrapped of them.
    ///
    /// # Errors
    /// A line that is not a key, or one that was not unwrapped.
    pub fn kek(&self, opened: &Opened) -> Result<Kek, KekError> {
        let mut reading = Reading::default();
        for line in &self.lines {
            let words: Vec<&str> = line.text.split_ascii_whitespace().collect();
            let wrong = |why| KekError::Format { path: line.path.clone(), line: line.number, why };
            reading.take(&words, opened).map_err(wrong)?;
        }
        let (path, line) = &self.whole;
        reading.end().map_err(|why| KekError::Format { path: path.clone(), line: *line, why })
    }
}

fn is_wrapped(key: &str) -> bool {
    key.contains(':')
}

/// What was read so far of a key file.
#[derive(Default)]
struct Reading {
    generations: BTreeMap<u64, Zeroizing<[u8; KEY]>>,
    recipients: Vec<Recipient>,
    recovery: Vec<RecoveryKey>,
    fingerprint: Option<Zeroizing<[u8; KEY]>>,
}

impl Reading {
    /// Takes the words of one line.
    fn take(&mut self, words: &[&str], opened: &Opened) -> Result<(), &'static str> {
        let twice = match words {
            ["fingerprint", key] => self.fingerprint.replace(decode(key, opened)?).is_some(),
            ["generation", generation, key] => {
                let generation = generation.parse().ok().filter(|generation| *generation > 0);
                let generation = generation.ok_or("a generation is a number")?;
                self.generations.insert(generation, decode(key, opened)?).is_some()
            }
            ["recipient", key] => {
                let recipient = Recipient::new(*decode(key, opened)?);
                let twice = self.recipients.contains(&recipient);
                self.recipients.push(recipient);
                twice
            }
            ["recovery", key] => {
                self.recovery.push(RecoveryKey::new(&decode(key, opened)?).ok_or("it is no recovery key")?);
                false
            }
            _ => return Err("it must be `generation NUMBER KEY` or `fingerprint KEY`"),
        };
        if twice { Err("it is there twice") } else { Ok(()) }
    }

    fn end(self) -> Result<Kek, &'static str> {
        let fingerprint = self.fingerprint.ok_or("there is no `fingerprint` line")?;
        if self.generations.is_empty() && self.recovery.is_empty() {
            return Err("there is no `generation` line");
        }
        Ok(Kek {
            generations: self.generations,
            recipients: self.recipients,
            recovery: self.recovery,
            fingerprint: hmac::Key::new(hmac::HMAC_SHA256, fingerprint.as_ref()),
            fingerprint_bytes: fingerprint,
        })
    }
}

fn decode(text: &str, opened: &Opened) -> Result<Zeroizing<[u8; KEY]>, &'static str> {
    let text = match opened.get(text) {
        Some(unwrapped) => unwrapped.expose_str().ok_or("what its service unwrapped is no key")?,
        None if is_wrapped(text) => return Err("a service wrapped this key; `keys` in remint.yaml must say which"),
        None => text,
    };
    let mut key = Zeroizing::new([0; KEY]);
    match STANDARD.decode_slice(text, key.as_mut()) {
        Ok(KEY) => Ok(key),
        _ => Err("a key is 32 bytes in base64"),
    }
}
