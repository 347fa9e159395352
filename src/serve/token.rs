//! The word that opens the door on a loopback address, where the file system cannot say who may come in.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use remint_contract::SecretValue;
use zeroize::Zeroizing;

/// The least length: 32 characters of base64 are 192 bits.
const SHORTEST: usize = 32;

/// The most that is read of a token file.
const LARGEST: usize = 4096;

/// A bearer token.
#[derive(Debug, Clone)]
pub struct Token(SecretValue);

/// Why a file gives no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("cannot read the token file {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("others than its owner may read or change the token file {path} (mode {mode:04o}); run: chmod 600 {path}")]
    Mode { path: PathBuf, mode: u32 },
    #[error(
        "the token file {0} must hold one line of at least 32 visible characters; make one with: openssl rand -base64 36"
    )]
    Unfit(PathBuf),
}

impl Token {
    /// Reads a token from a file that only its owner may read.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let failed = |source| TokenError::Read { path: path.to_owned(), source };
        // The open file is what is looked at and read, so that nobody can put another one in between.
        let file = File::open(path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(TokenError::Mode { path: path.to_owned(), mode });
        }
        // Room for all of it at once: a buffer that grows leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(LARGEST));
        file.take(LARGEST as u64).read_to_end(&mut bytes).map_err(failed)?;
        let token = bytes.trim_ascii_end();
        if token.len() < SHORTEST || !token.iter().all(u8::is_ascii_graphic) {
            return Err(TokenError::Unfit(path.to_owned()));
        }
        Ok(Self(SecretValue::new(token.to_vec())))
    }

    /// True when an `Authorization` header carries this token. Takes the same time whatever its characters are.
    pub(super) fn opens(&self, header: &[u8]) -> bool {
        let Some((scheme, token)) = header.split_at_checked(7) else { return false };
        scheme.eq_ignore_ascii_case(b"bearer ") && SecretValue::new(token.to_vec()) == self.0
    }
}
