//! Every document that a page of this repository shows is one that can be read as it stands.

use remint::registry::Registry;
use remint_core::estate::{SourceFile, load};

use crate::tidy::{files, shown};

/// The blocks of documents, each with the number of the line above it.
fn blocks(page: &str) -> impl Iterator<Item = (usize, &str)> {
    const OPENED: &str = "```yaml\n";
    page.match_indices("```yaml\napiVersion: remint.dev").filter_map(move |(at, _)| {
        let (block, _) = page[at + OPENED.len()..].split_once("\n```")?;
        Some((page[..at].lines().count() + 1, block))
    })
}

#[test]
fn every_document_that_a_page_shows_can_be_read() {
    let (mut seen, mut wrong) = (0, Vec::new());
    for path in files(".", "md") {
        let page = std::fs::read_to_string(&path).unwrap();
        for (line, block) in blocks(&page) {
            seen += 1;
            let name = format!("{}, below line {line}", shown(&path));
            let file = SourceFile { name, bytes: block.as_bytes().to_vec() };
            let Err(problems) = load(&[file], &Registry::new()) else { continue };
            // A page shows the document that it is about, and not those that it names.
            let own = problems.0.into_iter().filter(|problem| !problem.message.ends_with(" does not exist"));
            wrong.extend(own.map(|problem| problem.to_string()));
        }
    }
    assert!(seen > 5, "only {seen} documents were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
