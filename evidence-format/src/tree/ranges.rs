//! Which subtrees a proof is made of, and which perfect subtrees those are made of: the arithmetic, without a hash.

use std::ops::Range;

/// The subtrees whose roots prove that leaf `index` is in the tree of `size` leaves, from the leaf up.
pub(crate) fn inclusion(index: u64, size: u64) -> Option<Vec<Range<u64>>> {
    if index >= size {
        return None;
    }
    let mut ranges = Vec::new();
    let (mut low, mut high) = (0, size);
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            ranges.push(middle..high);
            high = middle;
        } else {
            ranges.push(low..middle);
            low = middle;
        }
    }
    ranges.reverse();
    Some(ranges)
}

/// The subtrees whose roots prove that the tree of `old` leaves is the beginning of that of `new`.
pub(crate) fn consistency(old: u64, new: u64) -> Option<Vec<Range<u64>>> {
    if old > new {
        return None;
    }
    if old == 0 || old == new {
        return Some(Vec::new());
    }
    let mut ranges = Vec::new();
    let (mut low, mut high) = (0, new);
    while high != old {
        let middle = low + split(high - low);
        if old <= middle {
            ranges.push(middle..high);
            high = middle;
        } else {
            ranges.push(low..middle);
            low = middle;
        }
    }
    // The old tree's own root is known to the verifier and left out.
    if low > 0 {
        ranges.push(low..high);
    }
    ranges.reverse();
    Some(ranges)
}

/// The perfect subtrees of a range, the leftmost and largest first, each as its height and its place among those of that
/// height. The range begins at a multiple of a power of two that is not below its length.
pub(crate) fn perfect(range: Range<u64>) -> impl Iterator<Item = (u32, u64)> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        let left = range.end.checked_sub(at).filter(|left| *left > 0)?;
        let height = left.ilog2();
        let place = at >> height;
        at += 1 << height;
        Some((height, place))
    })
}

/// The largest power of two below `size`, for a `size` above 1.
fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}
