//! Calls that are under way: counted while they are, and landed when their caller goes away.

use crate::sim::world::World;

/// Counts a call for as long as its caller waits.
pub(super) struct InFlight<'a>(pub(super) &'a World, pub(super) &'a str);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.end(self.1);
    }
}

/// Lands a request whose caller went away, when it was under way already.
pub(super) struct UnderWay(pub(super) Option<Box<dyn FnOnce() + Send>>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(land) = self.0.take() {
            land();
        }
    }
}
