import { heapsOf } from '../database/catalog.sql.js'
import type { Connection } from '../database/connection.js'
import { setFlushSize } from '../database/connection.sql.js'
import { connect } from '../database/context.js'
import { Failure } from '../model/failure.js'
import { runStandalone, tryRow } from './batch.js'
import { pauseBeforeRetry, trustAgain } from './failed_rows.js'
import { rowParameter, settleFailed } from './failed_rows.sql.js'
import { flushSizeFor } from './health_monitor.js'
import type { Job } from './job.js'
import { type PendingRow, scanPending, stillPending } from './pending.sql.js'
import { pendingScanOf } from './pending_spec.js'
import { leastRangePages } from './range_cursor.js'
import { createRanges, resetRanges } from './run_backfill.sql.js'
import { copyBeforeDeletion } from './take_out.js'
import { atKey } from './walk_keys.sql.js'
import { allRanges, canary } from './walk_pages.js'

/**
 * Most sweeps that follow each other while the application writes rows that its trigger has not processed.
 */
const maxPendingScans = 20

/** The result of the closing sweep. `failed` means that rows are left without a reason. */
export type Finished = 'done' | 'stopped' | 'failed'

/**
 * Sweeps until no row is pending, except quarantined ones. Such rows have moved during the walk, were missed
 * by a failed trigger, or were added after its end. A row with a reason is quarantined. The others are tried
 * again, with pauses, before they count as failed.
 */
export async function finishPending(job: Job): Promise<Finished> {
  const { run, failures, pending } = job
  let before = Number.POSITIVE_INFINITY
  let tried = new Set<string>()
  for (let scans = 1; ; scans++) {
    // reading a row for the first time sets its hint bits, and so changes its page
    await setFlushSize(run.writer.sql, flushSizeFor(job))
    const { left, rows } = await run.writer.sql.begin(tx =>
      scanPending(tx, pendingScanOf(job), failures.limit + 1),
    )
    if (left === 0) {
      await settleFailed(run.writer.sql, pending, [], '')
      return 'done'
    }
    if (run.ctx.signal.aborted) return 'stopped'
    const few = left <= failures.limit && pending.key.length > 0
    // without rows to try: these lost their reason while they were quarantined, so sweep again
    const equal = rows.length === Math.min(left, failures.limit + 1) && rows.every(r => r.twin)
    const stuck = few
      ? rows.length > 0 && rows.every(r => tried.has(r.key))
      : equal || (left >= before && !(await pauseBeforeRetry(job)))
    if (stuck || scans > maxPendingScans) {
      const known = few ? rows.filter(r => tried.has(r.key)) : rows
      // each sweep found only rows that were added since the last one; none of them failed
      if (known.length === 0)
        throw new Failure('WORK_LEFT', job.migration.backfill!.table, { rows: left, sweeps: scans - 1 })
      failures.over = left > failures.limit
      await settleFailed(run.writer.sql, pending, known, equal ? alike : unchanged(job))
      return 'failed'
    }
    if (left < before) trustAgain(job)
    before = left
    await copyBeforeDeletion(job)
    if (few) {
      await retryRows(job, rows)
      tried = new Set(rows.map(r => r.key))
    } else if (!(await walkAgain(job))) return failures.over ? 'failed' : 'stopped'
  }
}

/** The reason for rows that no backfill can set aside one by one. */
const alike = 'another row equals it, and the table has no key: add one, or delete the copies'

/** The reason for a row that the statement left pending without an error. */
const unchanged = ({ statement, pending }: Job): string =>
  pending.removes
    ? 'not deleted: no backfill explains it, one failed at it, or a trigger of the table keeps it'
    : statement.updatesTable
      ? 'unchanged after the update'
      : 'still to do after the statement'

/** Walks over all pages again, for rows that have moved, and if there are too many to try one by one. */
async function walkAgain(job: Job): Promise<boolean> {
  const { run, migration, id } = job
  if (job.options.unit !== null) return canary(job)
  const heaps = await heapsOf(run.writer.sql, migration.backfill!.table)
  await createRanges(run.writer.sql, id, heaps, leastRangePages(job.statement, 1))
  await resetRanges(run.writer.sql, id)
  job.passes = 1
  job.progress.pagesDone = 0
  return allRanges(job)
}

/**
 * Tries rows one by one, by their key: all once, then one of them after each pause until it succeeds, then
 * all again. Of a backfill that removes rows, none is tried again after a pause.
 */
async function retryRows(job: Job, rows: PendingRow[]): Promise<void> {
  const connection = await connect(job.run.ctx, 'worker')
  try {
    let left = await tryRows(job, connection, rows)
    while (left.length > 0 && !job.pending.removes && !job.failures.over && (await pauseBeforeRetry(job))) {
      if ((await tryRows(job, connection, left.slice(0, 1))).length > 0) continue
      left = await tryRows(job, connection, left.slice(1))
      trustAgain(job)
    }
    await tryRows(job, connection, left)
  } finally {
    await connection.close()
  }
}

/** Runs the statement for each row. Returns those that are still pending. */
async function tryRows(job: Job, connection: Connection, rows: PendingRow[]): Promise<PendingRow[]> {
  const { pending, statement } = job
  const { table, key } = pending
  for (const { values } of rows) {
    if (job.failures.over || job.run.ctx.signal.aborted) break
    const row = { from: table, where: atKey(pending.alias, key, rowParameter), args: values }
    job.progress.rows += await tryRow(job, connection, row, () =>
      runStandalone(job, connection, table, { predicate: atKey(statement.alias, key, 1), args: values }),
    )
  }
  if (rows.length === 0) return []
  const left = await stillPending(connection.sql, pending, rows)
  return rows.filter(r => left.has(r.key))
}
