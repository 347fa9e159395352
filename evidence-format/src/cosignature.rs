//! Cosignatures: what a witness says of a checkpoint, and how many have to say it (c2sp.org/tlog-cosignature, Ed25519).
//!
//! A witness signs, under the lines `cosignature/v1` and `time N`, the text of the largest checkpoint of a log that it ever
//! saw, having checked that it continues the one it saw before. The line under the note is
//! `— name base64(key id ‖ N as 8 bytes ‖ signature)`; its key has the sort 0x04 where a log's has 0x01, so that neither is
//! ever taken for the other.
//!
//! Flow: a writer collects lines and appends them to the checkpoint; whoever relies on it gives the keys he trusts and how
//! many of them he wants ([`Quorum::check`]), and gets who signed and when ([`Witnessed`]).
//!
//! Guarantees: a line that claims a known key and does not fit is an error; lines of unknown keys are passed over; one
//! witness counts once, however often it signed and under whatever name: two keys of a quorum differ in name and in bytes.

use std::fmt::Write as _;

use zeroize::Zeroizing;

use crate::FormatError;
use crate::checkpoint::Checkpoint;
use crate::note::half::{Public, Secret, Sort};
use crate::note::{self, Note, Signature};

/// The public half of a witness's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessKey(Public);

impl WitnessKey {
    /// Reads `name+id+base64(0x04 ‖ public key)`.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        Public::parse(Sort::Cosignature, text).map(Self)
    }

    pub fn name(&self) -> &str {
        self.0.name()
    }

    pub fn id(&self) -> [u8; 4] {
        self.0.id()
    }

    /// When this witness saw the checkpoint of a note: the newest of its cosignatures, in seconds since 1970.
    ///
    /// Errors: [`FormatError::Unsigned`] when it did not sign, [`FormatError::BadSignature`] when a line says that it did and
    /// does not fit.
    pub fn verify(&self, note: &Note<'_>) -> Result<u64, FormatError> {
        let mut seen = None;
        for signature in note.signatures.iter().filter(|line| line.name == self.name() && line.key_id == self.id()) {
            seen = seen.max(Some(self.fits(note.text, signature)?));
        }
        seen.ok_or_else(|| FormatError::Unsigned { name: self.name().to_owned() })
    }

    fn fits(&self, text: &str, signature: &Signature<'_>) -> Result<u64, FormatError> {
        let wrong = || FormatError::BadSignature { name: self.name().to_owned() };
        let (time, signed) = signature.bytes.split_first_chunk::<8>().ok_or_else(wrong)?;
        let time = u64::from_be_bytes(*time);
        let fits = signed.len() == 64 && i64::try_from(time).is_ok() && self.0.fits(&message(text, time), signed);
        if fits { Ok(time) } else { Err(wrong()) }
    }
}

impl std::fmt::Display for WitnessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The half that a witness signs with. Its `Debug` shows the public half only; the seed is wiped when it is dropped.
pub struct CosigningKey {
    secret: Secret,
    public: WitnessKey,
}

impl CosigningKey {
    /// The key of a seed of 32 random bytes; randomness is the caller's.
    pub fn from_seed(name: &str, seed: Zeroizing<[u8; 32]>) -> Result<Self, FormatError> {
        Secret::from_seed(Sort::Cosignature, name, seed).map(Self::of)
    }

    /// Reads `PRIVATE+KEY+name+id+base64(0x04 ‖ seed)`.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        Secret::parse(Sort::Cosignature, text).map(Self::of)
    }

    /// The text to keep; as secret as the key.
    pub fn to_text(&self) -> Zeroizing<String> {
        self.secret.to_text(&self.public.0)
    }

    pub fn public(&self) -> &WitnessKey {
        &self.public
    }

    /// The line that says that this witness saw the checkpoint whose text this is, `at` seconds after 1970. Only whoever
    /// checked that the checkpoint continues the one before may say it.
    ///
    /// Errors: the text is no checkpoint, or the time is beyond 2^63 - 1.
    pub fn cosign(&self, text: &str, at: u64) -> Result<String, FormatError> {
        Checkpoint::head(text)?;
        if i64::try_from(at).is_err() {
            return Err(FormatError::Field { field: "time", why: "it is beyond 2^63 - 1" });
        }
        let signature = self.secret.sign(&message(text, at));
        Ok(note::line(self.public.name(), self.public.id(), &[at.to_be_bytes().as_slice(), &signature].concat()))
    }

    fn of((secret, public): (Secret, Public)) -> Self {
        Self { secret, public: WitnessKey(public) }
    }
}

impl std::fmt::Debug for CosigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CosigningKey").field("public", &self.public).finish_non_exhaustive()
    }
}

fn message(text: &str, time: u64) -> Vec<u8> {
    format!("cosignature/v1\ntime {time}\n{text}").into_bytes()
}

/// Which witnesses somebody trusts, and how many of them have to have seen a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quorum {
    need: usize,
    witnesses: Vec<WitnessKey>,
}

impl Quorum {
    /// Errors: nobody is needed, more are needed than there are, or a name or a key stands there twice.
    pub fn new(need: usize, witnesses: Vec<WitnessKey>) -> Result<Self, FormatError> {
        let wrong = |why| Err(FormatError::Field { field: "quorum", why });
        if need == 0 {
            return wrong("it must be 1 or more");
        }
        if need > witnesses.len() {
            return wrong("it is more than there are witnesses");
        }
        for (place, key) in witnesses.iter().enumerate() {
            if witnesses[..place].iter().any(|other| other.name() == key.name() || other.0.bytes() == key.0.bytes()) {
                return wrong("two of its witnesses have the same name or the same key");
            }
        }
        Ok(Self { need, witnesses })
    }

    /// How many have to have signed.
    pub fn need(&self) -> usize {
        self.need
    }

    pub fn witnesses(&self) -> &[WitnessKey] {
        &self.witnesses
    }

    /// Who of them signed a note.
    ///
    /// Errors: a line that says it is by one of them and does not fit.
    pub fn check(&self, note: &Note<'_>) -> Result<Witnessed, FormatError> {
        let mut by = Vec::new();
        for key in &self.witnesses {
            match key.verify(note) {
                Ok(at) => by.push(Seen { witness: key.name().to_owned(), at }),
                Err(FormatError::Unsigned { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        by.sort_by(|a, b| (a.at, &a.witness).cmp(&(b.at, &b.witness)));
        Ok(Witnessed { need: self.need, of: self.witnesses.len(), by })
    }
}

/// That a witness saw a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub witness: String,
    /// Seconds since 1970, by the clock of the witness.
    pub at: u64,
}

/// Who saw a checkpoint, against what is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witnessed {
    pub need: usize,
    /// How many witnesses are trusted.
    pub of: usize,
    /// The earliest first.
    pub by: Vec<Seen>,
}

impl Witnessed {
    /// Whether enough of them saw it.
    pub fn holds(&self) -> bool {
        self.by.len() >= self.need
    }

    /// When enough of them had seen it, in seconds since 1970.
    pub fn since(&self) -> Option<u64> {
        self.by.get(self.need.checked_sub(1)?).map(|seen| seen.at)
    }

    /// The sentence for a report.
    pub fn sentence(&self) -> String {
        let mut names = String::new();
        for seen in &self.by {
            names.push_str(if names.is_empty() { ": " } else { ", " });
            // Writing to a string cannot fail.
            let _ = write!(names, "{} at {}", seen.witness, moment(seen.at));
        }
        let (count, of, need) = (self.by.len(), self.of, self.need);
        if self.holds() {
            format!("{count} of {of} witnesses saw this tree, {need} are needed{names}.")
        } else {
            format!(
                "{count} of {of} witnesses saw this tree and {need} are needed{names}; until then whoever has the log's key can show others another one."
            )
        }
    }
}

/// RFC 3339 in UTC, to the second, of seconds since 1970.
pub(crate) fn moment(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // The era of 400 years, its day and year of the civil calendar that begins on the first of March.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}
