//! What a witness answers to everything that a log may send.

use remint_evidence_format::checkpoint::Checkpoint;
use remint_evidence_format::note::{SigningKey, VerifierKey, sign};
use remint_evidence_format::tree::{Hash, Tree, leaf_hash};
use remint_evidence_format::witness::{Latest, Request, Verdict, judge};
use zeroize::Zeroizing;

use crate::sample::{key, verifier};
use crate::tree::leaves;

fn signed(tree: &Tree, size: usize) -> String {
    let root = tree.root(size).unwrap();
    Checkpoint { origin: verifier().name().to_owned(), size: size as u64, root }.sign(&key()).unwrap()
}

fn ask(old: u64, proof: Vec<Hash>, checkpoint: &str) -> String {
    Request { old, proof, checkpoint }.to_text()
}

fn known(origin: &str) -> Vec<VerifierKey> {
    if origin == verifier().name() { vec![verifier()] } else { Vec::new() }
}

#[expect(clippy::unnecessary_wraps, reason = "as a memory answers")]
fn seen(tree: &Tree, size: usize) -> Option<Latest> {
    Some(Latest { size: size as u64, root: tree.root(size).unwrap() })
}

/// The status that a verdict stands for.
fn status(verdict: &Verdict<'_>) -> u16 {
    match verdict {
        Verdict::Cosign { .. } => 200,
        Verdict::Garbled(_) => 400,
        Verdict::Unsigned => 403,
        Verdict::Unknown => 404,
        Verdict::Conflict(_) => 409,
        Verdict::Inconsistent => 422,
    }
}

fn answer(body: &str, latest: Option<Latest>) -> u16 {
    status(&judge(body.as_bytes(), known, |_| latest))
}

#[test]
fn a_request_reads_back_and_has_one_form() {
    let tree = Tree::new(leaves());
    let note = signed(&tree, 9);
    for proof in [Vec::new(), tree.consistency(5, 9).unwrap()] {
        let text = ask(5, proof.clone(), &note);
        assert_eq!(Request::parse(text.as_bytes()).unwrap(), Request { old: 5, proof, checkpoint: &note });
    }
    let text = ask(5, tree.consistency(5, 9).unwrap(), &note);
    for bad in [
        text.replace("old 5", "old 05"),
        text.replace("old 5", "old +5"),
        text.replace("old 5", "Old 5"),
        text.replace("old 5\n", ""),
        text.replacen("=\n", "\n", 1),
        text.replacen("\n\n", "\n", 1),
        text[..20].to_owned(),
        ask(5, vec![leaf_hash(b"x"); 64], &note),
    ] {
        assert_eq!(answer(&bad, seen(&tree, 5)), 400, "{bad}");
    }
}

#[test]
fn what_continues_is_cosigned_and_nothing_else() {
    let tree = Tree::new(leaves());
    let mut forked = leaves();
    forked[2] = leaf_hash(b"forked");
    let forked = Tree::new(forked);
    for old in [0, 1, 5, 8, 64] {
        for new in [old, old + 1, 9.max(old), 150] {
            let proof = tree.consistency(old, new).unwrap();
            let note = signed(&tree, new);
            let body = ask(old as u64, proof.clone(), &note);
            let latest = if old == 0 { None } else { seen(&tree, old) };
            let verdict = judge(body.as_bytes(), known, |_| latest);
            let Verdict::Cosign { checkpoint, text } = verdict else { panic!("{old} to {new}: {verdict:?}") };
            assert_eq!(checkpoint.size, new as u64);
            assert_eq!(text, checkpoint.body());

            // Another log of the same name, whose proof is right for itself.
            if old > 2 {
                let body = ask(old as u64, forked.consistency(old, new).unwrap(), &signed(&forked, new));
                let expected = if old == new { 409 } else { 422 };
                assert_eq!(answer(&body, seen(&tree, old)), expected, "fork from {old} to {new}");
            }
            // A proof that is too long, too short, or for nothing.
            let long = [&proof[..], &[leaf_hash(b"x")]].concat();
            assert_eq!(answer(&ask(old as u64, long, &note), latest), 422, "{old} to {new}");
            if let Some((_, short)) = proof.split_last() {
                assert_eq!(answer(&ask(old as u64, short.to_vec(), &note), latest), 422, "{old} to {new}");
            }
        }
    }
}

#[test]
fn the_status_says_what_was_wrong() {
    let tree = Tree::new(leaves());
    let good = ask(5, tree.consistency(5, 9).unwrap(), &signed(&tree, 9));
    assert_eq!(answer(&good, seen(&tree, 5)), 200);
    assert_eq!(judge(good.as_bytes(), known, |_| seen(&tree, 7)), Verdict::Conflict(7), "it saw a newer one");
    assert_eq!(judge(good.as_bytes(), known, |_| None), Verdict::Conflict(0), "it saw none");
    assert_eq!(status(&judge(good.as_bytes(), |_| Vec::new(), |_| None)), 404);
    assert_eq!(answer(&ask(10, Vec::new(), &signed(&tree, 9)), seen(&tree, 10)), 400, "older than what it builds on");
    let stranger = SigningKey::from_seed(verifier().name(), Zeroizing::new([8; 32])).unwrap();
    let checkpoint = Checkpoint { origin: verifier().name().to_owned(), size: 9, root: tree.root(9).unwrap() };
    let foreign = checkpoint.sign(&stranger).unwrap();
    assert_eq!(answer(&ask(5, Vec::new(), &foreign), seen(&tree, 5)), 403);
    // A log that signs with two keys is known by either.
    let both = foreign + signed(&tree, 9).rsplit_once("\n\n").unwrap().1;
    assert_eq!(answer(&ask(5, tree.consistency(5, 9).unwrap(), &both), seen(&tree, 5)), 200);
}

#[test]
fn extension_lines_of_another_log_are_cosigned_as_they_are() {
    let text = format!("{}\n1\n{}\nof theirs\n", verifier().name(), leaf_hash(b"x").to_base64());
    let body = ask(0, Vec::new(), &sign(&text, &key()).unwrap());
    let verdict = judge(body.as_bytes(), known, |_| None);
    assert!(matches!(verdict, Verdict::Cosign { text: found, .. } if found == text), "{verdict:?}");
    for bad in ["of theirs", "\n", "a\n\nb\n"] {
        let text = format!("{}\n1\n{}\n{bad}", verifier().name(), leaf_hash(b"x").to_base64());
        assert!(Checkpoint::head(&text).is_err(), "{bad:?}");
    }
}
