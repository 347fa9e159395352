//! Events into a file: one JSON object a line, appended and synced before the stream moves on.
//!
//! The last member of each object is `signature`, over the object without it: take `,"signature":"…"` away from before the
//! last brace, and what is left is the body. Its timestamp is the one in `signedat`.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use async_trait::async_trait;
use jiff::Timestamp;

use super::sign::Secret;
use super::{Event, Sink, Undelivered};

/// A file that takes events.
pub struct FileSink {
    path: PathBuf,
    secret: Secret,
}

impl FileSink {
    #[must_use]
    pub const fn new(path: PathBuf, secret: Secret) -> Self {
        Self { path, secret }
    }

    /// What is appended.
    fn line(&self, event: &Event, now: Timestamp) -> String {
        let second = now.as_second();
        let open = event.body.strip_suffix('}').unwrap_or(&event.body);
        let body = format!("{open},\"signedat\":\"{second}\"}}");
        let signature = self.secret.sign(&event.id, second, &body);
        format!("{},\"signature\":\"{signature}\"}}\n", &body[..body.len() - 1])
    }
}

#[async_trait]
impl Sink for FileSink {
    async fn send(&self, event: &Event, now: Timestamp) -> Result<(), Undelivered> {
        let line = self.line(event, now);
        let path = self.path.clone();
        let written = tokio::task::spawn_blocking(move || {
            let mut file = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
            file.write_all(line.as_bytes())?;
            file.sync_data()
        });
        match written.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Undelivered::Later(error.to_string())),
            Err(error) => Err(Undelivered::Later(error.to_string())),
        }
    }
}
