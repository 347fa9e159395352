//! Streams: every entry of the log, told to somebody else as a CloudEvent, over a webhook or into a file.
//!
//! Flow: a [`Sender`] reads the log from where its stream stands, makes an [`Event`] of each entry that the stream wants,
//! and gives it to the sink. What is delivered moves the stream on; what is not is tried again, ever later; what cannot be
//! delivered becomes a dead letter, which is kept and is an entry itself. Notifications of other kinds go the same way:
//! there is one sender. Entries that call somebody ([`call`]) say so in
//! their event, and a stream may want those alone. A dead letter is tried once more when somebody asks for it ([`Sender::retry`]).
//!
//! Guarantees: at least once, in the order of the log, from the first entry on; an event has the same id however often it is
//! sent; a replica that does not hold the stream's lease sends nothing. Every event is signed ([`sign`]).

mod call;
mod event;
mod file;
mod sender;
mod sign;
mod webhook;

use async_trait::async_trait;
use jiff::Timestamp;

pub use call::{Call, Sort, call};
pub use event::Event;
pub use file::FileSink;
pub use sender::{DeadLetter, Retried, Sender, Status, StreamError, Wanted};
pub use sign::{Secret, SecretError};
pub use webhook::Webhook;

/// Where events go.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Delivers one event, or says what kept it.
    async fn send(&self, event: &Event, now: Timestamp) -> Result<(), Undelivered>;
}

/// Why an event was not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undelivered {
    /// Another time it may be.
    Later(String),
    /// Whoever is there does not want it, and will not.
    Never(String),
}
