/** The style of an HTML report: light and dark, wide and narrow, and for print. */
export const style = `
:root {
  color-scheme: light dark; --ink: #1c2024; --paper: #ffffff; --faint: #5b5f67; --line: #d5d5dc;
  --soft: #f3f3f6; --good: #14694a; --good-bg: #e3f4ea; --warn: #845200; --warn-bg: #fdf2d9; --bad: #b01f18;
  --bad-bg: #fdeae8; --both: #c9302c; --writes: #b35300; --none: #80838d; --time: #3b6fb6; --link: #1d5bb0;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #edeef0; --paper: #121214; --faint: #b0b4ba; --line: #3a3d43; --soft: #1d1e22; --good: #5fd09a;
    --good-bg: #12301f; --warn: #f5b13d; --warn-bg: #33260a; --bad: #ff9a93; --bad-bg: #3b1716;
    --both: #ff6b66; --writes: #ff9a3d; --none: #8b8f98; --time: #6f9fe0; --link: #8ab6f5;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; overflow-wrap: anywhere;
}
header, nav, main { max-width: 1120px; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 1.75rem; }
main { padding-bottom: 4rem; }
a { color: var(--link); }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .4rem; }
h2 {
  font-size: 1.15rem; margin: 2.4rem 0 .7rem; border-bottom: 1px solid var(--line); padding-bottom: .3rem;
  scroll-margin-top: 1rem;
}
code, pre { font: .87em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
pre {
  background: var(--soft); padding: .6rem .8rem; border-radius: 6px; white-space: pre-wrap; margin: .4rem 0;
}
pre code { font-size: 1em; }
.command { margin: 0; color: var(--faint); letter-spacing: .02em; }
.target { margin: 0 0 1rem; color: var(--faint); }
.dim { color: var(--faint); font-weight: 400; }
h1.ready, h1.nothing-to-do, h1.done, h1.passed { color: var(--good); }
h1.decide, h1.attention, h1.stopped { color: var(--warn); }
h1.failed, h1.refused { color: var(--bad); }
.summary { margin: 0; border: 1px solid var(--line); border-radius: 10px; overflow: hidden; }
.summary > div {
  display: grid; grid-template-columns: 9.5rem 1fr; gap: .2rem 1rem; padding: .5rem 1rem;
  border-bottom: 1px solid var(--line);
}
.summary > div:last-child { border-bottom: 0; }
.summary dt { color: var(--faint); }
.summary dd { margin: 0; min-width: 0; }
.summary dd.warn { color: var(--warn); }
.summary dd.bad { color: var(--bad); font-weight: 600; }
.summary .need { background: var(--soft); }
.summary .need pre { background: var(--paper); border: 1px solid var(--line); user-select: all; }
nav ul, .legend {
  list-style: none; padding: 0; margin: 1rem 0 0; display: flex; flex-wrap: wrap; gap: .25rem 1.1rem;
  font-size: .92em;
}
.legend { color: var(--faint); margin: .2rem 0 .8rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-weight: 600; color: var(--faint); vertical-align: bottom; }
th, td {
  padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top;
  overflow-wrap: break-word;
}
th.n, td.n { text-align: right; font-variant-numeric: tabular-nums; }
td.bad, .swatch.bad { color: var(--bad); background: var(--bad-bg); font-weight: 600; }
td.good, .swatch.good { color: var(--good); background: var(--good-bg); }
td.shut, .swatch.shut { color: var(--faint); background: var(--soft); }
td.bad, td.good, td.shut { padding-left: .5rem; border-right: 2px solid var(--paper); }
.swatch { padding: 0 .5rem; border-radius: 3px; }
td ul { margin: .2rem 0 0; padding-left: 1.1rem; color: var(--bad); }
td ul.warn { color: var(--warn); }
.findings { list-style: none; padding: 0; }
.findings > li { border-left: 4px solid var(--line); padding: .25rem 0 .25rem .9rem; margin: .7rem 0; }
.findings ul { margin: .2rem 0; padding-left: 1.2rem; }
.findings .warn { border-color: var(--warn); }
.findings .error, .findings .refused { border-color: var(--bad); }
.mark { display: inline-block; min-width: 1em; text-align: center; font-weight: 700; }
.timeline { list-style: none; padding: 0; margin: 0; }
.timeline > li {
  display: grid; grid-template-columns: minmax(15rem, 26rem) 1fr; gap: .2rem 1.25rem; padding: .6rem 0;
  border-bottom: 1px solid var(--line);
}
.timeline > .more { display: block; color: var(--faint); }
.timeline .facts { grid-column: 1 / -1; color: var(--faint); font-size: .93em; }
.timeline .facts ul { margin: .15rem 0 0; padding-left: 1.3rem; }
.done .mark { color: var(--good); }
.failed .mark { color: var(--bad); }
.interrupted .mark { color: var(--warn); }
.phase {
  border: 1px solid var(--line); border-radius: 99px; padding: 0 .55rem; font-size: .82em;
  color: var(--faint); white-space: nowrap;
}
.lanes { align-self: center; }
.lane {
  display: block; position: relative; height: 11px; margin: 2px 0; background: var(--soft);
  border-radius: 3px;
}
.lane:first-child { height: 15px; }
.bar { position: absolute; top: 0; bottom: 0; min-width: 4px; border-radius: 3px; }
.key {
  display: inline-block; width: 1.3rem; height: .8rem; border-radius: 3px; margin-right: .4rem;
  vertical-align: -.05rem;
}
.bar.measured, .key.measured { background: var(--time); }
.bar.unknown, .key.unknown { background: var(--paper); border: 2px dotted var(--time); }
.bar.estimated, .key.estimated {
  background: repeating-linear-gradient(45deg, var(--time) 0 5px, transparent 5px 8px);
  border: 1px solid var(--time);
}
.bar.both, .key.both { background: var(--both); }
.bar.none, .key.none { border: 2px solid var(--none); }
.bar.writes, .key.writes {
  background: repeating-linear-gradient(90deg, var(--writes) 0 7px, transparent 7px 9px);
  border: 1px solid var(--writes);
}
span.both:not(.bar, .key) { color: var(--both); font-weight: 600; }
span.writes:not(.bar, .key) { color: var(--writes); font-weight: 600; }
.pictures {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 330px), 1fr)); gap: 1rem;
}
figure { margin: 0; min-width: 0; }
figcaption { font-weight: 600; margin-bottom: .3rem; }
svg text { font: 12.5px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: var(--ink); }
svg .title { font-weight: 700; }
svg .type { fill: var(--faint); }
svg .pk { font-weight: 700; }
svg .frame { fill: none; stroke: var(--line); }
svg .name { fill: var(--soft); stroke: var(--line); }
svg .new .frame, svg .new .name { stroke: var(--good); }
svg .gone .frame, svg .gone .name { stroke: var(--bad); stroke-dasharray: 4 3; }
svg text.new { fill: var(--good); font-weight: 700; }
svg text.gone { fill: var(--bad); text-decoration: line-through; }
svg text.changed { fill: var(--warn); font-weight: 700; }
svg .link path { fill: none; stroke: var(--none); }
svg .link.new path { stroke: var(--good); stroke-width: 1.6; }
svg .link path.head { fill: var(--none); stroke: none; }
svg .link.new path.head { fill: var(--good); }
.sql { padding-left: 1.8rem; }
.sql > li { margin: .6rem 0; }
.sql > li::marker { color: var(--faint); }
.beside { font-size: .92em; padding: .1rem 0 .1rem .8rem; border-left: 3px solid var(--line); }
details { border-bottom: 1px solid var(--line); }
summary { cursor: pointer; padding: .5rem 0; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
@media (min-width: 900px) {
  .sql > li:has(.beside) pre { display: inline-block; width: calc(100% - 21rem); vertical-align: top; }
  .beside { display: inline-block; width: 20rem; vertical-align: top; margin: .4rem 0 0 .7rem; }
}
@media (max-width: 700px) {
  header, nav, main { padding-left: 1rem; padding-right: 1rem; }
  h1 { font-size: 1.55rem; }
  .summary > div { grid-template-columns: 1fr; gap: 0; }
  .timeline > li { grid-template-columns: 1fr; }
  table, thead, tbody, tr, td { display: block; }
  thead {
    position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
    white-space: nowrap;
  }
  tr { border: 1px solid var(--line); border-radius: 8px; margin: 0 0 .6rem; padding: .3rem .7rem; }
  td { border: 0; padding: .15rem .3rem; }
  td.n { text-align: left; }
  td.bad, td.good, td.shut { border-right: 0; border-radius: 3px; margin: 2px 0; }
  td[data-label]::before { content: attr(data-label) ": "; color: var(--faint); font-weight: 400; }
}
@media print {
  body { font-size: 11px; }
  header, nav, main { max-width: none; padding: 0; }
  nav { display: none; }
  h2 { break-after: avoid; }
  .timeline > li, tr, .findings > li, figure { break-inside: avoid; }
  details::details-content { content-visibility: visible; block-size: auto; }
  pre { border: 1px solid var(--line); }
  .bar, .key, .swatch, td { print-color-adjust: exact; }
}
`
