//! The graph as a picture: SVG without scripts, fonts or references, readable on light and on dark pages.
//!
//! Flow: a [`Scene`] of boxes and arrows, folded so that a person can read it; the layered layout; markup. Guarantees:
//! every label fits its box (in full where one points at it), every text is escaped, equal graphs give equal bytes, and a
//! graph of any size gives a picture of at most some hundred boxes that says what it leaves out.

use std::fmt::Write as _;

use crate::estate::UnlockVerb;

use super::draw::word;
use super::layout::{Layout, Route, Size, lay_out};
use super::{Graph, Reach};
use label::{escape, fit, width};
use scene::{Arrow, Card, Scene};

mod crowd;
mod label;
mod scene;

/// The picture. What is reached, and the edges by which it is reached, are drawn in a warning colour.
#[must_use]
pub fn svg(graph: &Graph, reached: &Reach) -> String {
    let scene = Scene::new(graph, reached);
    let sizes: Vec<Size> = scene.boxes.iter().map(size).collect();
    let edges: Vec<(usize, usize)> = scene.arrows.iter().map(|arrow| (arrow.from, arrow.to)).collect();
    let first: Vec<usize> = (0..scene.boxes.len()).filter(|&index| scene.boxes[index].start).collect();
    let layout = lay_out(&sizes, &edges, &first);
    let head = headline(&scene);
    let notes: Vec<String> = scene.notes.iter().map(|note| fit(note, SMALL, 1_200)).collect();
    let words = notes.iter().chain([&head]).map(|text| width(text, SMALL)).max().unwrap_or(0);
    let total = Size {
        width: layout.size.width.max(words).max(LEGEND) + 2 * MARGIN,
        height: layout.size.height + TOP + MARGIN + 16 * i32::try_from(notes.len()).unwrap_or(0),
    };
    let mut out = String::new();
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{0}" height="{1}" viewBox="0 0 {0} {1}" role="img">"#,
        total.width, total.height
    );
    let _ = writeln!(out, "<title>{}</title>", escape(&head));
    out.push_str(STYLE);
    let _ = writeln!(out, r#"<rect class="page" width="{}" height="{}" rx="8"/>"#, total.width, total.height);
    let _ = writeln!(out, r#"<text class="head" x="{MARGIN}" y="30">{}</text>"#, escape(&head));
    legend(&mut out);
    let _ = writeln!(out, r#"<g transform="translate({MARGIN},{TOP})">"#);
    // What is reached is drawn last, so that nothing lies over it.
    for on_path in [false, true] {
        for (arrow, route) in scene.arrows.iter().zip(&layout.routes).filter(|(arrow, _)| arrow.path == on_path) {
            draw_arrow(&mut out, &scene, &layout, &sizes, arrow, route);
        }
    }
    for (index, this) in scene.boxes.iter().enumerate() {
        let width = layout.column[index].map_or(sizes[index].width, |column| layout.columns[column].1);
        draw_box(&mut out, this, layout.boxes[index].x, layout.boxes[index].y, Size { width, ..sizes[index] });
    }
    out.push_str("</g>\n");
    for (index, note) in (0..).zip(&notes) {
        let y = TOP + layout.size.height + MARGIN + 16 * index;
        let _ = writeln!(out, r#"<text class="note" x="{MARGIN}" y="{y}">{}</text>"#, escape(note));
    }
    out.push_str("</svg>\n");
    out
}

fn headline(scene: &Scene) -> String {
    let reached = scene.boxes.iter().filter(|this| this.reached && !this.start).count();
    let starts: Vec<&str> = scene.boxes.iter().filter(|this| this.start).map(|this| this.title.as_str()).collect();
    match starts.as_slice() {
        [] => format!("{} boxes: who reads, mints and uses what", scene.boxes.len()),
        [one] => format!("Reached from {one}: {reached} of {} boxes", scene.boxes.len() - 1),
        many => format!("Reached from {} nodes: {reached} of {} boxes", many.len(), scene.boxes.len() - many.len()),
    }
}

/// As wide as its texts, within limits.
fn size(this: &Card) -> Size {
    let start = if this.start { width(START, SMALL) + 10 } else { 0 };
    let title = width(&this.title, LARGE) + start;
    let widest = this.lines.iter().map(|line| width(line, SMALL)).max().unwrap_or(0).max(title);
    let lines = i32::try_from(this.lines.len()).unwrap_or(0);
    Size { width: (widest + LEFT + RIGHT).clamp(NARROW, WIDE), height: 28 + 14 * lines }
}

fn draw_box(out: &mut String, this: &Card, x: i32, y: i32, size: Size) {
    let state = if this.start {
        " start"
    } else if this.reached {
        " reached"
    } else {
        ""
    };
    let kind = this.kind.to_lowercase();
    let round = if this.kind == "Place" { size.height.min(28) / 2 } else { 4 };
    let _ = writeln!(out, r#"<g class="box {kind}{state}"><title>{}</title>"#, escape(&this.hint));
    let _ = writeln!(
        out,
        r#"<rect class="card" x="{x}" y="{y}" width="{}" height="{}" rx="{round}"/>"#,
        size.width, size.height
    );
    let _ = writeln!(
        out,
        r#"<rect class="mark" x="{}" y="{}" width="5" height="{}" rx="2"/>"#,
        x + 5,
        y + 6,
        size.height - 12
    );
    let room = size.width - LEFT - RIGHT;
    let taken = if this.start { width(START, SMALL) + 10 } else { 0 };
    let _ = writeln!(
        out,
        r#"<text class="name" x="{}" y="{}">{}</text>"#,
        x + LEFT,
        y + 18,
        escape(&fit(&this.title, LARGE, room - taken))
    );
    if this.start {
        let _ = writeln!(out, r#"<text class="flag" x="{}" y="{}">{START}</text>"#, x + size.width - RIGHT, y + 18);
    }
    for (index, line) in (0..).zip(&this.lines) {
        let _ = writeln!(
            out,
            r#"<text class="line" x="{}" y="{}">{}</text>"#,
            x + LEFT,
            y + 32 + 14 * index,
            escape(&fit(line, SMALL, room))
        );
    }
    out.push_str("</g>\n");
}

/// From the right side of a box through its bends to the left side of another; round the other way on a back edge.
fn draw_arrow(out: &mut String, scene: &Scene, layout: &Layout, sizes: &[Size], arrow: &Arrow, route: &Route) {
    let (left, right) = if route.backward { (arrow.to, arrow.from) } else { (arrow.from, arrow.to) };
    let (Some(begin), Some(end)) = (layout.column[left], layout.column[right]) else { return };
    // A way back runs beside the way there.
    let beside = if route.backward { 6 } else { 0 };
    let middle = |node: usize| layout.boxes[node].y + sizes[node].height / 2 + beside;
    let edge = |column: usize| layout.columns[column].0 + layout.columns[column].1;
    let head = 7;
    let mut at = (edge(begin) + if route.backward { head } else { 0 }, middle(left));
    let mut way = format!("M{},{}", at.0, at.1);
    let last = (layout.columns[end].0 - if route.backward { 0 } else { head }, middle(right));
    let bends = route.bends.iter().map(|&(column, y)| ((layout.columns[column].0, y), Some((edge(column), y))));
    for (to, through) in bends.chain([(last, None)]) {
        let half = (to.0 - at.0) / 2;
        let _ = write!(way, "C{},{} {},{} {},{}", at.0 + half, at.1, to.0 - half, to.1, to.0, to.1);
        at = to;
        if let Some(through) = through {
            let _ = write!(way, "H{}", through.0);
            at = through;
        }
    }
    // The head is drawn by hand: not every viewer colours markers like their lines.
    let (tip, base) = if route.backward {
        ((edge(begin), middle(left)), edge(begin) + head)
    } else {
        ((layout.columns[end].0, middle(right)), last.0)
    };
    let class = match arrow.verb {
        UnlockVerb::Read => "read",
        UnlockVerb::Mint | UnlockVerb::Admin => "mint",
        UnlockVerb::Write | UnlockVerb::Use => "use",
    };
    let path = if arrow.path { " path" } else { "" };
    let _ = writeln!(
        out,
        r#"<g class="edge {class}{path}"><title>{} {} {}</title><path d="{way}"/><polygon points="{},{} {base},{} {base},{}"/></g>"#,
        escape(&scene.boxes[arrow.from].title),
        word(arrow.verb),
        escape(&scene.boxes[arrow.to].title),
        tip.0,
        tip.1,
        tip.1 - 4,
        tip.1 + 4,
    );
}

fn legend(out: &mut String) {
    let mut x = MARGIN;
    for kind in ["credential", "workload", "system", "place", "identity"] {
        let _ = writeln!(
            out,
            r#"<g class="{kind}"><rect class="mark" x="{x}" y="46" width="5" height="12" rx="2"/></g><text class="note" x="{}" y="56">{kind}</text>"#,
            x + 11
        );
        x += 24 + width(kind, SMALL);
    }
    for (class, word) in [
        ("read", "reads"),
        ("mint", "mints or administers"),
        ("use", "writes or uses"),
        ("read path", "how it was reached"),
    ] {
        let _ = writeln!(
            out,
            r#"<g class="edge {class}"><path d="M{x},52H{}"/></g><text class="note" x="{}" y="56">{word}</text>"#,
            x + 24,
            x + 30
        );
        x += 46 + width(word, SMALL);
    }
}

const STYLE: &str = "<style>
text{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#1f2328}
.page{fill:#fbfbfa}.head{font-size:14px;font-weight:600}.note,.line{font-size:10px;fill:#59636e}
.name{font-size:12px;font-weight:600}.flag{font-size:10px;font-weight:700;fill:#c4232d;text-anchor:end}
.card{fill:#ffffff;stroke:#c9cfd6}.edge path{fill:none;stroke:#a4adb8;stroke-width:1.1}.edge polygon{fill:#a4adb8}
.mint path{stroke-width:2.4}.use path{stroke-dasharray:4 4}
.credential .mark{fill:#2f6fde}.workload .mark{fill:#2a9461}.system .mark{fill:#8250c4}.place .mark{fill:#8c959f}
.identity .mark{fill:#b8860b}.node .mark{fill:#8c959f}.document .mark{fill:#8c959f}
.reached .card{fill:#fff3f1;stroke:#c4232d}.start .card{fill:#ffdcd8;stroke:#c4232d;stroke-width:2.5}
.path path{stroke:#c4232d;stroke-width:1.7}.path polygon{fill:#c4232d}.mint.path path{stroke-width:2.8}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.page{fill:#12161c}.note,.line{fill:#9aa5b1}
.card{fill:#1b2129;stroke:#3d4650}.edge path{stroke:#59636e}.edge polygon{fill:#59636e}.flag{fill:#ff8f87}
.reached .card{fill:#34191b;stroke:#f0605a}.start .card{fill:#56201f;stroke:#f0605a}
.path path{stroke:#f0605a}.path polygon{fill:#f0605a}}
</style>
";
const START: &str = "START";
const LARGE: i32 = 12;
const SMALL: i32 = 10;
const LEFT: i32 = 18;
const RIGHT: i32 = 10;
const NARROW: i32 = 110;
const WIDE: i32 = 240;
const MARGIN: i32 = 24;
const TOP: i32 = 84;
const LEGEND: i32 = 860;
