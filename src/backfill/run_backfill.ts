import { heapsOf } from '../database/catalog.sql.js'
import { isLost } from '../database/faults.js'
import type { Db } from '../database/types.js'
import { readBackfillStatement } from '../files/backfill_statement.js'
import { objectsOf } from '../files/track_objects.js'
import { Failure, UsageError } from '../model/failure.js'
import type { Migration, Track } from '../model/project.js'
import { type BackfillResult, type Finding, finding } from '../model/report.js'
import { anyAtWork } from '../run/at_work.sql.js'
import { type History, upward } from '../run/ledger_history.js'
import { refuseBackfill } from '../run/refuse_destruction.js'
import type { Run } from '../run/run.js'
import { holdBackAnalyze, restoreTableSettings } from '../run/table_settings.js'
import { fileFault } from './batch.js'
import { countContent } from './content_counts.js'
import { failedFindings, noFailures } from './failed_rows.js'
import { finishPending } from './finish_pending.js'
import { monitorHealth, noAdvice } from './health_monitor.js'
import type { BackfillOptions, Job } from './job.js'
import { shareDone } from './pace.js'
import { countAside, countPending, isSetAside, type PendingSpec, releaseRepaired } from './pending.sql.js'
import { pendingScanOf, pendingSpecOf, referencesOf, rowKeyOf, withinUnit } from './pending_spec.js'
import { leastRangePages, passesFor } from './range_cursor.js'
import {
  analyze,
  type BackfillRow,
  isEmpty,
  openBackfill,
  readBackfills,
  updateBackfill,
} from './run_backfill.sql.js'
import { copyBeforeDeletion } from './take_out.js'
import { lacksPages } from './walk_keys.sql.js'
import { allRanges, canary } from './walk_pages.js'

/** Rows of a page of a table that was never analyzed: a guess on which only the size of a batch depends. */
const unknownRowsPerPage = 100

/** How one invocation ended. */
interface Backfilled {
  /** `failed`: rows are left that nothing explains; the same command tries them again. */
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
  const spec = migration.backfill!
  const { ctx } = run
  // the holder of the lease has asked for consent
  if (!helper) await refuseBackfill(migration, options.consent)
  const whole = await readBackfillStatement(migration.file.text, migration.file.path, spec)
  if (options.unit !== null && !spec.unit)
    throw new UsageError('--workspace', `${migration.name} has no \`unit\` in its header`)
  const key = await rowKeyOf(run.writer.sql, spec)
  const keys = (await lacksPages(run.writer.sql, spec.table)) ? key : null
  if (keys?.length === 0)
    throw new Failure('BAD_BACKFILL', migration.file.path, {
      reason: `\`${spec.table}\` has no pages of its own to walk and no primary key: name the columns that tell its rows apart in the header, \`--! key: id\``,
    })
  const heaps = keys
    ? [{ relation: spec.table, pages: 1, rowsPerPage: 0 }]
    : await heapsOf(run.writer.sql, spec.table)
  const rowsPerPage = Math.max(0, ...heaps.map(h => h.rowsPerPage))
  const passes = passesFor(whole.updatesTable, rowsPerPage, Math.max(0, ...heaps.map(h => h.pages)))
  const id = await openBackfill(
    run.writer.sql,
    {
      track: migration.track,
      migration: migration.name,
      passes,
      reopened: options.reopened ?? false,
    },
    heaps,
    leastRangePages(whole, passes),
  )
  const track = ctx.tracks().find(t => t.name === migration.track)
  const every = pendingSpecOf(track, migration, {
    alias: whole.alias,
    key,
    run: run.id,
    references: await referencesOf(run.writer.sql, migration),
  })
  const pending = options.unit === null ? every : withinUnit(every, spec.unit!, options.unit)
  // whatever the file's own condition says
  const statement =
    pending.removes && whole.deletesTable
      ? { ...whole, restrict: (part: string) => whole.restrict(`${part} and ${isSetAside(pending)}`) }
      : whole
  const row = await readRow(run, migration)
  const progress = {
    rows: 0,
    rowsBefore: row.rows,
    pagesDone: row.pagesDone,
    pagesBefore: row.pagesDone,
    pages: row.pages,
    since: ctx.clock.now(),
  }
  const job: Job = {
    run,
    migration,
    id,
    statement,
    passes: row.passes,
    rowsPerPage: Math.ceil(rowsPerPage) || unknownRowsPerPage,
    keys,
    options,
    pending,
    failures: noFailures(ctx.maxFailedRows),
    progress,
    advice: noAdvice,
    fault: null,
    saidWaiting: null,
    pids: new Set(),
    helper,
  }
  const monitor = await monitorHealth(job)
  const outcome = await untilDone(job).finally(async () => {
    await monitor.stop()
    // what can't be put back now, the next run puts back
    if (!helper && !run.writer.lost) await restoreTableSettings(run)
  })
  const { sql } = run.writer
  const findings = await failedFindings(sql, migration.track, migration.name, job.failures.over)
  // a helper leaves the state to the invocation that holds the lease
  if (helper)
    return { outcome, result: toResult(await readRow(run, migration)), written: progress.rows, findings }
  const seconds = (ctx.clock.now() - progress.since) / 1000
  // of all other rows a canary says nothing
  const ended = options.unit === null && (outcome === 'done' || outcome === 'failed')
  const state = ended ? outcome : 'running'
  await updateBackfill(sql, id, seconds, state)
  const result = atRest(await readRow(run, migration))
  if (result.quarantined > 0) findings.push(...(await asideFindings(sql, every, result.quarantined)))
  if (
    result.rows === 0 &&
    outcome === 'done' &&
    migration.phase === 'backfill' &&
    (await isFresh(sql, track!, spec.table))
  )
    findings.push(finding('NO_ROWS', spec.table, { migration: migration.name }))
  return { outcome, result, written: progress.rows, findings }
}

/** Whether a table of the application is empty: of one that the track makes, that says nothing. */
async function isFresh(sql: Db, track: Track, table: string): Promise<boolean> {
  const { tables, internal } = await objectsOf(track)
  return ![...tables, ...internal].includes(table) && (await isEmpty(sql, table))
}

/** How often a connection may be lost again before a row was done. */
const mostIdleReconnects = 5

/** Works until done, paused or interrupted; a lost connection is taken up again from the checkpoint. */
async function untilDone(job: Job): Promise<Backfilled['outcome']> {
  const { run } = job
  let rows = -1
  let idle = 0
  for (;;) {
    try {
      // in here, so that a connection lost in it is taken up again too
      if (!job.helper && job.passes > 1)
        await holdBackAnalyze(run, await heapsOf(run.writer.sql, job.migration.backfill!.table))
      if (job.options.unit !== null) {
        if (!(await canary(job))) return stoppedOutcome(job)
        const unit = await finishPending(job)
        return unit === 'failed' ? unit : unit === 'done' ? 'partial' : stoppedOutcome(job)
      }
      if (await nothingPending(job)) return 'done'
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
      // what the batch waited for is not waited for any longer; the checkpoint is where it was
      if (error instanceof Failure && error.finding.code === 'INTERRUPTED') return 'interrupted'
      if (!isLost(error) && !run.writer.lost) throw fileFault(job, error)
      // what ends every connection at the same place would end them for ever
      idle = job.progress.rows === rows ? idle + 1 : 0
      rows = job.progress.rows
      if (idle >= mostIdleReconnects) throw fileFault(job, error)
      run.ctx.emit({ type: 'reconnect', attempt: 0, reason: (error as Error).message })
      await run.reconnect()
    }
  }
}

/** A backfill that contracts has mostly nothing to do: one look instead of a walk over the whole table. */
async function nothingPending(job: Job): Promise<boolean> {
  return (
    job.migration.phase === 'contract' && (await countPending(job.run.writer.sql, pendingScanOf(job))) === 0
  )
}

const stoppedOutcome = (job: Job): Backfilled['outcome'] =>
  job.run.ctx.signal.aborted ? 'interrupted' : job.failures.over ? 'failed' : 'partial'

async function readRow(run: Run, migration: Migration): Promise<BackfillRow> {
  const [row] = await readBackfills(run.writer.sql, migration.track, migration.name)
  return row!
}

/** What became of rows that fit no better, as it is now; a file without a reason copies parts by itself. */
async function asideFindings(sql: Db, spec: PendingSpec, copies: number): Promise<Finding[]> {
  const parts = spec.reason === null && !spec.removes
  const rows = parts ? copies : await countAside(sql, spec)
  const facts = { rows, migration: spec.migration, takenOut: spec.removes, parts }
  return rows === 0 ? [] : [finding('QUARANTINED', spec.table, facts)]
}

/**
 * The state of each backfill of a track, but those that a rollback has closed: their rows are history, and
 * what they had done is undone.
 */
export async function backfillResults(
  sql: Db,
  track: string,
  { applied, unfinished }: History,
): Promise<BackfillResult[]> {
  const atWork = await anyAtWork(sql)
  const rows = await readBackfills(sql, track, null)
  const isApplied = (name: string) => applied.has(name) || upward(unfinished.get(name)) !== null
  return rows
    .filter(b => b.state !== 'done' || isApplied(b.migration))
    .map(b => (atWork ? toResult(b) : atRest(b)))
}

/** A state row at which nobody is at work: what is not finished is stopped, at its pace so far. */
const atRest = (row: BackfillRow): BackfillResult =>
  row.state === 'running'
    ? { ...toResult({ ...row, pace: null }), state: 'stopped', etaSeconds: null }
    : toResult(row)

/** A state row as the report shows it. */
const toResult = (row: BackfillRow): BackfillResult => ({
  track: row.track,
  migration: row.migration,
  state: row.state,
  rows: row.rows,
  rangesDone: row.rangesDone,
  ranges: row.ranges,
  fraction: row.state === 'done' ? 1 : shareDone(row),
  batches: row.batches,
  quarantined: row.quarantined,
  failed: row.failed,
  passes: row.passes,
  seconds: Math.round(row.seconds * 1000) / 1000,
  rowsPerSecond: row.pace?.rowsPerSecond ?? (row.seconds > 0 ? Math.round(row.rows / row.seconds) : 0),
  etaSeconds:
    row.state === 'running' && row.pace?.etaSeconds != null ? Math.round(row.pace.etaSeconds) : null,
  counted:
    row.countedUnits === 0 ? null : { units: row.countedUnits, rows: row.countedRows, hash: row.countedHash },
  slowedBy: row.state === 'done' ? null : row.advice,
})
