//! Differential: another implementation reads what is written here, and the other way round.

use remint_evidence_format::checkpoint::Checkpoint;
use remint_evidence_format::note::{Note, VerifierKey, sign};
use remint_evidence_format::tree::{Tree, leaf_hash, node_hash, verify_consistency, verify_inclusion};
use signed_note::{StandardSigner, StandardVerifier, VerifierList};
use tlog_tiles::{Error, HashReader};

use crate::sample::{key, verifier};
use crate::tree::leaves;

#[test]
fn notes_of_each_verify_in_the_other() {
    let ours = sign("a text\n\nof two parts\n", &key()).unwrap();
    let theirs = VerifierList::new(vec![Box::new(StandardVerifier::new(&verifier().to_string()).unwrap())]);
    let note = signed_note::Note::from_bytes(ours.as_bytes()).unwrap();
    assert_eq!(note.verify(&theirs).unwrap().0.len(), 1);

    let signer = StandardSigner::new(&key().to_text()).unwrap();
    let mut note = signed_note::Note::new(b"a text\n\nof two parts\n", &[]).unwrap();
    note.add_sigs(&[&signer]).unwrap();
    assert_eq!(String::from_utf8(note.to_bytes()).unwrap(), ours, "Ed25519 is deterministic");
    let key = VerifierKey::parse(&verifier().to_string()).unwrap();
    Note::parse(&note.to_bytes()).unwrap().verify(&key).unwrap();
}

#[test]
fn checkpoints_of_each_read_in_the_other() {
    for size in [0, 1, 9, 10, 1 << 40] {
        let ours = Checkpoint { origin: "log.example.org".to_owned(), size, root: leaf_hash(b"x") };
        let theirs = tlog_tiles::Checkpoint::from_bytes(ours.body().as_bytes()).unwrap();
        assert_eq!((theirs.origin(), theirs.size(), theirs.hash().0), (ours.origin.as_str(), size, ours.root.0));
        assert_eq!(Checkpoint::parse(std::str::from_utf8(&theirs.to_bytes()).unwrap()).unwrap(), ours);
    }
}

#[test]
fn trees_and_proofs_of_each_fit_the_other() {
    let ours = Tree::new(leaves());
    let theirs = Stored::new(&ours);
    for size in 1..=ours.size() {
        let n = size as u64;
        let root = ours.root(size).unwrap();
        let their_root = tlog_tiles::tree_hash(n, &theirs).unwrap();
        assert_eq!(their_root.0, root.0, "{size}");
        for index in (0..size).step_by(1 + size / 20) {
            let i = index as u64;
            let proof = ours.inclusion(index, size).unwrap();
            let their_proof = tlog_tiles::prove_record(n, i, &theirs).unwrap();
            assert_eq!(to_theirs(&proof), their_proof, "{index} of {size}");
            let leaf = leaves()[index];
            assert!(verify_inclusion(leaf, i, n, &proof, root));
            tlog_tiles::check_record(&their_proof, n, their_root, i, tlog_tiles::Hash(leaf.0)).unwrap();
        }
        for old in (1..=size).step_by(1 + size / 20) {
            let m = old as u64;
            let proof = ours.consistency(old, size).unwrap();
            let their_proof = tlog_tiles::prove_tree(n, m, &theirs).unwrap();
            assert_eq!(to_theirs(&proof), their_proof, "{old} to {size}");
            let old_root = ours.root(old).unwrap();
            assert!(verify_consistency(m, old_root, n, root, &proof));
            tlog_tiles::check_tree(&their_proof, n, their_root, m, tlog_tiles::Hash(old_root.0)).unwrap();
        }
    }
}

#[test]
fn hashes_are_the_same() {
    assert_eq!(tlog_tiles::record_hash(b"leaf").0, leaf_hash(b"leaf").0);
    let (left, right) = (leaf_hash(b"left"), leaf_hash(b"right"));
    let theirs = tlog_tiles::node_hash(tlog_tiles::Hash(left.0), tlog_tiles::Hash(right.0));
    assert_eq!(theirs.0, node_hash(&left, &right).0);
}

fn to_theirs(proof: &[remint_evidence_format::tree::Hash]) -> Vec<tlog_tiles::Hash> {
    proof.iter().map(|hash| tlog_tiles::Hash(hash.0)).collect()
}

/// The other implementation's storage, filled by its own rules from the leaves.
struct Stored(Vec<tlog_tiles::Hash>);

impl Stored {
    fn new(tree: &Tree) -> Self {
        let mut stored = Self(Vec::new());
        for (at, leaf) in leaves().into_iter().enumerate().take(tree.size()) {
            let more = tlog_tiles::stored_hashes_for_record_hash(at as u64, tlog_tiles::Hash(leaf.0), &stored).unwrap();
            stored.0.extend(more);
        }
        stored
    }
}

impl HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, Error> {
        Ok(indexes.iter().map(|index| self.0[usize::try_from(*index).unwrap()]).collect())
    }
}
