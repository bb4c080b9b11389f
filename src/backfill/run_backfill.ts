import { heapsOf } from '../database/catalog.sql.js'
import { isLost } from '../database/faults.js'
import type { Db } from '../database/types.js'
import { objectsOf } from '../files/track_objects.js'
import { Failure } from '../model/failure.js'
import type { Migration } from '../model/project.js'
import { type BackfillResult, type Finding, finding } from '../model/report.js'
import { refuseBackfill } from '../run/refuse_destruction.js'
import type { Run } from '../run/run.js'
import { holdBackAnalyze, restoreTableSettings } from '../run/table_settings.js'
import { atRest, newestRow, toResult } from './backfill_results.js'
import { fileFault } from './batch.js'
import { countContent } from './content_counts.js'
import { failedFindings } from './failed_rows.js'
import { settleFailed } from './failed_rows.sql.js'
import { finishPending } from './finish_pending.js'
import { monitorHealth } from './health_monitor.js'
import type { BackfillOptions, Job } from './job.js'
import { openJob } from './open_job.js'
import { countAside, countPending, type PendingSpec, releaseRepaired } from './pending.sql.js'
import { pendingScanOf } from './pending_spec.js'
import { analyze, isEmpty, updateBackfill } from './run_backfill.sql.js'
import { copyBeforeDeletion } from './take_out.js'
import { allRanges, canary } from './walk_pages.js'

/** How one invocation ended. */
interface Backfilled {
  /** `failed`: rows are left without a reason. The same command tries them again. */
  outcome: 'done' | 'interrupted' | 'partial' | 'failed'
  result: BackfillResult
  /** Rows that this invocation wrote. */
  written: number
  findings: Finding[]
}

/**
 * Runs or resumes a backfill: ranges of pages, each window in light passes, checkpoint in the batch's own
 * transaction, then sweeps until an anti-join finds nothing left but what is set aside or failed.
 */
export async function runBackfill(
  run: Run,
  migration: Migration,
  options: BackfillOptions,
  helper = false,
): Promise<Backfilled> {
  // the holder of the lease has asked for consent
  if (!helper) await refuseBackfill(migration, options.consent)
  const { job, every } = await openJob(run, migration, options, helper)
  const monitor = await monitorHealth(job)
  const outcome = await untilDone(job).finally(async () => {
    await monitor.stop()
    // what cannot be put back now, the next run puts back
    if (!helper && !run.writer.lost) await restoreTableSettings(run)
  })
  const { sql } = run.writer
  const written = job.progress.rows
  const findings = await failedFindings(sql, migration.track, migration.name, job.failures.over)
  // a helper leaves the state to the invocation that holds the lease
  if (helper) return { outcome, result: toResult(await newestRow(run, migration)), written, findings }
  await storeState(job, outcome)
  const result = atRest(await newestRow(run, migration))
  if (result.quarantined > 0) findings.push(...(await asideFindings(sql, every, result.quarantined)))
  if (outcome === 'done' && result.rows === 0) findings.push(...(await noRowsFinding(run, migration)))
  return { outcome, result, written, findings }
}

/** Writes down what an invocation has come to. Of all other rows a canary says nothing. */
async function storeState(
  { run, id, options, progress }: Job,
  outcome: Backfilled['outcome'],
): Promise<void> {
  const seconds = (run.ctx.clock.now() - progress.since) / 1000
  const ended = options.unit === null && (outcome === 'done' || outcome === 'failed')
  await updateBackfill(run.writer.sql, id, seconds, ended ? outcome : 'running')
}

/** That the table of a backfill which wrote nothing is empty; nothing is said of one that the track makes. */
async function noRowsFinding(run: Run, migration: Migration): Promise<Finding[]> {
  const { table } = migration.backfill!
  if (migration.phase !== 'backfill') return []
  const { tables, internal } = await objectsOf(run.ctx.tracks().find(t => t.name === migration.track)!)
  return ![...tables, ...internal].includes(table) && (await isEmpty(run.writer.sql, table))
    ? [finding('NO_ROWS', table, { migration: migration.name })]
    : []
}

/** How often a connection may be lost in succession without a row being processed. */
const mostIdleReconnects = 5

/**
 * Works until the backfill is done, paused or interrupted. After a lost connection it continues from the
 * checkpoint.
 */
async function untilDone(job: Job): Promise<Backfilled['outcome']> {
  const { run } = job
  let rows = -1
  let idle = 0
  for (;;) {
    try {
      // inside the loop, because the connection may be lost here too
      if (!job.helper && job.passes > 1)
        await holdBackAnalyze(run, await heapsOf(run.writer.sql, job.migration.backfill!.table))
      if (job.options.unit !== null) {
        if (!(await canary(job))) return stoppedOutcome(job)
        const unit = await finishPending(job)
        return unit === 'failed' ? unit : unit === 'done' ? 'partial' : stoppedOutcome(job)
      }
      if (await nothingPending(job)) {
        await settleFailed(run.writer.sql, job.pending, [], '')
        return 'done'
      }
      if (!job.helper) await releaseRepaired(run.writer.sql, job.pending)
      await copyBeforeDeletion(job)
      if (!(await allRanges(job))) return stoppedOutcome(job)
      if (job.helper) return 'partial'
      const finished = await finishPending(job)
      if (finished === 'failed') return finished
      if (finished === 'stopped') return stoppedOutcome(job)
      if (job.progress.rows > 0) await analyze(run.writer.sql, job.statement.writes)
      await countContent(job)
      return 'done'
    } catch (error) {
      // the run is to stop, so the batch is given up; the checkpoint has not moved
      if (error instanceof Failure && error.finding.code === 'INTERRUPTED') return 'interrupted'
      if (!isLost(error) && !run.writer.lost) throw fileFault(job, error)
      // give up if every connection is lost at the same place
      idle = job.progress.rows === rows ? idle + 1 : 0
      rows = job.progress.rows
      if (idle >= mostIdleReconnects) throw fileFault(job, error)
      run.ctx.emit({ type: 'reconnect', attempt: 0, reason: (error as Error).message })
      await run.reconnect()
    }
  }
}

/** A contract backfill usually has nothing to do: one query replaces the walk over the whole table. */
async function nothingPending(job: Job): Promise<boolean> {
  return (
    job.migration.phase === 'contract' && (await countPending(job.run.writer.sql, pendingScanOf(job))) === 0
  )
}

const stoppedOutcome = (job: Job): Backfilled['outcome'] =>
  job.run.ctx.signal.aborted ? 'interrupted' : job.failures.over ? 'failed' : 'partial'

/** What became of rows that fit no better, as it is now; a file without a reason copies parts by itself. */
async function asideFindings(sql: Db, spec: PendingSpec, copies: number): Promise<Finding[]> {
  const parts = spec.reason === null && !spec.removes
  const rows = parts ? copies : await countAside(sql, spec)
  const facts = { rows, migration: spec.migration, takenOut: spec.removes, parts }
  return rows === 0 ? [] : [finding('QUARANTINED', spec.table, facts)]
}
