//! Proofs that stand alone, keys that follow each other, and years that are verified by themselves.

use remint_evidence_format::bundle::{Bundle, Parts};
use remint_evidence_format::checkpoint::Checkpoint;
use remint_evidence_format::note::{SigningKey, VerifierKey};
use remint_evidence_format::proof::Proof;
use remint_evidence_format::succession::{self, follow};
use remint_evidence_format::tree::{Frontier, Hash, Tree, leaf_hash};
use remint_evidence_format::{Draft, FormatError, entry, shard};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::sample::{complete, parts, verifier};
use crate::tree::leaves;

/// The key of a log in its generation.
fn generation(number: u8) -> SigningKey {
    SigningKey::from_seed(verifier().name(), Zeroizing::new([number; 32])).unwrap()
}

fn sealed(kind: &str, number: u64, previous: Hash, body: Map<String, Value>) -> Vec<u8> {
    let (kind, at) = (kind.to_owned(), "2026-12-31T23:59:59Z".to_owned());
    entry::seal(&Draft { kind, at, reset: None, subject: None, body }, number, previous).unwrap()
}

/// The signatures of both keys over one checkpoint.
fn both(checkpoint: &Checkpoint, before: &SigningKey, after: &SigningKey) -> String {
    let lines = checkpoint.sign(before).unwrap();
    checkpoint.sign(after).unwrap() + lines.rsplit_once("\n\n").unwrap().1
}

/// The link from one generation to another, in a tree with others around it.
fn link(before: u8, after: u8) -> String {
    let (before, after) = (generation(before), generation(after));
    let body = succession::body(before.verifier(), after.verifier(), "operator");
    let bytes = sealed(succession::ROTATED, 1, entry::FIRST, body);
    let mut leaves = leaves();
    leaves[5] = entry::hash(&bytes);
    let tree = Tree::new(leaves);
    let checkpoint = Checkpoint { origin: verifier().name().to_owned(), size: 12, root: tree.root(12).unwrap() };
    succession::link(&bytes, 5, tree.inclusion(5, 12).unwrap(), &both(&checkpoint, &before, &after))
}

fn followed(from: u8, links: &[String]) -> Result<VerifierKey, FormatError> {
    follow(generation(from).verifier(), links.iter().map(String::as_bytes)).map(|followed| followed.key)
}

#[test]
fn the_example_of_the_proof_specification_reads() {
    let text = "c2sp.org/tlog-proof@v1\nextra YWdlLXYxLjIuMQ==\nindex 1\n\
        gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=\n\nexample.com/fancylog\n2\n\
        sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=\n\n\u{2014} example.com/fancylog hI2DJwAA\n";
    let proof = Proof::parse(text.as_bytes()).unwrap();
    assert_eq!((proof.index, proof.path.len(), proof.extra.as_deref()), (1, 1, Some(b"age-v1.2.1".as_slice())));
    assert_eq!(proof.to_text(), text);
    for bad in [
        text.replace("@v1", "@v2"),
        text.replace("index 1", "index 01"),
        text.replace("index 1\n", ""),
        text.replace("extra YW", "extra YW\n"),
        text.replace("PlQ=", "PlR="),
        text.replace("\n\nexample", "\nexample"),
        text.replace("\nindex", "\n\nindex"),
        text[..60].to_owned(),
        text.trim_end().to_owned(),
    ] {
        assert!(Proof::parse(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn every_byte_of_a_proof_counts() {
    let text = link(1, 2);
    let proof = Proof::parse(text.as_bytes()).unwrap();
    let leaf = entry::hash(proof.extra.as_deref().unwrap());
    proof.verify(leaf, generation(1).verifier()).unwrap();
    assert!(proof.verify(leaf_hash(b"other"), generation(1).verifier()).is_err());
    for at in 0..text.len() {
        let mut changed = text.clone().into_bytes();
        changed[at] ^= 1;
        let links = [changed.as_slice()];
        assert!(follow(generation(1).verifier(), links).is_err(), "byte {at}");
    }
}

#[test]
fn keys_are_followed_link_by_link_from_whichever_is_known() {
    let links = [link(1, 2), link(2, 3), link(3, 4)];
    assert_eq!(followed(1, &links).unwrap(), *generation(4).verifier());
    assert_eq!(followed(3, &links).unwrap(), *generation(4).verifier());
    assert_eq!(followed(4, &links).unwrap(), *generation(4).verifier());
    assert_eq!(followed(9, &links).unwrap(), *generation(9).verifier(), "a stranger stays one");
    assert!(followed(1, &[link(1, 2), link(3, 4)]).is_err(), "a link is missing");
    assert!(followed(1, &[link(1, 2), link(1, 3)]).is_err(), "a key has one successor");
}

#[test]
fn a_key_that_did_not_sign_does_not_follow() {
    let (before, after) = (generation(1), generation(2));
    let bytes =
        sealed(succession::ROTATED, 1, entry::FIRST, succession::body(before.verifier(), after.verifier(), "x"));
    let tree = Tree::new(vec![entry::hash(&bytes)]);
    let checkpoint = Checkpoint { origin: verifier().name().to_owned(), size: 1, root: tree.root(1).unwrap() };
    for (note, what) in [
        (checkpoint.sign(&before).unwrap(), "the new one did not"),
        (checkpoint.sign(&after).unwrap(), "the old one did not"),
    ] {
        assert!(followed(1, &[succession::link(&bytes, 0, Vec::new(), &note)]).is_err(), "{what}");
    }
    followed(1, &[succession::link(&bytes, 0, Vec::new(), &both(&checkpoint, &before, &after))]).unwrap();
    let stranger = SigningKey::from_seed("elsewhere", Zeroizing::new([2; 32])).unwrap();
    let bytes =
        sealed(succession::ROTATED, 1, entry::FIRST, succession::body(before.verifier(), stranger.verifier(), "x"));
    assert!(succession::keys(&bytes).is_err(), "a key of another log");
    let bytes =
        sealed(succession::ROTATED, 1, entry::FIRST, succession::body(before.verifier(), before.verifier(), "x"));
    assert!(succession::keys(&bytes).is_err(), "the same key");
    let bytes = sealed("reset.note", 1, entry::FIRST, succession::body(before.verifier(), after.verifier(), "x"));
    assert!(succession::keys(&bytes).is_err(), "another kind of entry");
}

#[test]
fn a_year_is_verified_between_its_two_checkpoints_without_the_years_before() {
    let mut entries = Vec::new();
    let mut previous = entry::FIRST;
    for number in 1..=10 {
        let (kind, body) = match number {
            4 => (shard::CLOSED, shard::body(2025, 0)),
            10 => (shard::CLOSED, shard::body(2026, 4)),
            _ => ("effect.done", Map::new()),
        };
        entries.push(sealed(kind, number, previous, body));
        previous = entry::hash(&entries[entries.len() - 1]);
    }
    let mut tree = Frontier::default();
    let mut edges = vec![tree.clone()];
    for bytes in &entries {
        tree.append(entry::hash(bytes));
        edges.push(tree.clone());
    }
    let at = |size: usize| Checkpoint { origin: "log".to_owned(), size: size as u64, root: edges[size].root() };
    let verify = |before: Option<usize>, to: usize, entries: &[Vec<u8>]| {
        let before = before.map(|size| (at(size), edges[size].peaks().to_vec()));
        let edge = before.as_ref().map(|(_, edge)| edge.clone()).unwrap_or_default();
        shard::verify(before.as_ref().map(|(before, _)| before), edge, &at(to), entries.iter().map(Vec::as_slice))
    };
    assert_eq!(verify(None, 4, &entries[..4]), Ok(2025));
    assert_eq!(verify(Some(4), 10, &entries[4..]), Ok(2026));
    assert!(verify(Some(4), 9, &entries[4..9]).is_err(), "it is not closed there");
    assert!(verify(Some(3), 10, &entries[3..]).is_err(), "it begins elsewhere");
    assert!(verify(Some(4), 10, &entries[5..]).is_err(), "an entry is missing");
    let mut swapped = entries.clone();
    swapped.swap(5, 6);
    assert!(verify(Some(4), 10, &swapped[4..]).is_err(), "two are exchanged");
    let wrong = shard::verify(Some(&at(4)), vec![leaf_hash(b"x")], &at(10), entries[4..].iter().map(Vec::as_slice));
    assert!(wrong.is_err(), "the left edge is another");
}

#[test]
fn a_bundle_is_verified_with_any_key_that_leads_to_the_one_that_signed_it() {
    let story = complete().closed();
    let (entries, _) = story.placed();
    let tree = story.tree();
    let (size, root) = (tree.size() as u64, tree.root(tree.size()).unwrap());
    let checkpoint = Checkpoint { origin: verifier().name().to_owned(), size, root }.sign(&generation(3)).unwrap();
    let links = [link(1, 2), link(2, 3)];
    let bundle = Bundle::build(&Parts { links: &links, ..parts(&entries, &checkpoint) }, &generation(3)).unwrap();
    for from in 1..=3 {
        let report = bundle.verify(Some(generation(from).verifier()));
        assert!(report.ok, "from key {from}: {:?}", report.findings);
        assert_eq!(bundle.follow(generation(from).verifier()).unwrap().key, *generation(3).verifier());
    }
    assert!(!bundle.verify(Some(generation(4).verifier())).ok);
    // A link that is changed, taken out, in another's place, or of another chain.
    let changed = |change: &dyn Fn(&mut std::collections::BTreeMap<String, Vec<u8>>)| {
        let mut files = bundle.files().clone();
        change(&mut files);
        assert!(!Bundle::from_files(files).verify(Some(generation(1).verifier())).integrity);
    };
    changed(&|files| files.get_mut("key-2.tlog-proof").unwrap()[40] ^= 1);
    changed(&|files| drop(files.remove("key-1.tlog-proof")));
    changed(&|files| drop(files.remove("key-2.tlog-proof")));
    changed(&|files| drop(files.insert("key-1.tlog-proof".to_owned(), links[1].clone().into_bytes())));
    changed(&|files| drop(files.insert("key-3.tlog-proof".to_owned(), link(3, 4).into_bytes())));
    changed(&|files| drop(files.insert("key-01.tlog-proof".to_owned(), links[0].clone().into_bytes())));
    // Whoever has only an old key cannot sign as the one that it named.
    let forged = Bundle::build(&Parts { links: &links, ..parts(&entries, &checkpoint) }, &generation(1));
    assert!(forged.is_err());
}
