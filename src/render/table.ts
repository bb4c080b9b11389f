import { hostAndPort } from '../model/host_and_port.js'
import { number, plural } from '../model/plural.js'
import type { Finding, Report, StepResult, Summary, Table } from '../model/report.js'
import { answersFirst } from './answers.js'
import { type Colors, colors } from './colors.js'
import { joinedLines, terminalText, withoutCommands } from './escape.js'
import { foldedSteps } from './folded_steps.js'
import { loadTables } from './grid.js'
import { gridBlock, type Pen, prose } from './pen.js'
import { defineRenderer, type TerminalStyle } from './renderer.js'
import { summaryOf } from './summary.js'
import { statementsBlock } from './table_statements.js'
import { worded } from './words/index.js'
import { cell, duration, moment } from './words/numbers.js'
import {
  type CheckSign,
  checkLine,
  checkMarks,
  checkOutcome,
  rangesText,
  signOf,
  stepMarks,
  stepOutcome,
  verdictWords,
} from './words/verdicts.js'
import { wrapped } from './wrap.js'

/** Lines of a typical terminal. */
const screen = 24

/** The report for a terminal: the summary, decisions, details, and the verdict. SQL is shown on request. */
export async function renderTable(report: Report, look: TerminalStyle): Promise<string> {
  if ([report.steps, report.backfill, report.checks].some(part => part.length > 0)) await loadTables()
  const pen: Pen = { c: colors(look.color), look }
  if (report.command === 'explain' && report.tables.length === 1) return explanation(report, pen)
  const { answers, urgent, others } = answersFirst(report)
  const summary = summaryOf(report)
  const blocks = [
    heading(report, pen),
    findingLines(answers, pen),
    summaryBlock(report, summary, pen),
    findingLines(urgent, pen),
    report.steps.length > 0 ? stepsBlock(report, pen) : '',
    report.backfill.length > 0 ? backfillsBlock(report, pen) : '',
    report.checks.length > 0 ? checksBlock(report, pen) : '',
    ...(await tableBlocks(report.tables, look)),
    findingLines(others, pen),
    statementsBlock(report, pen),
  ]
  const text = blocks.filter(Boolean).join('\n\n')
  const { need } = summary
  // repeat the next command at the end if it has scrolled away
  const scrolls = report.command === 'status' || text.split('\n').length > screen
  const again = need?.command && scrolls ? `Next: ${pen.c.green(need.command)}\n` : ''
  return `${text}${text === '' ? '' : '\n\n'}${again}${verdict(report, pen)}\n`
}

function heading({ command, target, targets, startedAt, run }: Report, pen: Pen): string {
  if (targets) return `${pen.c.bold(`rethread ${command}`)}  ${plural(targets.length, 'database')}`
  if (!target) return ''
  const first = `rethread ${command}  ${target.database} on ${hostAndPort(target)}  PostgreSQL ${target.server}`
  const second = [
    `role ${target.role}, ${target.seesAllRows ? 'sees all rows' : 'may not see all rows'} (${target.why})`,
    ...(run === undefined ? [] : [`run ${run}`]),
    ...(startedAt === undefined ? [] : [moment(startedAt)]),
  ].join(', ')
  const [top, ...more] = prose(joinedLines(first), pen, 2)
  const name = `rethread ${command}`
  return [
    `${pen.c.bold(name)}${top!.slice(name.length)}`,
    ...more,
    ...prose(joinedLines(second), pen, 2).map(line => pen.c.dim(line)),
  ].join('\n')
}

/** Below this width, the names in a summary are above their texts. */
const narrow = 60

/** The summary: the verdict, a line for each answer, and what the reader must do. */
function summaryBlock(report: Report, { state, verdict, lines, need }: Summary, { c, look }: Pen): string {
  // `status` has answered already, and a list needs no summary
  if (lines.length === 0 && (report.command === 'status' || (!need && /^(done|passed)$/.test(state))))
    return ''
  const paintLevel = { plain: (text: string) => text, warn: c.yellow, bad: c.red }
  const all = [...lines, ...(need ? [{ name: 'From you', text: need.text, level: 'plain' as const }] : [])]
  const nameWidth = Math.max(0, ...all.map(l => l.name.length)) + 2
  const stacks = look.width < narrow
  const indent = stacks ? 4 : 2 + nameWidth
  const rows = all.flatMap(({ name, text, level }) => {
    const room = Math.max(20, Math.min(look.width, 100) - indent)
    const body = wrapped(text, room).map(line => paintLevel[level](line))
    const pad = ' '.repeat(indent)
    return stacks
      ? [`  ${c.dim(name)}`, ...body.map(line => pad + line)]
      : body.map((line, i) => (i === 0 ? `  ${c.dim(name.padEnd(nameWidth))}${line}` : pad + line))
  })
  if (need?.command) rows.push(`    ${c.green(need.command)}`)
  return [c.bold(paintState(state, verdict, c)), ...rows].join('\n')
}

/** The tables with rows, each with its title, for a terminal. */
export async function tableBlocks(tables: Table[], look: TerminalStyle): Promise<string[]> {
  const full = tables.filter(t => t.rows.length > 0)
  if (full.length > 0) await loadTables()
  const pen: Pen = { c: colors(look.color), look }
  return full.map(({ title, columns, rows }) => {
    const cells = rows.map(row => row.map((value, i) => cell(value, columns[i]!)))
    return gridBlock(title, { head: columns, rows: cells }, [], pen)
  })
}

function stepsBlock(report: Report, pen: Pen): string {
  const { c, look } = pen
  const planned = report.steps[0]!.outcome === 'planned'
  const row = (s: StepResult): string[] => [
    paintOutcome(s.outcome, stepMarks[s.outcome], c),
    s.migration,
    s.direction === 'down' ? 'rollback' : s.phase,
    planned ? [...new Set(s.hazards.map(h => h.code))].join(' ') || 'no hazard' : stepOutcome(report, s),
    [
      s.targets ? plural(s.targets.length, 'database') : '',
      s.rows === null ? '' : plural(s.rows, 'row'),
      duration(s.durationMs),
      s.attempts > 1 ? `${s.attempts} attempts` : '',
      s.reason ?? '',
    ]
      .filter(Boolean)
      .join(', '),
  ]
  const rows = (look.verbose ? [report.steps] : foldedSteps(report.steps)).flatMap((part, i) =>
    i % 2 === 0
      ? part.map(row)
      : [
          [
            '',
            `${number(part.length)} more`,
            '',
            stepOutcome(report, part[0]!),
            duration(part.reduce((sum, s) => sum + (s.durationMs ?? 0), 0)),
          ],
        ],
  )
  const head = ['', 'migration', 'phase', planned ? 'hazards' : 'outcome', '']
  return gridBlock('Steps', { head, rows }, ['phase'], pen)
}

function paintSign(sign: CheckSign, c: Colors): string {
  const paint = {
    passes: c.green,
    counts: c.red,
    warns: c.yellow,
    'not applicable': c.dim,
    'not looked': c.yellow,
  }
  return paint[sign](checkMarks[sign])
}

function paintOutcome(outcome: string, text: string, c: Colors): string {
  const paint: Record<string, Colors['dim']> = { done: c.green, failed: c.red, interrupted: c.yellow }
  return (paint[outcome] ?? c.dim)(text)
}

function backfillsBlock(report: Report, pen: Pen): string {
  const columns: Record<string, (b: Report['backfill'][number]) => string> = {
    migration: b => b.migration,
    state: b => b.state,
    rows: b => number(b.rows),
    ranges: b => rangesText(b),
    batches: b => number(b.batches),
    passes: b => number(b.passes),
    'set aside': b => number(b.quarantined),
    failed: b => number(b.failed),
    time: b => duration(b.seconds * 1000),
    'rows/s': b => number(b.rowsPerSecond),
    ETA: b => (b.etaSeconds === null ? '' : duration(b.etaSeconds * 1000)),
    '': b => b.slowedBy ?? '',
  }
  const rows = report.backfill.map(b => Object.values(columns).map(text => text(b)))
  const spare = ['passes', 'batches', 'ranges', 'rows/s', 'time', 'state']
  return gridBlock('Backfills', { head: Object.keys(columns), rows }, spare, pen)
}

function checksBlock(report: Report, pen: Pen): string {
  const { c } = pen
  const rows = report.checks.map(r => [
    paintSign(signOf(r), c),
    r.check,
    r.outcome === 'found'
      ? `${number(r.found.length)}${r.more ? '+' : ''} ${r.found.every(f => f.preExisting) ? 'from before' : 'found'}`
      : checkOutcome(r),
    checkLine(r),
    duration(r.durationMs),
  ])
  const lines = [
    gridBlock('Checks', { head: ['', 'check', 'outcome', '', 'time'], rows }, ['time', 'outcome'], pen),
  ]
  for (const r of report.checks) {
    // findings from before the first step have a table of their own
    const found = r.found.filter(f => !f.preExisting)
    if (found.length === 0) continue
    lines.push(
      [
        (signOf(r) === 'counts' ? c.red : c.yellow)(`  ${r.check}`),
        ...found.flatMap(f =>
          prose(`    ${`${f.object}: ${f.detail}`.replaceAll('\n', '\n      ')}`, pen, 2),
        ),
        ...(r.more ? ['    and more'] : []),
        ...(r.fix === null ? [] : prose(`    ${r.fix}`, pen, 2).map(line => c.green(line))),
      ].join('\n'),
    )
  }
  return lines.join('\n')
}

function findingLines(findings: Finding[], pen: Pen): string {
  const { c } = pen
  const marks = { info: c.dim('i'), warn: c.yellow('!'), error: c.red('✗'), refused: c.red('✗') }
  return findings
    .map(worded)
    .map(f => {
      // put the code at the end of the sentence, not of a list or an excerpt below it
      const [sentence, ...below] = f.message.split('\n')
      const [first, ...more] = prose(`  ${sentence} ${f.code}`, pen)
      const lines = [`${marks[f.level]} ${first!.slice(2)}`, ...more]
      lines.push(lines.pop()!.replace(new RegExp(`${f.code}$`), c.dim(f.code)))
      if (below.length > 0) lines.push(...prose(below.join('\n'), pen))
      // do not wrap what is to be pasted
      const fix = f.fix ? f.fix.split('\n').map(line => `    ${c.green(line)}`) : []
      return [...lines, ...fix].join('\n')
    })
    .join('\n')
}

function paintState(state: Summary['state'], text: string, c: Colors): string {
  if (state === 'failed' || state === 'refused') return c.red(text)
  return state === 'decide' || state === 'attention' || state === 'stopped' ? c.yellow(text) : c.green(text)
}

function paintVerdict(report: Report, text: string, c: Colors): string {
  const paint = { clean: c.green, attention: c.yellow, failed: c.red, refused: c.red, interrupted: c.yellow }
  return paint[report.verdict](text)
}

const verdict = (report: Report, pen: Pen): string => {
  const [first, ...more] = prose(`Verdict: ${verdictWords(report)}`, pen, 2)
  const painted = paintVerdict(report, first!.slice('Verdict: '.length), pen.c)
  return [`${pen.c.bold('Verdict:')} ${painted}`, ...more].join('\n')
}

/** The explanation of a code. Its parts have headings above, to leave room for sentences. */
function explanation(report: Report, pen: Pen): string {
  const { c, look } = pen
  const [{ title, rows }] = report.tables as [Report['tables'][number]]
  const [[, kind], ...parts] = rows as [[string, string], ...[string, string][]]
  const sections = parts.map(
    ([part, text]) =>
      `${c.dim(part)}\n${wrapped(text, Math.min(look.width, 100) - 2)
        .map(line => `  ${line}`)
        .join('\n')}`,
  )
  const found = findingLines(report.findings, pen)
  return [`${c.bold(title)}  ${kind}`, ...sections, ...(found ? [found] : [])].join('\n\n') + '\n'
}

export default defineRenderer({
  safe: terminalText,
  // wrapping may create lines that look like commands
  render: async (report, look) => withoutCommands(await renderTable(report, look)),
})
