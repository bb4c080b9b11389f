import { isRetriable, serverFault } from '../database/faults.js'
import type { Blocker } from '../model/event.js'
import { Failure } from '../model/failure.js'
import { quotedText } from '../model/table_name.js'
import { beside } from './beside.js'
import { bestEffort } from './best_effort.js'
import { blockersOf } from './lock_retry.sql.js'
import type { Run } from './run.js'

/** The longest lock timeout, in milliseconds. A waiting ALTER stalls the application that long. */
const longestTimeoutMs = 80

/**
 * Runs an attempt that takes locks, and repeats it with a short lock_timeout and randomised pauses until it
 * succeeds or the lock budget is used up. Attempts are short because all later requests wait behind a waiting
 * ALTER. The monitor's connection finds the blockers while an attempt waits; afterwards they are unknown.
 * Throws LOCK_TIMEOUT with their names.
 */
export async function withLockRetries<T>(
  run: Run,
  subject: string,
  attempt: (lockTimeoutMs: number) => Promise<T>,
): Promise<{ value: T; attempts: number }> {
  const { ctx } = run
  const start = ctx.clock.now()
  let seen: Blocker[] = []
  for (let n = 1; ; n++) {
    const timeout = Math.min(longestTimeoutMs, ctx.lockTimeoutMs * 1.1 ** (n - 1))
    const watch = reportBlockers(run, timeout)
    try {
      return { value: await attempt(Math.round(timeout)), attempts: n }
    } catch (error) {
      seen = (await watch.stop()) ?? seen
      if (!isRetriable(error)) throw error
      if (ctx.signal.aborted) throw new Failure('INTERRUPTED', subject, { command: null }, error)
      const spent = ctx.clock.now() - start
      if (spent > ctx.lockBudgetSeconds * 1000) {
        throw new Failure(
          'LOCK_TIMEOUT',
          subject,
          {
            attempts: n,
            seconds: Math.round(spent / 1000),
            sqlstate: serverFault(error)!.code,
            blockers: seen.map(describeBlocker),
            ...handlesOf(seen),
          },
          error,
        )
      }
      const nextMs = ctx.random() * Math.min(5000, 100 * 1.5 ** n) + 20
      ctx.emit({ type: 'wait', on: 'lock', subject, attempt: n, nextMs, blockers: seen })
      await ctx.clock.sleep(nextMs, ctx.signal)
    } finally {
      await watch.stop()
    }
  }
}

/** One line about a blocker. */
export const describeBlocker = (b: Blocker): string =>
  b.prepared === null
    ? `pid ${b.pid} (${b.application || 'no name'}), ${b.state} for ${b.seconds} s: ${b.query}`
    : `prepared transaction ${quotedText(b.prepared)} of ${b.application}, open for ${b.seconds} s`

/** What a person ends blockers by: the process ids of backends, the identifiers of prepared transactions. */
export const handlesOf = (blockers: Blocker[]): { pids: string[]; prepared: string[] } => ({
  pids: blockers.flatMap(b => (b.prepared === null ? [String(b.pid)] : [])),
  prepared: blockers.flatMap(b => b.prepared ?? []),
})

/** Looks for blockers from about 60% of the timeout on. Returns the last result that is not empty. */
function reportBlockers(run: Run, timeoutMs: number): { stop(): Promise<Blocker[] | null> } {
  const { ctx, monitor, writer } = run
  const done = new AbortController()
  let seen: Blocker[] | null = null
  const looking = async () => {
    await ctx.clock.sleep(timeoutMs * 0.6, done.signal)
    while (!done.signal.aborted && !monitor.lost) {
      const now = await bestEffort(ctx, 'who holds the lock', () => blockersOf(monitor.sql, writer.pid))
      if (now === null) return
      if (now.length > 0) seen = now
      await ctx.clock.sleep(10, done.signal)
    }
  }
  const watching = beside(looking())
  return {
    stop: async () => {
      // a reason avoids the default error, which would build a stack trace after every step
      done.abort('done')
      await watching.end()
      return seen
    },
  }
}
