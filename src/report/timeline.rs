//! The timeline: how long each old value lived, since when each new one is in use, and the events in order.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::courses::{Course, contained};
use super::entries::Links;
use super::html::{Text, span, time};
use super::story::{Story, Told};

pub(super) fn section(out: &mut String, story: &Story, courses: &[Course<'_>], links: &mut Links) {
    out.push_str("<section aria-labelledby=\"timeline\">\n<h2 id=\"timeline\">Timeline</h2>\n");
    bars(out, story, courses);
    events(out, story, courses, links);
    out.push_str("</section>\n");
}

/// One row a credential: the old value alive above, the new one in use below.
fn bars(out: &mut String, story: &Story, courses: &[Course<'_>]) {
    let mut members: Vec<&Course<'_>> = courses.iter().filter(|course| course.member).collect();
    if members.is_empty() {
        return;
    }
    let begin = story.begin();
    let last = members.iter().flat_map(|course| [course.dead, course.used]).flatten().map(|(at, _)| at).max();
    // What is not dead lives on to the end of the picture; a re-proof a day later would press all else into a line.
    let end = last.unwrap_or_else(|| story.end());
    let whole = end.duration_since(begin).as_secs_f64().max(0.001) * 1.04;
    let x = |at: Timestamp| LEFT + at.duration_since(begin).as_secs_f64().clamp(0.0, whole) / whole * WIDTH;
    // The longest alive stands first.
    members.sort_by_key(|course| {
        (std::cmp::Reverse(course.dead.map_or(i64::MAX, |(at, _)| at.as_microsecond())), course.subject)
    });
    let shown = members.len().min(ROWS);
    let height = TOP + ROW * f64::from(u32::try_from(shown).unwrap_or(u32::MAX)) + 8.0;
    let full = LEFT + WIDTH + 20.0;
    let _ = writeln!(
        out,
        "<figure class=\"wide\"><svg class=\"bars\" viewBox=\"0 0 {full} {height}\" width=\"{full}\" height=\"{height}\" role=\"img\" aria-labelledby=\"bars-title\">\n<title id=\"bars-title\">For each credential, how long its old value was accepted after the request, and since when its new one is in use; the table above has the same in numbers</title>"
    );
    for tick in 0..=4_u8 {
        let part = f64::from(tick) / 4.0;
        let at = LEFT + part * WIDTH;
        let label = span(jiff::SignedDuration::try_from_secs_f64(whole * part).unwrap_or_default());
        let _ = writeln!(
            out,
            "<line class=\"tick\" x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{height}\"/><text class=\"axis\" x=\"{at:.1}\" y=\"16\">{}</text>",
            if tick == 0 { "request".to_owned() } else { format!("+{label}") }
        );
    }
    for (row, course) in members.iter().take(ROWS).enumerate() {
        let y = TOP + ROW * f64::from(u32::try_from(row).unwrap_or(u32::MAX));
        let until = course.dead.map_or(LEFT + WIDTH, |(at, _)| x(at));
        let name = course.subject.strip_prefix("Credential/").unwrap_or(course.subject);
        let _ = writeln!(
            out,
            "<g><title>{0}</title><text class=\"name\" x=\"{1}\" y=\"{2:.1}\">{3}</text><rect class=\"old{4}\" x=\"{LEFT}\" y=\"{5:.1}\" width=\"{6:.1}\" height=\"7\" rx=\"2\"/>",
            Text(course.subject),
            LEFT - 10.0,
            y + 13.0,
            Text(fitted(name)),
            if course.dead.is_none() { " alive" } else { "" },
            y + 3.0,
            (until - LEFT).max(1.0),
        );
        if let Some((at, _)) = course.used {
            let _ = writeln!(
                out,
                "<rect class=\"new\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"7\" rx=\"2\"/>",
                x(at),
                y + 11.0,
                (LEFT + WIDTH - x(at)).max(2.0),
            );
        }
        out.push_str("</g>\n");
    }
    out.push_str(
        "</svg>\n<figcaption><span class=\"key old\"></span> the old value is accepted, or not yet known to be refused \
                  <span class=\"key new\"></span> every consumer is known to use the new one",
    );
    if members.len() > shown {
        let _ = write!(out, "; the {shown} that lived longest of {}", members.len());
    }
    out.push_str("</figcaption></figure>\n");
}

/// What happened, in order: what people said, what went wrong, what was found, and the moments that count.
fn events(out: &mut String, story: &Story, courses: &[Course<'_>], links: &mut Links) {
    let first = story.told.iter().find(|told| told.kind == "old.refused").map(|told| told.number);
    let moment = contained(courses);
    let closing =
        courses.iter().filter_map(|course| course.dead).find(|(at, _)| Some(*at) == moment).map(|(_, entry)| entry);
    let mut told: Vec<(&Told, String)> = Vec::new();
    for one in &story.told {
        let words = if Some(one.number) == closing && moment.is_some() {
            Some("the last old value was refused: contained".to_owned())
        } else if Some(one.number) == first {
            Some("the first old value was refused".to_owned())
        } else {
            sentence(one)
        };
        told.extend(words.map(|words| (one, words)));
    }
    let left = told.len().saturating_sub(EVENTS);
    out.push_str("<ol class=\"events\">\n");
    // Of too many, the beginning and the end say most.
    for (place, (one, words)) in told.iter().enumerate() {
        if left > 0 && place == EVENTS / 2 {
            let _ = writeln!(out, "<li class=\"left\">{left} more events are in the bundle</li>");
        }
        if left > 0 && (EVENTS / 2..EVENTS / 2 + left).contains(&place) {
            continue;
        }
        let about =
            one.subject.as_deref().map_or_else(String::new, |subject| format!("<strong>{}</strong>: ", Text(subject)));
        let _ = writeln!(
            out,
            "<li>{} {about}{} <span class=\"note\">({})</span></li>",
            time(one.at),
            Text(words),
            links.to(one.number)
        );
    }
    out.push_str("</ol>\n");
}

/// What an entry is worth in a timeline; `None` for the many that are steps.
fn sentence(told: &Told) -> Option<String> {
    let by = told.word("by").or_else(|| told.word("approved-by")).or_else(|| told.word("requested-by"));
    let by = by.map_or_else(String::new, |by| format!(" by {by}"));
    let why = told.word("why").or_else(|| told.word("reason")).map_or_else(String::new, |why| format!(": {why}"));
    let words = match told.kind.as_str() {
        "reset.requested" => "the reset was asked for",
        "reset.started" => "approved, and begun",
        "reset.revised" => "a revision was approved",
        "reset.escalated" => "a revision was asked for",
        "reset.rejected" => "rejected",
        "reset.paused" => "paused",
        "reset.resumed" => "resumed",
        "reset.aborted" => "aborted",
        "reset.rested" => "nothing more could be done without a person",
        "reset.reopened" => "opened again",
        "reset.recovered" => "the log was begun anew after a restore",
        "reset.closed" => "closed",
        "node.cleaned" => "a node is clean",
        "rotation.parked" => "parked",
        "rotation.dark" => "dead, and dark until a node is clean",
        "rotation.reopened" => "the old value is ALIVE AGAIN",
        "old.used" => "the old value was USED after every consumer had changed",
        "foreign.found" => "something foreign was found at the issuer",
        "foreign.decided" => "decided",
        "foreign.revoked" => "the foreign one was revoked",
        "task.opened" => "a task for a person",
        "task.overdue" => "nobody did it in time",
        "task.attested" => "attested",
        "exception.granted" => "excepted",
        "rights.not-compared" => "the rights of the new value could not be compared, for the old one is gone",
        "sweep.failed" => "the issuer could not be swept",
        "effect.failed" => "a call failed",
        "effect.unclear" => "an answer was lost",
        _ => return None,
    };
    Some(format!("{words}{by}{why}"))
}

/// A name that fits beside its bar.
fn fitted(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= NAME {
        return name.to_owned();
    }
    letters[..NAME / 2].iter().chain(&['…']).chain(&letters[letters.len() - NAME / 2 + 1..]).collect()
}

const ROWS: usize = 60;
const EVENTS: usize = 120;
const NAME: usize = 30;
const LEFT: f64 = 230.0;
const WIDTH: f64 = 640.0;
const TOP: f64 = 26.0;
const ROW: f64 = 22.0;
