//! What is read, and what must hold of everything that is accepted.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remint_evidence_format::bundle::{Bundle, verify};
use remint_evidence_format::checkpoint::Checkpoint;
use remint_evidence_format::note::{Note, VerifierKey};
use remint_evidence_format::proof::Proof;
use remint_evidence_format::tile::{self, Tile};
use remint_evidence_format::tree::leaf_hash;
use remint_evidence_format::witness::{Request, Verdict, judge};
use remint_evidence_format::{Draft, FormatError, entry, succession};

use crate::sample;

/// One reader.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    pub name: &'static str,
    /// Reads bytes and asserts; gives words for what became of them, equal for equal ways through the reader.
    pub read: fn(&[u8]) -> String,
    /// Pieces that mean something to this reader.
    pub words: &'static [&'static str],
}

/// Every reader of what comes from outside.
pub const TARGETS: [Target; 7] = [
    Target { name: "note", read: note, words: NOTE },
    Target { name: "checkpoint", read: checkpoint, words: NOTE },
    Target { name: "proof", read: proof, words: NOTE },
    Target { name: "request", read: request, words: NOTE },
    Target { name: "tile", read: tile, words: &["tile/", "entries/", "x000/", ".p/", "0", "255", "\n"] },
    Target { name: "entry", read: entry, words: JSON },
    Target { name: "bundle", read: bundle, words: JSON },
];

const NOTE: &[&str] =
    &["\n\n", "\u{2014} ", "\n", "=", "==", " ", "0", "18446744073709551615", "index ", "extra ", "old ", "+"];
const JSON: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\u0000",
    "\\u00e9",
    "\\n",
    "null",
    "true",
    "-0",
    "-",
    "9007199254740991",
    "1e3",
    "\"number\":",
    "\"previous\":",
    "\"reset\":",
    "\"body\":{",
    "é",
    "\u{10FFFF}",
    "\0",
];

/// An accepted note is, byte for byte, its text and its signature lines written again.
fn note(bytes: &[u8]) -> String {
    let note = match Note::parse(bytes) {
        Ok(note) => note,
        Err(error) => return error.to_string(),
    };
    let mut again = format!("{}\n", note.text);
    for line in &note.signatures {
        let signature = STANDARD.encode([line.key_id.as_slice(), &line.bytes].concat());
        again.push_str(&format!("\u{2014} {} {signature}\n", line.name));
    }
    assert!(again.as_bytes() == bytes, "a note has a second form");
    let signed = sample::verifier().map(|key| outcome(&note.verify(&key)));
    format!("{} signatures, {signed:?}", note.signatures.len())
}

/// An accepted checkpoint is the three lines written again; with the key, only what the key signed opens.
fn checkpoint(bytes: &[u8]) -> String {
    let Ok(note) = Note::parse(bytes) else { return "no note".to_owned() };
    let (head, extensions) = match Checkpoint::head(note.text) {
        Ok(read) => read,
        Err(error) => return error.to_string(),
    };
    assert!(format!("{}{extensions}", head.body()) == note.text, "a checkpoint has a second form");
    let parsed = Checkpoint::parse(note.text);
    assert!(parsed.is_ok() == extensions.is_empty(), "extension lines are not understood");
    let opened = sample::verifier().map(|key| Checkpoint::open(bytes, &key));
    if let (Some(Ok(opened)), Ok(good)) = (&opened, sample::of("checkpoint")) {
        let good = Note::parse(&good).ok().and_then(|note| Checkpoint::parse(note.text).ok());
        assert!(good.as_ref() == Some(opened), "a checkpoint opens that nobody signed");
    }
    format!("{} {}", outcome(&parsed), opened.map(|opened| outcome(&opened)).unwrap_or_default())
}

/// An accepted proof is its parts written again, and proves nothing that was not signed.
fn proof(bytes: &[u8]) -> String {
    let proof = match Proof::parse(bytes) {
        Ok(proof) => proof,
        Err(error) => return error.to_string(),
    };
    assert!(proof.to_text().as_bytes() == bytes, "a proof has a second form");
    let Some(key) = sample::verifier() else { return "no key".to_owned() };
    let verified = proof.verify(leaf_hash(b"never logged"), &key);
    assert!(verified.is_err(), "a proof of what was never logged");
    let followed = succession::follow(&key, [bytes]).map(|followed| followed.checkpoints.len());
    format!("{} {} {}", proof.path.len(), outcome(&verified), outcome(&followed))
}

/// An accepted request of a witness is its parts written again.
fn request(bytes: &[u8]) -> String {
    if let Ok(request) = Request::parse(bytes) {
        assert!(request.to_text().as_bytes() == bytes, "a request has a second form");
    }
    let keys = |_: &str| sample::verifier().into_iter().collect::<Vec<VerifierKey>>();
    match judge(bytes, keys, |_| None) {
        Verdict::Garbled(error) => words(&error),
        Verdict::Cosign { .. } => "cosigned".to_owned(),
        verdict => format!("{verdict:?}"),
    }
}

/// The first line is a path, the rest a tile: each that is accepted is written again as it came.
fn tile(bytes: &[u8]) -> String {
    let split = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (path, content) = (&bytes[..split], bytes.get(split + 1..).unwrap_or_default());
    let Ok(path) = std::str::from_utf8(path) else { return "no path".to_owned() };
    let tile = match Tile::parse(path) {
        Ok(tile) => tile,
        Err(error) => return error.to_string(),
    };
    assert!(tile.path() == path, "a tile has a second path");
    if let Ok(hashes) = tile::read_hashes(content, tile.width) {
        assert!(tile::write_hashes(&hashes) == content, "a tile of hashes has a second form");
    }
    match tile::read_entries(content, tile.width) {
        Ok(entries) => {
            let again = tile::write_entries(entries.iter().copied());
            assert!(again.as_deref() == Ok(content), "a tile of entries has a second form");
            format!("{} entries", entries.len())
        }
        Err(error) => error.to_string(),
    }
}

/// An accepted entry is what sealing its fields gives.
fn entry(bytes: &[u8]) -> String {
    let entry = match entry::parse(bytes) {
        Ok(entry) => entry,
        Err(error) => return words(&error),
    };
    let body = entry.body();
    assert!(body.is_ok(), "the body of an accepted entry is no object");
    let draft = Draft {
        kind: entry.kind.to_string(),
        at: entry.at.to_string(),
        reset: entry.reset.as_ref().map(ToString::to_string),
        subject: entry.subject.as_ref().map(ToString::to_string),
        body: body.unwrap_or_default(),
    };
    let again = entry::seal(&draft, entry.number, entry.previous);
    assert!(again.as_deref() == Ok(bytes), "an entry has a second form");
    format!("entry with{} reset", if draft.reset.is_some() { " a" } else { "out" })
}

/// No bundle but the one that was signed verifies, and an archive has one form.
fn bundle(bytes: &[u8]) -> String {
    let archive = match Bundle::from_archive(bytes) {
        Ok(archive) => archive,
        Err(error) => return error.to_string(),
    };
    assert!(archive.to_archive().as_deref() == Ok(bytes), "an archive has a second form");
    let report = verify(bytes, sample::verifier().as_ref());
    if report.integrity && report.origin {
        assert!(sample::of("bundle").is_ok_and(|good| good == bytes), "a bundle verifies that nobody signed");
    }
    report.findings.first().map_or_else(|| "sound".to_owned(), |finding| format!("{} {}", finding.place, finding.what))
}

/// The words of an error without the position, which is another for every input.
fn words(error: &FormatError) -> String {
    match error {
        FormatError::NotCanonical { what, .. } => (*what).to_owned(),
        error => error.to_string(),
    }
}

fn outcome<T>(result: &Result<T, FormatError>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(error) => words(error),
    }
}
