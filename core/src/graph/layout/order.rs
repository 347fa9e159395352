//! The order within each column: barycentre sweeps, left to right and back, keeping the order with the fewest crossings.

use super::Layered;

/// Sorts every column.
pub(super) fn sort(layered: &mut Layered) {
    start(layered);
    let mut position = positions(layered);
    let mut best = layered.columns.clone();
    let mut fewest = crossings(layered, &position);
    for sweep in 0..layered.sweeps(SWEEPS) {
        if fewest == 0 {
            break;
        }
        let rightward = sweep % 2 == 0;
        let count = layered.columns.len();
        for step in 1..count {
            let column = if rightward { step } else { count - 1 - step };
            let sides = if rightward { &layered.before } else { &layered.after };
            let mut keyed: Vec<(f64, usize)> = layered.columns[column]
                .iter()
                .map(|&item| (barycentre(&sides[item], &position).unwrap_or(position[item]), item))
                .collect();
            // Stable: equals keep the order of the sweep before.
            keyed.sort_by(|one, other| one.0.total_cmp(&other.0));
            layered.columns[column] = keyed.into_iter().map(|(_, item)| item).collect();
            number(&layered.columns[column], &mut position);
        }
        let now = crossings(layered, &position);
        if now < fewest {
            fewest = now;
            best.clone_from(&layered.columns);
        }
    }
    layered.columns = best;
}

/// A depth-first walk gives siblings neighbouring places: trees have no crossing from the start.
fn start(layered: &mut Layered) {
    let mut seen = vec![false; layered.column.len()];
    let mut columns = vec![Vec::new(); layered.columns.len()];
    let mut work = Vec::new();
    let roots: Vec<usize> = layered.columns.iter().flatten().copied().collect();
    for root in roots {
        work.push(root);
        while let Some(item) = work.pop() {
            if std::mem::replace(&mut seen[item], true) {
                continue;
            }
            columns[layered.column[item]].push(item);
            work.extend(layered.after[item].iter().rev().filter(|&&next| !seen[next]));
        }
    }
    layered.columns = columns;
}

fn positions(layered: &Layered) -> Vec<f64> {
    let mut position = vec![0.0; layered.column.len()];
    for column in &layered.columns {
        number(column, &mut position);
    }
    position
}

fn number(column: &[usize], position: &mut [f64]) {
    for (item, place) in column.iter().zip(0_u32..) {
        position[*item] = f64::from(place);
    }
}

fn barycentre(neighbours: &[usize], position: &[f64]) -> Option<f64> {
    let count = u32::try_from(neighbours.len()).ok().filter(|&count| count > 0)?;
    Some(neighbours.iter().map(|&item| position[item]).sum::<f64>() / f64::from(count))
}

/// How many pairs of short edges cross, counted column by column with a tree of prefix sums.
fn crossings(layered: &Layered, position: &[f64]) -> usize {
    let mut total = 0;
    for pair in layered.columns.windows(2) {
        let mut tree = vec![0_usize; pair[1].len() + 1];
        let mut before = 0;
        for &item in &pair[0] {
            let mut ends: Vec<usize> = layered.after[item].iter().map(|&to| rank(position[to])).collect();
            ends.sort_unstable();
            total += ends.iter().map(|&end| before - sum(&tree, end + 1)).sum::<usize>();
            for &end in &ends {
                add(&mut tree, end + 1);
                before += 1;
            }
        }
    }
    total
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small whole number, never negative")]
fn rank(position: f64) -> usize {
    position as usize
}

/// How many ends lie at a rank below `at`.
fn sum(tree: &[usize], mut at: usize) -> usize {
    let mut total = 0;
    while at > 0 {
        total += tree[at];
        at &= at - 1;
    }
    total
}

fn add(tree: &mut [usize], mut at: usize) {
    while at < tree.len() {
        tree[at] += 1;
        at += at & at.wrapping_neg();
    }
}

const SWEEPS: usize = 16;
