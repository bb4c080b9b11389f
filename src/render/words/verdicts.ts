import { number, plural } from '../../model/plural.js'
import {
  type BackfillResult,
  type CheckResult,
  counts,
  type Finding,
  isFault,
  type Report,
  type StepResult,
  type TargetReport,
  worstFirst,
} from '../../model/report.js'
import { isolationWords } from './checks.js'

const small = ['no', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten']

/**
 * The verdict in words. For checks, with what it is based on; for a refusal, with what the run did before it.
 */
export function verdictWords(report: Report): string {
  const { verdict, steps, findings, targets } = report
  if (targets) return `${verdict}: ${fleetVerdict(targets)}`
  if (verdict !== 'refused') return [verdict, ...verifiedWords(report)].join('; ')
  const n = finishedSteps(steps).length
  return n > 0
    ? `refused: ${small[n] ?? n} step${n === 1 ? '' : 's'} finished before; this step changed nothing`
    : `refused: ${changedWithoutSteps(findings)}`
}

/** Steps that a run has finished, in either direction. */
export const finishedSteps = (steps: StepResult[]): StepResult[] =>
  steps.filter(s => s.outcome === 'done' || s.outcome === 'rolled-back')

/**
 * What a refused run without a finished step has changed. The quarantine changes before its backfills begin.
 */
export const changedWithoutSteps = (findings: Finding[]): string =>
  findings.some(f => f.code === 'RELEASED' || f.code === 'ASSIGNED')
    ? 'rows of the quarantine were changed before'
    : 'nothing was changed'

/** The number of databases with each verdict, the worst first. */
function fleetVerdict(targets: TargetReport[]): string {
  const parts = [...worstFirst, null].flatMap(verdict => {
    const n = targets.filter(t => (t.report?.verdict ?? null) === verdict).length
    return n > 0 ? [`${n} ${verdict ?? 'not started'}`] : []
  })
  const all = plural(targets.length, 'database')
  return parts.length === 1 ? `all of ${all}` : `of ${all} ${parts.join(', ')}`
}

/** How many checks passed and how many did not run, and which access rights are not verified. */
export function verifiedWords({ command, checks, findings }: Report): string[] {
  if (checks.length === 0 || (command !== 'verify' && command !== 'prove')) return []
  const number = (test: (c: CheckResult) => boolean) => checks.filter(test).length
  const skipped = (applies: CheckResult['applies']) =>
    number(c => c.outcome === 'skipped' && c.applies === applies)
  const numbers: [n: number, what: string, always?: boolean][] = [
    [number(c => c.outcome === 'pass'), 'pass', true],
    [number(c => c.outcome === 'found' && counts(c)), 'found something'],
    [number(c => c.outcome === 'found' && !counts(c)), 'found what was there before or is accepted'],
    [number(c => c.outcome === 'failed'), 'failed'],
    [number(c => c.outcome === 'pass' && c.reason !== null), 'of these looked at nothing'],
    [skipped('not yet'), 'not yet applicable', true],
    [skipped('no longer'), 'no longer applicable'],
    [skipped('never'), 'not applicable'],
    [skipped('now'), 'skipped', true],
  ]
  const isolation = findings.find(f => f.code === 'ISOLATION_UNVERIFIED')
  return [
    numbers
      .filter(([n, , always]) => always || n > 0)
      .map(([n, what]) => `${n} ${what}`)
      .join(', '),
    ...(isolation ? [isolationWords(isolation.facts)] : []),
  ]
}

/** The meaning of the mark beside a check, the same in every format. */
export type CheckSign = 'passes' | 'counts' | 'warns' | 'not applicable' | 'not looked'

/**
 * The sign of a check. `counts` is for an error that affects the verdict: it is neither accepted nor older
 * than the first step. Other findings only warn.
 */
export function signOf(check: CheckResult): CheckSign {
  if (check.outcome === 'pass') return 'passes'
  if (check.outcome === 'found') return isFault(check) ? 'counts' : 'warns'
  return check.outcome === 'skipped' && check.applies !== 'now' ? 'not applicable' : 'not looked'
}

/** The marks of plain text. */
export const checkMarks: Record<CheckSign, string> = {
  passes: '✓',
  counts: '✗',
  warns: '!',
  'not applicable': '–',
  'not looked': '?',
}

/** The outcome of a check, in the words of the verdict. */
export const checkOutcome = ({ outcome, applies }: CheckResult): string =>
  outcome !== 'skipped' || applies === 'now' ? outcome : applies === 'never' ? 'not applicable' : applies

/** The number of faults that were there before the first step. Other texts do not list them. */
export function earlierWords({ found }: CheckResult): string {
  const n = found.filter(f => f.preExisting).length
  return n === 0 ? '' : `as before the first step: ${number(n)}`
}

/** How many ranges of a backfill are done; `-` if there was nothing to do. */
export const rangesText = ({ state, rangesDone, ranges }: BackfillResult): string =>
  state === 'done' && rangesDone === 0 ? '-' : `${number(rangesDone)}/${number(ranges)}`

/** The text beside the outcome of a check: its title, and why it did not run or examined nothing. */
export const checkLine = ({ outcome, title, reason }: CheckResult): string =>
  reason === null ? title : outcome === 'pass' ? `${title} (${reason})` : reason

/** The marks of steps. */
export const stepMarks: Record<StepResult['outcome'], string> = {
  planned: '·',
  done: '✓',
  failed: '✗',
  'rolled-back': '↺',
  interrupted: '‖',
  'not-run': '–',
}

/** The outcome of a step. The steps of a plan that have run were rehearsed. */
export const stepOutcome = ({ command }: Report, { outcome }: StepResult): string =>
  command === 'plan' && outcome === 'done' ? 'rehearsed' : outcome.replace('-', ' ')

const transactions: Record<StepResult['transaction'], string> = {
  one: 'in one transaction',
  none: 'each statement alone',
  parts: 'in as many transactions as its statements need',
}

/** How a step is executed. `batchMs` is the target duration of a backfill's batch. */
export const transactionWords = (
  { transaction, estimate, phase, direction }: StepResult,
  batchMs?: number,
): string =>
  direction === 'up' && (phase === 'backfill' || estimate)
    ? `in batches${batchMs === undefined ? '' : ` of about ${batchMs} ms`}`
    : transactions[transaction]
