//! A layered layout: boxes in columns, so that every edge but those that close a cycle runs from left to right.
//!
//! Columns and not rows, because names are wide and short: forty siblings side by side make a picture nobody can scroll,
//! forty below one another are a list.
//!
//! Flow: [`acyclic`] turns back edges round; [`layers`] gives each node its column by longest path; long edges get a
//! bend in each column they cross, shared by all edges of one source; [`order`] sorts each column by barycentre, some
//! sweeps, keeping the best; [`place`] finds the heights. Nodes without an edge stand in a grid below.
//!
//! Guarantees: deterministic; no two boxes overlap; nothing recurses; sweeps are bounded, so that time grows with
//! edges times columns and no faster.

mod acyclic;
mod layers;
mod order;
mod place;

/// The size of a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) width: i32,
    pub(super) height: i32,
}

/// A point; of a box, its upper left corner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Point {
    pub(super) x: i32,
    pub(super) y: i32,
}

/// Where everything goes. Boxes and routes in the order in which nodes and edges were given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) boxes: Vec<Point>,
    /// The columns' left sides and widths; every box of a column may be drawn this wide.
    pub(super) columns: Vec<(i32, i32)>,
    /// The column of each node; `None` in the grid below.
    pub(super) column: Vec<Option<usize>>,
    pub(super) routes: Vec<Route>,
    /// How wide and how tall the whole is.
    pub(super) size: Size,
}

/// The way of one edge.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Route {
    /// The columns that it crosses and the height at which it does so, from left to right.
    pub(super) bends: Vec<(usize, i32)>,
    /// It closes a cycle: it runs from right to left.
    pub(super) backward: bool,
}

/// Columns of nodes and bends, and the short edges between neighbouring columns.
struct Layered {
    /// Per item its column, height, and whether it is a bend.
    column: Vec<usize>,
    height: Vec<i32>,
    bend: Vec<bool>,
    columns: Vec<Vec<usize>>,
    /// Per item, items of the column before and of the column after.
    before: Vec<Vec<usize>>,
    after: Vec<Vec<usize>>,
}

/// Lays out boxes and edges (pairs of indexes, no loops). `first` are the nodes to begin with, at the left.
pub(super) fn lay_out(sizes: &[Size], edges: &[(usize, usize)], first: &[usize]) -> Layout {
    let count = sizes.len();
    let mut linked = vec![false; count];
    for &(from, to) in edges {
        linked[from] = true;
        linked[to] = true;
    }
    let backward = acyclic::back_edges(count, edges, first);
    let forward: Vec<(usize, usize)> =
        edges.iter().zip(&backward).map(|(&(from, to), &back)| if back { (to, from) } else { (from, to) }).collect();
    let layer = layers::assign(count, &forward, first);
    let (mut layered, chains) = bend(sizes, &linked, &layer, &forward);
    order::sort(&mut layered);
    let middle = place::heights(&layered);

    let columns = widths(sizes, &linked, &layer);
    let mut boxes = vec![Point::default(); count];
    let mut column = vec![None; count];
    let mut size = Size { width: columns.last().map_or(0, |&(x, width)| x + width), height: 0 };
    for node in (0..count).filter(|&node| linked[node]) {
        boxes[node] = Point { x: columns[layer[node]].0, y: middle[node] - sizes[node].height / 2 };
        column[node] = Some(layer[node]);
        size.height = size.height.max(boxes[node].y + sizes[node].height);
    }
    for (item, &middle) in middle.iter().enumerate().skip(count) {
        size.height = size.height.max(middle + layered.height[item] / 2);
    }
    grid(sizes, &linked, &mut boxes, &mut size);
    let routes = chains
        .into_iter()
        .zip(backward)
        .map(|(chain, backward)| Route {
            bends: chain.into_iter().map(|item| (layered.column[item], middle[item])).collect(),
            backward,
        })
        .collect();
    Layout { boxes, columns, column, routes, size }
}

/// Puts a bend into every column that an edge crosses; edges of one source share theirs.
fn bend(sizes: &[Size], linked: &[bool], layer: &[usize], edges: &[(usize, usize)]) -> (Layered, Vec<Vec<usize>>) {
    let count = sizes.len();
    let deepest = (0..count).filter(|&node| linked[node]).map(|node| layer[node]).max();
    let mut layered = Layered {
        column: layer.to_vec(),
        height: sizes.iter().map(|size| size.height).collect(),
        bend: vec![false; count],
        columns: vec![Vec::new(); deepest.map_or(0, |deepest| deepest + 1)],
        before: vec![Vec::new(); count],
        after: vec![Vec::new(); count],
    };
    for node in (0..count).filter(|&node| linked[node]) {
        layered.columns[layer[node]].push(node);
    }
    let mut shared: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut chains = Vec::with_capacity(edges.len());
    for &(from, to) in edges {
        let crossed = layer[to] - layer[from] - 1;
        while shared[from].len() < crossed {
            let last = shared[from].last().copied().unwrap_or(from);
            let item = layered.bend_after(last);
            shared[from].push(item);
        }
        let chain = shared[from][..crossed].to_vec();
        layered.link(chain.last().copied().unwrap_or(from), to);
        chains.push(chain);
    }
    (layered, chains)
}

impl Layered {
    /// How often to go over the columns: fewer times the more there is, so that a tangle never stalls.
    fn sweeps(&self, most: usize) -> usize {
        (WORK / self.column.len().max(1)).clamp(2, most)
    }

    fn bend_after(&mut self, last: usize) -> usize {
        let item = self.column.len();
        let column = self.column[last] + 1;
        self.column.push(column);
        self.height.push(BEND);
        self.bend.push(true);
        self.before.push(Vec::new());
        self.after.push(Vec::new());
        self.columns[column].push(item);
        self.link(last, item);
        item
    }

    fn link(&mut self, from: usize, to: usize) {
        if !self.after[from].contains(&to) {
            self.after[from].push(to);
            self.before[to].push(from);
        }
    }
}

/// Each column as wide as its widest box, with room for the edges between.
fn widths(sizes: &[Size], linked: &[bool], layer: &[usize]) -> Vec<(i32, i32)> {
    let mut widths: Vec<i32> = Vec::new();
    for node in (0..sizes.len()).filter(|&node| linked[node]) {
        if widths.len() <= layer[node] {
            widths.resize(layer[node] + 1, 0);
        }
        widths[layer[node]] = widths[layer[node]].max(sizes[node].width);
    }
    let mut x = 0;
    widths
        .into_iter()
        .map(|width| {
            let column = (x, width);
            x += width + BETWEEN;
            column
        })
        .collect()
}

/// Nodes without an edge, in rows below the rest.
fn grid(sizes: &[Size], linked: &[bool], boxes: &mut [Point], size: &mut Size) {
    let alone: Vec<usize> = (0..sizes.len()).filter(|&node| !linked[node]).collect();
    let widest = alone.iter().map(|&node| sizes[node].width).max().unwrap_or(0);
    let tallest = alone.iter().map(|&node| sizes[node].height).max().unwrap_or(0);
    // As many as fit under the rest, and at least so many that the grid is no tower.
    let square = (alone.len() / 3).isqrt() + 1;
    let fit = usize::try_from((size.width + ASIDE) / (widest + ASIDE)).unwrap_or(1);
    let across = fit.max(square).max(1);
    let top = if size.height > 0 { size.height + BELOW } else { 0 };
    for (index, &node) in alone.iter().enumerate() {
        let (row, place) = (as_i32(index / across), as_i32(index % across));
        boxes[node] = Point { x: place * (widest + ASIDE), y: top + row * (tallest + ABOVE) };
        size.width = size.width.max(boxes[node].x + widest);
        size.height = size.height.max(boxes[node].y + tallest);
    }
}

fn as_i32(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// Items looked at in all sweeps together, about.
const WORK: usize = 100_000;
/// The height that a bend keeps free for itself.
const BEND: i32 = 8;
/// Between columns.
const BETWEEN: i32 = 78;
/// Between boxes of a column.
const ABOVE: i32 = 12;
/// Between boxes of the grid, and above it.
const ASIDE: i32 = 24;
const BELOW: i32 = 44;

#[cfg(test)]
mod tests;
