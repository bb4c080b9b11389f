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
  let outcome = 'failed'
  try {
    try {
      await work()
    } catch (error) {
      if (!isReported(error)) throw error
      report.findings.push(...findingsOf(error))
      report.verdict = verdictOf(report)
    }
    outcome = report.verdict
    return report
  } finally {
    await run.close(outcome)
  }
}

/** Does a piece of work under the lease in a run of its own. Throws what the work throws. */
export async function inOwnRun<T>(
  ctx: Context,
  { command, leaseWaitMs }: { command: string; leaseWaitMs: number },
  work: (run: Run) => Promise<T>,
): Promise<T> {
  const run = await openRun(ctx, command, leaseWaitMs)
  let outcome = 'failed'
  try {
    const done = await work(run)
    outcome = 'clean'
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
