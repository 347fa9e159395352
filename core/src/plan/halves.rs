//! Work on each of many that needs none of the others, on two threads.

use std::sync::atomic::{AtomicUsize, Ordering};

/// What `make` gives for each of `0..count`, in their order. Both threads take the next few until none are left, so that
/// neither waits for the other where some cost more.
pub(super) fn in_halves<T: Send>(count: usize, make: impl Fn(usize) -> T + Sync) -> Vec<T> {
    if count < MANY {
        return (0..count).map(make).collect();
    }
    let next = AtomicUsize::new(0);
    let take = || {
        let mut made: Vec<(usize, Vec<T>)> = Vec::new();
        loop {
            let start = next.fetch_add(FEW, Ordering::Relaxed);
            if start >= count {
                return made;
            }
            made.push((start, (start..count.min(start + FEW)).map(&make).collect()));
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
    made.into_iter().flat_map(|(_, made)| made).collect()
}

/// A smaller piece of work is done before a thread begins.
const MANY: usize = 4096;
/// How many a thread takes at once.
const FEW: usize = 512;
