//! Quoting for statements that take no parameters (`CREATE ROLE`, `ALTER ROLE`, `COMMENT`).

/// A name as PostgreSQL reads it back, whatever is in it. A NUL cannot occur in a name: it is left out.
pub(crate) fn identifier(name: &str) -> String {
    enclose(name, '"')
}

/// A text as PostgreSQL reads it back, independent of `standard_conforming_strings`.
pub(crate) fn literal(text: &str) -> String {
    if text.contains('\\') { format!(" E{}", enclose(&text.replace('\\', "\\\\"), '\'')) } else { enclose(text, '\'') }
}

fn enclose(text: &str, mark: char) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push(mark);
    for character in text.chars().filter(|character| *character != '\0') {
        if character == mark {
            quoted.push(mark);
        }
        quoted.push(character);
    }
    quoted.push(mark);
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_inside_never_ends_the_text() {
        assert_eq!(identifier(r#"a"; DROP ROLE b; --"#), r#""a""; DROP ROLE b; --""#);
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal(r"a\'b"), r" E'a\\''b'");
        assert_eq!(identifier("a\0b"), r#""ab""#);
    }
}
