//! Text for a page: escaped, and free of what would turn a line around.

use std::fmt::{self, Display, Write as _};

use jiff::{SignedDuration, Timestamp};

/// Any text, for the inside of an element or an attribute.
pub(super) struct Text<T>(pub(super) T);

impl<T: Display> Display for Text<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            match letter {
                '<' => self.0.write_str("&lt;")?,
                '>' => self.0.write_str("&gt;")?,
                '&' => self.0.write_str("&amp;")?,
                '"' => self.0.write_str("&quot;")?,
                '\'' => self.0.write_str("&#39;")?,
                // Marks that reorder text could make a name read like another.
                '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                    self.0.write_char('\u{fffd}')?;
                }
                letter if letter.is_control() && letter != '\n' => self.0.write_char('\u{fffd}')?,
                letter => self.0.write_char(letter)?,
            }
        }
        Ok(())
    }
}

/// A time, to the second, in a form that programs read too.
pub(super) fn time(at: Timestamp) -> String {
    format!("<time datetime=\"{at}\">{at:.0}</time>")
}

/// How long, in the two units that matter.
pub(super) fn span(length: SignedDuration) -> String {
    let seconds = length.as_secs().max(0);
    match seconds {
        0..60 => format!("{:.1} s", length.as_secs_f64().max(0.0)),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// A number and what it counts.
pub(super) fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
