import { heapsOf, primaryKey } from '../database/catalog.sql.js'
import { setFlushSize } from '../database/connection.sql.js'
import { isLost } from '../database/faults.js'
import { type BackfillStatement, readBackfillStatement } from '../files/backfill_statement.js'
import { Failure, UsageError } from '../model/failure.js'
import type { Migration } from '../model/project.js'
import { type BackfillResult, type Finding, finding } from '../model/report.js'
import { refuseBackfill } from '../run/refuse_destruction.js'
import type { Run } from '../run/run.js'
import { holdBackAnalyze, restoreTableSettings } from '../run/table_settings.js'
import { fileFault } from './batch.js'
import { betweenRests } from './batch_size.js'
import { countContent } from './content_counts.js'
import { flushSizeFor, monitorHealth, noAdvice, restsFor } from './health_monitor.js'
import type { BackfillOptions, Job } from './job.js'
import {
  countPending,
  isSetAside,
  type PendingScan,
  type PendingSpec,
  quarantinePending,
  scanPending,
} from './pending.sql.js'
import { passesFor } from './range_cursor.js'
import {
  analyze,
  type BackfillRow,
  createRanges,
  openBackfill,
  rangePages,
  readBackfills,
  resetRanges,
  updateBackfill,
} from './run_backfill.sql.js'
import { keyColumns, lacksPages } from './walk_keys.sql.js'
import { allRanges, canary } from './walk_pages.js'

/**
 * Fewest pages of a range: a batch or less. Half of a whole range where a window takes two dozen batches, or
 * where more batches write more rows.
 */
const leastRangePages = ({ groups }: BackfillStatement, passes: number): number =>
  groups || passes > 1 ? rangePages / 2 : 128
/** Sweeps that may follow each other without a row less before what is left is set aside. */
const maxPendingScans = 20
/** Rows without a known reason that may be set aside; more means that the file is wrong, not the rows. */
const maxUnexplained = 1000

/** What a sweep takes to read a page of messages, in milliseconds: about. */
const scannedPageMs = 0.03

/** Rows of a page of a table that was never analyzed: a guess on which only the size of a batch depends. */
const unknownRowsPerPage = 100

/** How one invocation ended. */
interface Backfilled {
  outcome: 'done' | 'interrupted' | 'partial'
  result: BackfillResult
  findings: Finding[]
}

/**
 * Runs or resumes a backfill: ranges of pages, each window in light passes, checkpoint in the batch's own
 * transaction, then sweeps until an anti-join finds nothing left but what is quarantined.
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
  const key = spec.key.length > 0 ? spec.key : await primaryKey(run.writer.sql, spec.table)
  const keys = (await lacksPages(run.writer.sql, spec.table))
    ? await keyColumns(run.writer.sql, spec.table, key)
    : null
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
      systemIdentifier: run.target.facts.systemIdentifier,
    },
    heaps,
    leastRangePages(whole, passes),
  )
  const pending: PendingSpec = {
    ...spec,
    track: migration.track,
    migration: migration.name,
    alias: whole.alias,
    key,
    run: run.id,
    removes: migration.hazards.includes('QUARANTINES_ROWS'),
  }
  // whatever the file's own condition says
  const statement =
    pending.removes && whole.deletesTable
      ? { ...whole, restrict: (part: string) => whole.restrict(`${part} and ${isSetAside(pending)}`) }
      : whole
  const row = await readRow(run, migration)
  const progress = { rows: 0, pagesDone: row.pagesDone, pages: row.pages, since: ctx.clock.now() }
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
    progress,
    advice: noAdvice,
    pids: new Set(),
    helper,
  }
  const monitor = await monitorHealth(job)
  const outcome = await untilDone(job).finally(async () => {
    await monitor.stop()
    // what can't be put back now, the next run puts back
    if (!helper && !run.writer.lost) await restoreTableSettings(run)
  })
  // a helper leaves the state to the invocation that holds the lease
  if (helper) return { outcome, result: toResult(await readRow(run, migration)), findings: [] }
  const seconds = (ctx.clock.now() - progress.since) / 1000
  await updateBackfill(run.writer.sql, id, seconds, outcome === 'done' ? 'done' : 'running')
  const result = toResult(await readRow(run, migration))
  const findings: Finding[] = []
  if (result.quarantined > 0)
    findings.push(
      finding('QUARANTINED', spec.table, {
        rows: result.quarantined,
        migration: migration.name,
        takenOut: pending.removes,
      }),
    )
  if (result.rows === 0 && outcome === 'done' && migration.phase === 'backfill')
    findings.push(finding('NO_ROWS', spec.table, { migration: migration.name }))
  return { outcome, result, findings }
}

/** Works until done, paused or interrupted; a lost connection is taken up again from the checkpoint. */
async function untilDone(job: Job): Promise<Backfilled['outcome']> {
  const { run } = job
  for (;;) {
    try {
      // in here, so that a connection lost in it is taken up again too
      if (!job.helper && job.passes > 1)
        await holdBackAnalyze(run, await heapsOf(run.writer.sql, job.migration.backfill!.table))
      if (job.options.unit !== null) {
        await canary(job)
        return 'partial'
      }
      if (await nothingPending(job)) return 'done'
      await setAsideFirst(job)
      if (!(await allRanges(job))) return stoppedOutcome(job)
      if (job.helper) return 'partial'
      if (!(await finishPending(job))) return stoppedOutcome(job)
      if (job.progress.rows > 0) await analyze(run.writer.sql, job.statement.writes)
      await countContent(job)
      return 'done'
    } catch (error) {
      if (!isLost(error) && !run.writer.lost) throw fileFault(job, error)
      run.ctx.emit({ type: 'reconnect', attempt: 0, reason: (error as Error).message })
      await run.reconnect()
    }
  }
}

/** What a sweep looks at, with the rests that are asked for now. */
function pendingScanOf(job: Job): PendingScan {
  const factor = restsFor(job)
  return {
    ...job.pending,
    restEvery: factor > 0 && !job.keys ? betweenRests(factor, scannedPageMs) : null,
  }
}

/** A backfill that contracts has mostly nothing to do: one look instead of a walk over the whole table. */
async function nothingPending(job: Job): Promise<boolean> {
  return (
    job.migration.phase === 'contract' && (await countPending(job.run.writer.sql, pendingScanOf(job))) === 0
  )
}

/**
 * A backfill that takes rows out copies every one of them first; its statement deletes only what was copied.
 */
async function setAsideFirst(job: Job): Promise<void> {
  const reason = 'taken out: it does not fit the new schema'
  if (job.pending.removes) await quarantinePending(job.run.writer.sql, pendingScanOf(job), reason, null)
}

const stoppedOutcome = (job: Job): Backfilled['outcome'] =>
  job.run.ctx.signal.aborted ? 'interrupted' : 'partial'

/**
 * Pending minus quarantined, until it is empty: rows that moved under the walk, rows of a failed
 * trigger, rows beyond the frozen end. What can't be done goes to the quarantine with its reason,
 * and never holds the rest up.
 */
async function finishPending(job: Job): Promise<boolean> {
  const { run } = job
  let before = Number.POSITIVE_INFINITY
  // how many walks each row that is left has outlived: an application may write new ones all the while, and a
  // row that moved may be missed once
  let outlived = new Map<string, number>()
  for (let pending = 1; pending <= maxPendingScans; pending++) {
    // the first to read a row marks it as committed, and so changes its page
    await setFlushSize(run.writer.sql, flushSizeFor(job))
    const { left, keys } = await scanPending(run.writer.sql, pendingScanOf(job), maxUnexplained)
    if (left === 0) return true
    if (left > maxUnexplained && left >= before)
      throw new Failure('WORK_LEFT', job.migration.backfill!.table, { rows: left, sweeps: pending - 1 })
    before = left
    if (left <= maxUnexplained) {
      outlived = new Map(keys.map(key => [key, (outlived.get(key) ?? -1) + 1]))
      const stuck = keys.filter(key => outlived.get(key)! >= 2)
      if (stuck.length > 0)
        await quarantinePending(
          run.writer.sql,
          pendingScanOf(job),
          'the statement did not change this row',
          stuck,
        )
      if (stuck.length === keys.length) continue
    }
    await setAsideFirst(job)
    await createRanges(
      run.writer.sql,
      job.id,
      await heapsOf(run.writer.sql, job.migration.backfill!.table),
      leastRangePages(job.statement, 1),
    )
    await resetRanges(run.writer.sql, job.id)
    job.passes = 1
    job.progress.pagesDone = 0
    if (!(await allRanges(job))) return false
  }
  throw new Failure('WORK_LEFT', job.migration.backfill!.table, { rows: before, sweeps: maxPendingScans })
}

async function readRow(run: Run, migration: Migration): Promise<BackfillRow> {
  const [row] = await readBackfills(run.writer.sql, migration.track, migration.name)
  return row!
}

/** A state row as the report tells it. */
export const toResult = (row: BackfillRow): BackfillResult => ({
  track: row.track,
  migration: row.migration,
  state: row.state,
  rows: row.rows,
  rangesDone: row.rangesDone,
  ranges: row.ranges,
  batches: row.batches,
  quarantined: row.quarantined,
  passes: row.passes,
  seconds: Math.round(row.seconds * 10) / 10,
  rowsPerSecond: row.seconds > 0 ? Math.round(row.rows / row.seconds) : 0,
  etaSeconds:
    row.state === 'done' || row.pagesDone === 0
      ? null
      : Math.round((row.seconds * (row.pages - row.pagesDone)) / row.pagesDone),
  counted:
    row.countedUnits === 0 ? null : { units: row.countedUnits, rows: row.countedRows, hash: row.countedHash },
  slowedBy: row.state === 'done' ? null : row.advice,
})
