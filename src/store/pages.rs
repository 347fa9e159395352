//! The sealed values of a store, a few at a time: there may be more than memory should hold.

use crate::store::{Sealed, Store, StoreError};

/// Where the reading is.
pub struct Pages<'s> {
    store: &'s dyn Store,
    after: Option<String>,
}

impl<'s> Pages<'s> {
    #[must_use]
    pub fn of(store: &'s dyn Store) -> Self {
        Self { store, after: None }
    }

    /// The next values, in the order of their ids; `None` after the last. One that is sealed meanwhile may be missed.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn next(&mut self) -> Result<Option<Vec<Sealed>>, StoreError> {
        let page = self.store.sealed_after(self.after.as_deref(), PAGE).await?;
        let Some(last) = page.last() else { return Ok(None) };
        self.after = Some(last.id.clone());
        Ok(Some(page))
    }
}

const PAGE: usize = 512;
