//! Work on each of many that needs none of the others, on two threads.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What `make` gives for each of `0..count`, in their order.
pub(crate) fn in_halves<T: Send>(count: usize, make: impl Fn(usize) -> T + Sync) -> Vec<T> {
    pieces(count, |range| range.map(&make).collect::<Vec<T>>()).into_iter().flatten().collect()
}

/// What `make` gives for each piece of `0..count`, in their order. Both threads take the next piece until none is left, so
/// that neither waits for the other where some cost more.
pub(crate) fn pieces<T: Send>(count: usize, make: impl Fn(Range<usize>) -> T + Sync) -> Vec<T> {
    if count < MANY {
        return vec![make(0..count)];
    }
    let next = AtomicUsize::new(0);
    let take = || {
        let mut made: Vec<(usize, T)> = Vec::new();
        loop {
            let start = next.fetch_add(PIECE, Ordering::Relaxed);
            if start >= count {
                return made;
            }
            made.push((start, make(start..count.min(start + PIECE))));
        }
    };
    let mut made = std::thread::scope(|scope| {
        let other = scope.spawn(take);
        let mut made = take();
        match other.join() {
            Ok(others) => made.extend(others),
            Err(panic) => std::panic::resume_unwind(panic),
        }
        made
    });
    made.sort_unstable_by_key(|(start, _)| *start);
    made.into_iter().map(|(_, made)| made).collect()
}

/// A smaller piece of work is done before a thread begins.
const MANY: usize = 4096;
/// How many a thread takes at once.
const PIECE: usize = 1024;
