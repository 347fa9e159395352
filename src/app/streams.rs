//! The streams that the configuration names.

use std::sync::Arc;

use super::{App, AppError, origin};
use crate::stream::{FileSink, Secret, Sender, Sink, Wanted, Webhook};

impl App {
    /// A sender for each stream of `remint.yaml`.
    ///
    /// # Errors
    /// One of them cannot be understood, or its secret not be read.
    pub fn streams(&self) -> Result<Vec<Sender>, AppError> {
        let wrong = |why: String| AppError::Config { path: self.folder.join("remint.yaml"), why };
        let mut senders = Vec::new();
        for to in &self.configuration.streams {
            let secret =
                Secret::read(&to.secret_file).map_err(|error| wrong(format!("stream {}: {error}", to.name)))?;
            let sink: Box<dyn Sink> = match (&to.webhook, &to.file) {
                (Some(url), None) => {
                    let made = Webhook::new(url, secret);
                    Box::new(made.map_err(|error| wrong(error.without_url().to_string()))?)
                }
                (None, Some(path)) => Box::new(FileSink::new(path.clone(), secret)),
                _ => return Err(wrong(format!("stream {}: name either a webhook or a file", to.name))),
            };
            if senders.iter().any(|sender: &Sender| sender.name() == to.name) {
                return Err(wrong(format!("two streams are called {}", to.name)));
            }
            senders.push(Sender::new(
                to.name.clone(),
                Wanted(to.only.clone()),
                sink,
                Arc::clone(&self.engine.store),
                Arc::clone(&self.engine.context.clock),
                self.engine.settings.holder.clone(),
                origin(self.key.verifier().name()),
            ));
        }
        Ok(senders)
    }
}
