//! A value for one prober: X25519 with a key made for this value alone, HKDF-SHA256, AES-256-GCM. The question that it
//! belongs to is bound into it: moved to another question, it does not open.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use aws_lc_rs::hkdf;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remint_contract::{Material, SecretValue};
use zeroize::Zeroizing;

use super::key::{ProberKey, PublicProber};

/// Seals a value; `None` when the machine cannot.
pub(super) fn seal(to: &PublicProber, bound: &str, value: &Material) -> Option<String> {
    let once = PrivateKey::generate(&X25519).ok()?;
    let public: [u8; 32] = once.compute_public_key().ok()?.as_ref().try_into().ok()?;
    let key = shared(&once, &to.exchange, &public, &to.exchange)?;
    let user = value.username.as_deref().unwrap_or_default().as_bytes();
    let mut plain = Zeroizing::new(Vec::with_capacity(user.len() + value.secret.expose().len() + 21));
    plain.push(u8::from(value.username.is_some()));
    plain.extend_from_slice(&u32::try_from(user.len()).ok()?.to_be_bytes());
    plain.extend_from_slice(user);
    plain.extend_from_slice(value.secret.expose());
    let tag = key.seal_in_place_separate_tag(once_only(), Aad::from(bound.as_bytes()), &mut plain).ok()?;
    Some(STANDARD.encode([&public, plain.as_slice(), tag.as_ref()].concat()))
}

/// Opens a value; `None` when it was not sealed for this prober, or for another question.
pub(super) fn open(key: &ProberKey, bound: &str, sealed: &str) -> Option<Material> {
    let bytes = STANDARD.decode(sealed).ok()?;
    let (public, rest) = bytes.split_first_chunk::<32>()?;
    let own: [u8; 32] = key.exchange().compute_public_key().ok()?.as_ref().try_into().ok()?;
    let key = shared(key.exchange(), public, public, &own)?;
    let mut copy = Zeroizing::new(rest.to_vec());
    let plain = key.open_in_place(once_only(), Aad::from(bound.as_bytes()), &mut copy).ok()?;
    let (named, rest) = plain.split_first()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (user, secret) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    let username = if *named == 1 { Some(String::from_utf8(user.to_vec()).ok()?) } else { None };
    Some(Material { username, secret: SecretValue::new(secret.to_vec()) })
}

/// The key that both sides come to, bound to who they are.
fn shared(own: &PrivateKey, peer: &[u8; 32], once: &[u8; 32], to: &[u8; 32]) -> Option<LessSafeKey> {
    agree(own, UnparsedPublicKey::new(&X25519, peer), (), |secret| {
        let mut key = Zeroizing::new([0; 32]);
        hkdf::Salt::new(hkdf::HKDF_SHA256, b"remint.dev/probe/v1")
            .extract(secret)
            .expand(&[once, to], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut *key))
            .map_err(|_| ())?;
        Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*key).map_err(|_| ())?))
    })
    .ok()
}

/// The key seals one value and nothing else.
fn once_only() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}
