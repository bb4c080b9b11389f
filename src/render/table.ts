import type TableGrid from 'cli-table3'
import { hostAndPort } from '../model/host_and_port.js'
import type { Finding, Report, StepResult, Table } from '../model/report.js'
import { answersFirst } from './answers.js'
import { type Colors, colors } from './colors.js'
import { terminalText } from './escape.js'
import { foldedSteps } from './folded_steps.js'
import { defineRenderer, type TerminalStyle } from './renderer.js'
import { worded } from './words/index.js'
import { cell, duration, number } from './words/numbers.js'
import {
  type CheckSign,
  checkLine,
  checkMarks,
  signOf,
  transactionWords,
  verdictWords,
} from './words/verdicts.js'
import { columnGap, wrapped, wrappedCells } from './wrap.js'

let Grid: typeof TableGrid | null = null

/** Loads what lays out tables, where there is one: a run with nothing to do is over before that. */
async function loadGrid(): Promise<void> {
  Grid ??= (await import('cli-table3')).default
}

/** Marks that read without colour too. */
const stepMarks: Record<StepResult['outcome'], string> = {
  planned: '·',
  done: '✓',
  failed: '✗',
  'rolled-back': '↺',
  interrupted: '‖',
  'not-run': '–',
}

/** The report for a terminal. */
export async function renderTable(report: Report, look: TerminalStyle): Promise<string> {
  if (report.steps.length + report.backfill.length + report.checks.length > 0) await loadGrid()
  const c = colors(look.color)
  const blocks: string[] = []
  const { target, targets } = report
  if (report.command === 'explain' && report.tables.length === 1) return explanation(report, c, look)
  if (target) {
    blocks.push(
      `${c.bold(`rethread ${report.command}`)}  ${target.database} on ${hostAndPort(target)}  PostgreSQL ${target.server}\n` +
        c.dim(
          `role ${target.role}, ${target.seesAllRows ? 'sees all rows' : 'may not see all rows'} (${target.why})`,
        ),
    )
  }
  if (targets) blocks.push(`${c.bold(`rethread ${report.command}`)}  ${targets.length} databases`)
  const { answers, others } = answersFirst(report)
  if (answers.length > 0) blocks.push(findingLines(answers, c))
  if (report.steps.length > 0) blocks.push(stepsTable(report, c, look))
  if (report.backfill.length > 0) blocks.push(backfillsTable(report, c))
  if (report.checks.length > 0) blocks.push(checksTable(report, c))
  blocks.push(...(await tableBlocks(report.tables, look)))
  const found = findingLines(others, c)
  if (found) blocks.push(found)
  blocks.push(verdict(report, c))
  return blocks.join('\n\n') + '\n'
}

/** Tables that have rows, each with its title, for a terminal. */
export async function tableBlocks(tables: Table[], look: TerminalStyle): Promise<string[]> {
  const c = colors(look.color)
  const full = tables.filter(t => t.rows.length > 0)
  if (full.length > 0) await loadGrid()
  return full.map(({ title, columns, rows }) => {
    const cells = rows.map(row => row.map((value, i) => cell(value, columns[i]!)))
    return `${c.bold(title)}\n${terminalGrid(columns, wrappedCells(columns, cells, look.width - 2), c)}`
  })
}

function terminalGrid(head: string[], rows: string[][], c: Colors): string {
  const none = {
    top: '',
    'top-mid': '',
    'top-left': '',
    'top-right': '',
    bottom: '',
    'bottom-mid': '',
    'bottom-left': '',
    'bottom-right': '',
    left: '',
    'left-mid': '',
    mid: '',
    'mid-mid': '',
    right: '',
    'right-mid': '',
    middle: ' '.repeat(columnGap),
  }
  const table = new Grid!({
    chars: none,
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
  })
  table.push(
    head.map(h => c.dim(h)),
    ...rows,
  )
  return table
    .toString()
    .split('\n')
    .map(line => '  ' + line.trimEnd())
    .join('\n')
}

function stepsTable(report: Report, c: Colors, look: TerminalStyle): string {
  const row = (s: StepResult): string[] => [
    paintOutcome(s.outcome, stepMarks[s.outcome], c),
    s.migration,
    s.direction === 'down' ? 'rollback' : s.phase,
    s.outcome === 'planned' ? [...new Set(s.hazards.map(h => h.code))].join(' ') || 'no hazard' : s.outcome,
    [
      s.targets ? `${s.targets.length} databases` : '',
      s.rows === null ? '' : `${number(s.rows)} rows`,
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
      : [['', `${number(part.length)} more`, '', part[0]!.outcome, duration(totalDuration(part))]],
  )
  const parts = [
    `${c.bold('Steps')}\n${terminalGrid(['', 'migration', 'phase', report.steps[0]!.outcome === 'planned' ? 'hazards' : 'outcome', ''], rows, c)}`,
  ]
  if (report.command === 'plan' || look.verbose) {
    for (const s of report.steps) {
      const lines = [c.bold(`${s.migration}: ${s.title}`) + c.dim(`  ${transactionWords[s.transaction]}`)]
      for (const h of s.hazards)
        lines.push(`  ${c.yellow(h.code)} ${h.subject === s.migration ? '' : `${h.subject}: `}${h.detail}`)
      for (const sql of s.statements)
        lines.push(
          c.dim(
            sql
              .split('\n')
              .map(l => `    ${l}`)
              .join('\n') + ';',
          ),
        )
      parts.push(lines.join('\n'))
    }
  }
  return parts.join('\n\n')
}

const totalDuration = (steps: StepResult[]): number => steps.reduce((sum, s) => sum + (s.durationMs ?? 0), 0)

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

const paintOutcome = (outcome: string, text: string, c: Colors): string =>
  outcome === 'done'
    ? c.green(text)
    : outcome === 'failed'
      ? c.red(text)
      : outcome === 'interrupted'
        ? c.yellow(text)
        : c.dim(text)

function backfillsTable(report: Report, c: Colors): string {
  const rows = report.backfill.map(b => [
    b.migration,
    b.state,
    number(b.rows),
    `${b.rangesDone}/${b.ranges}`,
    number(b.batches),
    String(b.passes),
    number(b.quarantined),
    number(b.failed),
    `${b.seconds} s`,
    number(b.rowsPerSecond),
    b.etaSeconds === null ? '' : duration(b.etaSeconds * 1000),
    b.slowedBy ?? '',
  ])
  return `${c.bold('Backfills')}\n${terminalGrid(
    [
      'migration',
      'state',
      'rows',
      'ranges',
      'batches',
      'passes',
      'set aside',
      'failed',
      'time',
      'rows/s',
      'ETA',
      '',
    ],
    rows,
    c,
  )}`
}

function checksTable(report: Report, c: Colors): string {
  const rows = report.checks.map(r => [
    paintSign(signOf(r), c),
    r.check,
    r.outcome === 'found'
      ? `${r.found.length}${r.more ? '+' : ''} ${r.found.every(f => f.preExisting) ? 'from before' : 'found'}`
      : r.outcome,
    checkLine(r),
    duration(r.durationMs),
  ])
  const lines = [`${c.bold('Checks')}\n${terminalGrid(['', 'check', 'outcome', '', ''], rows, c)}`]
  for (const r of report.checks) {
    // what stood before has a table of its own
    const found = r.found.filter(f => !f.preExisting)
    if (found.length === 0) continue
    lines.push(
      [
        (signOf(r) === 'counts' ? c.red : c.yellow)(`  ${r.check}`),
        ...found.map(f => `    ${f.object}: ${f.detail}`),
        ...(r.more ? ['    and more'] : []),
        ...(r.fix === null ? [] : [`    ${c.green(r.fix)}`]),
      ].join('\n'),
    )
  }
  return lines.join('\n')
}

function findingLines(findings: Finding[], c: Colors): string {
  const marks = { info: c.dim('i'), warn: c.yellow('!'), error: c.red('✗'), refused: c.red('✗') }
  return findings
    .map(worded)
    .map(f => {
      const fix = f.fix
        ? '\n' +
          f.fix
            .split('\n')
            .map(l => `    ${c.green(l)}`)
            .join('\n')
        : ''
      return `${marks[f.level]} ${f.message} ${c.dim(f.code)}${fix}`
    })
    .join('\n')
}

function verdict(report: Report, c: Colors): string {
  const paint = { clean: c.green, attention: c.yellow, failed: c.red, refused: c.red, interrupted: c.yellow }
  return `${c.bold('Verdict:')} ${paint[report.verdict](verdictWords(report))}`
}

/** What a code means: short parts beside their names would leave no room for sentences. */
function explanation(report: Report, c: Colors, { width }: TerminalStyle): string {
  const [{ title, rows }] = report.tables as [Report['tables'][number]]
  const [[, kind], ...parts] = rows as [[string, string], ...[string, string][]]
  const wide = Math.max(40, Math.min(width, 100)) - 2
  const sections = parts.map(
    ([part, text]) =>
      `${c.dim(part)}\n${wrapped(text, wide)
        .map(line => `  ${line}`)
        .join('\n')}`,
  )
  const found = findingLines(report.findings, c)
  return [`${c.bold(title)}  ${kind}`, ...sections, ...(found ? [found] : [])].join('\n\n') + '\n'
}

export default defineRenderer({ safe: terminalText, render: renderTable })
