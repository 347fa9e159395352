//! Edges as compressed sparse rows: three flat arrays, no map anywhere.
//!
//! Rows are filled by counting, and each row, which is short, is sorted on its own: a graph costs one pass over its
//! edges however many there are.

use crate::estate::UnlockVerb;

/// `targets[offsets[n]..offsets[n + 1]]` are the ends of the edges that begin at `n`, ascending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Csr {
    offsets: Vec<u32>,
    targets: Vec<u32>,
    verbs: Vec<UnlockVerb>,
}

impl Csr {
    /// Sorts the edges, keeps equal ones once, and drops those that name no node.
    #[must_use]
    pub fn new(nodes: u32, mut edges: Vec<(u32, u32, UnlockVerb)>) -> Self {
        edges.retain(|edge| edge.0 < nodes && edge.1 < nodes);
        let mut ends = vec![0_usize; nodes as usize];
        for (from, ..) in &edges {
            ends[*from as usize] += 1;
        }
        let mut sum = 0;
        for end in &mut ends {
            sum += std::mem::replace(end, sum);
        }
        let mut rows = vec![(0, UnlockVerb::Read); edges.len()];
        for (from, to, verb) in edges {
            let end = &mut ends[from as usize];
            rows[*end] = (to, verb);
            *end += 1;
        }
        let mut offsets = Vec::with_capacity(nodes as usize + 1);
        let mut targets = Vec::with_capacity(rows.len());
        let mut verbs = Vec::with_capacity(rows.len());
        offsets.push(0);
        let mut start = 0;
        for end in ends {
            let row = &mut rows[start..end];
            row.sort_unstable();
            let mut last = None;
            for &edge in row.iter() {
                if last.replace(edge) != Some(edge) {
                    targets.push(edge.0);
                    verbs.push(edge.1);
                }
            }
            offsets.push(u32::try_from(targets.len()).unwrap_or(u32::MAX));
            start = end;
        }
        Self { offsets, targets, verbs }
    }

    /// How many nodes there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        u32::try_from(self.offsets.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The nodes that edges lead to from `node`.
    #[must_use]
    pub fn targets(&self, node: u32) -> &[u32] {
        &self.targets[self.range(node)]
    }

    /// The edges from `node`, with their verbs.
    pub fn edges(&self, node: u32) -> impl Iterator<Item = (u32, UnlockVerb)> + '_ {
        let range = self.range(node);
        self.targets[range.clone()].iter().copied().zip(self.verbs[range].iter().copied())
    }

    /// Every edge, ascending.
    pub fn all(&self) -> impl Iterator<Item = (u32, u32, UnlockVerb)> + '_ {
        (0..self.len()).flat_map(|node| self.edges(node).map(move |(target, verb)| (node, target, verb)))
    }

    /// The same edges, turned round.
    #[must_use]
    pub fn reversed(&self) -> Self {
        Self::new(self.len(), self.all().map(|(from, to, verb)| (to, from, verb)).collect())
    }

    pub(crate) fn range(&self, node: u32) -> std::ops::Range<usize> {
        self.offsets[node as usize] as usize..self.offsets[node as usize + 1] as usize
    }

    pub(crate) fn target_at(&self, index: usize) -> u32 {
        self.targets[index]
    }
}
