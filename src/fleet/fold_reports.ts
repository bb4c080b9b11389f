import type { Finding } from '../model/facts.js'
import {
  emptyReport,
  finding,
  type Report,
  type Table,
  type TargetReport,
  worstVerdict,
} from '../model/report.js'
import { foldChecks } from './fold_checks.js'
import { foldFindings, mostUrgentFirst } from './fold_findings.js'
import { foldSteps, plansTable } from './fold_steps.js'
import type { FleetTarget } from './parse_targets.js'
import type { StopReason } from './roll_out.js'

/** The results of a command on a list of databases. */
interface FleetOutcome {
  command: string
  /** The list, as `--targets` takes it. */
  list: string
  targets: FleetTarget[]
  /** In the order of the list; null for a database that was not started. */
  reports: (TargetReport | null)[]
  stop: StopReason | null
}

/**
 * Merges the reports: a table with a row for each database, the findings with their databases, and the worst
 * verdict. The complete reports are in `targets`.
 */
export function foldReports({ command, list, targets, reports, stop }: FleetOutcome): Report {
  const all = reports.map(
    (report, i): TargetReport =>
      report ?? { name: targets[i]!.name, exitCode: null, seconds: null, report: null },
  )
  const idle = all.filter(t => t.report === null).map(t => t.name)
  const notStarted: Finding[] =
    stop && idle.length > 0
      ? [{ ...finding('NOT_STARTED', command, stop), targets: { names: idle, of: all.length, list } }]
      : []
  const isPlan = command === 'plan'
  return {
    ...emptyReport(command),
    limits: all.find(t => t.report?.limits)?.report?.limits,
    verdict: worstVerdict([
      ...all.flatMap(t => t.report?.verdict ?? []),
      ...(notStarted.length === 0
        ? []
        : ([stop!.because === 'interrupted' ? 'interrupted' : 'attention'] as const)),
    ]),
    steps: isPlan ? foldSteps(all) : [],
    checks: foldChecks(all),
    tables: [...(isPlan ? [plansTable(all)] : []), databasesTable(command, all)],
    findings: mostUrgentFirst([...foldFindings(all, list), ...notStarted]),
    targets: all,
  }
}

const far = (report: Report) => report.findings.find(f => f.code === 'HOW_FAR')?.facts

/** How many rows the backfills of a report have written. */
const writtenRows = ({ backfill }: Report): number => backfill.reduce((sum, b) => sum + b.rows, 0)

/** How many migrations are left: those that did not run, and those before which the plan stops. */
const leftOf = ({ steps, findings }: Report): number =>
  steps.filter(s => s.outcome !== 'done').length +
  (findings.find(f => f.code === 'STOPPED_BEFORE')?.facts.left ?? 0)

/** By column, the value of a database; null if it is unknown. */
type RowValues = Record<string, (report: Report) => number | string | null>

/** By command, the columns between a database's verdict and its finding. `usual` is for other commands. */
const rowValues: { usual: RowValues } & Record<string, RowValues> = {
  usual: {
    applied: r => r.steps.filter(s => s.outcome === 'done').length,
    pending: leftOf,
    rows: writtenRows,
  },
  plan: {
    steps: r => r.steps.length,
    hazards: r => new Set(r.steps.flatMap(s => s.hazards.map(h => h.code))).size,
  },
  verify: {
    pass: r => r.checks.filter(c => c.outcome === 'pass').length,
    found: r => r.checks.filter(c => c.outcome === 'found').length,
    'not run': r =>
      r.checks.filter(c => c.outcome === 'failed' || (c.outcome === 'skipped' && c.applies === 'now')).length,
  },
  backfill: {
    state: r => (r.backfill.find(b => b.state !== 'done') ?? r.backfill.at(-1))?.state ?? null,
    rows: writtenRows,
    failed: r => r.backfill.reduce((sum, b) => sum + b.failed, 0),
  },
  status: {
    applied: r => far(r)?.applied ?? null,
    pending: r => (far(r)?.of ?? 0) - (far(r)?.applied ?? 0),
    rows: writtenRows,
  },
}

/** Whether a finding may explain the verdict in its row. */
const isOfNote = ({ level, code }: Finding): boolean => level !== 'info' || code === 'INTERRUPTED'

function databasesTable(command: string, targets: TargetReport[]): Table {
  const columns = Object.entries(rowValues[command] ?? rowValues.usual)
  return {
    title: 'Databases',
    columns: ['database', 'verdict', ...columns.map(([name]) => name), 'finding', 'exit', 'seconds'],
    rows: targets.map(({ name, exitCode, seconds, report }) => [
      name,
      report?.verdict ?? 'not started',
      // nothing is known about a database that was not reached
      ...columns.map(([, value]) => (report?.target ? value(report) : null)),
      report ? (mostUrgentFirst(report.findings).find(isOfNote)?.code ?? '') : 'NOT_STARTED',
      exitCode,
      seconds,
    ]),
  }
}
