import { backfillResults } from '../backfill/backfill_results.js'
import { failedFindings } from '../backfill/failed_rows.js'
import type { BackfillOptions } from '../backfill/job.js'
import { type Reopened, reopenedBackfills, reopenedFindings } from '../backfill/reopened.js'
import { runBackfill } from '../backfill/run_backfill.js'
import { pauseBackfills, readBackfills } from '../backfill/run_backfill.sql.js'
import { unitOfEach } from '../backfill/unit_value.js'
import { type Context, connect } from '../database/context.js'
import { inspect } from '../database/server.js'
import type { Plan } from '../model/plan.js'
import type { Migration, Track } from '../model/project.js'
import { emptyReport, type Finding, finding, type Report, verdictOf } from '../model/report.js'
import { readHistory } from '../plan/history.js'
import { barePlanOptions, type PlanOptions } from '../plan/make_plan.js'
import { inRun } from '../run/in_run.js'
import { readLease } from '../run/lease.sql.js'
import { joinRun, openRun } from '../run/open_run.js'
import { migrate } from './migrate.js'

/** Options of `backfill`. */
interface BackfillOnlyOptions extends BackfillOptions {
  resume: boolean
  leaseWaitMs: number
}

/** The steps of a track up to its last backfill. */
const untilBackfills: PlanOptions = { ...barePlanOptions, phase: 'backfill' }

/** Starts or resumes the backfills of a track. A canary or a bounded run leaves them open. */
export async function backfill(ctx: Context, track: Track, options: BackfillOnlyOptions): Promise<Report> {
  if (options.resume) await setPause(ctx, track, false)
  if (options.unit !== null || options.maxRows !== null)
    return backfillPart(ctx, track, options, options.leaseWaitMs)
  let helped: Migration | undefined
  {
    await using connection = await connect(ctx, 'reader')
    const { plan, hasLedger } = await readHistory(connection, track, untilBackfills)
    if (hasLedger && (await readLease(connection.sql)).alive) {
      const open = (await readBackfills(connection.sql, track.name, null)).find(b => b.state !== 'done')
      helped = track.migrations.find(m => m.name === open?.migration)
    }
    const missing = helped ? [] : expandFirst(plan)
    if (missing.length > 0)
      return {
        ...emptyReport('backfill', (await inspect(ctx, connection)).info),
        findings: missing,
        verdict: 'refused',
      }
  }
  if (helped) return assist(ctx, helped, options)
  const report = await migrate(ctx, track, {
    ...untilBackfills,
    consent: options.consent,
    leaseWaitMs: options.leaseWaitMs,
    workers: options.workers,
    nice: options.nice,
    throttleQuery: options.throttleQuery,
  })
  return { ...report, command: 'backfill' }
}

/**
 * Helps with a backfill that another machine has begun: claims ranges until none are left. The other machine
 * finishes it.
 */
async function assist(ctx: Context, migration: Migration, options: BackfillOnlyOptions): Promise<Report> {
  const run = await joinRun(ctx, 'backfill (helper)')
  const report = emptyReport('backfill', run.target.info)
  return inRun(run, report, async () => {
    const ended = await runBackfill(run, migration, options, true)
    report.backfill.push(ended.result)
    report.findings.push(finding('HELPED', migration.name, { rows: ended.result.rows }), ...ended.findings)
    report.verdict = verdictAfter(ended.outcome)
  })
}

/** The progress of each backfill. */
export async function backfillStatus(ctx: Context, track: Track): Promise<Report> {
  await using connection = await connect(ctx, 'reader')
  const report = emptyReport('backfill', (await inspect(ctx, connection)).info)
  const { hasLedger, history } = await readHistory(connection, track, barePlanOptions)
  if (hasLedger) {
    report.backfill = await backfillResults(connection.sql, track.name, history)
    report.findings.push(...(await failedFindings(connection.sql, track.name, null)))
    if (report.findings.length > 0) report.verdict = 'attention'
  }
  return report
}

/** Asks running backfills to stop after their batch. Needs no lease, so it works beside the run. */
export async function pause(ctx: Context, track: Track): Promise<Report> {
  const changed = await setPause(ctx, track, true)
  const report = await backfillStatus(ctx, track)
  if (!changed) report.findings.push(finding('NOTHING_TO_DO', track.name, { applied: 0 }))
  report.verdict = verdictOf(report)
  return report
}

async function setPause(ctx: Context, track: Track, pause: boolean): Promise<boolean> {
  await using connection = await connect(ctx, 'writer')
  return await pauseBackfills(connection.sql, track.name, pause)
}

/** A canary or a limited part of the pending backfills. They stay unfinished in the ledger. */
async function backfillPart(
  ctx: Context,
  track: Track,
  part: BackfillOptions,
  leaseWaitMs: number,
): Promise<Report> {
  const run = await openRun(ctx, 'backfill', leaseWaitMs)
  const report = emptyReport('backfill', run.target.info)
  return inRun(run, report, async () => {
    let again: Reopened | null = null
    const { plan } = await readHistory(run.writer, track, untilBackfills, async applied => {
      again = await reopenedBackfills(run.writer, track, applied)
      return again.names
    })
    report.findings.push(
      ...plan.findings.filter(f => f.level === 'error'),
      ...reopenedFindings(again!).filter(f => f.code === 'RECHECK_FAILED'),
      ...expandFirst(plan),
    )
    const begun = plan.steps.map(s => s.migration)
    const unit = part.unit === null ? null : await unitOfEach(run.writer.sql, begun, part.unit)
    report.verdict = verdictOf(report)
    if (report.verdict !== 'clean') return
    for (const { migration } of plan.steps) {
      const reopened = plan.applied.includes(migration)
      const ended = await runBackfill(run, migration, {
        ...part,
        unit: unit === null ? null : unit(migration),
        reopened,
      })
      report.backfill.push(ended.result)
      report.findings.push(...ended.findings)
      report.verdict = verdictAfter(ended.outcome)
      if (report.verdict !== 'clean') break
    }
    if (plan.steps.length === 0)
      report.findings.push(finding('NOTHING_TO_DO', track.name, { applied: plan.applied.length }))
    // also failed rows of other workspaces, from an earlier run
    if (report.verdict === 'clean' && report.findings.some(f => f.code === 'ROWS_FAILED'))
      report.verdict = 'attention'
    if (ctx.signal.aborted) report.verdict = 'interrupted'
  })
}

const verdictAfter = (outcome: 'done' | 'interrupted' | 'partial' | 'failed'): Report['verdict'] =>
  outcome === 'interrupted' ? 'interrupted' : outcome === 'failed' ? 'attention' : 'clean'

/** PENDING, as a refusal, if expand steps are pending: a backfill needs what they create. */
const expandFirst = (plan: Plan): Finding[] =>
  plan.steps
    .filter(s => !s.migration.backfill)
    .slice(0, 1)
    .map(s =>
      finding('PENDING', s.migration.name, { count: plan.steps.length, first: s.migration.name }, 'refused'),
    )
