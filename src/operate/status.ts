import { atRisk, rollbackCommand } from '../archive/loss_report.js'
import { waitingArchives } from '../archive/waiting_archives.js'
import { backfillResults } from '../backfill/backfill_results.js'
import { failedFindings } from '../backfill/failed_rows.js'
import { type Reopened, reopenedFindings, reopenedWithin } from '../backfill/reopened.js'
import type { Connection } from '../database/connection.js'
import { type Context, connect } from '../database/context.js'
import { isRetriable, serverFault } from '../database/faults.js'
import { inspect, judgeServer } from '../database/server.js'
import { lockLimit } from '../database/usual_settings.sql.js'
import { isOneWay } from '../model/foreign.js'
import type { Plan } from '../model/plan.js'
import type { Track } from '../model/project.js'
import { emptyReport, type Finding, finding, type Report, type Table, verdictOf } from '../model/report.js'
import { type HistoryAndPlan, readHistory } from '../plan/history.js'
import { barePlanOptions, undescribedHeld } from '../plan/make_plan.js'
import { recentRuns } from '../run/at_work.sql.js'
import { type Drift, drifted, driftFinding } from '../run/schema_snapshot.js'
import { howFar, nextStep, whoIsAtWork } from './answers.js'

/** Time limit of the query for the cost line, and lock timeout, in milliseconds. `status` must be fast. */
const statusCostTimeoutMs = 500

/** Time for all finished backfills together, in milliseconds. A lower one is too short on a busy machine. */
const recheckMs = 3000

/** Number of runs to list. */
const runs = 5

/**
 * First whether a run is active, the progress, drift, archives that wait, and the next step. Then applied,
 * pending, changed and missing migrations, backfills, the last runs, and the rollback command with its
 * current cost.
 */
export async function status(ctx: Context, track: Track): Promise<Report> {
  await using connection = await connect(ctx, 'reader', lockLimit(statusCostTimeoutMs))
  const target = await inspect(ctx, connection)
  const report = emptyReport('status', target.info)
  let again: Reopened | null = null
  const seen = await readHistory(connection, track, barePlanOptions, async applied => {
    again = await reopenedWithin(ctx, connection, track, applied, recheckMs)
    return again.names
  })
  let work: Finding = finding('NOBODY_AT_WORK', track.name)
  const lead: Finding[] = []
  report.findings.push(
    ...judgeServer(target, false),
    ...seen.plan.findings.map(asNews),
    ...reopenedFindings(again!),
  )
  report.tables.push(migrationsTable(track, seen))
  if (seen.hasLedger) {
    report.backfill = await backfillResults(connection.sql, track.name, seen.history)
    report.findings.push(...(await failedFindings(connection.sql, track.name, null)))
    const last = await recentRuns(connection.sql, runs)
    work = await whoIsAtWork(connection, track.name, last[0])
    const seenDrift = await driftInPassing(connection, target.major)
    const drift = driftFinding(seenDrift)
    if (seenDrift.changed.some(isOfTriggers)) report.verdict = 'attention'
    lead.push(...(drift.length > 0 ? drift : [finding('NOT_DRIFTED', track.name)]))
    report.tables.push(runsTable(last))
  }
  const { plan } = seen
  lead.unshift(work, howFar(track.name, seen, track.migrations.length, report.backfill))
  lead.push(...(await waitingArchives(connection.sql, track.name)))
  lead.push(nextStep(track.name, seen, work, report.backfill))
  report.findings.unshift(...lead)
  report.findings.push(...(await rollbackCost(connection, track, plan, target.info.database)))
  if (plan.steps.length > 0) {
    report.findings.push(
      finding('PENDING', track.name, { count: plan.steps.length, first: plan.steps[0]!.migration.name }),
    )
    // only `status` treats pending work as attention
    report.verdict = 'attention'
  } else report.findings.push(...undescribedHeld(plan, target.info.database))
  const failed = report.findings.some(f => f.code === 'ROWS_FAILED')
  if (plan.findings.some(f => asNews(f).level !== 'info') || failed) report.verdict = 'attention'
  const mild = report.findings.filter(f => f.level !== 'error' && f.level !== 'refused')
  report.verdict = verdictOf({ ...report, findings: mild })
  return report
}

/** What it would cost now to take back all that is applied. */
async function rollbackCost(
  connection: Connection,
  track: Track,
  { applied }: Plan,
  database: string,
): Promise<Finding[]> {
  // no way back is no price
  if (applied.length === 0 || applied.some(isOneWay)) return []
  const command = await rollbackCommand(track, null, applied, database)
  const rows = await atRisk(connection, track, applied, statusCostTimeoutMs)
  return [finding('ROLLBACK_COST', track.name, { command, atRisk: rows })]
}

/** Drift, where no lock is in the way: a view's definition waits for whoever has locked its table. */
async function driftInPassing(connection: Connection, major: number): Promise<Drift> {
  try {
    return await drifted(connection, major)
  } catch (error) {
    if (!isRetriable(error)) throw error
    return { changed: [], whyNotCompared: serverFault(error)!.message }
  }
}

/** What the triggers of a track need has been changed or is gone: they may not keep anything in step. */
const isOfTriggers = (change: string): boolean => /^[~-] \w+ chat_private\./.test(change)

/** APPLIED_ELSEWHERE stops a run, but is only information in `status`. */
const asNews = (f: Finding): Finding => (f.code === 'APPLIED_ELSEWHERE' ? { ...f, level: 'info' } : f)

const runsTable = (last: Awaited<ReturnType<typeof recentRuns>>): Table => ({
  title: 'Last runs',
  columns: ['run', 'command', 'who', 'outcome', 'at (UTC)', 'seconds'],
  rows: last.map(r => [r.id, r.command, r.who, r.outcome, r.at, r.seconds]),
})

function migrationsTable(track: Track, { history, plan }: HistoryAndPlan): Table {
  const changed = new Map(
    plan.findings.filter(f => f.code.startsWith('APPLIED_FILE_')).map(f => [f.subject, f.code]),
  )
  const rows: Table['rows'] = track.migrations.map(m => {
    const row = history.applied.get(m.name)
    const open = history.unfinished.get(m.name)
    const change = changed.get(m.file.path)
    const elsewhere = row ? undefined : history.elsewhere?.get(m.name)
    const state = row
      ? change
        ? change === 'APPLIED_FILE_CHANGED'
          ? 'changed'
          : 'reformatted'
        : row.direction === 'baseline'
          ? 'adopted'
          : 'applied'
      : elsewhere
        ? `${elsewhere.state} by ${elsewhere.tool}`
        : open
          ? `${open.outcome} at statement ${open.reached + 1}`
          : 'pending'
    const at = row?.at ?? elsewhere?.at
    return [m.name, m.phase, state, at?.slice(0, 19) ?? null, row ? row.run : null]
  })
  for (const [name, row] of history.applied) {
    if (!track.migrations.some(m => m.name === name))
      rows.push([name, null, 'missing', row.at.slice(0, 19), row.run])
  }
  return {
    title: `Migrations of ${track.name}`,
    columns: ['migration', 'phase', 'state', 'at (UTC)', 'run'],
    rows,
  }
}
