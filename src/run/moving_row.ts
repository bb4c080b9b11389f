import { isCanceled } from '../database/faults.js'
import type { Db } from '../database/types.js'
import { Failure, findingsOf } from '../model/failure.js'
import type { LedgerRow } from '../model/plan.js'
import { bestEffort } from './best_effort.js'
import { updateLedgerRow } from './ledger.sql.js'
import type { Run } from './run.js'

/** The ledger's row of a file that is several transactions: it moves on with each of them. */
export interface MovingRow {
  /** Statements that are done: set when what did them is committed. */
  reached: number
  /** Milliseconds since the file was begun. */
  took(): number
  /** Writes how far it is, in the transaction of the work where there is one. False when fenced. */
  move(sql: Db, outcome: LedgerRow['outcome'], reached: number): Promise<boolean>
  /** Throws INTERRUPTED, and says so in the row, where somebody asked to stop and something is left. */
  stopIfAsked(of: number): Promise<void>
  /** Ends the row as failed. Throws INTERRUPTED instead where that is why the work ended. */
  fail(error: unknown): Promise<void>
}

/** The row `id`, which has been begun. */
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
      // Ctrl-C cancels an index build: the server's fault is then ours
      if (ctx.signal.aborted && isCanceled(error)) await interrupt(error)
      const [found = null] = findingsOf(error)
      await bestEffort(ctx, 'ledger', () => write(writer.sql, 'failed', row.reached, found))
    },
  }
  return row
}
