import { isCanceled, isRetriable, isTransient, serverFault } from '../database/faults.js'
import type { Blocker } from '../model/event.js'
import { Failure } from '../model/failure.js'
import { bestEffort } from '../run/best_effort.js'
import { describeBlocker, handlesOf } from '../run/lock_retry.js'
import { holdersOf } from '../run/lock_retry.sql.js'
import type { BatchSize } from './batch_size.js'
import type { Job } from './job.js'

/**
 * How long a server may lack disk space or memory, in milliseconds, before the run ends and a person must
 * act.
 */
const shortageMs = 10_000

/**
 * Transactions that have held locks of writers on the backfill's table all the while. Locks of rows are not
 * listed by the server: these are those who may hold one.
 */
async function longHolders({ run, migration }: Job, waitedMs: number): Promise<Blocker[]> {
  const holders = await bestEffort(run.ctx, 'who holds the lock', () =>
    holdersOf(run.monitor.sql, [migration.backfill!.table]),
  )
  return (holders ?? []).filter(h => h.mode !== 'AccessShareLock' && h.seconds * 1000 >= waitedMs)
}

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
      const isLocked = isRetriable(error) || isCanceled(error)
      if (!isTransient(error) && !(afterTimeout && isCanceled(error))) throw error
      if (ctx.signal.aborted)
        throw new Failure('INTERRUPTED', job.migration.backfill!.table, { command: null }, error)
      const budgetMs = ctx.lockBudgetSeconds * 1000
      if (ctx.clock.now() - start > (isLocked ? budgetMs : Math.min(budgetMs, shortageMs))) {
        if (!isLocked) throw error
        const inTheWay = await longHolders(job, ctx.clock.now() - start)
        throw new Failure(
          'LOCK_TIMEOUT',
          job.migration.backfill!.table,
          {
            attempts: n,
            seconds: ctx.lockBudgetSeconds,
            sqlstate: serverFault(error)!.code,
            blockers: inTheWay.map(describeBlocker),
            ...handlesOf(inTheWay),
          },
          error,
        )
      }
      batchSize?.halve()
      const nextMs = ctx.random() * Math.min(2000, 40 * 1.5 ** n) + 10
      if (n > 2)
        ctx.emit({
          type: 'wait',
          on: isLocked ? 'lock' : 'server',
          subject: isLocked ? job.migration.backfill!.table : (error as Error).message,
          attempt: n,
          nextMs,
          blockers: [],
        })
      await ctx.clock.sleep(nextMs, ctx.signal)
    }
  }
}
