//! Recovery keys: X25519, so that the machine wraps for one without being able to open with it.
//!
//! Flow: per data key an ephemeral key; what it agrees on with the recovery key goes through HKDF-SHA-256 (salt: both
//! public keys) and wraps the data key. The private half lies in a file of its own, away from the machine, until the
//! primary key file is lost.

use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use zeroize::Zeroizing;

use super::cipher::{self, KEY, ONCE};
use super::envelope::{RECOVERY, RecipientId, headed};

/// The public half: for whom data keys are wrapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recipient([u8; KEY]);

impl Recipient {
    pub(super) fn new(public: [u8; KEY]) -> Self {
        Self(public)
    }

    pub(super) fn public(&self) -> &[u8; KEY] {
        &self.0
    }

    /// What names it in a stanza: the first bytes of a hash over it.
    pub(super) fn id(&self) -> RecipientId {
        let hash = digest(&SHA256, &[b"remint-recovery-v1".as_slice(), &self.0].concat());
        let mut id = [0; 8];
        id.copy_from_slice(&hash.as_ref()[..8]);
        id
    }

    /// Wraps a data key with an ephemeral private key that is used for nothing else.
    pub(super) fn wrap(
        &self,
        ephemeral: &Zeroizing<[u8; KEY]>,
        bound: &[u8],
        data_key: &Zeroizing<[u8; KEY]>,
    ) -> Option<Vec<u8>> {
        let mine = PrivateKey::from_private_key(&X25519, ephemeral.as_ref()).ok()?;
        let public = public_of(&mine)?;
        let key = agreed(&mine, &self.0, &public, &self.0)?;
        let wrapped = cipher::wrap(&key, ONCE, &headed(bound, RECOVERY, self.id()), data_key)?;
        Some([public.as_slice(), &wrapped].concat())
    }
}

/// The private half: opens what was wrapped for it.
pub(super) struct RecoveryKey {
    key: PrivateKey,
    recipient: Recipient,
}

impl RecoveryKey {
    pub(super) fn new(private: &Zeroizing<[u8; KEY]>) -> Option<Self> {
        let key = PrivateKey::from_private_key(&X25519, private.as_ref()).ok()?;
        let recipient = Recipient(public_of(&key)?);
        Some(Self { key, recipient })
    }

    pub(super) fn recipient(&self) -> &Recipient {
        &self.recipient
    }

    pub(super) fn unwrap(&self, wrapped: &[u8], bound: &[u8]) -> Option<Zeroizing<[u8; KEY]>> {
        let (ephemeral, wrapped) = wrapped.split_first_chunk::<KEY>()?;
        let key = agreed(&self.key, ephemeral, ephemeral, &self.recipient.0)?;
        cipher::unwrap(&key, ONCE, &headed(bound, RECOVERY, self.recipient.id()), wrapped)
    }
}

fn public_of(key: &PrivateKey) -> Option<[u8; KEY]> {
    key.compute_public_key().ok()?.as_ref().try_into().ok()
}

/// The key that two halves agree on, for one ephemeral and one recovery key.
fn agreed(
    mine: &PrivateKey,
    peer: &[u8; KEY],
    ephemeral: &[u8; KEY],
    recovery: &[u8; KEY],
) -> Option<Zeroizing<[u8; KEY]>> {
    let salt = [ephemeral.as_slice(), recovery].concat();
    agree(mine, UnparsedPublicKey::new(&X25519, peer), (), |secret| {
        let mut key = Zeroizing::new([0; KEY]);
        let derived = Salt::new(HKDF_SHA256, &salt).extract(secret);
        let output = derived.expand(&[b"remint-recovery-v1"], HKDF_SHA256).map_err(drop)?;
        output.fill(key.as_mut()).map_err(drop)?;
        Ok(key)
    })
    .ok()
}
