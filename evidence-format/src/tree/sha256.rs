//! SHA-256 (FIPS 180-4) of what a tree is made of: short texts, each after one byte that says what it is.
//!
//! The compression function is that of the crate `sha2`. Its blocks are taken where they lie: a million leaves would
//! otherwise each be copied behind their first byte, and each hash set up and taken down.

use sha2::block_api::compress256;
use sha2::{Digest as _, Sha256};

use super::Hash;

const BLOCK: usize = 64;

/// The hash values before the first block (FIPS 180-4, section 5.3.3).
const FIRST: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// Plain SHA-256: the root of the empty tree, files of a bundle, ids of keys.
pub fn sha256(bytes: &[u8]) -> Hash {
    Hash(Sha256::digest(bytes).into())
}

/// The hash of one byte and what follows it.
pub(super) fn prefixed(prefix: u8, bytes: &[u8]) -> Hash {
    let mut first = [0; BLOCK];
    first[0] = prefix;
    let Some((beginning, rest)) = bytes.split_first_chunk::<{ BLOCK - 1 }>() else {
        first[1..=bytes.len()].copy_from_slice(bytes);
        return sha256(&first[..=bytes.len()]);
    };
    first[1..].copy_from_slice(beginning);
    let mut state = FIRST;
    compress256(&mut state, &[first]);
    let (blocks, rest) = rest.as_chunks();
    compress256(&mut state, blocks);
    // What is left, a one, zeros, and the length in bits: one block or two (section 5.1.1).
    let mut last = [[0; BLOCK]; 2];
    last[0][..rest.len()].copy_from_slice(rest);
    last[0][rest.len()] = 0x80;
    let count = if rest.len() < BLOCK - 8 { 1 } else { 2 };
    let length = (bytes.len() as u64 + 1) * 8;
    last[count - 1][BLOCK - 8..].copy_from_slice(&length.to_be_bytes());
    compress256(&mut state, &last[..count]);
    digest(state)
}

/// The hash of one byte and two hashes.
pub(super) fn joined(prefix: u8, left: &Hash, right: &Hash) -> Hash {
    let mut blocks = [[0; BLOCK]; 2];
    let bytes = blocks.as_flattened_mut();
    bytes[0] = prefix;
    bytes[1..33].copy_from_slice(&left.0);
    bytes[33..65].copy_from_slice(&right.0);
    bytes[65] = 0x80;
    bytes[120..].copy_from_slice(&(65_u64 * 8).to_be_bytes());
    let mut state = FIRST;
    compress256(&mut state, &blocks);
    digest(state)
}

fn digest(state: [u32; 8]) -> Hash {
    let mut hash = [0; 32];
    for (bytes, word) in hash.as_chunks_mut().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    Hash(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_around_a_block_is_hashed_as_in_one_piece() {
        let bytes: Vec<u8> = (0..=255).collect();
        for length in 0..bytes.len() {
            let whole = [&[7], &bytes[..length]].concat();
            assert_eq!(prefixed(7, &bytes[..length]), sha256(&whole), "{length} bytes");
        }
        let (left, right) = (sha256(b"left"), sha256(b"right"));
        assert_eq!(joined(1, &left, &right), sha256(&[&[1][..], &left.0, &right.0].concat()));
    }
}
