//! Three families of graphs, each from its seed: the same numbers on every machine.

use remint_core::estate::UnlockVerb;

/// From, to.
pub(super) type Edges = Vec<(u32, u32)>;

type Maker = fn(u32, usize) -> Edges;

/// A family's name and how it is made, for so many nodes and edges.
pub(super) const FAMILIES: [(&str, Maker); 3] = [("random", random), ("scale-free", scale_free), ("layered", layered)];

/// Both ends uniform. One giant strongly connected part.
fn random(nodes: u32, edges: usize) -> Edges {
    let mut dice = Dice(1);
    (0..edges).map(|_| (dice.below(nodes), dice.below(nodes))).collect()
}

/// New nodes link to ends of earlier edges, so a few hubs have very many; half of the edges point back from the hubs.
fn scale_free(nodes: u32, edges: usize) -> Edges {
    let mut dice = Dice(2);
    let mut found: Edges = Vec::with_capacity(edges);
    found.push((0, 1));
    for edge in 1..edges {
        let node = u32::try_from(edge as u64 * u64::from(nodes) / edges as u64).unwrap_or(0);
        let (from, to) = found[dice.below(u32::try_from(found.len()).unwrap_or(u32::MAX)) as usize];
        let hub = if dice.below(2) == 0 { from } else { to };
        found.push(if dice.below(2) == 0 { (hub, node) } else { (node, hub) });
    }
    found
}

/// Chains a thousand layers deep; one edge in twenty leads back to a random node, so nearly all of it is one cycle.
fn layered(nodes: u32, edges: usize) -> Edges {
    let mut dice = Dice(3);
    let width = (nodes / LAYERS).max(1);
    (0..edges)
        .map(|edge| {
            let from = u32::try_from(edge as u64 % u64::from(nodes)).unwrap_or(0);
            let next = (from / width + 1) * width;
            let back = dice.below(20) == 0 || next + width > nodes;
            (from, if back { dice.below(from.max(1)) } else { next + dice.below(width) })
        })
        .collect()
}

const LAYERS: u32 = 1000;

/// One of the verbs that reach follows, the same for the same edge.
pub(super) fn verb(from: u32, to: u32) -> UnlockVerb {
    [UnlockVerb::Read, UnlockVerb::Mint, UnlockVerb::Admin][(from ^ to) as usize % 3]
}

/// The baseline's arrays.
pub(super) fn flat(nodes: u32, edges: &Edges) -> (Vec<u32>, Vec<u32>) {
    let mut offsets = vec![0_u32; nodes as usize + 1];
    for &(from, _) in edges {
        offsets[from as usize + 1] += 1;
    }
    for at in 1..offsets.len() {
        offsets[at] += offsets[at - 1];
    }
    let (mut next, mut targets) = (offsets.clone(), vec![0_u32; edges.len()]);
    for &(from, to) in edges {
        targets[next[from as usize] as usize] = to;
        next[from as usize] += 1;
    }
    (offsets, targets)
}

/// SplitMix64.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.next() % u64::from(bound.max(1))).unwrap_or(0)
    }
}
