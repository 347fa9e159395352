//! One good input for each target, made of fixed keys: the same bytes at every call.

use remint_evidence_format::bundle::{Bundle, Parts, Placed};
use remint_evidence_format::checkpoint::Checkpoint;
use remint_evidence_format::cosignature::CosigningKey;
use remint_evidence_format::ledger::Ledger;
use remint_evidence_format::note::{SigningKey, VerifierKey};
use remint_evidence_format::tile::write_entries;
use remint_evidence_format::tree::{Hash, Tree, leaf_hash, sha256};
use remint_evidence_format::witness::Request;
use remint_evidence_format::{Draft, FormatError, entry, succession};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

/// What a sample is made of cannot fail; if it does, the target has no seed and its test says so.
pub type Made<T> = Result<T, Box<dyn std::error::Error>>;

/// The log that every sample is of.
pub fn key(generation: u8) -> Result<SigningKey, FormatError> {
    SigningKey::from_seed("log.example.org/remint", Zeroizing::new([generation; 32]))
}

pub fn verifier() -> Option<VerifierKey> {
    key(1).ok().map(|key| key.verifier().clone())
}

/// A good input of the target of that name.
pub fn of(target: &str) -> Made<Vec<u8>> {
    match target {
        "note" | "checkpoint" => checkpoint(&tree()?, 9).map(String::into_bytes),
        "proof" => proof(),
        "request" => {
            let (tree, note) = (tree()?, checkpoint(&tree()?, 9)?);
            let proof = tree.consistency(5, 9).unwrap_or_default();
            Ok(Request { old: 5, proof, checkpoint: &note }.to_text().into_bytes())
        }
        "tile" => {
            let mut bytes = b"tile/entries/x001/234.p/3\n".to_vec();
            bytes.extend(write_entries(entries()?.iter().take(3).map(Vec::as_slice))?);
            Ok(bytes)
        }
        "entry" => entries()?.into_iter().nth(1).ok_or_else(|| "no entry".into()),
        "bundle" => bundle(),
        other => Err(format!("there is no target `{other}`").into()),
    }
}

fn tree() -> Made<Tree> {
    let mut leaves: Vec<Hash> = (0..20_u8).map(|place| leaf_hash(&[place])).collect();
    for (leaf, bytes) in leaves.iter_mut().zip(entries()?) {
        *leaf = entry::hash(&bytes);
    }
    Ok(Tree::new(leaves))
}

/// A checkpoint that two generations of the key and two witnesses signed.
fn checkpoint(tree: &Tree, size: usize) -> Made<String> {
    let root = tree.root(size).ok_or("the tree is too small")?;
    let checkpoint = Checkpoint { origin: "log.example.org/remint".to_owned(), size: size as u64, root };
    let text = checkpoint.body();
    let mut note = checkpoint.sign(&key(2)?)?;
    note.push_str(&checkpoint.sign(&key(1)?)?[text.len() + 1..]);
    for witness in [3, 4] {
        let witness = CosigningKey::from_seed(&format!("w{witness}.example"), Zeroizing::new([witness; 32]))?;
        note.push_str(&witness.cosign(&text, 1_769_848_200)?);
    }
    Ok(note)
}

fn proof() -> Made<Vec<u8>> {
    let body = succession::body(key(1)?.verifier(), key(2)?.verifier(), "operator");
    let bytes = entry::seal(&draft(succession::ROTATED, None, None, body), 1, entry::FIRST)?;
    let tree =
        Tree::new((0..9_u8).map(|place| if place == 5 { entry::hash(&bytes) } else { leaf_hash(&[place]) }).collect());
    let path = tree.inclusion(5, 9).ok_or("the tree is too small")?;
    Ok(succession::link(&bytes, 5, path, &checkpoint(&tree, 9)?).into_bytes())
}

fn draft(kind: &str, reset: Option<&str>, subject: Option<&str>, body: Map<String, Value>) -> Draft {
    let (reset, subject) = (reset.map(str::to_owned), subject.map(str::to_owned));
    Draft { kind: kind.to_owned(), at: "2026-01-31T08:30:00.25Z".to_owned(), reset, subject, body }
}

const PLAN: &[u8] = b"{\"digest\":\"demo\",\"members\":[]}\n";

/// A small reset that was closed with one credential open.
fn entries() -> Made<Vec<Vec<u8>>> {
    let reset = Some("reset-7");
    let awkward = json!({ "deep": [[1, -5, { "é": "\u{1F600}\n\"\\", "z": true }], "", {}], "why": "runner" });
    let told = [
        ("reset.started", None, json!({ "plan_sha256": sha256(PLAN).to_string() })),
        ("effect.done", Some("Credential/api"), awkward),
        ("credential.reached", Some("Credential/api"), json!({})),
    ];
    let mut entries: Vec<Vec<u8>> = Vec::new();
    let seal = |entries: &[Vec<u8>], draft: &Draft| {
        let previous = entries.last().map_or(entry::FIRST, |bytes| entry::hash(bytes));
        entry::seal(draft, entries.len() as u64 + 1, previous)
    };
    for (kind, subject, body) in told {
        let draft = draft(kind, reset, subject, body.as_object().cloned().unwrap_or_default());
        let bytes = seal(&entries, &draft)?;
        entries.push(bytes);
    }
    let closing = Ledger::of("reset-7", entries.iter().map(Vec::as_slice))?.closing();
    let bytes = seal(&entries, &draft("reset.closed", reset, None, closing))?;
    entries.push(bytes);
    Ok(entries)
}

fn bundle() -> Made<Vec<u8>> {
    let entries = entries()?;
    let tree = Tree::new(entries.iter().map(|bytes| entry::hash(bytes)).collect());
    let size = entries.len();
    let mut placed = Vec::new();
    for (index, bytes) in entries.into_iter().enumerate() {
        let proof = tree.inclusion(index, size).ok_or("the tree is too small")?;
        placed.push(Placed { bytes, index: index as u64, proof });
    }
    let root = tree.root(size).ok_or("the tree is too small")?;
    let key = key(1)?;
    let checkpoint = Checkpoint { origin: key.verifier().name().to_owned(), size: size as u64, root }.sign(&key)?;
    let parts = Parts {
        reset: "reset-7",
        plans: &[PLAN.to_vec()],
        entries: &placed,
        checkpoint: &checkpoint,
        earlier: &[],
        links: &[],
        persons: &[],
        approvals: &[],
        exceptions: &[],
    };
    Ok(Bundle::build(&parts, &key)?.to_archive()?)
}
