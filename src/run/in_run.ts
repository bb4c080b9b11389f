import type { Context } from '../database/context.js'
import { isLost, isRefused } from '../database/faults.js'
import { Failure, Failures, findingsOf, UsageError } from '../model/failure.js'
import { type Report, verdictOf } from '../model/report.js'
import { openRun } from './open_run.js'
import type { Run } from './run.js'

/**
 * Does the work of a run, which fills the report, and closes the run with the report's verdict. An error of
 * the server, or one thrown on purpose, is added to the report. Wrong usage and bugs are thrown; the run is
 * then recorded as failed.
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

/** Does work with the lease, in a run of its own. Throws the work's error. */
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

/** Does work and closes its run, with the outcome of its result or as failed. */
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
