//! The keys of the key file, wherever they are kept, and whoever wraps them.

use zeroize::Zeroizing;

use super::{AppError, Places};
use crate::config::{Configuration, Environment};
use crate::escrow::kek::{Fresh, Lines, Opened, edit};
use crate::escrow::{Keeping, Kek, KekError, SystemRandomness};
use crate::keeper::Keeper;

/// The way to what wraps the keys of the key file; `None` where they lie there in the clear.
pub(super) fn wrapping(configuration: &Configuration) -> Result<Option<Keeper>, AppError> {
    let keeper = configuration.keys.as_ref().map(Keeper::open).transpose();
    keeper.map_err(|error| AppError::Keeper("`keys`", error))
}

impl Places {
    /// The key-encryption key, from wherever it is kept; what is wrapped there is unwrapped by its service.
    ///
    /// # Errors
    /// It is not there, or kept where others can read it; or its service does not unwrap it.
    pub async fn keys(&self, wrapping: Option<&Keeper>) -> Result<Kek, KekError> {
        let lines = self.lines()?;
        let mut opened = Opened::new();
        if let Some(keeper) = wrapping {
            for word in lines.wrapped() {
                let key = keeper.unwrap(word).await.map_err(|source| self.refused(source))?;
                opened.insert(word.to_owned(), key);
            }
        }
        lines.kek(&opened)
    }

    /// Makes the key file where one has to lie and none does; its keys are wrapped where the configuration says by whom.
    ///
    /// # Errors
    /// It cannot be made.
    pub async fn make_keys(&self) -> Result<(), AppError> {
        let Keeping::File(path) = Keeping::of(&self.kek) else { return Ok(()) };
        match wrapping(&Configuration::read(&self.state)?)? {
            Some(keeper) if !path.exists() => {
                let keys = [self.fresh(Some(&keeper)).await?, self.fresh(Some(&keeper)).await?];
                Kek::create_wrapped(&path, &self.state, &keys)?;
            }
            _ => {
                Kek::create(&path, &self.state, self.same_folder, &SystemRandomness)?;
            }
        }
        Ok(())
    }

    /// A new key, wrapped where there is somebody who wraps.
    ///
    /// # Errors
    /// There is no randomness, or the service does not wrap it.
    pub async fn fresh(&self, wrapping: Option<&Keeper>) -> Result<Fresh, KekError> {
        let key = Fresh::new(&SystemRandomness)?;
        let Some(keeper) = wrapping else { return Ok(key) };
        let word = keeper.wrap(key.key()).await.map_err(|source| self.refused(source))?;
        Ok(key.wrapped(word))
    }

    /// Has the service wrap what lies in the key file in the clear; how many keys that were.
    ///
    /// # Errors
    /// The service does not wrap one of them: then the file stays as it is. The file is not ours to change.
    pub async fn wrap(&self, keeper: &Keeper) -> Result<usize, KekError> {
        let lines = self.lines()?;
        let mut wrapped = Vec::new();
        for key in lines.plain() {
            let bytes = lines.key(key)?;
            let word = keeper.wrap(bytes.as_ref()).await.map_err(|source| self.refused(source))?;
            wrapped.push((Zeroizing::new(key.to_owned()), word));
        }
        if !wrapped.is_empty() {
            edit::wrap(&self.kek, &wrapped)?;
        }
        Ok(wrapped.len())
    }

    fn lines(&self) -> Result<Lines, KekError> {
        match Keeping::of(&self.kek) {
            Keeping::Environment(name) => {
                let text = Environment::secret(&name).ok_or_else(|| KekError::NotSet(name.clone()))?;
                Lines::of_environment(&name, &text)
            }
            Keeping::File(path) | Keeping::Folder(path) => Lines::read(&path, &self.state, self.same_folder),
        }
    }

    fn refused(&self, source: crate::keeper::KeeperError) -> KekError {
        KekError::Service { kept: Keeping::of(&self.kek), source }
    }
}
