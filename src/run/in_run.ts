import type { Context } from '../database/context.js'
import { isLost, isRefused } from '../database/faults.js'
import { Failure, Failures, findingsOf, UsageError } from '../model/failure.js'
import { type Report, verdictOf } from '../model/report.js'
import { openRun } from './open_run.js'
import type { Run } from './run.js'

/**
 * Does the work of a run, which puts what it comes to into the report, and closes the run with the report's
 * verdict. Where the server, or what was thrown on purpose, ends the work, the report says so beside what was
 * done until then. Throws wrong usage and faults of ours; the run has then failed.
 */
export async function inRun(run: Run, report: Report, work: () => Promise<void>): Promise<Report> {
  return closed(
    run,
    async () => {
      await work().catch(error => {
        if (!isReported(error)) throw error
        report.findings.push(...findingsOf(error))
        report.verdict = verdictOf(report)
      })
      return report
    },
    done => done.verdict,
  )
}

/** Does a piece of work under the lease in a run of its own. Throws what the work throws. */
export async function inOwnRun<T>(
  ctx: Context,
  { command, leaseWaitMs }: { command: string; leaseWaitMs: number },
  work: (run: Run) => Promise<T>,
): Promise<T> {
  const run = await openRun(ctx, command, leaseWaitMs)
  return closed(
    run,
    () => work(run),
    () => 'clean',
  )
}

/** Does work and closes its run: with the outcome of what it comes to, or as failed. */
async function closed<T>(run: Run, work: () => Promise<T>, outcomeOf: (done: T) => string): Promise<T> {
  let outcome = 'failed'
  try {
    const done = await work()
    outcome = outcomeOf(done)
    return done
  } finally {
    await run.close(outcome)
  }
}

const isReported = (error: unknown): boolean =>
  isLost(error) ||
  isRefused(error) ||
  error instanceof Failures ||
  (error instanceof Failure && !(error instanceof UsageError))
