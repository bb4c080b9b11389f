import type { Connection } from '../database/connection.js'
import { isDataFault } from '../database/faults.js'
import type { Db } from '../database/types.js'
import { fileFault, runStandalone, throwIfFenced, transact, tryRow } from './batch.js'
import { checkpoint, type RangePosition } from './batch.sql.js'
import type { BatchSize } from './batch_size.js'
import { rowParameter } from './failed_rows.sql.js'
import type { Job } from './job.js'
import type { Range } from './run_backfill.sql.js'
import { atKey, type KeyColumn, keyPredicate, nextKey } from './walk_keys.sql.js'

/** A walk along the primary key, and what happens between its batches. */
export interface Along {
  /** The key that it follows. */
  columns: KeyColumn[]
  batchSize: BatchSize
  /** Reports a batch and rests. Returns true if the walk must stop. */
  after(rows: number, ms: number): Promise<boolean>
}

/** The position in a range after a key; without a key, its end. */
const reached = (range: Range, key: string[] | null): RangePosition => ({
  cursorPage: key === null ? range.toPage : range.cursorPage,
  cursorKey: key,
  pass: 0,
  windowPages: 0,
  done: key === null,
})

/** A batch along the key: what is after one key, up to another; null for the first and the last. */
interface KeyBatch {
  /** Null for a canary, which works on its unit alone, and of which nothing is checkpointed. */
  range: Range | null
  after: string[] | null
  upTo: string[] | null
}

/**
 * Walks a table that has no usable ctid (a foreign or distributed one) along its key, with the last key
 * as cursor. A batch with a row that fails is halved down to that row. False when asked to stop. With a
 * unit, nothing is checkpointed.
 */
export async function walkKeys(
  job: Job,
  connection: Connection,
  range: Range | null,
  along: Along,
): Promise<boolean> {
  const { clock } = job.run.ctx
  const { columns, batchSize, after } = along
  const { table } = job.migration.backfill!
  let cursor = range?.cursorKey ?? null
  let most = Number.POSITIVE_INFINITY
  for (;;) {
    const limit = Math.min(most, batchSize.pages())
    const upper = await nextKey(connection.sql, { table, columns }, cursor, limit)
    const start = clock.now()
    let rows = 0
    try {
      rows = await keyBatch(job, connection, along, { range, after: cursor, upTo: upper })
      most = Number.POSITIVE_INFINITY
    } catch (error) {
      if (!isDataFault(error)) throw fileFault(job, error)
      if (limit > 1) {
        most = Math.floor(limit / 2)
        continue
      }
      rows = await tryKey(job, connection, columns, upper!)
      if (job.failures.over) return false
      if (range) await connection.sql.begin(tx => moveTo(job, range, upper)(tx, 0, 0))
    }
    const ms = clock.now() - start
    batchSize.note(ms, limit)
    if (upper === null) return true
    cursor = upper
    if (await after(rows, ms)) return false
  }
}

/** Runs one batch, and its checkpoint where it has a range; how many rows it wrote. */
async function keyBatch(
  job: Job,
  connection: Connection,
  { columns, batchSize }: Along,
  { range, after, upTo }: KeyBatch,
): Promise<number> {
  const { statement } = job
  const { table, unit } = job.migration.backfill!
  const { predicate, args } = keyPredicate(statement.alias, columns, {
    after,
    upTo,
    unit: range ? null : unit,
  })
  if (!range) {
    args.push(job.options.unit!)
    return (await runStandalone(job, connection, table, { predicate, args })).rows
  }
  const { rows } = await transact(job, connection, {
    statement: statement.restrict(predicate),
    args,
    batchSize,
    record: moveTo(job, range, upTo, statement.hasWith),
  })
  return rows
}

/** Tries the row of a key alone, after a batch with it has failed. */
function tryKey(job: Job, connection: Connection, columns: KeyColumn[], key: string[]): Promise<number> {
  const { table } = job.migration.backfill!
  const found = { from: table, where: atKey(job.pending.alias, columns, rowParameter), args: key }
  return tryRow(job, connection, found, () =>
    runStandalone(job, connection, table, {
      predicate: atKey(job.statement.alias, columns, 1),
      args: key,
    }),
  )
}

/** The checkpoint of a range that has come to a key. */
const moveTo =
  (job: Job, range: Range, key: string[] | null, hasWith = false) =>
  (tx: Db, rows: number, ms: number): Promise<void> =>
    throwIfFenced(checkpoint(tx, range, { ...reached(range, key), rows, ms, hasWith }), job)
