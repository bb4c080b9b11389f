import type { Connection } from '../database/connection.js'
import { isDataFault } from '../database/faults.js'
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

/**
 * Walks a table that has no usable ctid (a foreign or distributed one) along its key, with the last key
 * as cursor. A batch with a row that fails is halved down to that row. False when asked to stop. With a
 * unit, nothing is checkpointed.
 */
export async function walkKeys(
  job: Job,
  connection: Connection,
  range: Range | null,
  { columns, batchSize, after }: Along,
): Promise<boolean> {
  const { statement, run, pending, migration } = job
  const { table, unit } = migration.backfill!
  let cursor = range?.cursorKey ?? null
  let most = Number.POSITIVE_INFINITY
  for (;;) {
    const limit = Math.min(most, batchSize.pages())
    const upper = await nextKey(connection.sql, { table, columns }, cursor, limit)
    const { predicate, args } = keyPredicate(statement.alias, columns, {
      after: cursor,
      upTo: upper,
      unit: range ? null : unit,
    })
    if (!range) args.push(job.options.unit!)
    const start = run.ctx.clock.now()
    let rows = 0
    try {
      const done = range
        ? await transact(job, connection, {
            statement: statement.restrict(predicate),
            args,
            batchSize,
            record: (tx, written, ms) =>
              throwIfFenced(
                checkpoint(tx, range, {
                  ...reached(range, upper),
                  rows: written,
                  ms,
                  hasWith: statement.hasWith,
                }),
                job,
              ),
          })
        : await runStandalone(job, connection, table, { predicate, args })
      rows = done.rows
      most = Number.POSITIVE_INFINITY
    } catch (error) {
      if (!isDataFault(error)) throw fileFault(job, error)
      if (limit > 1) {
        most = Math.floor(limit / 2)
        continue
      }
      const found = { from: table, where: atKey(pending.alias, columns, rowParameter), args: upper! }
      rows = await tryRow(job, connection, found, () =>
        runStandalone(job, connection, table, {
          predicate: atKey(statement.alias, columns, 1),
          args: upper!,
        }),
      )
      if (job.failures.over) return false
      if (range)
        await connection.sql.begin(async tx =>
          throwIfFenced(checkpoint(tx, range, { ...reached(range, upper), rows: 0, ms: 0 }), job),
        )
    }
    const ms = run.ctx.clock.now() - start
    batchSize.note(ms, limit)
    if (upper === null) return true
    cursor = upper
    if (await after(rows, ms)) return false
  }
}
