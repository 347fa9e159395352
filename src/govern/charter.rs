//! What governs a state: policies, and the table of persons. One thing, pinned by its digest, changed as a whole.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use remint_core::approval::Person;
use remint_core::digest::Digest;
use remint_core::gate::{Table, TableError};
use remint_evidence_format::note::VerifierKey;
use serde::{Deserialize, Serialize};

/// The file of a folder that says who is who.
const PERSONS: &str = "persons.yaml";

/// The most that is read of a folder.
const LARGEST: usize = 4 << 20;

/// Policies and persons, as they were written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charter {
    /// File → Cedar text.
    pub policies: BTreeMap<String, String>,
    pub persons: String,
}

/// Why a folder is no charter.
#[derive(Debug, thiserror::Error)]
pub enum CharterError {
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{0} holds no .cedar file; without one nothing would be permitted")]
    NoPolicies(PathBuf),
    #[error("{0} is larger than 4 MiB; it holds something that is no policy")]
    TooLarge(PathBuf),
    #[error(transparent)]
    Table(#[from] TableError),
    #[error("the key `{key}` of {person} is none that he can sign with: {why}; remint policy key makes one")]
    Key { person: Person, key: String, why: String },
}

impl Charter {
    /// Reads a folder: every `.cedar` file in it, and `persons.yaml`.
    ///
    /// # Errors
    /// Something cannot be read, there is no policy, or the table leaves open who is who.
    pub fn read(folder: &Path) -> Result<Self, CharterError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| CharterError::Read { path, source }
        };
        let mut policies = BTreeMap::new();
        let mut size = 0;
        for item in std::fs::read_dir(folder).map_err(failed(folder))? {
            let path = item.map_err(failed(folder))?.path();
            if path.extension().is_none_or(|end| end != "cedar") {
                continue;
            }
            let text = std::fs::read_to_string(&path).map_err(failed(&path))?;
            size += text.len();
            if size > LARGEST {
                return Err(CharterError::TooLarge(folder.to_owned()));
            }
            policies.insert(path.file_name().unwrap_or_default().to_string_lossy().into_owned(), text);
        }
        if policies.is_empty() {
            return Err(CharterError::NoPolicies(folder.to_owned()));
        }
        let path = folder.join(PERSONS);
        let persons = std::fs::read_to_string(&path).map_err(failed(&path))?;
        let charter = Self { policies, persons };
        charter.table()?;
        Ok(charter)
    }

    /// Who is who.
    ///
    /// # Errors
    /// The table leaves it open, or a key in it is none of its person.
    pub fn table(&self) -> Result<Table, CharterError> {
        let table = Table::parse(&self.persons)?;
        for person in table.persons() {
            for key in table.keys(&person) {
                let why = match VerifierKey::parse(&key) {
                    Ok(parsed) if parsed.name() == person.0 => continue,
                    Ok(parsed) => format!("it is called {}", parsed.name()),
                    Err(error) => error.to_string(),
                };
                return Err(CharterError::Key { person, key, why });
            }
        }
        Ok(table)
    }

    /// Pins it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        // Strings in sorted maps cannot fail to be written.
        Digest::of(&serde_json::to_vec(self).unwrap_or_default())
    }
}
