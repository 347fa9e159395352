//! The key file: generations of the key-encryption key, and the key of the fingerprints.
//!
//! ```text
//! remint-kek-v1
//! fingerprint bm90IGEga2V5LCBidXQgaXQgaXMgMzIgYnl0ZXMgbG8=
//! generation 1 bm90IGEga2V5LCBidXQgaXQgaXMgMzIgYnl0ZXMgbG8=
//! ```
//!
//! Each key is 32 random bytes in base64; empty lines and lines that begin with `#` are skipped. The newest generation
//! seals, all of them open. Deleting the line of a generation destroys everything sealed under it.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{NoRandomness, Randomness};

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KekError {
    #[error("there is no key file {0}; `remint init` makes one, or name yours with --kek")]
    Missing(PathBuf),
    #[error(
        "the key file {kek} lies in the state folder {state}, so whoever copies the folder can open everything in it; \
         keep it elsewhere and name it with --kek"
    )]
    SameFolder { kek: PathBuf, state: PathBuf },
    #[error("others than its owner may read or change the key file {path} (mode {mode:04o}); run: chmod 600 {path}")]
    Mode { path: PathBuf, mode: u32 },
    #[error("the key file {path} cannot be used, line {line}: {why}")]
    Format { path: PathBuf, line: usize, why: &'static str },
    #[error("could not {verb} the key file {path}")]
    Io {
        verb: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("could not make a key")]
    Randomness(#[source] NoRandomness),
}

/// The keys of one key file. Its `Debug` says which generations there are and no more.
pub struct Kek {
    generations: BTreeMap<u64, Zeroizing<[u8; 32]>>,
    fingerprint: hmac::Key,
}

impl Kek {
    /// Reads a key file.
    ///
    /// Guarantees: a file that others can read, or that lies in the state folder (by its real path, whatever links lead
    /// there) is refused; `allow_same_folder` lifts the second, for the demo.
    ///
    /// # Errors
    /// Those, a missing file, and a line that is not a key.
    pub fn load(path: &Path, state_folder: &Path, allow_same_folder: bool) -> Result<Self, KekError> {
        let failed = |source| KekError::Io { verb: "read", path: path.to_owned(), source };
        // The open file is what is looked at and read, so that nobody can put another one in between.
        let file = File::open(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => KekError::Missing(path.to_owned()),
            _ => failed(source),
        })?;
        if !allow_same_folder {
            refuse_inside(path, &path.canonicalize().map_err(failed)?, state_folder)?;
        }
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KekError::Mode { path: path.to_owned(), mode });
        }
        // Room for all of it at once: a buffer that grows leaves copies behind.
        let mut text = Zeroizing::new(String::with_capacity(LARGEST));
        file.take(LARGEST as u64).read_to_string(&mut text).map_err(failed)?;
        parse(&text).map_err(|(line, why)| KekError::Format { path: path.to_owned(), line, why })
    }

    /// Makes a key file (0600) with a first generation, and the folder (0700) it lies in; leaves one that is there as it
    /// is. True when it was made.
    ///
    /// # Errors
    /// It would lie in the state folder and that is not allowed; it cannot be written.
    pub fn create(
        path: &Path,
        state_folder: &Path,
        allow_same_folder: bool,
        randomness: &dyn Randomness,
    ) -> Result<bool, KekError> {
        let failed = |source| KekError::Io { verb: "make", path: path.to_owned(), source };
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !allow_same_folder {
            // Before the folder is made, too: nothing is left behind by a refusal.
            refuse_inside(path, &real(parent).map_err(failed)?, state_folder)?;
        }
        DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(failed)?;
        let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            Err(error) => return Err(failed(error)),
        };
        let mut text = Zeroizing::new(String::with_capacity(LARGEST));
        text.push_str(FORMAT);
        for name in ["\nfingerprint ", "\ngeneration 1 "] {
            let mut key = Zeroizing::new([0_u8; 32]);
            randomness.fill(key.as_mut()).map_err(KekError::Randomness)?;
            text.push_str(name);
            text.push_str(&Zeroizing::new(STANDARD.encode(key.as_ref())));
        }
        text.push('\n');
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        // The name must last as well as the bytes do.
        File::open(parent).and_then(|folder| folder.sync_all()).map_err(failed)?;
        Ok(true)
    }

    /// The generation that seals.
    pub(super) fn newest(&self) -> Option<(u64, &[u8; 32])> {
        self.generations.last_key_value().map(|(generation, key)| (*generation, &**key))
    }

    pub(super) fn generation(&self, generation: u64) -> Option<&[u8; 32]> {
        self.generations.get(&generation).map(|key| &**key)
    }

    pub(super) const fn fingerprint_key(&self) -> &hmac::Key {
        &self.fingerprint
    }
}

impl std::fmt::Debug for Kek {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kek").field("generations", &self.generations.keys()).finish_non_exhaustive()
    }
}

fn refuse_inside(path: &Path, place: &Path, state_folder: &Path) -> Result<(), KekError> {
    let failed = |source| KekError::Io { verb: "compare with the state folder", path: path.to_owned(), source };
    if place.starts_with(real(state_folder).map_err(failed)?) {
        return Err(KekError::SameFolder { kek: path.to_owned(), state: state_folder.to_owned() });
    }
    Ok(())
}

/// The real path of a folder, also when its last parts are not there yet.
fn real(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    for there in path.ancestors() {
        match there.canonicalize() {
            Ok(found) => {
                let rest = path.strip_prefix(there).unwrap_or(Path::new(""));
                return Ok(if rest.as_os_str().is_empty() { found } else { found.join(rest) });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(path)
}

/// The keys in a text, or the line that is wrong and why.
fn parse(text: &str) -> Result<Kek, (usize, &'static str)> {
    let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    if lines.next().is_none_or(|(_, line)| line != FORMAT) {
        return Err((1, "it must be `remint-kek-v1`; a newer file needs a newer remint"));
    }
    let mut generations = BTreeMap::new();
    let mut fingerprint = None;
    for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let taken = match words.as_slice() {
            ["fingerprint", key] => {
                fingerprint.replace(hmac::Key::new(hmac::HMAC_SHA256, decode(number, key)?.as_ref())).is_some()
            }
            ["generation", generation, key] => {
                let generation = generation.parse().map_err(|_| (number, "a generation is a number"))?;
                generations.insert(generation, decode(number, key)?).is_some()
            }
            _ => return Err((number, "it must be `generation NUMBER KEY` or `fingerprint KEY`")),
        };
        if taken {
            return Err((number, "it is there twice"));
        }
    }
    let last = text.lines().count();
    let fingerprint = fingerprint.ok_or((last, "there is no `fingerprint` line"))?;
    if generations.is_empty() {
        return Err((last, "there is no `generation` line"));
    }
    Ok(Kek { generations, fingerprint })
}

fn decode(line: usize, text: &str) -> Result<Zeroizing<[u8; 32]>, (usize, &'static str)> {
    let mut key = Zeroizing::new([0; 32]);
    match STANDARD.decode_slice(text, key.as_mut()) {
        Ok(32) => Ok(key),
        _ => Err((line, "a key is 32 bytes in base64")),
    }
}

const FORMAT: &str = "remint-kek-v1";

/// Bytes read of a key file at most: room for a thousand generations.
const LARGEST: usize = 64 * 1024;
