//! Paths, widths and contents of tiles, and proofs made of them.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use remint_evidence_format::tile::{
    self, Hashes, Kind, Tile, WIDTH, for_consistency, for_inclusion, of_tree, read_entries, read_hashes, write_entries,
    write_hashes,
};
use remint_evidence_format::tree::{Hash, Tree, leaf_hash, root};

fn many(count: u64) -> Vec<Hash> {
    (0..count).map(|place| leaf_hash(&place.to_be_bytes())).collect()
}

/// Every tile of hashes of these leaves, by the definition of RFC 6962 and nothing else.
fn tiles(leaves: &[Hash]) -> BTreeMap<String, Vec<u8>> {
    let mut made = BTreeMap::new();
    let mut level = leaves.to_vec();
    for number in 0..8 {
        for (index, hashes) in (0..).zip(level.chunks(256)) {
            let width = u16::try_from(hashes.len()).unwrap();
            made.insert(Tile { kind: Kind::Level(number), index, width }.path(), write_hashes(hashes));
        }
        level = level.chunks_exact(256).map(|hashes| root(hashes.iter().copied())).collect();
    }
    made
}

#[test]
fn paths_are_those_of_the_specification() {
    for (tile, path) in [
        (Tile { kind: Kind::Level(0), index: 1_234_067, width: 256 }, "tile/0/x001/x234/067"),
        (Tile { kind: Kind::Level(1), index: 0, width: 17 }, "tile/1/000.p/17"),
        (Tile { kind: Kind::Entries, index: 273, width: 112 }, "tile/entries/273.p/112"),
        (Tile { kind: Kind::Entries, index: 1000, width: 256 }, "tile/entries/x001/000"),
    ] {
        assert_eq!(tile.path(), path);
        assert_eq!(Tile::parse(path).unwrap(), tile);
    }
    for bad in [
        "tile/0/1",
        "tile/0/0001",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/x001/x002",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/data/000",
        "tile/0/",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0/../000",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
    ] {
        assert!(Tile::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_tree_of_70000_has_the_tiles_that_the_specification_counts() {
    let of = |kind: Kind| of_tree(70_000).filter(move |tile| tile.kind == kind).collect::<Vec<_>>();
    let (leaves, above, top) = (of(Kind::Level(0)), of(Kind::Level(1)), of(Kind::Level(2)));
    assert_eq!((leaves.len(), leaves[272].width, leaves[273].width), (274, 256, 112));
    assert_eq!((above.len(), above[0].width, above[1].width), (2, 256, 17));
    assert_eq!((top.len(), top[0].width), (1, 1));
    assert_eq!(of(Kind::Entries).len(), 274);
    assert!(of(Kind::Level(3)).is_empty());
    let small: Vec<String> = of_tree(256).map(|tile| tile.path()).collect();
    assert_eq!(small, ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]);
    assert_eq!(of_tree(0).count(), 0);
}

#[test]
fn proofs_out_of_tiles_are_those_out_of_the_tree_and_need_no_other_tile() {
    let leaves = many(66_000);
    let tree = Tree::new(leaves.clone());
    let (all, mut seen) = (tiles(&leaves), BTreeSet::new());
    let mut gather = |needed: BTreeSet<Tile>, size: usize| {
        let mut hashes = Hashes::default();
        for tile in needed {
            seen.insert(tile.kind);
            // What a smaller tree had as a partial tile is the beginning of the one that is there now.
            let there = Tile::in_tree(tile.kind, tile.index, leaves.len() as u64).unwrap();
            let bytes = &all[&there.path()][..usize::from(tile.width) * 32];
            assert!(Tile::in_tree(tile.kind, tile.index, size as u64) == Some(tile), "{tile} in {size}");
            hashes.insert(tile, read_hashes(bytes, tile.width).unwrap());
        }
        hashes
    };
    for size in [1, 2, 255, 256, 257, 300, 511, 512, 513, 4095, 65_535, 65_536, 65_537, 66_000] {
        for index in [0, 1, size / 3, size / 2, size - 1] {
            let (i, n) = (index as u64, size as u64);
            if index >= size {
                assert_eq!(for_inclusion(i, n), None);
                continue;
            }
            let hashes = gather(for_inclusion(i, n).unwrap(), size);
            assert_eq!(hashes.inclusion(i, n), tree.inclusion(index, size), "{index} in {size}");
        }
        for old in [0, 1, 2, 255, 256, 257, size / 2, size - 1, size] {
            if old > size {
                assert_eq!(for_consistency(old as u64, size as u64), None);
                continue;
            }
            let hashes = gather(for_consistency(old as u64, size as u64).unwrap(), size);
            assert_eq!(hashes.consistency(old as u64, size as u64), tree.consistency(old, size), "{old} to {size}");
        }
    }
    assert!(seen.contains(&Kind::Level(2)), "the tree is too small to show anything");
    assert_eq!(Hashes::default().inclusion(0, 2), None, "no tile, no proof");
}

#[test]
fn a_tile_reads_back_and_no_other_bytes_do() {
    let entries: Vec<Vec<u8>> = (0..5).map(|place| vec![b'x'; place * 40]).collect();
    let bytes = write_entries(entries.iter().map(Vec::as_slice)).unwrap();
    assert_eq!(read_entries(&bytes, 5).unwrap(), entries);
    for wrong in [0, 1, 4, 6, WIDTH] {
        assert!(read_entries(&bytes, wrong).is_err(), "{wrong}");
    }
    for end in 0..bytes.len() {
        assert!(read_entries(&bytes[..end], 5).is_err(), "cut at {end}");
    }
    assert!(write_entries([vec![0; 0x1_0000].as_slice()]).is_err(), "a length that two bytes cannot say");
    assert!(read_hashes(&[0; 64], 2).is_ok() && read_hashes(&[0; 64], 1).is_err() && read_hashes(&[0; 65], 2).is_err());
}

proptest! {
    #[test]
    fn any_tile_reads_back_from_its_path(level in 0_u8..64, index in any::<u64>(), width in 1_u16..=256, entries in any::<bool>()) {
        let kind = if entries { Kind::Entries } else { Kind::Level(level) };
        let tile = Tile { kind, index, width };
        prop_assert_eq!(Tile::parse(&tile.path()).unwrap(), tile);
    }

    #[test]
    fn any_path_that_reads_is_the_one_that_is_written(path in "tile/([0-9]{1,2}|entries)/(x?[0-9]{3}/){0,3}[0-9]{2,4}(\\.p/[0-9]{1,3})?") {
        if let Ok(tile) = tile::Tile::parse(&path) {
            prop_assert_eq!(tile.path(), path);
        }
    }
}
