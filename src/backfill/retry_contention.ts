import { isCanceled, isRetriable, isTransient, serverFault } from '../database/faults.js'
import { Failure } from '../model/failure.js'
import type { BatchSize } from './batch_size.js'
import type { Job } from './job.js'

/**
 * How long a server may lack disk space or memory, in milliseconds, before the run ends and a person must
 * act.
 */
const shortageMs = 10_000

/**
 * Repeats work while other transactions are in the way, with growing, randomised pauses, up to the lock
 * budget. If the server lacks a resource, the limit is `shortageMs`. Throws LOCK_TIMEOUT, or INTERRUPTED if
 * the run is to stop.
 */
export async function retryContention<T>(
  job: Job,
  batchSize: BatchSize | null,
  afterTimeout: boolean,
  attempt: () => Promise<T>,
): Promise<T> {
  const { ctx } = job.run
  const start = ctx.clock.now()
  for (let n = 1; ; n++) {
    try {
      return await attempt()
    } catch (error) {
      const inTheWay = isRetriable(error) || isCanceled(error)
      if (!isTransient(error) && !(afterTimeout && isCanceled(error))) throw error
      if (ctx.signal.aborted)
        throw new Failure('INTERRUPTED', job.migration.backfill!.table, { command: null }, error)
      const budgetMs = ctx.lockBudgetSeconds * 1000
      if (ctx.clock.now() - start > (inTheWay ? budgetMs : Math.min(budgetMs, shortageMs))) {
        if (!inTheWay) throw error
        throw new Failure(
          'LOCK_TIMEOUT',
          job.migration.backfill!.table,
          {
            attempts: n,
            seconds: ctx.lockBudgetSeconds,
            sqlstate: serverFault(error)!.code,
            blockers: [],
            pids: [],
          },
          error,
        )
      }
      batchSize?.halve()
      const nextMs = ctx.random() * Math.min(2000, 40 * 1.5 ** n) + 10
      if (n > 2)
        ctx.emit({
          type: 'wait',
          on: inTheWay ? 'lock' : 'server',
          subject: inTheWay ? job.migration.backfill!.table : (error as Error).message,
          attempt: n,
          nextMs,
          blockers: [],
        })
      await ctx.clock.sleep(nextMs, ctx.signal)
    }
  }
}
