import type { Report, StepResult, Table } from '../model/report.js'
import { defineRenderer } from './renderer.js'
import { worded } from './words/index.js'
import { cell, duration, number } from './words/numbers.js'

const plain = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')

/** Text with `code` in backticks set as code. */
const prose = (text: string): string => plain(text).replace(/`([^`]+)`/g, '<code>$1</code>')

/**
 * The report as one page that needs nothing else: no network, no script. Light and dark by the reader's wish,
 * printable, with a heading for every part and no meaning that only a colour carries.
 */
export function renderHtml(report: Report): string {
  const { target } = report
  const title = `rethread ${report.command}${target ? `: ${target.database}` : ''}`
  const parts = [
    header(report),
    report.steps.length > 0 ? section('Steps', htmlSteps(report.steps)) : '',
    report.steps.some(s => s.locks.length + s.traces.length > 0)
      ? section('Locks, in the order in which they are taken', timeline(report.steps))
      : '',
    report.steps.some(s => waiting(s).length > 0) ? section('Who waits', whoWaits(report.steps)) : '',
    report.backfill.length > 0 ? section('Backfills', htmlBackfills(report)) : '',
    report.checks.length > 0 ? section('Verification', htmlChecks(report)) : '',
    ...report.tables
      .filter(t => t.rows.length > 0 && t.title !== 'Who waits')
      .map(t => section(t.title, table(t))),
    report.findings.length > 0 ? section('Findings', htmlFindings(report)) : '',
    report.steps.length > 0 ? section('Statements', statements(report.steps)) : '',
  ]
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${plain(title)}</title>
<style>${style}</style>
</head>
<body>
<main>
${parts.filter(Boolean).join('\n')}
</main>
</body>
</html>
`
}

const section = (title: string, body: string): string => {
  const id = title.toLowerCase().replace(/[^a-z0-9]+/g, '-')
  return `<section aria-labelledby="${id}">\n<h2 id="${id}">${plain(title)}</h2>\n${body}\n</section>`
}

const verdicts: Record<Report['verdict'], string> = {
  clean: 'clean',
  attention: 'attention',
  failed: 'failed',
  refused: 'refused: nothing was changed',
  interrupted: 'interrupted',
}

function header(report: Report): string {
  const { target } = report
  const counts = [
    report.steps.length > 0 ? `${report.steps.length} step(s)` : '',
    report.checks.length > 0
      ? `${report.checks.filter(c => c.outcome === 'pass').length} of ${report.checks.length} checks pass`
      : '',
    ...(['refused', 'error', 'warn'] as const).map(level => {
      const n = report.findings.filter(f => f.level === level).length
      return n > 0
        ? `${n} ${level === 'warn' ? 'warning(s)' : level === 'error' ? 'error(s)' : 'refusal(s)'}`
        : ''
    }),
  ].filter(Boolean)
  return `<header>
<h1>rethread ${plain(report.command)} <span class="verdict ${report.verdict}">${verdicts[report.verdict]}</span></h1>
${target ? `<p><strong>${plain(target.database)}</strong> on ${plain(target.host)}:${target.port}, PostgreSQL ${plain(target.server)}, as <code>${plain(target.role)}</code>, which ${target.seesAllRows ? 'sees all rows' : 'may not see all rows'} (${plain(target.why)})</p>` : ''}
<p>${counts.join(' · ')}</p>
</header>`
}

const htmlMarks: Record<string, string> = {
  done: '✓',
  pass: '✓',
  failed: '!',
  found: '✗',
  interrupted: '‖',
  planned: '·',
  'not-run': '–',
  skipped: '–',
  'rolled-back': '↩',
}

const htmlGrid = (head: string[], rows: string[][], numeric: boolean[] = []): string =>
  `<div class="scroll"><table>
<thead><tr>${head.map(h => `<th scope="col">${plain(h)}</th>`).join('')}</tr></thead>
<tbody>
${rows.map(r => `<tr>${r.map((c, i) => `<td${numeric[i] ? ' class="n"' : tone(c)}>${c}</td>`).join('')}</tr>`).join('\n')}
</tbody></table></div>`

/** Cells of the access matrix and outcomes are tinted, beside saying what they are. */
function tone(html: string): string {
  const text = html.replace(/<[^>]+>/g, '')
  if (/, wrongly$|^error |^(✗|!) /.test(text)) return ' class="bad"'
  if (text === 'allowed') return ' class="open"'
  if (text === 'denied') return ' class="shut"'
  return ''
}

function htmlSteps(list: StepResult[]): string {
  const rows = list.map(s => [
    `${htmlMarks[s.outcome] ?? ''} ${s.outcome}`,
    `<code>${plain(s.migration)}</code><br>${plain(s.title)}`,
    s.direction === 'down' ? 'rollback' : s.phase,
    [...new Set(s.hazards.map(h => h.code))].map(h => `<code>${h}</code>`).join(' ') || 'none',
    [s.rows === null ? '' : `${number(s.rows)} rows`, duration(s.durationMs), prose(s.reason ?? '')]
      .filter(Boolean)
      .join(', '),
  ])
  return htmlGrid(['outcome', 'migration', 'phase', 'hazards', ''], rows)
}

/** Locks that make somebody wait, as they were measured where they were, else as the statements say. */
const waiting = (s: StepResult): StepResult['locks'] => {
  const locks = s.traces.length > 0 ? s.traces.flatMap(t => t.locks) : s.locks
  return locks.filter(l => l.table !== null && l.blocks !== 'nothing')
}

/** Tables across, steps down: who waits for which step, and how long where that was measured. */
function whoWaits(list: StepResult[]): string {
  const tables = [...new Set(list.flatMap(s => waiting(s).map(l => l.table!)))].sort()
  const rows = list
    .filter(s => waiting(s).length > 0)
    .map(s => [
      `<code>${plain(s.migration)}</code>`,
      ...tables.map(t => {
        const locks = waiting(s).filter(l => l.table === t)
        if (locks.length === 0) return ''
        const worst = locks.find(l => l.blocks === 'reads and writes') ?? locks[0]!
        const ms = Math.max(...locks.map(l => l.heldMs ?? 0))
        return `<span class="${worst.blocks === 'writes' ? 'writes' : 'both'}">${worst.blocks}</span>${ms > 0 ? ` ${Math.round(ms)} ms` : ''}`
      }),
    ])
  return `<p>While a lock is held or waited for, these statements of the application wait:</p>\n${htmlGrid(['step', ...tables], rows)}`
}

/** Height of one lock in the drawing, and width of its labels, in pixels. */
const lane = 22
const labels = 300
const wide = 900

/** A bar for each lock: along the milliseconds of a rehearsal, else along the statements. */
function timeline(list: StepResult[]): string {
  const measured = list.some(s => s.traces.length > 0)
  const bars: { label: string; from: number; to: number; blocks: string; text: string }[] = []
  let at = 0
  for (const s of list) {
    const start = at
    if (measured) {
      for (const t of s.traces) {
        for (const l of t.locks)
          if (l.table)
            bars.push({
              label: `${s.migration.slice(0, 12)} ${l.table}`,
              from: at,
              to: at + Math.max(l.heldMs ?? t.ms, 0.5),
              blocks: l.blocks,
              text: `${l.mode} ${Math.round(l.heldMs ?? t.ms)} ms`,
            })
        at += t.ms
      }
      // steps come one after the other: none begins before the locks of the one before it are gone
      at = Math.max(at, ...bars.map(b => b.to)) + 1
    } else {
      const end = start + Math.max(1, s.statements.length)
      for (const l of s.locks)
        if (l.table)
          bars.push({
            label: `${s.migration.slice(0, 12)} ${l.table}`,
            from: start + l.statement - 1,
            // in one transaction a lock lasts to the end of the file
            to: s.transaction === 'one' && s.phase !== 'backfill' ? end : start + l.statement,
            blocks: l.blocks,
            text: l.mode,
          })
      at = end
    }
  }
  const scale = (wide - labels - 20) / Math.max(at, ...bars.map(b => b.to), 1)
  const height = bars.length * lane + 30
  const kinds: Record<string, string> = { 'reads and writes': 'both', writes: 'writes', nothing: 'none' }
  const shapes = bars
    .map((b, i) => {
      const x = labels + b.from * scale
      const width = Math.max(3, (b.to - b.from) * scale)
      const y = i * lane + 4
      return `<g><text x="${labels - 8}" y="${y + 13}" text-anchor="end">${plain(b.label)}</text><rect class="${kinds[b.blocks]}" x="${x.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${lane - 6}" rx="3"><title>${plain(`${b.label}: ${b.text}, ${b.blocks === 'nothing' ? 'nobody waits' : `${b.blocks} wait`}`)}</title></rect></g>`
    })
    .join('\n')
  const axis = measured
    ? `${Math.round(at)} ms in all`
    : `${list.reduce((n, s) => n + s.statements.length, 0)} statements, in order`
  return `<p class="legend"><span class="key both"></span> reads and writes wait <span class="key writes"></span> writes wait <span class="key none"></span> nobody waits, other DDL does</p>
<div class="scroll"><svg role="img" aria-label="Locks along the run: ${bars.length} lock(s), ${axis}" viewBox="0 0 ${wide} ${height}" width="${wide}" height="${height}">
${shapes}
<line x1="${labels}" y1="${height - 22}" x2="${wide - 20}" y2="${height - 22}"></line>
<text x="${wide - 20}" y="${height - 6}" text-anchor="end">${axis}</text>
</svg></div>`
}

function htmlBackfills(report: Report): string {
  const rows = report.backfill.map(b => [
    `<code>${plain(b.migration)}</code>`,
    b.state,
    number(b.rows),
    `${b.rangesDone}/${b.ranges}`,
    number(b.quarantined),
    `${b.seconds} s`,
  ])
  return htmlGrid(['migration', 'state', 'rows', 'ranges', 'quarantined', 'time'], rows, [
    false,
    false,
    true,
    true,
    true,
    true,
  ])
}

function htmlChecks(report: Report): string {
  const rows = report.checks.map(c => [
    `${htmlMarks[c.outcome] ?? ''} ${c.outcome}`,
    `<code>${plain(c.check)}</code>`,
    c.found.length > 0
      ? `${plain(c.title)}<ul>${c.found.map(f => `<li>${plain(f.object)}: ${plain(f.detail)}${f.accepted ? ` (accepted: ${plain(f.accepted)})` : ''}</li>`).join('')}${c.more ? '<li>and more</li>' : ''}</ul>`
      : plain(c.reason ?? c.title),
  ])
  return htmlGrid(['outcome', 'check', ''], rows)
}

function table(t: Table): string {
  const numeric = t.columns.map((_, i) => t.rows.every(r => r[i] === null || typeof r[i] === 'number'))
  return htmlGrid(
    t.columns,
    t.rows.map(r => r.map((v, i) => plain(cell(v, t.columns[i]!)))),
    numeric,
  )
}

function htmlFindings(report: Report): string {
  const items = report.findings
    .map(worded)
    .map(
      f =>
        `<li class="${f.level}"><strong>${f.level}</strong> <code>${f.code}</code> ${prose(f.message).replaceAll('\n', '<br>')}${f.fix ? `<pre>${plain(f.fix)}</pre>` : ''}</li>`,
    )
  return `<ul class="findings">\n${items.join('\n')}\n</ul>`
}

function statements(list: StepResult[]): string {
  return list
    .map(s => {
      const hazards = s.hazards
        .map(h => `<li><code>${h.code}</code> ${plain(h.subject)}: ${plain(h.detail)}</li>`)
        .join('')
      return `<details><summary><code>${plain(s.migration)}</code> ${plain(s.title)} (${s.transaction === 'one' ? 'one transaction' : 'each statement alone'})</summary>
${hazards ? `<ul>${hazards}</ul>` : ''}
<pre>${s.statements.map(q => `${plain(q)};`).join('\n\n')}</pre>
</details>`
    })
    .join('\n')
}

const style = `
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

export default defineRenderer({ render: renderHtml })
