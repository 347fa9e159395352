//! In which order the members of a plan are carried out, where their systems have no room for all at once: whoever has the
//! longest chain of steps behind it first, so that no chain is left over at the end (critical-path list scheduling,
//! T. C. Hu, "Parallel sequencing and assembly line problems", 1961). Pure.

use remint_core::plan::Precedence;
use remint_core::step::Step;

/// Each member's number in that order, from 0, by the steps of each.
pub(super) fn ranks(members: &[&[Step]], precedences: &[Precedence]) -> Vec<u64> {
    let behind = behind(members, precedences);
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by_key(|&member| (std::cmp::Reverse(behind[member]), member));
    let mut ranks = vec![0; members.len()];
    for (number, member) in (0..).zip(order) {
        ranks[member] = number;
    }
    ranks
}

/// How many steps follow one another from each member's first step on.
fn behind(members: &[&[Step]], precedences: &[Precedence]) -> Vec<u32> {
    let node = |(member, step): (usize, Step)| member * Step::COUNT + step as usize;
    let has = |(member, step): (usize, Step)| members[member].contains(&step);
    // From a node to those that wait for it, and how many those are that are not counted yet.
    let mut edges: Vec<((usize, Step), (usize, Step))> = precedences
        .iter()
        .map(|row| (row.after, row.before))
        .filter(|&(after, before)| has(after) && has(before))
        .collect();
    edges.sort_unstable_by_key(|&(after, _)| node(after));
    let mut open = vec![0_u32; members.len() * Step::COUNT];
    for &(_, before) in &edges {
        open[node(before)] += 1;
    }
    let mut ready = Vec::new();
    for (member, steps) in members.iter().enumerate() {
        for &step in &steps[..steps.len().saturating_sub(1)] {
            open[node((member, step))] += 1;
        }
        ready.extend(steps.last().map(|&step| (member, step)).filter(|&last| open[node(last)] == 0));
    }
    let mut chain = vec![0_u32; open.len()];
    while let Some((member, step)) = ready.pop() {
        let at = node((member, step));
        chain[at] += 1;
        let steps = members[member];
        let own = steps.iter().position(|one| *one == step).and_then(|place| place.checked_sub(1));
        let own = own.map(|place| (member, steps[place]));
        let first = edges.partition_point(|&(after, _)| node(after) < at);
        let others = edges[first..].iter().take_while(|&&(after, _)| node(after) == at).map(|&(_, before)| before);
        for before in own.into_iter().chain(others) {
            let waits = node(before);
            chain[waits] = chain[waits].max(chain[at]);
            open[waits] -= 1;
            if open[waits] == 0 {
                ready.push(before);
            }
        }
    }
    let first = |(at, steps): (usize, &&[Step])| steps.first().map_or(0, |&step| chain[node((at, step))]);
    members.iter().enumerate().map(first).collect()
}

#[cfg(test)]
mod tests {
    use remint_core::plan::Row;

    use super::*;

    const STEPS: &[Step] = &[Step::Capture, Step::Mint, Step::Revoke];

    fn row(before: (usize, Step), after: (usize, Step)) -> Precedence {
        Precedence { before, after, row: Row::Read }
    }

    #[test]
    fn whoever_has_the_longest_chain_behind_it_is_first() {
        // 3 mints before 1, which mints before 2; and 3 is revoked only after 1 is. 0 and 4 stand alone.
        let rows = [
            row((3, Step::Mint), (1, Step::Capture)),
            row((1, Step::Mint), (2, Step::Mint)),
            row((1, Step::Revoke), (3, Step::Revoke)),
        ];
        assert_eq!(behind(&[STEPS; 5], &rows), [3, 4, 3, 6, 3]);
        assert_eq!(ranks(&[STEPS; 5], &rows), [2, 1, 3, 0, 4]);
    }

    #[test]
    fn a_step_that_a_member_does_not_have_holds_nobody() {
        let rows = [row((0, Step::Deliver), (1, Step::Capture)), row((1, Step::Capture), (2, Step::Deliver))];
        assert_eq!(ranks(&[STEPS, STEPS, &[]], &rows), [0, 1, 2]);
        assert_eq!(ranks(&[], &[]), [0_u64; 0]);
    }
}
