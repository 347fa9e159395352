//! The top of the page: the verdict, what happened in one screen, what does not hold; and at its end what does.

use std::fmt::Write as _;

use remint_evidence_format::outcome::Outcome;
use remint_evidence_format::report::Report;

use super::courses::{Course, contained, recovered};
use super::html::{Text, counted, span, time};
use super::story::Story;

/// The verdict, in a band across the page.
pub(super) fn header(out: &mut String, reset: &str, verified: &Report, story: Option<&Story>) {
    let (class, mark, words) = match (verified.ok, verified.integrity, verified.complete) {
        (true, ..) => ("good", "✓", "Verified and complete"),
        (false, false, _) => ("bad", "✕", "Not verified: do not rely on it"),
        (false, true, false) => ("open", "!", "Not complete"),
        (false, true, true) => ("open", "!", "Complete as recorded, with doubts"),
    };
    let _ = writeln!(out, "<header class=\"band {class}\">\n<p class=\"kicker\">Evidence of a credential reset</p>");
    let _ = writeln!(out, "<h1>{}</h1>", Text(reset));
    let _ = writeln!(out, "<p class=\"verdict\"><span aria-hidden=\"true\">{mark}</span> {words}</p>");
    if let Some(story) = story {
        let said = |kind: &str| story.ledger.said().iter().rev().find(|said| said.kind == kind);
        if let Some(why) = said("reset.requested").and_then(|said| said.why.as_deref()) {
            let _ = writeln!(out, "<p class=\"why\">{}</p>", Text(why));
        }
        let by = |kind: &str| said(kind).and_then(|said| said.by.clone());
        let asked = by("reset.requested").map(|by| format!("asked for by <strong>{}</strong>", Text(by)));
        let approved = by("reset.started").map(|by| format!("approved by <strong>{}</strong>", Text(by)));
        let people: Vec<String> = asked.into_iter().chain(approved).collect();
        let _ = writeln!(
            out,
            "<p>{} · {} to {} · {}</p>",
            if people.is_empty() { "nobody is named".to_owned() } else { people.join(", ") },
            time(story.begin()),
            time(story.end()),
            if verified.governed {
                "<strong>governed</strong> by policies and persons"
            } else {
                "<strong>ungoverned</strong>: nobody verified these names"
            },
        );
    }
    out.push_str("</header>\n");
}

/// What happened, in one screen.
pub(super) fn figures(out: &mut String, story: &Story, courses: &[Course<'_>]) {
    let count = |wanted: &dyn Fn(&Course<'_>) -> bool| courses.iter().filter(|course| wanted(course)).count();
    let members = count(&|course| course.member);
    let settled = count(&|course| matches!(course.outcome, Outcome::Settled { .. }));
    let provisional = count(&|course| matches!(course.outcome, Outcome::Provisional { .. }));
    let open = count(&|course| !course.outcome.is_closed_at(story.ledger.at()));
    let foreign = count(&|course| matches!(course.outcome, Outcome::Foreign { .. }));
    let by_hand = count(&|course| matches!(course.outcome, Outcome::Task { .. }));
    let excepted = count(&|course| matches!(course.outcome, Outcome::Exception { .. }));
    let begin = story.begin();
    let since = |at: Option<jiff::Timestamp>| at.map(|at| span(at.duration_since(begin)));
    let dead = count(&|course| course.member && course.dead.is_some());
    out.push_str("<section aria-labelledby=\"what\">\n<h2 id=\"what\">What happened</h2>\n<dl class=\"figures\">\n");
    let mut figure = |name: &str, value: String, note: String| {
        let _ = writeln!(
            out,
            "<div><dt>{name}</dt><dd><span class=\"value\">{}</span> <span class=\"note\">{}</span></dd></div>",
            Text(value),
            Text(note)
        );
    };
    figure(
        "Time to contain",
        since(contained(courses)).unwrap_or_else(|| "not contained".to_owned()),
        format!("from the request until the last of {members} old values was refused; {dead} are"),
    );
    figure(
        "Time to recover",
        since(recovered(courses)).unwrap_or_else(|| "not recovered".to_owned()),
        "until every consumer was known to use its new value".to_owned(),
    );
    figure(
        "Credentials replaced",
        format!("{settled} of {members}"),
        if provisional > 0 {
            format!("{provisional} more are settled until they are proven again")
        } else {
            "settled: dead, and proven again later".to_owned()
        },
    );
    figure(
        "Not done",
        open.to_string(),
        if open == 0 {
            "nothing reached is left open".to_owned()
        } else {
            "listed below, each with its reason".to_owned()
        },
    );
    figure("By hand", by_hand.to_string(), "tasks that no connector could do".to_owned());
    figure("Excepted", excepted.to_string(), "not replaced, on somebody's word".to_owned());
    figure("Foreign", foreign.to_string(), "found at an issuer, and nobody's here".to_owned());
    figure("Entries", story.told.len().to_string(), "signed, numbered, in one chain".to_owned());
    out.push_str("</dl>\n</section>\n");
}

/// What is wrong or not done, before anything else is told.
pub(super) fn findings(out: &mut String, verified: &Report) {
    if verified.findings.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "<section class=\"findings\" aria-labelledby=\"findings\">\n<h2 id=\"findings\">What does not hold</h2>\n<p>{}.</p>\n<ul>",
        counted(verified.findings.len(), "thing", "things")
    );
    for finding in verified.findings.iter().take(MOST) {
        let _ = writeln!(out, "<li><strong>{}</strong>: {}</li>", Text(&finding.place), Text(&finding.what));
    }
    if verified.findings.len() > MOST {
        let _ = writeln!(out, "<li>and {} more: remint evidence verify -o json</li>", verified.findings.len() - MOST);
    }
    out.push_str("</ul>\n</section>\n");
}

/// What the verification showed, and what it cannot.
pub(super) fn proven(out: &mut String, verified: &Report, story: &Story) {
    for (id, title, lines) in
        [("holds", "What was verified", &verified.holds), ("limits", "What this cannot show", &verified.limits)]
    {
        let _ = writeln!(out, "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>\n<ul>");
        for line in lines.iter().take(MOST) {
            let _ = writeln!(out, "<li>{}</li>", Text(line));
        }
        out.push_str("</ul>\n</section>\n");
    }
    let _ = writeln!(
        out,
        "<section aria-labelledby=\"keep\">\n<h2 id=\"keep\">Keep this</h2>\n<p>The log as it was when this bundle was made. \
         Whoever keeps it can ask of any later bundle whether the log goes on from here: <code>--seen FILE</code>.</p>\n\
         <pre>{}</pre>\n</section>",
        Text(&story.checkpoint)
    );
    out.push_str(
        "<section aria-labelledby=\"yourself\">\n<h2 id=\"yourself\">Look for yourself</h2>\n<p>This page was made from the \
         bundle and is signed by nobody. What counts is the bundle: <code>remint evidence verify BUNDLE --key VKEY</code>, \
         on any machine, without a network.</p>\n</section>\n",
    );
}

/// Lines of one list.
const MOST: usize = 200;
