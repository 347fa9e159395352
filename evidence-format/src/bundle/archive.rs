//! The one-file form: POSIX `ustar` with everything that could vary held fixed.
//!
//! The manifest stands first, then the files by name. Mode 0644, owner and time zero, two blocks of zeros at the end.
//! Reading makes each header anew from the name and length it states and compares all 512 bytes.

use std::collections::BTreeMap;

use super::MANIFEST;
use crate::FormatError;

pub(super) fn write(files: &BTreeMap<String, Vec<u8>>) -> Result<Vec<u8>, FormatError> {
    let mut out = Vec::with_capacity(files.values().map(|bytes| bytes.len() + 2 * BLOCK).sum::<usize>() + 2 * BLOCK);
    for (name, bytes) in in_order(files) {
        out.extend_from_slice(&header(name, bytes.len())?);
        out.extend_from_slice(bytes);
        out.resize(out.len().next_multiple_of(BLOCK), 0);
    }
    out.resize(out.len() + 2 * BLOCK, 0);
    Ok(out)
}

pub(super) fn read(archive: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, FormatError> {
    let mut files = BTreeMap::new();
    let mut order = Vec::new();
    let mut rest = archive;
    loop {
        let Some((head, after)) = rest.split_first_chunk::<BLOCK>() else { return Err(malformed("it is cut off")) };
        if head.iter().all(|byte| *byte == 0) {
            if after.len() != BLOCK || after.iter().any(|byte| *byte != 0) {
                return Err(malformed("it does not end with two blocks of zeros and nothing after"));
            }
            break;
        }
        let (name, length) = read_header(head)?;
        let padded = length.next_multiple_of(BLOCK);
        let (Some(bytes), Some(padding), Some(next)) =
            (after.get(..length), after.get(length..padded), after.get(padded..))
        else {
            return Err(malformed("it is cut off"));
        };
        if padding.iter().any(|byte| *byte != 0) {
            return Err(malformed("something is hidden behind a file"));
        }
        order.push(name.to_owned());
        if files.insert(name.to_owned(), bytes.to_vec()).is_some() {
            return Err(malformed("a file stands in it twice"));
        }
        rest = next;
    }
    if !in_order(&files).map(|(name, _)| name).eq(&order) {
        return Err(malformed("its files are not in order"));
    }
    Ok(files)
}

/// The manifest first, so that whoever opens the archive reads it first.
fn in_order(files: &BTreeMap<String, Vec<u8>>) -> impl Iterator<Item = (&String, &Vec<u8>)> {
    let rest = files.iter().filter(|(name, _)| *name != MANIFEST);
    files.get_key_value(MANIFEST).into_iter().chain(rest)
}

fn header(name: &str, length: usize) -> Result<[u8; BLOCK], FormatError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if name.is_empty() || name.len() > 99 || !name.bytes().all(plain) {
        return Err(malformed("the name of a file is not plain"));
    }
    if length > MAX_LENGTH {
        return Err(FormatError::TooLarge { what: "a file of the bundle", limit: MAX_LENGTH });
    }
    let mut head = [0; BLOCK];
    put(&mut head, 0, name.as_bytes());
    put(&mut head, 100, b"0000644\0");
    put(&mut head, 108, b"0000000\0");
    put(&mut head, 116, b"0000000\0");
    put(&mut head, 124, format!("{length:011o}\0").as_bytes());
    put(&mut head, 136, b"00000000000\0");
    put(&mut head, 148, b"        ");
    put(&mut head, 156, b"0");
    put(&mut head, 257, b"ustar\x0000");
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    put(&mut head, 148, format!("{sum:06o}\0 ").as_bytes());
    Ok(head)
}

fn read_header(head: &[u8; BLOCK]) -> Result<(&str, usize), FormatError> {
    let wrong = || malformed("a header is not the one that its name and length give");
    let name = head[..100].split(|byte| *byte == 0).next().and_then(|name| std::str::from_utf8(name).ok());
    let length = std::str::from_utf8(&head[124..135]).ok().and_then(|digits| usize::from_str_radix(digits, 8).ok());
    let (Some(name), Some(length)) = (name, length) else { return Err(wrong()) };
    if header(name, length)? == *head { Ok((name, length)) } else { Err(wrong()) }
}

fn put(head: &mut [u8; BLOCK], at: usize, bytes: &[u8]) {
    head[at..at + bytes.len()].copy_from_slice(bytes);
}

fn malformed(why: &'static str) -> FormatError {
    FormatError::Malformed { what: "bundle archive", why }
}

const BLOCK: usize = 512;
/// Eleven octal digits would be 8 GiB; evidence of one reset is far below.
const MAX_LENGTH: usize = 1 << 32;
