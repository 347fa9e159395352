//! Text in boxes: how wide it is, how to shorten it, how to escape it.

/// The width of a text in pixels, in a monospaced face; never less than what a reader's font needs.
pub(super) fn width(text: &str, size: i32) -> i32 {
    // Hundredths of the size: 62 for the widest common monospaced face, a whole one for what may be double-width.
    let hundredths: i32 = text.chars().map(|letter| if letter.is_ascii() { 62 } else { 104 }).sum();
    (hundredths * size + 99) / 100
}

/// The text, shortened in the middle to fit: the beginning says where, the end says what.
pub(super) fn fit(text: &str, size: i32, room: i32) -> String {
    let text: String = text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect();
    if width(&text, size) <= room {
        return text;
    }
    let letters: Vec<char> = text.chars().take(SCANNED).collect();
    let tail: Vec<char> = text.chars().rev().take(SCANNED).collect();
    let mut kept = letters.len().min(tail.len());
    loop {
        let front = kept.div_ceil(2);
        let short: String = letters[..front].iter().chain(&['…']).chain(tail[..kept - front].iter().rev()).collect();
        if kept == 0 || width(&short, size) <= room {
            return short;
        }
        kept -= 1;
    }
}

/// For the inside of an element or an attribute.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' => escaped.push('\n'),
            // XML has no way to write these at all.
            letter if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// No line of a picture has room for more letters than this.
const SCANNED: usize = 64;
