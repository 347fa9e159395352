//! The heights: every item as near to its neighbours as the order and the boxes' sizes allow.
//!
//! Column by column, the sum of squared edge lengths is made the least it can be with the neighbours held still: an
//! isotonic regression by pooling adjacent violators. A few sweeps settle the whole.

use super::{ABOVE, Layered};

/// The middle of each item; the smallest box begins at 0.
pub(super) fn heights(layered: &Layered) -> Vec<i32> {
    let mut middle = vec![0.0; layered.column.len()];
    for column in &layered.columns {
        let offsets = offsets(layered, column);
        let half = offsets.last().copied().unwrap_or(0.0) / 2.0;
        for (&item, offset) in column.iter().zip(offsets) {
            middle[item] = offset - half;
        }
    }
    let count = layered.columns.len();
    for sweep in 0..layered.sweeps(SWEEPS) {
        for step in 0..count {
            let column = if sweep % 2 == 0 { step } else { count - 1 - step };
            settle(layered, &layered.columns[column], &mut middle);
        }
    }
    let top = layered
        .columns
        .iter()
        .flatten()
        .map(|&item| middle[item] - f64::from(layered.height[item]) / 2.0)
        .fold(f64::INFINITY, f64::min);
    middle.into_iter().map(|middle| whole(middle - if top.is_finite() { top } else { 0.0 })).collect()
}

/// Places one column for its neighbours.
fn settle(layered: &Layered, column: &[usize], middle: &mut [f64]) {
    let offsets = offsets(layered, column);
    // Blocks of items that touch: their weight, the weighted sum of their wishes, and how many they are.
    let mut blocks: Vec<(f64, f64, usize)> = Vec::new();
    for (&item, offset) in column.iter().zip(&offsets) {
        let (mut weight, mut sum) = (0.0, 0.0);
        for &other in layered.before[item].iter().chain(&layered.after[item]) {
            let pull = match (layered.bend[item], layered.bend[other]) {
                (true, true) => 6.0,
                (true, false) | (false, true) => 2.0,
                (false, false) => 1.0,
            };
            weight += pull;
            sum += pull * (middle[other] - offset);
        }
        let mut block = if weight > 0.0 { (weight, sum, 1) } else { (0.01, 0.01 * (middle[item] - offset), 1) };
        while let Some(&last) = blocks.last().filter(|last| last.1 / last.0 > block.1 / block.0) {
            blocks.pop();
            block = (block.0 + last.0, block.1 + last.1, block.2 + last.2);
        }
        blocks.push(block);
    }
    let values = blocks.iter().flat_map(|block| std::iter::repeat_n(block.1 / block.0, block.2));
    for ((&item, offset), value) in column.iter().zip(offsets).zip(values) {
        middle[item] = value + offset;
    }
}

/// How far below the first item's middle each one's must be at the least.
fn offsets(layered: &Layered, column: &[usize]) -> Vec<f64> {
    let mut offsets = Vec::with_capacity(column.len());
    let mut at = 0.0;
    for (index, &item) in column.iter().enumerate() {
        if let Some(&above) = index.checked_sub(1).and_then(|above| column.get(above)) {
            let gap = if layered.bend[item] && layered.bend[above] { 0 } else { ABOVE };
            // Rounded up to a whole number: rounding the middles then keeps the distance.
            at += f64::from((layered.height[above] + layered.height[item] + 1) / 2 + gap);
        }
        offsets.push(at);
    }
    offsets
}

#[expect(clippy::cast_possible_truncation, reason = "a picture's height is far within 32 bits")]
fn whole(value: f64) -> i32 {
    value.round() as i32
}

const SWEEPS: usize = 40;
