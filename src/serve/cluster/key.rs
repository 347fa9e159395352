//! What only this state can stamp with: a random key, sealed like every secret of it.

use aws_lc_rs::hmac;
use remint_contract::SecretValue;
use zeroize::Zeroizing;

use crate::app::App;
use crate::escrow::{EscrowError, NoRandomness};
use crate::store::{Change, StoreError};

/// Why there are no stamps.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the key of the stamps does not open")]
    Open(#[source] EscrowError),
    #[error("the key of the stamps could not be sealed")]
    Seal(#[source] EscrowError),
    #[error(transparent)]
    Random(#[from] NoRandomness),
}

/// The key; of two daemons that make it at once, one wins and both use it.
pub(super) async fn open(app: &App) -> Result<hmac::Key, KeyError> {
    let (store, escrow) = (&app.engine.store, &app.engine.escrow);
    loop {
        if let Some(sealed) = store.sealed(NAME).await? {
            let key = escrow.open(&sealed).map_err(KeyError::Open)?;
            return Ok(hmac::Key::new(hmac::HMAC_SHA256, key.expose()));
        }
        let mut key = Zeroizing::new(vec![0; 32]);
        app.engine.context.random.fill(&mut key)?;
        let key = SecretValue::new(key.to_vec());
        let sealed = escrow.seal(NAME, "", &key, None).map_err(KeyError::Seal)?;
        match store.commit(Change { seals: vec![sealed], ..Change::default() }).await {
            Ok(_) | Err(StoreError::Exists { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

const NAME: &str = "cluster-stamp-key/1";
