//! The tree and the entries cut into files that never change (c2sp.org/tlog-tiles, height 8).
//!
//! | path | |
//! |---|---|
//! | `checkpoint` | the newest signed checkpoint |
//! | `tile/L/N` | 256 hashes: at level 0 of entries, at each level above of full tiles of the one below |
//! | `tile/entries/N` | 256 entries, each after its length in two bytes |
//!
//! `N` is written in groups of three digits, all but the last after an `x`: `x001/x234/067`. The last tile of a level may be
//! partial: `.p/W`, with `W` hashes or entries of 1 to 255.
//!
//! Flow: whoever has a checkpoint knows which tiles there are ([`of_tree`]), fetches those that a proof needs
//! ([`for_inclusion`], [`for_consistency`]) into [`Hashes`] and makes the proof himself. [`audit()`] reads all of them.
//!
//! Guarantees: a tile has one path and one form; the same bytes are served over HTTP and lie in a folder.

use crate::FormatError;
use crate::checkpoint::number;
use crate::entry;
use crate::tree::Hash;

pub use self::audit::{Chains, Fault, audit};
pub use self::hashes::{Hashes, consistency, for_consistency, for_inclusion, inclusion};

mod audit;
mod hashes;

/// Levels of the tree in one tile.
pub const HEIGHT: u32 = 8;

/// Hashes or entries in a full tile.
pub const WIDTH: u16 = 1 << HEIGHT;

/// Where the checkpoint lies, beside the tiles.
pub const CHECKPOINT: &str = "checkpoint";

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The entries themselves.
    Entries,
    /// Hashes of this level.
    Level(u8),
}

/// The name of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    pub kind: Kind,
    pub index: u64,
    /// How many hashes or entries: 1 to 256.
    pub width: u16,
}

impl Tile {
    /// The tile of this kind and index in a tree of `size` leaves; `None` when nothing is in it.
    pub fn in_tree(kind: Kind, index: u64, size: u64) -> Option<Self> {
        let of_level = size.checked_shr(u32::from(kind.level()) * HEIGHT).unwrap_or(0);
        let width = of_level.checked_sub(index.checked_mul(u64::from(WIDTH))?)?.min(u64::from(WIDTH));
        let width = u16::try_from(width).ok().filter(|width| *width > 0)?;
        Some(Self { kind, index, width })
    }

    pub fn is_full(&self) -> bool {
        self.width == WIDTH
    }

    /// Its path below the prefix of the log.
    pub fn path(&self) -> String {
        let mut groups = format!("{:03}", self.index % 1000);
        let mut rest = self.index / 1000;
        while rest > 0 {
            groups = format!("x{:03}/{groups}", rest % 1000);
            rest /= 1000;
        }
        let partial = if self.is_full() { String::new() } else { format!(".p/{}", self.width) };
        match self.kind {
            Kind::Entries => format!("tile/entries/{groups}{partial}"),
            Kind::Level(level) => format!("tile/{level}/{groups}{partial}"),
        }
    }

    /// Reads a path, strictly: a tile has one.
    pub fn parse(path: &str) -> Result<Self, FormatError> {
        let wrong = || FormatError::Malformed { what: "path of a tile", why: "it must be like tile/0/x001/234.p/5" };
        let (kind, rest) = path.strip_prefix("tile/").and_then(|rest| rest.split_once('/')).ok_or_else(wrong)?;
        let kind = match kind {
            "entries" => Kind::Entries,
            level => Kind::Level(number(level).and_then(|level| u8::try_from(level).ok()).ok_or_else(wrong)?),
        };
        let (groups, width) = match rest.split_once(".p/") {
            Some((groups, width)) => (groups, number(width).and_then(|width| u16::try_from(width).ok())),
            None => (rest, Some(WIDTH)),
        };
        let mut index: u64 = 0;
        for group in groups.split('/') {
            let digits = group.strip_prefix('x').unwrap_or(group);
            let digits =
                Some(digits).filter(|digits| digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit()));
            let value = digits.and_then(|digits| digits.parse::<u64>().ok()).ok_or_else(wrong)?;
            index = index.checked_mul(1000).and_then(|index| index.checked_add(value)).ok_or_else(wrong)?;
        }
        let tile = Self { kind, index, width: width.ok_or_else(wrong)? };
        // Whatever else is wrong with it, it is not the path that the tile has.
        let fits = kind.level() < 64 && (1..=WIDTH).contains(&tile.width) && tile.path() == path;
        if fits { Ok(tile) } else { Err(wrong()) }
    }
}

impl Kind {
    /// Tiles of entries lie beside those of level 0.
    pub(crate) fn level(self) -> u8 {
        match self {
            Self::Entries => 0,
            Self::Level(level) => level,
        }
    }
}

impl std::fmt::Display for Tile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.path())
    }
}

/// Every tile of a tree of `size` leaves: the entries first, then the levels upwards.
pub fn of_tree(size: u64) -> impl Iterator<Item = Tile> {
    std::iter::once(Kind::Entries).chain((0..8).map(Kind::Level)).flat_map(move |kind| {
        let count = size.checked_shr(u32::from(kind.level()) * HEIGHT).unwrap_or(0).div_ceil(u64::from(WIDTH));
        (0..count).filter_map(move |index| Tile::in_tree(kind, index, size))
    })
}

/// The bytes of a tile of hashes.
pub fn write_hashes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// The hashes of a tile of so many.
pub fn read_hashes(bytes: &[u8], width: u16) -> Result<Vec<Hash>, FormatError> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    if hashes.len() != usize::from(width) || !rest.is_empty() {
        return Err(malformed("it does not have as many hashes as its path says"));
    }
    Ok(hashes.iter().map(|hash| Hash(*hash)).collect())
}

/// The bytes of a tile of entries.
///
/// Errors: an entry is larger than its length can say.
pub fn write_entries<'b>(entries: impl IntoIterator<Item = &'b [u8]>) -> Result<Vec<u8>, FormatError> {
    let mut out = Vec::new();
    for entry in entries {
        let length = u16::try_from(entry.len())
            .map_err(|_| FormatError::TooLarge { what: "the entry", limit: entry::MAX_SIZE })?;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(entry);
    }
    Ok(out)
}

/// The entries of a tile of so many; what is in them is not looked at.
pub fn read_entries(bytes: &[u8], width: u16) -> Result<Vec<&[u8]>, FormatError> {
    let mut rest = bytes;
    let mut entries = Vec::with_capacity(usize::from(width));
    for _ in 0..width {
        let (length, after) = rest.split_first_chunk::<2>().ok_or(malformed("it is cut off"))?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, after) = after.split_at_checked(length).ok_or(malformed("it is cut off"))?;
        entries.push(entry);
        rest = after;
    }
    if rest.is_empty() { Ok(entries) } else { Err(malformed("it has more entries than its path says")) }
}

fn malformed(why: &'static str) -> FormatError {
    FormatError::Malformed { what: "tile", why }
}
