//! RFC 6962: the known answers of the reference implementation of certificate transparency, and proofs at every size.

use remint_evidence_format::tree::{Frontier, Hash, Tree, leaf_hash, root, verify_consistency, verify_inclusion};

/// Inputs and roots of the trees of 0 to 8 leaves.
const LEAVES: [&[u8]; 8] = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    b"\x50\x51\x52\x53\x54\x55\x56\x57",
    b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
];
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];
const MOST: usize = 200;

#[test]
fn roots_are_the_known_answers() {
    let leaves: Vec<Hash> = LEAVES.iter().map(|leaf| leaf_hash(leaf)).collect();
    let tree = Tree::new(leaves.clone());
    let mut frontier = Frontier::default();
    for (size, expected) in ROOTS.iter().enumerate() {
        assert_eq!(root(leaves[..size].iter().copied()).to_string(), *expected, "size {size}");
        assert_eq!(tree.root(size).unwrap().to_string(), *expected, "size {size}");
        assert_eq!(frontier.root().to_string(), *expected, "size {size}");
        if let Some(leaf) = leaves.get(size) {
            frontier.append(*leaf);
        }
    }
    assert_eq!(tree.root(9), None);
}

#[test]
fn a_leaf_hashes_the_same_whether_it_is_short_or_long() {
    use aws_lc_rs::digest::{SHA256, digest};
    for length in [0, 1, 1022, 1023, 1024, 1025, 5000] {
        let bytes = vec![b'x'; length];
        let expected = digest(&SHA256, &[&[0], bytes.as_slice()].concat());
        assert_eq!(leaf_hash(&bytes).0, expected.as_ref(), "{length} bytes");
    }
}

#[test]
fn every_inclusion_proof_up_to_200_verifies_and_no_other_claim_does() {
    let leaves = leaves();
    let tree = Tree::new(leaves.clone());
    for size in 1..=MOST {
        let root = tree.root(size).unwrap();
        let n = size as u64;
        for (index, leaf) in leaves.iter().copied().enumerate().take(size) {
            let proof = tree.inclusion(index, size).unwrap();
            let i = index as u64;
            assert!(verify_inclusion(leaf, i, n, &proof, root), "{index} of {size}");
            assert!(!verify_inclusion(leaf_hash(b"other"), i, n, &proof, root), "{index} of {size}: other leaf");
            assert!(!verify_inclusion(leaf, i, n, &proof, leaf_hash(b"other")), "{index} of {size}: other root");
            assert!(!verify_inclusion(leaf, n, n, &proof, root), "{index} of {size}: beyond");
            if size > 1 {
                assert!(!verify_inclusion(leaf, i ^ 1, n, &proof, root), "{index} of {size}: other place");
                assert!(!verify_inclusion(leaf, i, n, &proof[1..], root), "{index} of {size}: short");
                let long = [&proof[..], &[root]].concat();
                assert!(!verify_inclusion(leaf, i, n, &long, root), "{index} of {size}: long");
            }
        }
        assert_eq!(tree.inclusion(size, size), None);
    }
}

#[test]
fn every_consistency_proof_up_to_200_verifies_and_no_other_claim_does() {
    let tree = Tree::new(leaves());
    let other = leaf_hash(b"other");
    for new in 0..=MOST {
        let new_root = tree.root(new).unwrap();
        for old in 0..=new {
            let old_root = tree.root(old).unwrap();
            let proof = tree.consistency(old, new).unwrap();
            let (m, n) = (old as u64, new as u64);
            assert!(verify_consistency(m, old_root, n, new_root, &proof), "{old} to {new}");
            assert!(!verify_consistency(m, other, n, new_root, &proof), "{old} to {new}: other old root");
            if old > 0 {
                assert!(!verify_consistency(m, old_root, n, other, &proof), "{old} to {new}: other new root");
            }
            let long = [&proof[..], &[other]].concat();
            assert!(!verify_consistency(m, old_root, n, new_root, &long), "{old} to {new}: long");
            for at in 0..proof.len() {
                let mut changed = proof.clone();
                changed[at] = other;
                assert!(!verify_consistency(m, old_root, n, new_root, &changed), "{old} to {new}: hash {at}");
                changed.remove(at);
                assert!(!verify_consistency(m, old_root, n, new_root, &changed), "{old} to {new}: without {at}");
            }
        }
        assert!(!verify_consistency(new as u64 + 1, new_root, new as u64, new_root, &[]));
    }
}

#[test]
fn a_fork_is_not_consistent() {
    let mut forked = leaves();
    let honest = Tree::new(forked.clone());
    forked[3] = leaf_hash(b"forked");
    let forked = Tree::new(forked);
    for old in 4..MOST {
        let proof = forked.consistency(old, MOST).unwrap();
        let (seen, shown) = (honest.root(old).unwrap(), forked.root(MOST).unwrap());
        assert!(!verify_consistency(old as u64, seen, MOST as u64, shown, &proof), "fork from {old}");
    }
}

pub(crate) fn leaves() -> Vec<Hash> {
    (0..MOST).map(|place| leaf_hash(place.to_string().as_bytes())).collect()
}
