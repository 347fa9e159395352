//! Changes of an input: of bits and bytes, of numbers in text, of pieces, of lines, and out of another input.

use rand::Rng;
use rand::seq::IndexedRandom as _;

/// The largest input that mutation makes.
const LARGEST: usize = 96 * 1024;

/// One to eight changes of `input`, some with pieces of `other` or of `words`.
pub fn mutate(random: &mut impl Rng, input: &[u8], other: &[u8], words: &[&str]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..1 << random.random_range(0..4) {
        change(random, &mut bytes, other, words);
    }
    bytes.truncate(LARGEST);
    bytes
}

fn change(random: &mut impl Rng, bytes: &mut Vec<u8>, other: &[u8], words: &[&str]) {
    if bytes.is_empty() {
        bytes.extend_from_slice(other);
        return;
    }
    let at = random.random_range(0..bytes.len());
    let most = 1 << random.random_range(0..10);
    let length = random.random_range(1..=(bytes.len() - at).min(most));
    match random.random_range(0..12) {
        0 => bytes[at] ^= 1 << random.random_range(0..8),
        1 => bytes[at] = random.random(),
        2 => bytes[at] = bytes[at].wrapping_add(random.random_range(1..4)),
        3 => drop(bytes.drain(at..at + length)),
        4 => {
            let piece = bytes[at..at + length].to_vec();
            insert(bytes, at, &piece);
        }
        5 => bytes.truncate(at),
        6 => {
            let word = words.choose(random).copied().unwrap_or_default();
            insert(bytes, at, word.as_bytes());
        }
        7 => {
            let word = words.choose(random).copied().unwrap_or_default().as_bytes();
            let end = (at + word.len()).min(bytes.len());
            bytes.splice(at..end, word.iter().copied());
        }
        8 => number(random, bytes, at),
        9 => lines(random, bytes),
        10 if !other.is_empty() => {
            let from = random.random_range(0..other.len());
            let end = (from + length).min(other.len());
            bytes.splice(at..at + length, other[from..end].iter().copied());
        }
        _ => {
            let to = random.random_range(0..bytes.len());
            bytes.swap(at, to);
        }
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    bytes.splice(at..at, piece.iter().copied());
}

/// Exchanges the next number in the text for one at an edge.
fn number(random: &mut impl Rng, bytes: &mut Vec<u8>, at: usize) {
    let Some(start) = bytes[at..].iter().position(u8::is_ascii_digit).map(|found| at + found) else { return };
    let end = bytes[start..].iter().position(|byte| !byte.is_ascii_digit()).map_or(bytes.len(), |found| start + found);
    const EDGES: [&str; 10] = [
        "0",
        "00",
        "1",
        "255",
        "256",
        "65535",
        "65536",
        "9007199254740992",
        "18446744073709551615",
        "18446744073709551616",
    ];
    let edge = EDGES.choose(random).copied().unwrap_or("0");
    bytes.splice(start..end, edge.bytes());
}

/// Doubles, drops or exchanges a line.
fn lines(random: &mut impl Rng, bytes: &mut Vec<u8>) {
    let mut lines: Vec<Vec<u8>> = bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let (one, two) = (random.random_range(0..lines.len()), random.random_range(0..lines.len()));
    match random.random_range(0..3) {
        0 => lines.swap(one, two),
        1 => drop(lines.remove(one)),
        _ => {
            let line = lines[one].clone();
            lines.insert(two, line);
        }
    }
    *bytes = lines.join(&b'\n');
}
