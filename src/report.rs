//! The report: one page about one reset, made from its bundle and nothing else, so that whoever has the bundle can make
//! the same page. No script, no font, no picture from elsewhere; it prints.
//!
//! Flow: [`render`] takes a bundle and what verifying it said, reads the [`Story`] that its entries tell, and writes the
//! sections from top to bottom: what happened, what does not hold, the graph, the credentials, the timeline, who said
//! what, the controls, and last the entries that all of them link to.
//!
//! Guarantees: a bundle that is broken is not quoted: the page has the findings and nothing else. Every text is escaped.
//! Every link leads to an entry of the page. The same bundle and the same trust give the same bytes.

use std::collections::BTreeMap;

use remint_evidence_format::bundle::Bundle;
use remint_evidence_format::person;
use remint_evidence_format::report::Report;

mod controls;
mod courses;
mod credentials;
mod entries;
mod graph;
mod html;
mod people;
mod story;
mod style;
mod summary;
mod timeline;

use entries::Links;
use html::Text;
use story::Story;
pub use story::StoryError;

/// Writes the page.
///
/// # Errors
/// The bundle verifies, and what it tells cannot be read: it was written by another version.
pub fn render(bundle: Option<&Bundle>, verified: &Report) -> Result<String, StoryError> {
    let story = match bundle.filter(|_| verified.integrity) {
        Some(bundle) => Some(Story::read(bundle)?),
        None => None,
    };
    let reset = verified.reset.as_deref().unwrap_or("an unknown reset");
    let mut body = String::new();
    let mut names = BTreeMap::new();
    let mut links = Links::default();
    summary::header(&mut body, reset, verified, story.as_ref());
    body.push_str("<main id=\"top\">\n");
    if let (Some(story), Some(bundle)) = (&story, bundle) {
        names = bundle.persons()?;
        let courses = courses::of(story);
        summary::figures(&mut body, story, &courses);
        summary::findings(&mut body, verified);
        credentials::section(&mut body, story, &courses, &mut links);
        graph::section(&mut body, story);
        timeline::section(&mut body, story, &courses, &mut links);
        people::sections(&mut body, story, &mut links);
        controls::section(&mut body, story, &courses, &mut links);
        summary::proven(&mut body, verified, story);
        entries::section(&mut body, story, &links);
    } else {
        summary::findings(&mut body, verified);
    }
    body.push_str("</main>\n");
    // Commitments have no letter that is escaped, and names are.
    names.values_mut().for_each(|name| *name = Text(&*name).to_string());
    let body = person::told(&body, &names);
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{} – evidence</title>\n\
         <style>\n{}</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#top\">To the report</a>\n{body}</body>\n</html>\n",
        Text(reset),
        style::STYLE,
    ))
}
