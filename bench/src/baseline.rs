//! What `reach` is measured against: breadth-first search over flat arrays, as one would write it in a minute.
//!
//! FROZEN. It is a yardstick: not to be tuned, extended or shared with the code that it measures.

/// Which nodes are reached from `start`; 1 is reached.
pub(crate) fn breadth_first(offsets: &[u32], targets: &[u32], start: u32) -> Vec<u8> {
    let mut visited = vec![0_u8; offsets.len() - 1];
    let mut queue = Vec::new();
    visited[start as usize] = 1;
    queue.push(start);
    let mut head = 0;
    while head < queue.len() {
        let node = queue[head] as usize;
        head += 1;
        for &target in &targets[offsets[node] as usize..offsets[node + 1] as usize] {
            if visited[target as usize] == 0 {
                visited[target as usize] = 1;
                queue.push(target);
            }
        }
    }
    visited
}
