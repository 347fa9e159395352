//! Strongly connected components by Tarjan's method, with its own stack: a cyclic graph of a million nodes needs no more
//! of the thread's stack than one of ten.

use super::Csr;

/// The components, each sorted, in reverse topological order (a component comes after all that it leads to).
#[must_use]
pub fn components(graph: &Csr) -> Vec<Vec<u32>> {
    of_at_least(1, graph)
}

/// The components of more than one node, in the same order.
#[must_use]
pub fn cycles(graph: &Csr) -> Vec<Vec<u32>> {
    of_at_least(2, graph)
}

/// The components of so many nodes.
fn of_at_least(least: usize, graph: &Csr) -> Vec<Vec<u32>> {
    let count = graph.len() as usize;
    let mut order = vec![UNSEEN; count];
    let mut low = vec![0_u32; count];
    let mut open: Vec<u32> = Vec::new();
    let mut is_open = vec![false; count];
    let mut work: Vec<(u32, usize)> = Vec::new();
    let mut next = 0;
    let mut found = Vec::new();
    for root in 0..graph.len() {
        if order[root as usize] != UNSEEN {
            continue;
        }
        work.push((root, graph.range(root).start));
        order[root as usize] = next;
        low[root as usize] = next;
        next += 1;
        open.push(root);
        is_open[root as usize] = true;
        while let Some((node, edge)) = work.pop() {
            if edge < graph.range(node).end {
                work.push((node, edge + 1));
                let target = graph.target_at(edge);
                let at = target as usize;
                if order[at] == UNSEEN {
                    order[at] = next;
                    low[at] = next;
                    next += 1;
                    open.push(target);
                    is_open[at] = true;
                    work.push((target, graph.range(target).start));
                } else if is_open[at] {
                    low[node as usize] = low[node as usize].min(order[at]);
                }
                continue;
            }
            if let Some(&(parent, _)) = work.last() {
                low[parent as usize] = low[parent as usize].min(low[node as usize]);
            }
            if low[node as usize] == order[node as usize] {
                let start = open.iter().rposition(|&member| member == node).unwrap_or_default();
                let members = &mut open[start..];
                for &member in &*members {
                    is_open[member as usize] = false;
                }
                if members.len() >= least {
                    members.sort_unstable();
                    found.push(members.to_vec());
                }
                open.truncate(start);
            }
        }
    }
    found
}

const UNSEEN: u32 = u32::MAX;
