import type { Session } from '../database/connection.js'
import { isDataFault, serverFault } from '../database/faults.js'
import { apart, fileFault, type Job, mustHold, transact } from './batch.js'
import { checkpoint, type Standing } from './batch.sql.js'
import type { Pace } from './batch_size.js'
import { quarantineRow, rowParameter } from './pending.sql.js'
import type { Range } from './run_backfill.sql.js'
import { atKey, type KeyColumn, keyPredicate, nextKey } from './walk_keys.sql.js'

/** What a walk along the primary key follows, and what it does between its batches. */
export interface Along {
  /** The key that it follows. */
  columns: KeyColumn[]
  pace: Pace
  /** Tells a batch, leaves the application air; true when the walk must stop. */
  after(rows: number, ms: number): Promise<boolean>
}

/** Where a range stands whose key was reached; no further key is the end. */
const reached = (range: Range, key: string[] | null): Standing => ({
  cursorPage: key === null ? range.toPage : range.cursorPage,
  cursorKey: key,
  pass: 0,
  windowPages: 0,
  done: key === null,
})

/**
 * Walks a table that has no usable ctid (a foreign or distributed one) along its key, with the last key
 * as cursor. A batch that a row poisons is halved down to that row. False when asked to stop. With a
 * unit, nothing is checkpointed.
 */
export async function walkKeys(
  job: Job,
  session: Session,
  range: Range | null,
  { columns, pace, after }: Along,
): Promise<boolean> {
  const { cut, run, sweep, migration } = job
  const { table, unit } = migration.backfill!
  let cursor = range?.cursorKey ?? null
  let most = Number.POSITIVE_INFINITY
  for (;;) {
    const limit = Math.min(most, pace.pages())
    const upper = await nextKey(session.sql, { table, columns }, cursor, limit)
    const { predicate, args } = keyPredicate(cut.alias, columns, {
      after: cursor,
      upTo: upper,
      unit: range ? null : unit,
    })
    if (!range) args.push(job.wish.unit!)
    const start = run.ctx.clock.now()
    let rows = 0
    try {
      const done = range
        ? await transact(job, session, {
            statement: cut.restrict(predicate),
            args,
            pace,
            record: (tx, written, ms) =>
              mustHold(checkpoint(tx, range, { ...reached(range, upper), rows: written, ms }), job),
          })
        : await apart(job, session, table, { predicate, args })
      rows = done.rows
      most = Number.POSITIVE_INFINITY
    } catch (error) {
      if (!isDataFault(error)) throw fileFault(job, error)
      if (limit > 1) {
        most = Math.floor(limit / 2)
        continue
      }
      const { code, message } = serverFault(error)!
      await quarantineRow(
        session.sql,
        sweep,
        { from: table, where: atKey(sweep.alias, columns, rowParameter), args: upper! },
        `${code}: ${message}`,
      )
      if (range)
        await session.sql.begin(async tx =>
          mustHold(checkpoint(tx, range, { ...reached(range, upper), rows: 0, ms: 0 }), job),
        )
    }
    const ms = run.ctx.clock.now() - start
    pace.note(ms, limit)
    if (upper === null) return true
    cursor = upper
    if (await after(rows, ms)) return false
  }
}
