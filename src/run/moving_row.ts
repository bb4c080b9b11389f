import { isCanceled } from '../database/faults.js'
import type { Db } from '../database/types.js'
import { Failure, findingsOf } from '../model/failure.js'
import type { LedgerRow } from '../model/plan.js'
import { bestEffort } from './best_effort.js'
import { updateLedgerRow } from './ledger.sql.js'
import type { Run } from './run.js'

/** The ledger row of a file with several transactions. Each of them updates it. */
export interface MovingRow {
  /** How many statements are done. Set when their transaction has committed. */
  reached: number
  /** Milliseconds since the start of the file. */
  took(): number
  /**
   * Stores the progress, in the transaction of the work if there is one. False if the lease was taken over.
   */
  move(sql: Db, outcome: LedgerRow['outcome'], reached: number): Promise<boolean>
  /** If the run is to stop and statements are left: records that and throws INTERRUPTED. */
  stopIfAsked(of: number): Promise<void>
  /** Ends the row as failed. If the work ended because the run is to stop, throws INTERRUPTED instead. */
  fail(error: unknown): Promise<void>
}

/** For the row `id`, which has been begun. */
export function movingRow(
  { ctx, writer, token }: Run,
  { migration }: { migration: string },
  id: number,
  begunAt = 0,
): MovingRow {
  const start = ctx.clock.now()
  const took = () => ctx.clock.now() - start
  const write = (sql: Db, outcome: LedgerRow['outcome'], reached: number, error: object | null = null) =>
    updateLedgerRow(sql, token, id, { outcome, reached, error, durationMs: took(), fingerprint: null })
  const interrupt = async (cause?: unknown) => {
    await write(writer.sql, 'interrupted', row.reached)
    throw new Failure('INTERRUPTED', migration, { command: null }, cause)
  }
  const row: MovingRow = {
    reached: begunAt,
    took,
    move: write,
    stopIfAsked: async of => {
      if (ctx.signal.aborted && row.reached < of) await interrupt()
    },
    fail: async error => {
      if (error instanceof Failure && error.finding.code === 'INTERRUPTED') throw error
      // Ctrl-C cancels an index build, so this error is an interruption
      if (ctx.signal.aborted && isCanceled(error)) await interrupt(error)
      const [found = null] = findingsOf(error)
      await bestEffort(ctx, 'ledger', () => write(writer.sql, 'failed', row.reached, found))
    },
  }
  return row
}
