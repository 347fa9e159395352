//! The entries that the page links to, and as many others as a reader has use for.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::html::{Text, counted, time};
use super::story::Story;

/// Entries that something on the page links to.
#[derive(Default)]
pub(super) struct Links(BTreeSet<u64>);

impl Links {
    /// A link to an entry.
    pub(super) fn to(&mut self, number: u64) -> String {
        self.0.insert(number);
        format!("<a href=\"#e{number}\">{number}</a>")
    }

    /// Links to some of them, and how many more there are.
    pub(super) fn to_some(&mut self, numbers: &[u64]) -> String {
        let shown: Vec<String> = numbers.iter().take(SHOWN).map(|number| self.to(*number)).collect();
        let more = numbers.len().saturating_sub(SHOWN);
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{} {}{rest}", if numbers.len() == 1 { "entry" } else { "entries" }, shown.join(", "))
    }
}

pub(super) fn section(out: &mut String, story: &Story, links: &Links) {
    let short = story.told.len() <= MOST;
    let wanted = |number: u64| short || links.0.contains(&number);
    let listed = story.told.iter().filter(|told| wanted(told.number)).count();
    let left = story.told.len() - listed;
    // Writing to a string cannot fail, here and in the other sections.
    let _ = writeln!(out, "<section class=\"entries\" aria-labelledby=\"entries\">\n<h2 id=\"entries\">Entries</h2>");
    let _ = writeln!(
        out,
        "<p>{}{}. Each carries the hash of the one before; the bundle has their bytes and their places in the log.</p>",
        counted(listed, "entry", "entries"),
        if left > 0 { format!(" that this page refers to; {left} more are in the bundle") } else { String::new() }
    );
    out.push_str(
        "<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\" class=\"number\">No</th><th scope=\"col\">When</th>\
         <th scope=\"col\">What</th><th scope=\"col\">About</th><th scope=\"col\">Detail</th></tr></thead>\n<tbody>\n",
    );
    for told in story.told.iter().filter(|told| wanted(told.number)) {
        let body = serde_json::to_string(&told.body).unwrap_or_default();
        let _ = writeln!(
            out,
            "<tr id=\"e{0}\"><td class=\"number\">{0}</td><td>{1}</td><td><code>{2}</code></td><td>{3}</td><td class=\"detail\"><code>{4}</code></td></tr>",
            told.number,
            time(told.at),
            Text(&told.kind),
            Text(told.subject.as_deref().unwrap_or("")),
            Text(shortened(&body)),
        );
    }
    out.push_str("</tbody>\n</table></div>\n</section>\n");
}

/// A body that fills a screen helps nobody here; the bundle has all of it.
fn shortened(body: &str) -> String {
    if body.chars().count() <= LETTERS {
        return body.to_owned();
    }
    body.chars().take(LETTERS).chain(['…']).collect()
}

/// Links in one cell.
const SHOWN: usize = 6;
/// Up to so many entries, all of them are on the page.
const MOST: usize = 2_000;
const LETTERS: usize = 400;
