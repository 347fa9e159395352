//! Aligned columns: cells wrap inside their column, nothing is cut off, and nothing of a name can move the cursor.

/// One line of a table, or several when a cell wraps.
pub(super) enum Row {
    /// Across all columns.
    Heading(String),
    Cells(Vec<String>),
    /// Across all columns, indented below the row before.
    Note(String),
}

/// Columns as wide as their widest cell, and no wider than `most` each; a rule under the header.
pub(super) fn columns(header: &[&str], most: &[usize], rows: &[Row]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|word| word.chars().count()).collect();
    for row in rows {
        let Row::Cells(cells) = row else { continue };
        for ((width, cell), &most) in widths.iter_mut().zip(cells).zip(most) {
            *width = (*width).max(cell.chars().count().min(most));
        }
    }
    let header: Vec<String> = header.iter().map(ToString::to_string).collect();
    let mut text = String::new();
    line(&mut text, &header, &widths);
    let total = widths.iter().sum::<usize>() + GAP * (widths.len().saturating_sub(1));
    text.extend(["  ", &"─".repeat(total), "\n"]);
    for row in rows {
        match row {
            Row::Heading(words) => {
                for words in wrap(words, WIDTH - 2) {
                    text.push_str(format!("  {words}").trim_end());
                    text.push('\n');
                }
            }
            Row::Cells(cells) => line(&mut text, cells, &widths),
            Row::Note(words) => {
                for words in wrap(words, WIDTH - 6) {
                    text.extend(["      ", &words, "\n"]);
                }
            }
        }
    }
    text
}

fn line(text: &mut String, cells: &[String], widths: &[usize]) {
    let wrapped: Vec<Vec<String>> = cells.iter().zip(widths).map(|(cell, &width)| wrap(cell, width)).collect();
    let tallest = wrapped.iter().map(Vec::len).max().unwrap_or(0);
    for part in 0..tallest {
        let mut line = String::from("  ");
        for (cell, &width) in wrapped.iter().zip(widths) {
            let words = cell.get(part).map_or("", String::as_str);
            line.push_str(words);
            line.extend(std::iter::repeat_n(' ', width + GAP - words.chars().count()));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

/// Lines of at most `width` letters, broken after a comma or a space where there is one, and anywhere else where not.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let letters: Vec<char> = clean(text).chars().collect();
    let mut lines = Vec::new();
    let mut at = 0;
    while letters.len() - at > width {
        let window = &letters[at..=at + width];
        let end = window.iter().rposition(|letter| *letter == ' ').filter(|&end| end > 0).unwrap_or(width);
        lines.push(letters[at..at + end].iter().collect::<String>());
        at += end;
        at += usize::from(letters[at] == ' ');
    }
    lines.push(letters[at..].iter().collect());
    lines
}

/// A paragraph: a term, and words that hang beside it.
pub(super) fn hang(term: &str, words: &str) -> String {
    let term = clean(term);
    let indent = (term.chars().count() + 4).max(INDENT);
    let mut text = String::new();
    for (index, line) in wrap(words, WIDTH.saturating_sub(indent).max(30)).iter().enumerate() {
        let start = if index == 0 { format!("  {term}") } else { String::new() };
        let padding = indent - start.chars().count();
        text.push_str(format!("{start}{}{line}", " ".repeat(padding)).trim_end());
        text.push('\n');
    }
    text
}

/// Without letters that a terminal would obey.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// Across a page of text.
pub(super) const WIDTH: usize = 110;
const GAP: usize = 2;
const INDENT: usize = 22;
