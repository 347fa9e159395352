//! AES-256-GCM, as every seal and every wrap uses it.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

/// Bytes of a key of AES-256.
pub(super) const KEY: usize = 32;
/// Bytes that GCM adds.
pub(super) const TAG: usize = 16;
/// The nonce of a key that seals one thing and nothing else.
pub(super) const ONCE: [u8; NONCE_LEN] = [0; NONCE_LEN];

/// Encrypts in place; gives the tag.
pub(super) fn seal_in_place(
    key: &[u8; KEY],
    nonce: [u8; NONCE_LEN],
    bound: &[u8],
    bytes: &mut [u8],
) -> Option<Vec<u8>> {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).ok()?);
    let nonce = Nonce::assume_unique_for_key(nonce);
    let tag = key.seal_in_place_separate_tag(nonce, Aad::from(bound), bytes).ok()?;
    Some(tag.as_ref().to_vec())
}

/// Decrypts a copy, ciphertext and tag one after the other.
pub(super) fn open_copy(
    key: &[u8; KEY],
    nonce: [u8; NONCE_LEN],
    bound: &[u8],
    bytes: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).ok()?);
    let nonce = Nonce::assume_unique_for_key(nonce);
    let mut copy = Zeroizing::new(bytes.to_vec());
    let length = key.open_in_place(nonce, Aad::from(bound), &mut copy).ok()?.len();
    copy.truncate(length);
    Some(copy)
}

/// Encrypts a data key; gives ciphertext and tag.
pub(super) fn wrap(
    key: &[u8; KEY],
    nonce: [u8; NONCE_LEN],
    bound: &[u8],
    data_key: &Zeroizing<[u8; KEY]>,
) -> Option<Vec<u8>> {
    let mut copy = data_key.clone();
    let tag = seal_in_place(key, nonce, bound, copy.as_mut())?;
    Some([copy.as_ref(), &tag].concat())
}

/// Decrypts a data key.
pub(super) fn unwrap(
    key: &[u8; KEY],
    nonce: [u8; NONCE_LEN],
    bound: &[u8],
    wrapped: &[u8],
) -> Option<Zeroizing<[u8; KEY]>> {
    let opened = open_copy(key, nonce, bound, wrapped)?;
    let mut data_key = Zeroizing::new([0; KEY]);
    if opened.len() != KEY {
        return None;
    }
    data_key.copy_from_slice(&opened);
    Some(data_key)
}
