/** The look of an HTML report: light and dark, on paper too. */
export const style = `
:root { color-scheme: light dark; --ink: #1c2024; --paper: #ffffff; --faint: #60646c; --line: #d9d9e0; --soft: #f4f4f6;
  --good: #18794e; --warn: #8f5a00; --bad: #b3261e; --both: #c62a2f; --writes: #d9730d; --none: #8b8d98; }
@media (prefers-color-scheme: dark) { :root { --ink: #edeef0; --paper: #111113; --faint: #b0b4ba; --line: #363a3f; --soft: #1c1d20;
  --good: #4cc38a; --warn: #f1a10d; --bad: #ff8f8f; --both: #e5484d; --writes: #f76b15; --none: #7d808a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.55 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.6rem; margin: 0 0 .4rem; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid var(--line); padding-bottom: .3rem; }
code, pre { font: 13px/1.5 ui-monospace, monospace; } pre { background: var(--soft); padding: .7rem .9rem; overflow-x: auto; border-radius: 6px; white-space: pre-wrap; margin: .4rem 0; }
.verdict { font-size: .95rem; padding: .15rem .7rem; border-radius: 99px; border: 1px solid currentColor; vertical-align: middle; }
.clean { color: var(--good); } .attention, .interrupted { color: var(--warn); } .failed, .refused { color: var(--bad); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; } th { text-align: left; font-weight: 600; color: var(--faint); }
th, td { padding: .3rem .7rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; } td.n { text-align: right; font-variant-numeric: tabular-nums; }
td.bad { color: var(--bad); font-weight: 600; } td.open { color: var(--good); } td.shut { color: var(--faint); }
td ul { margin: .2rem 0 0; padding-left: 1.1rem; color: var(--bad); }
.findings { list-style: none; padding: 0; } .findings li { border-left: 3px solid var(--line); padding: .2rem 0 .2rem .8rem; margin: .6rem 0; }
.findings .warn { border-color: var(--warn); } .findings .error, .findings .refused { border-color: var(--bad); }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); } svg line { stroke: var(--line); }
rect.both, .key.both { fill: var(--both); background: var(--both); } rect.writes, .key.writes { fill: var(--writes); background: var(--writes); } rect.none, .key.none { fill: var(--none); background: var(--none); }
.key { display: inline-block; width: .9rem; height: .9rem; border-radius: 3px; margin: 0 .3rem -.1rem .9rem; } .legend { color: var(--faint); margin: .2rem 0; }
span.both { color: var(--both); font-weight: 600; } span.writes { color: var(--writes); font-weight: 600; }
summary { cursor: pointer; padding: .3rem 0; } :focus-visible { outline: 2px solid var(--good); outline-offset: 2px; }
@media print { body { font-size: 11px; } main { max-width: none; padding: 0; } details { display: block; } section { break-inside: avoid-page; } pre { border: 1px solid var(--line); } }
`
