//! Every credential reached: what became of it, at which grade, and how it was reached.

use std::fmt::Write as _;

use remint_evidence_format::outcome::Outcome;

use super::courses::Course;
use super::entries::Links;
use super::html::{Text, span};
use super::story::Story;

pub(super) fn section(out: &mut String, story: &Story, courses: &[Course<'_>], links: &mut Links) {
    out.push_str("<section aria-labelledby=\"credentials\">\n<h2 id=\"credentials\">Everything reached</h2>\n");
    out.push_str(
        "<p>Nothing that the plan reaches or a sweep found is left out. Times count from the request.</p>\n\
         <div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">Credential</th><th scope=\"col\">What became of it</th>\
         <th scope=\"col\">Old value</th><th scope=\"col\">Refused after</th><th scope=\"col\">New value in use</th>\
         <th scope=\"col\">Seen after</th><th scope=\"col\">Entry</th></tr></thead>\n<tbody>\n",
    );
    let begin = story.begin();
    // What is not done stands first: a long list must not hide it.
    let mut sorted: Vec<&Course<'_>> = courses.iter().collect();
    sorted.sort_by_key(|course| (course.outcome.is_closed_at(story.ledger.at()), course.subject));
    for course in sorted {
        let (class, words) = outcome(course.outcome, story.ledger.at());
        let way = match course.path.as_slice() {
            [] => String::new(),
            [only] => format!("<div class=\"way\">{}: it is where the intruder began</div>", Text(only)),
            path => {
                let hops: Vec<String> = path.iter().map(|hop| Text(hop).to_string()).collect();
                format!("<div class=\"way\">{}</div>", hops.join(" → "))
            }
        };
        let mut after = |known: Option<(jiff::Timestamp, u64)>| {
            known.map_or_else(
                || "–".to_owned(),
                |(at, entry)| {
                    format!("{} <span class=\"note\">({})</span>", span(at.duration_since(begin)), links.to(entry))
                },
            )
        };
        let (dead, used) = (after(course.dead), after(course.used));
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{}{way}</th><td><span class=\"chip {class}\">{words}</span></td><td>{}</td><td>{dead}</td><td>{}</td><td>{used}</td><td class=\"number\">{}</td></tr>",
            Text(course.subject),
            course.proof().map_or("–", |grade| grade.word()),
            course.confirm().map_or("–", |grade| grade.word()),
            links.to(course.entry),
        );
    }
    out.push_str("</tbody>\n</table></div>\n");
    out.push_str(GRADES);
    out.push_str("</section>\n");
}

/// A class and words for an outcome.
fn outcome(outcome: &Outcome, at: &str) -> (&'static str, String) {
    let text = |text: &str| Text(text).to_string();
    match outcome {
        Outcome::Settled { .. } => ("good", "✓ settled".to_owned()),
        Outcome::Provisional { until, .. } => ("open", format!("◔ until proven again at {}", text(until))),
        Outcome::Open { why } => ("bad", format!("✕ open: {}", text(why))),
        Outcome::Task { why, by: Some(by) } => ("good", format!("✓ by hand, {} says so: {}", text(by), text(why))),
        Outcome::Task { why, by: None } => ("bad", format!("✕ task, nobody attested: {}", text(why))),
        Outcome::Exception { by, until, why } if outcome.has_ended(at) => {
            ("bad", format!("✕ exception of {} ended {}: {}", text(by), text(until), text(why)))
        }
        Outcome::Exception { by, until, why } => {
            ("open", format!("◇ excepted by {} until {}: {}", text(by), text(until), text(why)))
        }
        Outcome::Foreign { decided: Some((decision, by)) } => {
            ("good", format!("✓ foreign, {} decided: {}", text(by), decision.word()))
        }
        Outcome::Foreign { decided: None } => ("bad", "✕ foreign, undecided".to_owned()),
    }
}

const GRADES: &str = "<dl class=\"grades\">
<div><dt>refused</dt><dd>tried before and after by the same probe, with the new value as control, twice</dd></div>
<div><dt>refused-uncontrolled</dt><dd>tried after, without the whole control</dd></div>
<div><dt>published, absent, attested</dt><dd>not tried: on a revocation list; gone by the issuer's list; a person's word</dd></div>
<div><dt>issuer-seen, self-reported, served</dt><dd>use of the new value was seen: by the issuer, by the consumer, on the wire</dd></div>
<div><dt>rolled-out, attested</dt><dd>use was not seen: the roll-out ended; a person says so</dd></div>
</dl>
";
