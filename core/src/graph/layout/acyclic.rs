//! Which edges to turn round, so that no cycle is left: those that lead back into the path of a depth-first walk.

/// True for each edge that closes a cycle. The walk begins at `first`, then where nothing leads in, then anywhere.
pub(super) fn back_edges(count: usize, edges: &[(usize, usize)], first: &[usize]) -> Vec<bool> {
    let mut outgoing = vec![Vec::new(); count];
    let mut led_to = vec![false; count];
    for (index, &(from, to)) in edges.iter().enumerate() {
        outgoing[from].push((index, to));
        led_to[to] = true;
    }
    let roots = first.iter().copied().chain((0..count).filter(|&node| !led_to[node])).chain(0..count);
    let mut seen = vec![false; count];
    let mut on_path = vec![false; count];
    let mut backward = vec![false; edges.len()];
    let mut work: Vec<(usize, usize)> = Vec::new();
    for root in roots {
        if std::mem::replace(&mut seen[root], true) {
            continue;
        }
        on_path[root] = true;
        work.push((root, 0));
        while let Some((node, next)) = work.pop() {
            let Some(&(index, to)) = outgoing[node].get(next) else {
                on_path[node] = false;
                continue;
            };
            work.push((node, next + 1));
            if on_path[to] {
                backward[index] = true;
            } else if !std::mem::replace(&mut seen[to], true) {
                on_path[to] = true;
                work.push((to, 0));
            }
        }
    }
    backward
}
