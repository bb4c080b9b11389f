import { hostAndPort } from '../model/host_and_port.js'
import { type Finding, type Report, type StepResult, type Table, waitsTitle } from '../model/report.js'
import { answersFirst } from './answers.js'
import { htmlText as plain } from './escape.js'
import { defineRenderer } from './renderer.js'
import { style } from './style.js'
import { worded } from './words/index.js'
import { cell, duration, number } from './words/numbers.js'
import { checkLine, checkMarks, signOf, transactionWords, verdictWords } from './words/verdicts.js'

/** Text with `code` in backticks set as code. */
const prose = (text: string): string => plain(text).replace(/`([^`]+)`/g, '<code>$1</code>')

/**
 * The report as one page that needs nothing else: no network, no script. Light and dark by the reader's wish,
 * printable, with a heading for every part and no meaning that only a colour carries.
 */
export function renderHtml(report: Report): string {
  const { target } = report
  const { answers, others } = answersFirst(report)
  const title = `rethread ${report.command}${target ? `: ${target.database}` : ''}`
  const parts = [
    header(report),
    answers.length > 0 ? section('Now', htmlFindings(answers)) : '',
    report.steps.length > 0 ? section('Steps', htmlSteps(report.steps)) : '',
    report.steps.some(s => s.locks.length + s.traces.length > 0)
      ? section('Locks, in the order in which they are taken', timeline(report.steps))
      : '',
    report.steps.some(s => waiting(s).length > 0) ? section(waitsTitle, whoWaits(report.steps)) : '',
    report.backfill.length > 0 ? section('Backfills', htmlBackfills(report)) : '',
    report.checks.length > 0 ? section('Verification', htmlChecks(report)) : '',
    ...report.tables
      .filter(t => t.rows.length > 0 && t.title !== waitsTitle)
      .map(t => section(t.title, table(t))),
    others.length > 0 ? section('Findings', htmlFindings(others)) : '',
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

function header(report: Report): string {
  const { target } = report
  const counts = [
    report.targets ? `${report.targets.length} databases` : '',
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
<h1>rethread ${plain(report.command)} <span class="verdict ${report.verdict}">${verdictWords(report)}</span></h1>
${target ? `<p><strong>${plain(target.database)}</strong> on ${plain(hostAndPort(target))}, PostgreSQL ${plain(target.server)}, as <code>${plain(target.role)}</code>, which ${target.seesAllRows ? 'sees all rows' : 'may not see all rows'} (${plain(target.why)})</p>` : ''}
<p>${counts.join(' · ')}</p>
</header>`
}

const htmlMarks: Record<string, string> = {
  done: '✓',
  failed: '✗',
  interrupted: '‖',
  planned: '·',
  'not-run': '–',
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
  if (/, wrongly$|^error |^✗ /.test(text)) return ' class="bad"'
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
    [
      s.targets ? `${s.targets.length} databases` : '',
      s.rows === null ? '' : `${number(s.rows)} rows`,
      duration(s.durationMs),
      prose(s.reason ?? ''),
    ]
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
    number(b.failed),
    `${b.seconds} s`,
  ])
  return htmlGrid(['migration', 'state', 'rows', 'ranges', 'set aside', 'failed', 'time'], rows, [
    false,
    false,
    true,
    true,
    true,
    true,
    true,
  ])
}

function htmlChecks(report: Report): string {
  const rows = report.checks.map(c => [
    `${checkMarks[signOf(c)]} ${c.outcome}`,
    `<code>${plain(c.check)}</code>`,
    c.found.length > 0
      ? `${plain(c.title)}<ul>${c.found
          .filter(f => !f.preExisting)
          .map(
            f =>
              `<li>${plain(f.object)}: ${plain(f.detail)}${f.accepted ? ` (accepted: ${plain(f.accepted)})` : ''}</li>`,
          )
          .join('')}${c.more ? '<li>and more</li>' : ''}</ul>${plain(c.fix ?? '')}`
      : plain(checkLine(c)),
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

function htmlFindings(findings: Finding[]): string {
  const items = findings
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
      return `<details><summary><code>${plain(s.migration)}</code> ${plain(s.title)} (${transactionWords[s.transaction]})</summary>
${hazards ? `<ul>${hazards}</ul>` : ''}
<pre>${s.statements.map(q => `${plain(q)};`).join('\n\n')}</pre>
</details>`
    })
    .join('\n')
}

export default defineRenderer({ endings: ['.html', '.htm'], render: renderHtml })
