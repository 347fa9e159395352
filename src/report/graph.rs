//! The graph: what was reached, and by which way.

use std::fmt::Write as _;

use remint_core::graph::{Graph, draw, reach};

use super::story::Story;

pub(super) fn section(out: &mut String, story: &Story) {
    let (graph, starts) = Graph::of_plan(&story.plan);
    let picture = draw::svg(&graph, &reach(&graph, &starts));
    out.push_str("<section aria-labelledby=\"reach\">\n<h2 id=\"reach\">What the intruder could reach</h2>\n");
    out.push_str(
        "<p>From the compromised nodes, each arrow one step that a value or a right opens. The table of credentials has \
         every way in words.</p>\n",
    );
    let _ = writeln!(out, "<figure class=\"wide graph\">\n{}</figure>\n</section>", scoped(&picture, ".graph"));
}

/// A picture whose style holds for itself only: on a page, rules without a place would reach everything else.
fn scoped(picture: &str, place: &str) -> String {
    let Some((before, rest)) = picture.split_once("<style>") else { return picture.to_owned() };
    let Some((style, after)) = rest.split_once("</style>") else { return picture.to_owned() };
    let mut out = format!("{before}<style>");
    let mut rest = style;
    while let Some((head, after)) = rest.split_once('{') {
        let (selectors, closing) = match head.rsplit_once('}') {
            // The end of a block of rules stands before the next rule.
            Some((closing, selectors)) => (selectors, format!("{closing}}}")),
            None => (head, String::new()),
        };
        out.push_str(&closing);
        rest = after;
        if selectors.trim_start().starts_with('@') {
            let _ = write!(out, "{}{{", selectors.trim_start());
            continue;
        }
        let each: Vec<String> = selectors.trim().split(',').map(|one| format!("{place} {}", one.trim())).collect();
        let (rule, next) = after.split_once('}').unwrap_or((after, ""));
        let _ = write!(out, "{}{{{rule}}}", each.join(","));
        rest = next;
    }
    format!("{out}{rest}</style>{after}")
}

#[cfg(test)]
mod tests {
    use super::scoped;

    #[test]
    fn every_rule_of_a_picture_holds_inside_it_only() {
        let picture =
            "<svg><style>\ntext{a:1}\n.x,.y .z{b:2}.w{c:3}\n@media (dark){text{d:4}\n.x{e:5}}\n</style><g/></svg>";
        let expected = "<svg><style>.g text{a:1}.g .x,.g .y .z{b:2}.g .w{c:3}@media (dark){.g text{d:4}.g .x{e:5}}\n</style><g/></svg>";
        assert_eq!(scoped(picture, ".g"), expected);
    }
}
