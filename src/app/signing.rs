//! Which key signs the log of a state.
//!
//! A version of a key that is kept elsewhere, where one is written down; else the key that lies sealed in the state; else, for
//! a log that has neither, what the configuration names, and a new sealed key where it names nothing. So a log whose
//! configuration comes to name a key elsewhere goes on under its own until `log rotate-key` names the other one in it.

use std::sync::Arc;

use super::{AppError, FIRST_ORIGIN, Places, origin, successor};
use crate::escrow::{Escrow, SystemRandomness};
use crate::evidence::elsewhere::{kept, kept_by, newest};
use crate::evidence::key::{self, is_there, open_or_create, open_or_create_in};
use crate::evidence::signer::Signer;
use crate::keeper::Keeper;
use crate::store::Store;

/// Opens the key, or makes it.
pub(super) async fn open(
    places: &Places,
    raw: &dyn Store,
    keeper: Option<&Arc<Keeper>>,
    escrow: &Escrow,
) -> Result<Arc<dyn Signer>, AppError> {
    match keeper {
        Some(keeper) => {
            if let Some(signer) = kept_by(keeper, raw).await? {
                return Ok(Arc::new(signer));
            }
        }
        None if kept(raw).await? => return Err(AppError::Elsewhere),
        None => {}
    }
    let there = match &places.store {
        None => is_there(&places.state),
        Some(_) => raw.sealed(key::ID).await?.is_some(),
    };
    // A log whose key is gone is not continued by another key of the same name.
    let name = match raw.checkpoint().await? {
        Some((_, note)) if !there => successor(&origin(&note)),
        _ => FIRST_ORIGIN.to_owned(),
    };
    if let Some(keeper) = keeper.filter(|_| !there) {
        let signer = newest(keeper, &name).await?;
        signer.keep(raw).await?;
        return Ok(Arc::new(signer));
    }
    Ok(match &places.store {
        None => Arc::new(open_or_create(&places.state, &name, escrow, &SystemRandomness)?),
        Some(_) => Arc::new(open_or_create_in(raw, &name, escrow, &SystemRandomness).await?),
    })
}
