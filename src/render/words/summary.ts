import type { Code } from '../../model/codes.js'
import { shortList } from '../../model/few_names.js'
import { number, plural } from '../../model/plural.js'
import type { Finding, Report, StepResult, Summary } from '../../model/report.js'
import { duration, span } from './numbers.js'
import { finishedSteps } from './verdicts.js'

/** One line of a summary: its name and its text. */
type SummaryLine = Summary['lines'][number]

const line = (name: string, text: string, level: SummaryLine['level'] = 'plain'): SummaryLine => ({
  name,
  text,
  level,
})

const few = (list: string[]): string => shortList(list, 4)

/** True for a plan, also with a rehearsal: its steps have not run. */
const isPlan = ({ command }: Report): boolean => command === 'plan'

/** The number of steps of each kind, how many rows they write, and where the plan stops. */
export function stepsLine(report: Report): SummaryLine | null {
  const { steps } = report
  if (steps.length === 0) return null
  return isPlan(report) ? line('What happens', plannedWords(report)) : ranLine(steps)
}

function plannedWords({ steps, findings, limits }: Report): string {
  const batchMs = limits?.batchMs
  if (steps.every(s => s.direction === 'down')) return `${plural(steps.length, 'step')} back`
  const kinds = (['expand', 'backfill', 'contract'] as const).flatMap(phase => {
    const n = steps.filter(s => s.phase === phase).length
    return n > 0 ? [`${n} ${phase}`] : []
  })
  const largest = Math.max(0, ...steps.map(s => s.estimate?.rows ?? 0))
  const held = findings.find(f => f.code === 'STOPPED_BEFORE')
  return [
    `${plural(steps.length, 'step')} (${kinds.join(', ')})`,
    largest > 0
      ? `rows in batches${batchMs === undefined ? '' : ` of about ${batchMs} ms`}, at most about ${plural(largest, 'row')} a backfill`
      : '',
    held ? `then it stops before \`${held.subject}\`` : '',
  ]
    .filter(Boolean)
    .join(', ')
}

function ranLine(steps: StepResult[]): SummaryLine {
  const done = finishedSteps(steps)
  const failed = steps.filter(s => s.outcome === 'failed').map(s => `\`${s.migration}\``)
  const written = steps.reduce((n, s) => n + (s.rows ?? 0), 0)
  const back = steps.every(s => s.direction === 'down')
  const text = [
    `${number(done.length)} of ${plural(steps.length, 'step')} ${back ? 'undone' : 'done'}`,
    written > 0 ? `${plural(written, 'row')} written` : '',
    failed.length > 0 ? `${few(failed)} failed` : '',
  ]
  return line('What happened', text.filter(Boolean).join(', '), failed.length > 0 ? 'bad' : 'plain')
}

/** How long a run will take or has taken. */
export function timeLine(report: Report): SummaryLine | null {
  const { steps } = report
  if (steps.length === 0) return null
  const ran = steps.filter(s => s.durationMs !== null)
  const measured = ran.reduce((ms, s) => ms + s.durationMs!, 0)
  if (!isPlan(report)) {
    if (ran.length === 0) return null
    const longest = ran.reduce((a, b) => (b.durationMs! > a.durationMs! ? b : a))
    const of = ran.length > 1 ? `, of which \`${longest.migration}\` ${duration(longest.durationMs)}` : ''
    return line('How long', `${duration(measured)}${of}`)
  }
  if (steps.every(s => s.direction === 'down')) return null
  const estimated = steps.flatMap(s => s.estimate ?? [])
  const tried = ran.length > 0 ? `${duration(measured)} in the rehearsal` : ''
  if (estimated.length === 0)
    return line('How long', tried || 'not measured: `--rehearse-url <copy>` measures it')
  const low = estimated.reduce((s, e) => s + e.secondsLow, 0)
  const high = estimated.reduce((s, e) => s + e.secondsHigh, 0)
  const basis = estimated.every(e => e.basis === 'sampled')
    ? 'sampled'
    : estimated.some(e => e.basis === 'usual')
      ? 'a guess: `--sample` measures'
      : 'by earlier runs here'
  return line(
    'How long',
    [`${span(low, high)} for the backfills (${basis})`, tried].filter(Boolean).join('; '),
  )
}

/** A table whose users wait, for which lock, and how long if that was measured. */
interface Wait {
  table: string
  blocks: 'reads and writes' | 'writes'
  ms: number | null
}

/** The users that the locks of a plan make wait: the worst lock of each table. */
export function waitsOf(steps: StepResult[]): Wait[] {
  const found = new Map<string, Wait>()
  for (const s of steps) {
    const locks = s.traces.length > 0 ? s.traces.flatMap(t => t.locks) : s.locks
    for (const { table, blocks, heldMs } of locks) {
      if (table === null || blocks === 'nothing') continue
      const before = found.get(table)
      found.set(table, {
        table,
        blocks: before?.blocks === 'reads and writes' ? before.blocks : blocks,
        ms: heldMs === null ? (before?.ms ?? null) : Math.max(before?.ms ?? 0, heldMs),
      })
    }
  }
  return [...found.values()]
}

/** Who waits, and at most how long. Only for plans. */
export function waitsLine(report: Report): SummaryLine | null {
  const { steps, limits } = report
  if (!isPlan(report) || steps.length === 0) return null
  const unknown = steps.reduce((n, s) => n + s.locks.filter(l => l.table === null).length, 0)
  const waits = waitsOf(steps)
  const rewritten = steps.flatMap(s => s.hazards.filter(h => h.code === 'REWRITES_TABLE').map(h => h.subject))
  const of = (['reads and writes', 'writes'] as const).flatMap(blocks => {
    const tables = waits.filter(w => w.blocks === blocks).map(w => w.table)
    return tables.length > 0 ? [`${blocks} of ${few(tables)}`] : []
  })
  const measured = waits.flatMap(w => w.ms ?? [])
  const wait = limits ? duration(limits.lockTimeoutMs) : null
  const text = [
    of.length === 0 && unknown === 0 ? 'nobody' : of.join('; '),
    measured.length > 0 ? `longest lock in the rehearsal: ${duration(Math.max(...measured))}` : '',
    of.length > 0 && wait
      ? `at most ${wait} while a lock is waited for${measured.length > 0 ? '' : ', then until its step ends'}`
      : '',
    rewritten.length > 0 ? `for as long as ${few([...new Set(rewritten)])} is rewritten` : '',
    unknown > 0
      ? `not known of ${plural(unknown, 'statement')}: ${steps.every(s => s.direction === 'down') ? 'read it' : '`--rehearse-url <copy>` shows it'}`
      : '',
  ]
  const level = rewritten.length > 0 || unknown > 0 ? 'warn' : 'plain'
  return line('Who waits', text.filter(Boolean).join('; '), level)
}

/** A part of the line about data, and its level. The text is empty if there is nothing to report. */
type DataPart = [text: string, level?: SummaryLine['level']]

/** The numbers of rows that are lost, quarantined or kept. */
export function dataLine(report: Report): SummaryLine | null {
  const parts = [...goingParts(report), ...asideParts(report), ...keptParts(report), ...aheadParts(report)]
  const said = parts.filter(([text]) => text !== '')
  const has = (level: SummaryLine['level']) => said.some(([, l]) => l === level)
  if (said.length > 0)
    return line(
      'Data',
      said.map(([text]) => text).join('; '),
      has('bad') ? 'bad' : has('warn') ? 'warn' : 'plain',
    )
  return report.steps.length > 0 && report.verdict === 'clean'
    ? line('Data', 'nothing is lost or set aside')
    : null
}

/** The sum of rows in the findings with one code. */
const rowsOfCode = (findings: Finding[], code: Code): number =>
  findings
    .filter(f => f.code === code)
    .reduce((n, { facts }) => n + ('rows' in facts && typeof facts.rows === 'number' ? facts.rows : 0), 0)

const some = (n: number, what: string, level: SummaryLine['level'] = 'plain'): DataPart =>
  n > 0 ? [`${plural(n, 'row')} ${what}`, level] : ['']

/**
 * What is or would be deleted. The origin of rows is only known for a rollback, which archives them. A
 * migration that drops an object deletes its contents.
 */
function goingParts(report: Report): DataPart[] {
  const { steps, findings } = report
  const losses = findings.flatMap(f => (f.code === 'LOSS' ? [f.facts.atRisk] : []))
  const atRisk = losses.reduce<number>((n, rows) => n + (rows ?? 0), 0)
  const isOpen = losses.includes(null) || findings.some(f => f.code === 'DESTROYS_UNARCHIVED')
  const risk = [
    atRisk > 0 ? `${plural(atRisk, 'row')} at risk without the archive` : '',
    isOpen ? 'rows at risk that were not counted' : '',
  ]
    .filter(Boolean)
    .join(', ')
  const dropped = (direction: 'up' | 'down') =>
    new Set(
      steps
        .filter(s => s.direction === direction && (isPlan(report) || s.outcome !== 'failed'))
        .flatMap(s => s.hazards.filter(h => h.code === 'DELETES_DATA').map(h => h.detail)),
    ).size
  const ahead = isPlan(report) || steps.some(s => s.outcome === 'not-run')
  const [up, down] = [dropped('up'), dropped('down')]
  const takenOut = steps.reduce((n, s) => n + (s.takesOut ?? 0), 0)
  const unknown = steps.reduce((n, s) => n + s.hazards.filter(h => h.code === 'CANNOT_TELL').length, 0)
  return [
    up > 0 ? [`${plural(up, 'deletion')} for good (DELETES_DATA)`, 'warn'] : [''],
    down > 0 && ahead
      ? [`${plural(down, 'object')} dropped, ${risk || 'no row of users at risk'}`, 'warn']
      : [risk, 'warn'],
    some(takenOut, 'taken out of their table into the quarantine', 'warn'),
    unknown > 0 ? [`not known of ${plural(unknown, 'statement')}`, 'warn'] : [''],
  ]
}

/**
 * The rows that a run has quarantined. Rows that were removed from a table had been quarantined before: they
 * count once.
 */
function asideParts({ command, findings, backfill }: Report): DataPart[] {
  const aside = command === 'plan' ? [] : findings.filter(f => f.code === 'QUARANTINED')
  const out = aside.filter(f => f.facts.takenOut)
  const inPlace = aside.filter(f => !f.facts.takenOut && !out.some(o => o.subject === f.subject))
  const rows = (list: typeof aside) => list.reduce((n, f) => n + f.facts.rows, 0)
  const failed = backfill.reduce((n, b) => n + b.failed, 0) || rowsOfCode(findings, 'ROWS_FAILED')
  return [
    some(rows(out), 'taken out of their table into the quarantine', 'warn'),
    some(rows(inPlace), 'set aside, in place', 'warn'),
    some(failed, 'failed', 'bad'),
  ]
}

const keptParts = ({ findings }: Report): DataPart[] => [
  some(rowsOfCode(findings, 'ARCHIVED'), 'kept in the archive'),
  some(rowsOfCode(findings, 'RESTORED'), 'restored'),
  some(rowsOfCode(findings, 'RESTORE_CONFLICT'), 'not restored', 'warn'),
]

/** What to consider before a run. */
function aheadParts({ steps, findings }: Report): DataPart[] {
  const access = (['WIDENS_ACCESS', 'SHOWS_ROWS', 'HIDES_ROWS'] as const).filter(code =>
    steps.some(s => s.hazards.some(h => h.code === code)),
  )
  const outlooks = findings.filter(f => f.code === 'OUTLOOK').length
  return [
    access.length > 0 ? [`changes who sees rows (${access.join(', ')})`, 'warn'] : [''],
    outlooks > 0 ? [`${plural(outlooks, 'thing')} to know about the rows, below`, 'warn'] : [''],
  ]
}

/** What a finding leaves unknown, in a few words. */
const leftOpen: Partial<Record<Code, string>> = {
  DRIFT_UNKNOWN: 'whether others changed the schema',
  NOT_RECHECKED: 'whether finished backfills have rows to do again',
  RECHECK_FAILED: 'whether finished backfills have rows to do again',
  ROWS_NOT_LOOKED_AT: 'rows that may violate a constraint',
  NOT_TRIED: 'statements that another statement puts together',
  NOT_REHEARSED: 'the files on empty copies of the tables',
  NOT_SAMPLED: 'batches of a backfill',
  VISIBILITY_UNKNOWN: 'who will see which rows',
  CHANGES_UNKNOWN_ROWS: 'which table a statement changes',
  PROBE_SKIPPED: 'a probe',
  BASELINE_UNPROVEN: 'what the catalog does not show',
  ADOPT_NOT_COMPARED: 'statements that no catalog shows',
  NO_CHECKS_RUN: 'any check',
}

/** What was not examined. */
export function unseenLine(report: Report): SummaryLine | null {
  const { steps, checks, findings } = report
  const skipped = checks.filter(c => c.outcome === 'skipped' && c.applies === 'now').length
  const broken = checks.filter(c => c.outcome === 'failed').length
  const untried = isPlan(report) && steps.length > 0 && steps.every(s => s.traces.length === 0)
  const left = steps.filter(s => s.outcome === 'not-run').length
  const parts = [
    ...new Set(findings.flatMap(f => leftOpen[f.code] ?? [])),
    skipped > 0 ? plural(skipped, 'check') : '',
    broken > 0 ? `${plural(broken, 'check')} that failed` : '',
    isPlan(report) && left > 0 ? `${plural(left, 'step')} that the rehearsal left out` : '',
  ].filter(Boolean)
  if (parts.length > 0) return line('Not looked at', parts.join('; '), 'warn')
  if (!untried) return null
  const how = steps.every(s => s.direction === 'down')
    ? 'a rollback on a copy executes them'
    : '`--rehearse-url <copy>` executes them'
  return line('Not tried', `the statements themselves: ${how}`)
}
