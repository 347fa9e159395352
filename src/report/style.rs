//! How the page looks, on a screen by day and by night, and on paper.

pub(super) const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#57606a;--page:#ffffff;--card:#f6f7f9;--line:#d8dde3;
--good:#116932;--good-bg:#e6f4ea;--open:#7a4d00;--open-bg:#fdf3dc;--bad:#a11a22;--bad-bg:#fdeaea;--link:#0b5cad;--old:#c4232d;--new:#2a9461}
@media (prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9aa5b1;--page:#12161c;--card:#1b2129;--line:#333c46;
--good:#6fd293;--good-bg:#12301d;--open:#f0c36a;--open-bg:#352a10;--bad:#ff938d;--bad-bg:#3a1719;--link:#79b8ff;--old:#f0605a;--new:#4cc38a}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}
main,.band>*{max-width:76rem;margin-inline:auto}
main{padding:0 1.5rem 4rem}
a{color:var(--link)}
:focus-visible{outline:3px solid var(--link);outline-offset:2px}
.skip{position:absolute;left:-99rem}.skip:focus{left:1rem;top:1rem;background:var(--page);padding:.4rem .8rem}
.band{padding:2rem 1.5rem 1.6rem;border-bottom:1px solid var(--line);border-top:6px solid}
.band.good{background:var(--good-bg);border-top-color:var(--good)}
.band.open{background:var(--open-bg);border-top-color:var(--open)}
.band.bad{background:var(--bad-bg);border-top-color:var(--bad)}
.band p{margin-block:.25rem}
.kicker{text-transform:uppercase;letter-spacing:.09em;font-size:.75rem;color:var(--soft)}
h1{font-size:2rem;line-height:1.2;margin-block:.1rem .4rem;overflow-wrap:anywhere}
.verdict{font-size:1.25rem;font-weight:650}
.good .verdict{color:var(--good)}.open .verdict{color:var(--open)}.bad .verdict{color:var(--bad)}
.why{font-size:1.05rem}
h2{font-size:1.25rem;margin:2.4rem 0 .6rem;padding-bottom:.3rem;border-bottom:1px solid var(--line)}
.note{color:var(--soft);font-size:.86em}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(15rem,1fr));gap:.8rem;margin:1rem 0 0}
.figures>div{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:.8rem 1rem}
.figures dt{font-size:.8rem;color:var(--soft)}
.figures dd{margin:0}.figures .value{display:block;font-size:1.6rem;font-weight:650;font-variant-numeric:tabular-nums;line-height:1.3}
.findings{background:var(--bad-bg);border:1px solid var(--bad);border-radius:10px;padding:.2rem 1.2rem .6rem;margin-top:1.6rem}
.findings h2{margin-top:.8rem;border:0;color:var(--bad)}
.wide{overflow-x:auto;margin-inline:0}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:left;vertical-align:top;padding:.45rem .7rem .45rem 0;border-bottom:1px solid var(--line);overflow-wrap:anywhere}
thead th{font-size:.78rem;color:var(--soft);font-weight:600;white-space:nowrap}
tbody th{font-weight:600;min-width:13rem}
tbody tr:target{background:var(--open-bg)}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.way{font-weight:400;color:var(--soft);font-size:.82rem}
.chip{display:inline-block;border-radius:6px;padding:.05rem .5rem}
.chip.good{background:var(--good-bg);color:var(--good)}.chip.open{background:var(--open-bg);color:var(--open)}.chip.bad{background:var(--bad-bg);color:var(--bad)}
.grades{display:grid;grid-template-columns:repeat(auto-fit,minmax(20rem,1fr));gap:.2rem 1.5rem;font-size:.82rem;color:var(--soft)}
.grades>div{display:block}.grades dt{display:inline;font-weight:650}.grades dt::after{content:': '}.grades dd{display:inline;margin:0}
.not{color:var(--soft);font-style:italic}
.graph svg,.bars{max-width:100%;height:auto}
.bars text{fill:var(--ink);font-size:11px}.bars .axis{fill:var(--soft);text-anchor:middle;font-size:10px}.bars .name{text-anchor:end}
.bars .tick{stroke:var(--line)}.bars .old,.key.old{fill:var(--old);background:var(--old)}.bars .alive{opacity:.55}
.bars .new,.key.new{fill:var(--new);background:var(--new)}
.key{display:inline-block;width:1.4rem;height:.5rem;border-radius:2px;margin-left:.8rem}
figcaption{font-size:.82rem;color:var(--soft)}
.events{list-style:none;padding:0;margin:1rem 0;border-left:2px solid var(--line)}
.events li{padding:.15rem 0 .15rem 1rem}.events time{font-variant-numeric:tabular-nums;color:var(--soft);margin-right:.5rem}
time{white-space:nowrap}
code{font:.88em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace}
pre{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.7rem 1rem;overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere}
.detail{color:var(--soft);min-width:18rem}
@media print{
@page{size:A4;margin:14mm 12mm}
:root{--ink:#000;--soft:#444;--page:#fff;--card:#fff;--line:#bbb;--link:#000;--good:#0b4d24;--good-bg:#fff;--open:#5c3a00;--open-bg:#fff;--bad:#8a0f17;--bad-bg:#fff;--old:#c4232d;--new:#2a9461}
body{font-size:9.5pt}main{padding:0}.skip{display:none}.band{padding:0 0 1rem}
h2{break-after:avoid}tr,.figures>div,figure,.events li{break-inside:avoid}thead{display:table-header-group}
.figures{grid-template-columns:repeat(4,1fr)}.wide{overflow:visible}
.entries,.controls{break-before:page}a{text-decoration:none}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
table{font-size:8pt}.detail{min-width:0;font-size:7pt}
}
";
