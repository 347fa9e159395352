//! What happens in resets, kept for a while and numbered, so that whoever lost the connection goes on where he was.
//!
//! Guarantees: everybody gets the same events in the same order; at most [`KEPT`] are kept; whoever asks for one that is not
//! kept any more, or was another process's, is told so, and looks at the records.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

use crate::context::Context;
use crate::engine::Progress;
use crate::escrow::NoRandomness;
use crate::serve::Stopping;

/// What happened lately.
#[derive(Debug)]
pub(super) struct Events {
    /// Of this process: a number of another one means nothing here.
    epoch: String,
    kept: Mutex<Kept>,
    /// The number of the newest.
    newest: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Kept {
    events: VecDeque<Progress>,
    /// Of the first that is kept.
    first: u64,
}

/// Since when somebody wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Since {
    /// The next number.
    Next(u64),
    /// Some of what was asked for is gone.
    Gap(u64),
}

impl Events {
    pub(super) fn new(context: &Context) -> Result<Self, NoRandomness> {
        let kept = Mutex::new(Kept { events: VecDeque::new(), first: 1 });
        Ok(Self { epoch: context.hex(4)?, kept, newest: watch::Sender::new(0) })
    }

    /// Takes in what the engine tells, until the stop.
    pub(super) async fn gather(&self, mut told: Receiver<Progress>, stopping: Stopping) {
        let mut stopped = std::pin::pin!(stopping.stopped());
        loop {
            tokio::select! {
                () = &mut stopped => return,
                event = told.recv() => match event {
                    Ok(event) => self.take(event),
                    // The numbers go on, and nobody learns that some are missing: they are counted as gone.
                    Err(RecvError::Lagged(count)) => self.lose(count),
                    Err(RecvError::Closed) => return,
                },
            }
        }
    }

    fn take(&self, event: Progress) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.events.push_back(event);
        if kept.events.len() > KEPT {
            kept.events.pop_front();
            kept.first += 1;
        }
        let newest = kept.first + kept.events.len() as u64 - 1;
        drop(kept);
        self.newest.send_replace(newest);
    }

    fn lose(&self, count: u64) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = kept.first + kept.events.len() as u64 - 1 + count;
        kept.events.clear();
        kept.first = newest + 1;
        drop(kept);
        self.newest.send_replace(newest);
    }

    /// Where whoever saw this one last goes on; whoever saw none begins now.
    pub(super) fn since(&self, last: Option<&str>) -> Since {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let next = kept.first + kept.events.len() as u64;
        let Some(last) = last else { return Since::Next(next) };
        if last == "0" {
            // Everything that is kept.
            return Since::Next(kept.first);
        }
        let number = last.rsplit_once('-').filter(|(epoch, _)| *epoch == self.epoch);
        match number.and_then(|(_, number)| number.parse::<u64>().ok()) {
            Some(number) if number + 1 >= kept.first && number < next => Since::Next(number + 1),
            _ => Since::Gap(next),
        }
    }

    /// What is kept from a number on, each with its own; and whether some of it is gone.
    pub(super) fn from(&self, number: u64) -> (Vec<(u64, Progress)>, bool) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let skip = usize::try_from(number.saturating_sub(kept.first)).unwrap_or(usize::MAX);
        let numbered = (kept.first..).zip(kept.events.iter().cloned()).skip(skip);
        (numbered.collect(), number < kept.first)
    }

    /// The name of an event.
    pub(super) fn id(&self, number: u64) -> String {
        format!("{}-{number}", self.epoch)
    }

    /// Rings when there is another one.
    pub(super) fn bell(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }
}

/// So many are kept: those of a reset of thousands of credentials while a connection is made again.
const KEPT: usize = 16_384;

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use remint_contract::ResetId;

    use super::*;

    fn wave(number: usize) -> Progress {
        Progress::Wave { reset: ResetId("r-1".into()), number, of: KEPT * 2, at: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn whoever_comes_back_goes_on_where_he_was_and_learns_what_is_gone() {
        let events = Events::new(&Context::system()).unwrap();
        assert_eq!(events.since(None), Since::Next(1));
        for number in 0..5 {
            events.take(wave(number));
        }
        assert_eq!(events.since(Some(&events.id(3))), Since::Next(4));
        let (rest, gone) = events.from(4);
        assert_eq!((rest.len(), rest[0].0, gone), (2, 4, false));
        assert_eq!(events.since(Some("other-3")), Since::Gap(6));
        assert_eq!(events.since(Some(&events.id(99))), Since::Gap(6));
        for number in 0..KEPT {
            events.take(wave(number));
        }
        assert_eq!(events.since(Some(&events.id(3))), Since::Gap(KEPT as u64 + 6));
        assert!(events.from(4).1);
        events.lose(7);
        assert_eq!(events.since(Some(&events.id(KEPT as u64 + 5))), Since::Gap(KEPT as u64 + 13));
    }
}
