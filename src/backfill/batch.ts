import type { Connection } from '../database/connection.js'
import { isCanceled, isDataFault, isLost, serverFault, sqlFailure } from '../database/faults.js'
import type { Db } from '../database/types.js'
import { Failure } from '../model/failure.js'
import {
  type Batched,
  checkpoint,
  isFenced,
  type Limits,
  noteBatch,
  type RangePosition,
  rowsWithin,
  runAndCheckpoint,
  runBatch,
  unlimited,
  withoutBatch,
} from './batch.sql.js'
import { batchPredicate, inPages } from './batch_predicate.sql.js'
import type { BatchSize } from './batch_size.js'
import { noteFailure, pauseBeforeRetry, trustAgain } from './failed_rows.js'
import { rowParameter } from './failed_rows.sql.js'
import { restsFor } from './health_monitor.js'
import type { Job } from './job.js'
import { retryContention } from './retry_contention.js'
import type { Range } from './run_backfill.sql.js'

/** The result of a batch: rows written, and the part of its time that was rest. */
type Done = Omit<Batched, 'notices'>

/** A batch of a range: its pages, the position afterwards, and its limits. */
interface RangeBatch {
  at: Range
  pages: [from: number, to: number]
  next: RangePosition
  batchSize: BatchSize
  limits: Limits
}

/**
 * Runs one batch and its checkpoint in one transaction. It is repeated while other transactions are in the
 * way. Rows that fail are found by bisection. Returns null if it exceeded its time limit and was rolled back
 * (the next should be smaller), or if too many rows failed.
 */
export async function batch(
  job: Job,
  connection: Connection,
  { at, pages, next, batchSize, limits }: RangeBatch,
): Promise<Done | null> {
  const { statement: backfillStatement, passes } = job
  const restEvery = batchSize.restEvery(restsFor(job), at.pass)
  const statement = backfillStatement.restrict(
    batchPredicate({ alias: backfillStatement.alias, pages, pass: at.pass, passes, restEvery, unit: null }),
  )
  try {
    if (!backfillStatement.hasWith || !backfillStatement.says)
      return await retryContention(job, batchSize, limits.mostMs === null, async () => {
        const { rows, notices, sleptMs } = await runAndCheckpoint(connection.sql, {
          statement,
          says: backfillStatement.says,
          hasWith: backfillStatement.hasWith,
          range: at,
          to: next,
          limits,
        })
        for (const text of notices) job.run.ctx.emit({ type: 'notice', text })
        return { rows, sleptMs }
      })
    return await transact(job, connection, {
      statement,
      args: [],
      batchSize,
      limits,
      record: (tx, written, ms) =>
        throwIfFenced(
          checkpoint(tx, at, { ...next, rows: written, ms, hasWith: backfillStatement.hasWith }),
          job,
        ),
    })
  } catch (error) {
    if (limits.mostMs !== null && isCanceled(error)) return null
    if (isFenced(serverFault(error))) throw fenced(job)
    if (!isDataFault(error)) throw fileFault(job, withoutOurs(error, statement))
    const rows = await bisect(job, connection, at.relation, pages)
    // keep the position: the rest of the batch has not been tried
    if (job.failures.over) return null
    await connection.sql.begin(async tx =>
      throwIfFenced(checkpoint(tx, at, { ...next, rows: 0, ms: 0 }), job),
    )
    return { rows, sleptMs: 0 }
  }
}

/** A statement restricted to a batch, and the SQL that records it in the same transaction. */
interface Recorded {
  statement: string
  args: string[]
  /** Is halved if other transactions are in the way. Null for a batch without a size. */
  batchSize: BatchSize | null
  limits?: Limits
  record: (tx: Db, rows: number, ms: number) => Promise<void>
}

/** Runs a restricted statement and records it in one transaction. */
export function transact(
  job: Job,
  connection: Connection,
  { statement, args, batchSize, limits = unlimited, record }: Recorded,
): Promise<Done> {
  const { run } = job
  return retryContention(job, batchSize, limits.mostMs === null, () => {
    const start = run.ctx.clock.now()
    return connection.sql.begin(async tx => {
      const { rows, notices, sleptMs } = await runBatch(tx, statement, args, limits)
      await record(tx, rows, run.ctx.clock.now() - start)
      for (const text of notices) run.ctx.emit({ type: 'notice', text })
      return { rows, sleptMs }
    })
  })
}

/** Throws FENCED if another worker has taken the range over. */
export async function throwIfFenced(check: Promise<boolean>, job: Job): Promise<void> {
  if (!(await check)) throw fenced(job)
}

const fenced = (job: Job): Failure => new Failure('FENCED', job.migration.name)

/** An error of the file's statement or header, with the name of the file. */
export const fileFault = (job: Job, error: unknown): unknown =>
  serverFault(error) && !isLost(error)
    ? sqlFailure(stripPosition(error), job.migration.file.path, job.migration.file.text)
    : error

/** Removes the position from an error: it counts in the restricted statement, not in the file. */
function stripPosition(error: unknown): unknown {
  const fault = serverFault(error)
  if (fault) fault.position = ''
  return error
}

/** An error without the lines of its CONTEXT that belong to the batch. */
function withoutOurs(error: unknown, statement: string): unknown {
  const fault = serverFault(error)
  if (fault?.where) fault.where = withoutBatch(fault.where, statement)
  return error
}

/**
 * Halves the pages until a failing row's page is alone, then processes its rows one by one and records those
 * that fail. Returns the number of rows written.
 */
async function bisect(
  job: Job,
  connection: Connection,
  relation: string,
  [from, to]: [from: number, to: number],
): Promise<number> {
  const { statement, failures } = job
  if (failures.over) return 0
  let rows = 0
  if (to - from > 1) {
    const middle = from + Math.floor((to - from) / 2)
    for (const [lo, hi] of [
      [from, middle],
      [middle, to],
    ] as const) {
      const predicate = [inPages(statement.alias, lo, hi), job.pending.within ?? 'true'].join(' and ')
      try {
        if (!failures.over)
          rows += (await runStandalone(job, connection, relation, { predicate, args: [] })).rows
      } catch (error) {
        if (!isDataFault(error)) throw error
        rows += await bisect(job, connection, relation, [lo, hi])
      }
    }
    return rows
  }
  const spec = { table: relation, alias: statement.alias, pending: job.pending.pending }
  for (const at of await rowsWithin(connection.sql, spec, from, to)) {
    if (failures.over) break
    const tid = {
      from: `only ${relation}`,
      where: `${statement.alias}.ctid = $${rowParameter}::tid`,
      args: [at],
    }
    rows += await tryRow(job, connection, tid, () =>
      runStandalone(job, connection, relation, {
        predicate: `${statement.alias}.ctid = $1::tid`,
        args: [at],
      }),
    )
  }
  return rows
}

/**
 * Processes one row. If its failure would stop the run, it is tried again after pauses, because the
 * application may refuse all writes for a while. Returns the number of rows written.
 */
export async function tryRow(
  job: Job,
  connection: Connection,
  row: Parameters<typeof noteFailure>[2],
  attempt: () => Promise<Done>,
): Promise<number> {
  const { failures } = job
  for (let paused = false; ; paused = true) {
    try {
      const { rows } = await attempt()
      if (paused) trustAgain(job)
      return rows
    } catch (error) {
      if (!isDataFault(error)) throw error
      if (failures.keys.size >= failures.limit && (await pauseBeforeRetry(job))) continue
      await noteFailure(job, connection.sql, row, error)
      return 0
    }
  }
}

/**
 * Processes pages outside of the ranges' checkpoints. Rows that fail are found by bisection. Returns the
 * number of rows written.
 */
export async function standalone(
  job: Job,
  connection: Connection,
  relation: string,
  { predicate, pages }: { predicate: string; pages: [from: number, to: number] },
): Promise<number> {
  try {
    return (await runStandalone(job, connection, relation, { predicate, args: [] })).rows
  } catch (error) {
    if (!isDataFault(error)) throw error
    return bisect(job, connection, relation, pages)
  }
}

/** Runs a batch outside of the ranges' checkpoints. */
export function runStandalone(
  job: Job,
  connection: Connection,
  relation: string,
  { predicate, args }: { predicate: string; args: string[] },
): Promise<Done> {
  return transact(job, connection, {
    statement: job.statement.restrict(predicate),
    args,
    batchSize: null,
    record: async (tx, rows, ms) => {
      if (rows > 0) await noteBatch(tx, { backfill: job.id, relation, rows, ms })
    },
  })
}
