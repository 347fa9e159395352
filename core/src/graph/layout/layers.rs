//! The column of each node: one more than the furthest that leads to it.

/// Columns by longest path. What nothing leads to stands just before the nearest that it leads to, so that a reader is
/// drawn beside what it reads; `first` stay at the left.
pub(super) fn assign(count: usize, edges: &[(usize, usize)], first: &[usize]) -> Vec<usize> {
    let mut outgoing = vec![Vec::new(); count];
    let mut missing = vec![0_usize; count];
    for &(from, to) in edges {
        outgoing[from].push(to);
        missing[to] += 1;
    }
    let sources: Vec<usize> = (0..count).filter(|&node| missing[node] == 0).collect();
    let mut layer = vec![0; count];
    let mut ready = sources.clone();
    while let Some(node) = ready.pop() {
        for &to in &outgoing[node] {
            layer[to] = layer[to].max(layer[node] + 1);
            missing[to] -= 1;
            if missing[to] == 0 {
                ready.push(to);
            }
        }
    }
    for source in sources.into_iter().filter(|source| !first.contains(source)) {
        layer[source] = outgoing[source].iter().map(|&to| layer[to] - 1).min().unwrap_or(0);
    }
    layer
}
