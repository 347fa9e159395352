//! Everything a store holds, as a stream of typed lines, and the backup file that they make.
//!
//! ```text
//! remint-backup-v1
//! {"entry":{"id":1,"number":1,"reset":"r-1","bytes":"cmVtaW50…"}}
//! {"checkpoint":{"size":1,"note":"…"}}
//! {"record":{…}}
//! {"lease":{…}}
//! end 4 sha256 of everything before this line
//! ```
//!
//! Flow: [`Store::dump`] sends lines from one consistent picture, [`write`] puts them into a file; [`read`] checks the whole
//! file before [`Store::load`] takes its lines, in one transaction, into a store that is empty.
//!
//! Guarantees: a backup holds no sealed value and no key; a file that was cut off or changed in any byte is refused
//! before anything is loaded. The hash finds accidents; whoever changes a backup on purpose is found by the checkpoint
//! where he touches entries, and by nothing where he touches records.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use remint_evidence_format::hex;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::store::{Sealed, Store, StoreError};

/// One thing that a store holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Line {
    Entry(EntryLine),
    Checkpoint {
        size: u64,
        note: String,
    },
    Record {
        kind: String,
        id: String,
        scope: String,
        revision: u64,
        body: serde_json::Value,
    },
    /// Its number goes on.
    Lease {
        name: String,
        token: u64,
        /// In a copy; what comes out of a backup nobody holds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        held: Option<Held>,
    },
    /// For a copy from one back end to another. It has no form in a backup.
    #[serde(skip)]
    Sealed(Sealed),
    /// The last one: without it a load is not complete, and leaves nothing.
    End,
}

/// Who holds a lease, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub holder: String,
    pub until: jiff::Timestamp,
}

/// An entry; the order of ids is the order of commit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EntryLine {
    pub id: u64,
    /// Empty for an entry of no reset.
    pub reset: String,
    pub number: u64,
    #[serde(with = "bytes")]
    pub bytes: Vec<u8>,
}

mod bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        STANDARD.decode(text).map_err(|_| D::Error::custom("not base64"))
    }
}

/// Why there is no backup, or it cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("could not {verb} the backup {path}")]
    Io {
        verb: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{0} is there already; a backup never replaces a file")]
    There(PathBuf),
    #[error("{path} is not a whole backup: {why}; nothing was changed")]
    Format { path: PathBuf, why: &'static str },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a backup holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    pub entries: u64,
    pub records: u64,
    pub checkpoints: u64,
    pub leases: u64,
}

impl Tally {
    fn count(&mut self, line: &Line) {
        match line {
            Line::Entry(_) => self.entries += 1,
            Line::Record { .. } => self.records += 1,
            Line::Checkpoint { .. } => self.checkpoints += 1,
            Line::Lease { .. } => self.leases += 1,
            Line::Sealed(_) | Line::End => {}
        }
    }
}

/// Writes the lines into a new file (0600), whole or not at all.
///
/// # Errors
/// The file is there, or cannot be written; the lines end before their end.
pub async fn write(path: &Path, mut lines: mpsc::Receiver<Line>) -> Result<Tally, BackupError> {
    let failed = |source| BackupError::Io { verb: "write", path: path.to_owned(), source };
    let mut draft = path.as_os_str().to_owned();
    draft.push(".part");
    if path.exists() {
        return Err(BackupError::There(path.to_owned()));
    }
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft).map_err(failed)?;
    let mut out = Hashing { inner: BufWriter::new(file), hash: Context::new(&SHA256) };
    let mut tally = Tally::default();
    let mut count: u64 = 0;
    out.put(FORMAT.as_bytes()).map_err(failed)?;
    let whole = loop {
        match lines.recv().await {
            Some(Line::End) => break true,
            None => break false,
            Some(line) => {
                tally.count(&line);
                count += 1;
                let mut text = serde_json::to_vec(&line).map_err(|error| failed(error.into()))?;
                text.push(b'\n');
                out.put(&text).map_err(failed)?;
            }
        }
    };
    if !whole {
        // What failed says why; half a backup stays for nobody.
        std::fs::remove_file(&draft).map_err(failed)?;
        return Err(StoreError::Broken { what: "could not be read to its end".to_owned(), source: None }.into());
    }
    let Hashing { mut inner, hash } = out;
    inner.write_all(ending(count, hash).as_bytes()).map_err(failed)?;
    let file = inner.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    std::fs::rename(&draft, path).map_err(failed)?;
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(tally)
}

struct Hashing {
    inner: BufWriter<File>,
    hash: Context,
}

impl Hashing {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.inner.write_all(bytes)
    }
}

/// Checks a whole backup, then loads it into an empty store.
///
/// # Errors
/// The file was cut off or changed; the store is not empty.
pub async fn restore(path: &Path, store: &dyn Store) -> Result<Tally, BackupError> {
    let tally = check(path)?;
    let (sender, receiver) = mpsc::channel(QUEUE);
    let source = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || {
        read(&source, |line| {
            // A store that stopped taking says why.
            let _ = sender.blocking_send(line);
        })
    });
    store.load(receiver).await?;
    reading.await.map_err(|error| BackupError::Io { verb: "read", path: path.to_owned(), source: error.into() })??;
    Ok(tally)
}

/// What a backup holds, every byte of it looked at.
///
/// # Errors
/// It was cut off or changed.
pub fn check(path: &Path) -> Result<Tally, BackupError> {
    let mut tally = Tally::default();
    read(path, |line| tally.count(&line))?;
    Ok(tally)
}

/// Hands every line on, [`Line::End`] last and only when the file is whole.
fn read(path: &Path, mut take: impl FnMut(Line)) -> Result<(), BackupError> {
    let failed = |source| BackupError::Io { verb: "read", path: path.to_owned(), source };
    let wrong = |why| BackupError::Format { path: path.to_owned(), why };
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    let mut hash = Context::new(&SHA256);
    let mut line = Vec::new();
    let mut count: u64 = 0;
    let mut first = true;
    loop {
        line.clear();
        (&mut file).take(LONGEST).read_until(b'\n', &mut line).map_err(failed)?;
        if line.last() != Some(&b'\n') {
            return Err(wrong("it is cut off"));
        }
        if std::mem::take(&mut first) {
            if line != FORMAT.as_bytes() {
                return Err(wrong("it does not begin as a backup of this version does"));
            }
        } else if line.starts_with(b"end ") {
            break;
        } else {
            let parsed: Line = serde_json::from_slice(&line).map_err(|_| wrong("a line cannot be read"))?;
            if matches!(parsed, Line::End) {
                return Err(wrong("a line cannot be read"));
            }
            count += 1;
            take(parsed);
        }
        hash.update(&line);
    }
    if line != ending(count, hash).as_bytes() {
        return Err(wrong("its bytes are not those that were written"));
    }
    if file.read(&mut [0]).map_err(failed)? > 0 {
        return Err(wrong("something follows its end"));
    }
    take(Line::End);
    Ok(())
}

fn ending(count: u64, hash: Context) -> String {
    format!("end {count} {}\n", hex::encode(hash.finish().as_ref()))
}

const FORMAT: &str = "remint-backup-v1\n";
/// The longest line: an estate of 100,000 credentials is some 100 MB.
const LONGEST: u64 = 1 << 30;
/// Lines on their way.
pub const QUEUE: usize = 1024;
