import { hostAndPort } from '../model/host_and_port.js'
import { number } from '../model/plural.js'
import {
  type CheckResult,
  type Finding,
  isFault,
  type Report,
  type StepResult,
  type Table,
  waitsTitle,
} from '../model/report.js'
import { answersFirst } from './answers.js'
import { schemaDrawing } from './html_schema.js'
import { anchorOf, type Cell, codeBlock, codeHtml, dimmed, htmlGrid, plain, richText } from './html_text.js'
import { timeline } from './html_timeline.js'
import { defineRenderer } from './renderer.js'
import { style } from './style.js'
import { summaryOf } from './summary.js'
import { worded } from './words/index.js'
import { cell, duration, moment } from './words/numbers.js'
import { waitsOf } from './words/summary.js'
import {
  type CheckSign,
  checkLine,
  checkMarks,
  checkOutcome,
  earlierWords,
  rangesText,
  signOf,
  transactionWords,
} from './words/verdicts.js'

/** A part of the page: its heading and its content. */
interface PagePart {
  title: string
  body: string
}

/**
 * The report as one page without network access or scripts. It has a light and a dark style, can be printed,
 * fits wide and narrow screens, has a heading for every part, and never uses colour alone to convey meaning.
 */
export function renderHtml(report: Report): string {
  const { target } = report
  const { answers, urgent, others } = answersFirst(report)
  const title = `rethread ${report.command}${target ? `: ${target.database}` : ''}`
  const part = (heading: string, body: string | null): PagePart[] => (body ? [{ title: heading, body }] : [])
  const tables = report.tables.filter(t => t.rows.length > 0 && t.title !== waitsTitle)
  const parts = [
    ...part('Now', answers.length > 0 ? htmlFindings(answers) : null),
    ...part('What needs attention', urgent.length > 0 ? htmlFindings(urgent) : null),
    ...part('Steps', report.steps.length > 0 ? timeline(report) : null),
    ...part(waitsTitle, whoWaits(report.steps)),
    ...part('Tables, before and after', report.schema ? schemaDrawing(report.schema) : null),
    ...part('Backfills', report.backfill.length > 0 ? htmlBackfills(report) : null),
    ...part('Verification', report.checks.length > 0 ? htmlChecks(report.checks) : null),
    ...tables.flatMap(t => part(t.title, htmlTable(t))),
    ...part('Findings', others.length > 0 ? htmlFindings(others) : null),
    ...part('Statements', report.steps.length > 0 ? htmlStatements(report) : null),
  ]
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${plain(title)}</title>
<style>${style}</style>
</head>
<body>
<header>
${header(report)}
</header>
${contents(parts)}
<main>
${parts.map(section).join('\n')}
</main>
</body>
</html>
`
}

/** The id of a heading. Titles may be equal, for example of two tracks. */
const idAt = (title: string, i: number, all: PagePart[]): string => {
  const same = all.slice(0, i).filter(p => anchorOf(p.title) === anchorOf(title)).length
  return same === 0 ? anchorOf(title) : `${anchorOf(title)}-${same + 1}`
}

const section = ({ title, body }: PagePart, i: number, all: PagePart[]): string => {
  const id = idAt(title, i, all)
  return `<section aria-labelledby="${id}">\n<h2 id="${id}">${plain(title)}</h2>\n${body}\n</section>`
}

/** Links to the parts, if there are more than a screen shows. */
const contents = (parts: PagePart[]): string =>
  parts.length < 3
    ? ''
    : `<nav aria-label="Parts of this report"><ul>${parts
        .map(({ title }, i, all) => `<li><a href="#${idAt(title, i, all)}">${plain(title)}</a></li>`)
        .join('')}</ul></nav>`

/** The summary: the verdict in words, and an answer to each question. */
function header(report: Report): string {
  const { command, target, startedAt, run } = report
  const { state, verdict: words, lines, need } = summaryOf(report)
  const sees = target?.seesAllRows ? 'sees' : 'may not see'
  const of = target
    ? [
        `<strong>${plain(target.database)}</strong> on ${plain(hostAndPort(target))}, PostgreSQL ${plain(target.server)}`,
        `as ${codeHtml(target.role)}, which ${sees} all rows (${plain(target.why)})`,
        ...(run === undefined ? [] : [`run ${run}`]),
        ...(startedAt === undefined
          ? []
          : [`<time datetime="${plain(startedAt)}">${plain(moment(startedAt))}</time>`]),
      ]
    : report.targets
      ? [`${report.targets.length} databases`]
      : []
  const answers = lines.map(
    ({ name, text, level }) =>
      `<div><dt>${plain(name)}</dt><dd class="${level}">${richText(text)}</dd></div>`,
  )
  if (need) {
    const command = need.command === null ? '' : codeBlock(need.command)
    answers.push(`<div class="need"><dt>From you</dt><dd>${richText(need.text)}${command}</dd></div>`)
  }
  return `<p class="command">rethread ${plain(command)}</p>
<h1 class="${state}">${plain(words)}</h1>
${of.length > 0 ? `<p class="target">${of.join(' · ')}</p>` : ''}
${answers.length > 0 ? `<dl class="summary">\n${answers.join('\n')}\n</dl>` : ''}`
}

/** A table of tables and steps: who waits for which step, and how long if that was measured. */
function whoWaits(list: StepResult[]): string | null {
  const tables = [...new Set(waitsOf(list).map(w => w.table))].sort()
  if (tables.length === 0) return null
  const rows = list.flatMap((s): Cell[][] => {
    const waits = waitsOf([s])
    if (waits.length === 0) return []
    const cells = tables.map((t): Cell => {
      const wait = waits.find(w => w.table === t)
      if (!wait) return { html: '<span class="dim">nobody</span>' }
      const held = wait.ms === null ? '' : ` ${duration(wait.ms)}`
      return {
        html: `<span class="${wait.blocks === 'writes' ? 'writes' : 'both'}">${wait.blocks}</span>${held}`,
      }
    })
    return [[{ html: `${codeHtml(s.migration)}` }, ...cells]]
  })
  return `<p>While a lock is held or waited for, these statements of the application wait:</p>
${htmlGrid('Who waits', ['step', ...tables], rows)}`
}

function htmlBackfills(report: Report): string {
  const rows = report.backfill.map((b): Cell[] => [
    { html: `${codeHtml(b.migration)}` },
    { html: b.slowedBy ? `${b.state}: ${richText(b.slowedBy)}` : b.state },
    ...[
      number(b.rows),
      rangesText(b),
      number(b.quarantined),
      number(b.failed),
      number(b.rowsPerSecond),
      duration(b.seconds * 1000),
    ].map((html): Cell => ({ html, tone: 'n' })),
  ])
  const head = ['migration', 'state', 'rows', 'ranges', 'set aside', 'failed', 'rows/s', 'time']
  return htmlGrid('Backfills', head, rows)
}

/** The checks. Those that found something come first. */
function htmlChecks(checks: CheckResult[]): string {
  const weight = (c: CheckResult) =>
    isFault(c) ? 0 : c.outcome === 'found' || c.outcome === 'failed' ? 1 : 2
  const rows = [...checks]
    .sort((a, b) => weight(a) - weight(b))
    .map((c): Cell[] => {
      const sign = signOf(c)
      const tone = sign === 'counts' ? 'bad' : sign === 'passes' ? 'good' : undefined
      return [
        { html: `${checkMarks[sign]} ${checkOutcome(c)}`, tone },
        { html: codeHtml(c.check) },
        { html: c.found.length > 0 ? foundList(c) : richText(checkLine(c)) },
      ]
    })
  const legend = (Object.keys(checkMarks) as CheckSign[]).map(
    sign => `<li><span class="mark">${checkMarks[sign]}</span> ${signWords[sign]}</li>`,
  )
  return `<ul class="legend">${legend.join('')}</ul>
${htmlGrid('Checks', ['outcome', 'check', 'what it checks, or has found'], rows)}`
}

const signWords: Record<CheckSign, string> = {
  passes: 'passes',
  counts: 'counts against the verdict',
  warns: 'warns',
  'not applicable': 'not applicable',
  'not looked': 'could not look',
}

function foundList(c: CheckResult): string {
  const items = c.found
    .filter(f => !f.preExisting)
    .map(
      f =>
        `<li>${plain(f.object)}: ${plain(f.detail)}${f.accepted ? ` (accepted: ${plain(f.accepted)})` : ''}</li>`,
    )
  if (earlierWords(c)) items.push(`<li>${earlierWords(c)}</li>`)
  const tone = isFault(c) ? '' : ' class="warn"'
  return `${plain(c.title)}<ul${tone}>${items.join('')}${c.more ? '<li>and more</li>' : ''}</ul>${richText(c.fix ?? '')}`
}

/** The style of cells of the access matrix that are as expected. */
const rightly: Record<string, Cell['tone']> = { allowed: 'good', denied: 'shut' }

/** A table of a report. In an access matrix, every cell says whether it is as expected. */
function htmlTable(t: Table): string {
  const isMatrix = t.rows.some(r =>
    r.some(v => typeof v === 'string' && /^(allowed|denied)(, wrongly)?$/.test(v)),
  )
  const rows = t.rows.map(r =>
    r.map((value, i): Cell => {
      const text = cell(value, t.columns[i]!)
      if (value === null || value === '-') return { html: '<span class="dim">–</span>' }
      if (typeof value === 'number') return { html: plain(text), tone: 'n' }
      if (isMatrix && /, wrongly$/.test(text)) return { html: `✗ ${plain(text)}`, tone: 'bad' }
      if (isMatrix && rightly[text]) return { html: plain(text), tone: rightly[text] }
      // a matrix of visible rows has words for it
      if (value === false && t.columns[i] === 'the same rows') return { html: '✗ no', tone: 'bad' }
      return { html: richText(text) }
    }),
  )
  return (isMatrix ? matrixLegend : '') + htmlGrid(t.title, t.columns, rows)
}

/** The legend of an access matrix. */
const matrixLegend = `<ul class="legend"><li><span class="swatch good">allowed</span> rightly</li>
<li><span class="swatch shut">denied</span> rightly</li>
<li><span class="swatch bad">✗ …, wrongly</span> not as the track says</li>
<li><span class="dim">–</span> does not apply</li></ul>
`

function htmlFindings(findings: Finding[]): string {
  const marks = { info: 'i', warn: '!', error: '✗', refused: '✗' }
  const items = findings.map(worded).map(f => {
    const fix = f.fix ? `${codeBlock(f.fix)}` : ''
    const mark = `<span class="mark" aria-hidden="true">${marks[f.level]}</span> <strong>${f.level}</strong>`
    return `<li class="${f.level}">${mark} ${messageHtml(f.message)} <code class="dim">${f.code}</code>${fix}</li>`
  })
  return `<ul class="findings">\n${items.join('\n')}\n</ul>`
}

/** A sentence with its list. An excerpt keeps its columns. */
function messageHtml(message: string): string {
  const [first, ...more] = message.split('\n')
  if (more.length === 0) return richText(first!)
  return more.some(line => /^\s*\^$/.test(line))
    ? `${richText(first!)}${codeBlock(more.join('\n'))}`
    : `${richText(first!)}<ul>${more.map(line => `<li>${richText(line.trim())}</li>`).join('')}</ul>`
}

/** The SQL of every step, each statement with its locks beside it. */
function htmlStatements({ steps, limits }: Report): string {
  return steps
    .map(s => {
      const hazards = s.hazards.map(
        h => `<li><code>${h.code}</code> ${plain(h.subject)}: ${richText(h.detail)}</li>`,
      )
      const rows = s.statements.map((sql, i) => {
        const beside = besideStatement(s, i + 1)
        return `<li>${codeBlock(`${sql};`)}${beside ? `<div class="beside">${beside}</div>` : ''}</li>`
      })
      const how = dimmed(`(${transactionWords(s, limits?.batchMs)})`)
      return `<details><summary>${codeHtml(s.migration)} ${plain(s.title)} ${how}</summary>
${hazards.length > 0 ? `<ul>${hazards.join('')}</ul>` : ''}
${rows.length > 0 ? `<ol class="sql">\n${rows.join('\n')}\n</ol>` : ''}
</details>`
    })
    .join('\n')
}

/** The locks of a statement, and its result in a rehearsal. */
function besideStatement(s: StepResult, n: number): string {
  const trace = s.traces.find(t => t.statement === n)
  const locks = trace ? trace.locks : s.locks.filter(l => l.statement === n)
  const lines = locks.map(l => {
    const who = l.blocks === 'nothing' ? 'nobody waits' : `${l.blocks} wait`
    const kind = { 'reads and writes': 'both', writes: 'writes', nothing: 'dim' }[l.blocks]
    const held = l.heldMs === null ? '' : `, ${duration(l.heldMs)}`
    const waits = `<span class="${kind}">${l.table === null ? 'only a rehearsal shows it' : who}</span>`
    return `${waits} ${plain(l.table ?? '')} ${dimmed(`(${plain(l.mode)}${held})`)}`
  })
  if (trace) {
    lines.push(`${duration(trace.ms)}${trace.rows > 0 ? `, ${number(trace.rows)} rows` : ''}`)
    if (trace.rewritten.length > 0) lines.push(`rewrites ${plain(trace.rewritten.join(', '))}`)
  }
  return lines.join('<br>')
}

export default defineRenderer({ endings: ['.html', '.htm'], render: renderHtml })
