//! Who said what: approvals, exceptions, decisions, work by hand.

use std::fmt::Write as _;

use remint_evidence_format::outcome::Outcome;

use super::entries::Links;
use super::html::Text;
use super::story::Story;

pub(super) fn sections(out: &mut String, story: &Story, links: &mut Links) {
    let said: Vec<[String; 5]> = story
        .ledger
        .said()
        .iter()
        .map(|said| {
            let grade = said.grade.as_deref().unwrap_or("recorded");
            let grade = if grade == "recorded" { "recorded: a word that nobody verified" } else { grade };
            [
                said.at.clone(),
                act(&said.kind).to_owned(),
                said.by.clone().unwrap_or_else(|| "–".to_owned()),
                said.why.clone().unwrap_or_default(),
                grade.to_owned(),
            ]
        })
        .collect();
    let entries: Vec<u64> = story.ledger.said().iter().map(|said| said.entry).collect();
    let none = "Nobody said anything of this reset.";
    table(
        out,
        "approvals",
        "Requests and approvals",
        ["When", "What", "Who", "Why", "How it is known"],
        &said,
        &entries,
        none,
        links,
    );
    if story.ledger.is_governed() {
        signed(out, story, links);
    } else {
        out.push_str(
            "<p class=\"note\">Ungoverned: nobody verified these persons, and no signature of one stands in this bundle.</p>\n",
        );
    }
    let mut excepted = (Vec::new(), Vec::new());
    let mut words = (Vec::new(), Vec::new());
    for (subject, row) in story.ledger.rows() {
        let (rows, kind, by, until, why) = match &row.outcome {
            Outcome::Exception { by, until, why } => {
                (&mut excepted, "not replaced", Some(by), until.as_str(), why.as_str())
            }
            Outcome::Task { why, by } => (&mut words, "by hand", by.as_ref(), "", why.as_str()),
            Outcome::Foreign { decided } => {
                let by = decided.as_ref().map(|(_, by)| by);
                (
                    &mut words,
                    decided.as_ref().map_or("undecided", |(decision, _)| decision.word()),
                    by,
                    "",
                    "a foreign credential",
                )
            }
            _ => continue,
        };
        let by = by.map_or_else(|| "nobody yet".to_owned(), Clone::clone);
        rows.0.push([subject.clone(), kind.to_owned(), by, why.to_owned(), until.to_owned()]);
        rows.1.push(row.entry);
    }
    let none = "None: everything reached was replaced, or is listed as not done.";
    table(
        out,
        "exceptions",
        "Exceptions",
        ["Credential", "What", "On whose word", "Why", "Until"],
        &excepted.0,
        &excepted.1,
        none,
        links,
    );
    let none = "None.";
    table(
        out,
        "byhand",
        "Decisions and work by hand",
        ["About", "What", "On whose word", "Why", ""],
        &words.0,
        &words.1,
        none,
        links,
    );
}

/// Whose yes it took, and which of them anybody can check.
fn signed(out: &mut String, story: &Story, links: &mut Links) {
    let approvals = story.ledger.approvals();
    let rows: Vec<[String; 5]> = approvals
        .iter()
        .map(|said| {
            let known = match said.signed {
                Some(_) => "signed with a key of his own",
                None if said.grade == "recorded" => "recorded: the word of the log",
                None => said.grade.as_str(),
            };
            let known = match said.withdrawn {
                Some(entry) => format!("{known}; withdrawn by entry {entry}"),
                None => known.to_owned(),
            };
            [said.at.clone(), said.by.clone(), said.plan.clone(), known, String::new()]
        })
        .collect();
    let entries: Vec<u64> = approvals.iter().map(|said| said.entry).collect();
    let head = ["When", "Who", "Which plan", "How it is known", ""];
    table(out, "signed", "Signatures of persons", head, &rows, &entries, "Nobody signed a plan of this reset.", links);
    for begun in story.ledger.begun() {
        let way = begun.by_way_of.as_deref().map_or_else(
            || format!("it took {} different persons", begun.needs),
            |way| format!("it came into force by way of {way}"),
        );
        let _ = writeln!(out, "<p class=\"note\">Plan {}: {}.</p>", Text(&begun.plan), Text(&way));
    }
}

#[expect(clippy::too_many_arguments, reason = "one table of five columns, three times")]
fn table(
    out: &mut String,
    id: &str,
    title: &str,
    head: [&str; 5],
    rows: &[[String; 5]],
    entries: &[u64],
    none: &str,
    links: &mut Links,
) {
    let _ = writeln!(out, "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>");
    if rows.is_empty() {
        let _ = writeln!(out, "<p>{none}</p>\n</section>");
        return;
    }
    let columns = head.iter().filter(|name| !name.is_empty()).count();
    out.push_str("<div class=\"wide\"><table>\n<thead><tr>");
    for name in &head[..columns] {
        let _ = write!(out, "<th scope=\"col\">{name}</th>");
    }
    out.push_str("<th scope=\"col\">Entry</th></tr></thead>\n<tbody>\n");
    for (row, entry) in rows.iter().zip(entries) {
        out.push_str("<tr>");
        for cell in &row[..columns] {
            let _ = write!(out, "<td>{}</td>", Text(cell));
        }
        let _ = writeln!(out, "<td class=\"number\">{}</td></tr>", links.to(*entry));
    }
    out.push_str("</tbody>\n</table></div>\n</section>\n");
}

fn act(kind: &str) -> &str {
    match kind {
        "reset.requested" => "asked for it",
        "break-glass.used" => "broke the glass",
        "break-glass.reviewed" => "reviewed that",
        "reset.started" => "approved the plan",
        "reset.revised" => "approved a revision",
        "reset.escalated" => "asked for a revision",
        "reset.rejected" => "rejected it",
        "reset.paused" => "paused it",
        "reset.resumed" => "resumed it",
        "reset.aborted" => "aborted it",
        "node.cleaned" => "attested that a node is clean",
        other => other,
    }
}
