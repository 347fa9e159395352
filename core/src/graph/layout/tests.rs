use proptest::prelude::*;

use super::*;

fn check(sizes: &[Size], edges: &[(usize, usize)], first: &[usize]) -> Layout {
    let layout = lay_out(sizes, edges, first);
    for (&(from, to), route) in edges.iter().zip(&layout.routes) {
        let (from, to) = if route.backward { (to, from) } else { (from, to) };
        let (left, right) = (layout.boxes[from].x + sizes[from].width, layout.boxes[to].x);
        assert!(left < right, "the edge from {from} to {to} does not run to the right: {left} and {right}");
        let columns: Vec<usize> = route.bends.iter().map(|bend| bend.0).collect();
        let between: Vec<usize> = (layout.column[from].unwrap() + 1..layout.column[to].unwrap()).collect();
        assert_eq!(columns, between, "a bend in every column it crosses");
    }
    for one in 0..sizes.len() {
        let (at, size) = (layout.boxes[one], sizes[one]);
        assert!(at.x >= 0 && at.y >= 0 && at.x + size.width <= layout.size.width, "{one} is outside");
        assert!(at.y + size.height <= layout.size.height, "{one} is below the picture");
        for (other, &its) in sizes.iter().enumerate().skip(one + 1) {
            let there = layout.boxes[other];
            let apart = at.x + size.width <= there.x
                || there.x + its.width <= at.x
                || at.y + size.height <= there.y
                || there.y + its.height <= at.y;
            assert!(apart, "{one} at {at:?} and {other} at {there:?} overlap");
        }
    }
    layout
}

fn any_size() -> impl Strategy<Value = Size> {
    (20..200_i32, 15..61_i32).prop_map(|(width, height)| Size { width, height })
}

proptest! {
    #[test]
    fn edges_run_to_the_right_and_no_two_boxes_overlap(
        sizes in proptest::collection::vec(any_size(), 1..40),
        pairs in proptest::collection::vec((0..40_usize, 0..40_usize), 0..90),
        start in 0..40_usize,
    ) {
        let count = sizes.len();
        let edges: Vec<_> = pairs.into_iter().map(|(a, b)| (a % count, b % count)).filter(|(a, b)| a != b).collect();
        let layout = check(&sizes, &edges, &[start % count]);
        prop_assert_eq!(&layout, &lay_out(&sizes, &edges, &[start % count]));
        let acyclic: Vec<_> = edges.iter().copied().filter(|(from, to)| from < to).collect();
        let layout = check(&sizes, &acyclic, &[]);
        prop_assert!(layout.routes.iter().all(|route| !route.backward), "nothing is turned round where no cycle is");
    }
}

#[test]
fn a_box_is_passed_by_long_edges_and_never_crossed() {
    let sizes = vec![Size { width: 100, height: 40 }; 5];
    let edges = [(0, 1), (1, 2), (0, 3), (3, 2), (0, 2), (2, 4), (0, 4)];
    let layout = check(&sizes, &edges, &[0]);
    for route in &layout.routes {
        for &(column, y) in &route.bends {
            for node in (0..5).filter(|&node| layout.column[node] == Some(column)) {
                let top = layout.boxes[node].y;
                assert!(y < top || y > top + 40, "the bend at {y} runs through the box {node} at {top}");
            }
        }
    }
}

#[test]
fn a_tree_has_no_crossing_and_a_parent_stands_between_its_children() {
    let sizes = vec![Size { width: 100, height: 40 }; 7];
    let layout = check(&sizes, &[(0, 1), (0, 2), (1, 3), (1, 4), (2, 5), (2, 6)], &[0]);
    let y: Vec<i32> = layout.boxes.iter().map(|point| point.y).collect();
    assert!(y[3] < y[4] && y[4] < y[5] && y[5] < y[6], "{y:?}");
    for (parent, children) in [(0, [1, 2]), (1, [3, 4]), (2, [5, 6])] {
        assert!(y[children[0]] < y[parent] && y[parent] < y[children[1]], "{parent} in {y:?}");
    }
}

#[test]
fn four_hundred_boxes_with_an_edge_between_almost_every_two_are_laid_out() {
    let sizes = vec![Size { width: 100, height: 40 }; 400];
    let edges: Vec<_> = (0..400).flat_map(|from| (from + 1..400).step_by(7).map(move |to| (from, to))).collect();
    let layout = lay_out(&sizes, &edges, &[0]);
    assert_eq!(layout.boxes.len(), 400);
}
