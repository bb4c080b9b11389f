import { serverFault } from '../database/faults.js'
import type { Db } from '../database/types.js'
import { type Finding, finding } from '../model/report.js'
import { type Cause, failedGroups, noteFailed } from './failed_rows.sql.js'
import type { Job, RowFailures } from './job.js'

/**
 * The state at the start of an invocation. A row that fails is recorded and skipped; the closing sweep tries
 * it again. The states of a row and their transitions:
 *
 *   pending     -> done         the statement changed it
 *               -> quarantined  the file gives a reason for it, twice
 *               -> failed       the statement raised an error for this row alone, or left it pending
 *   failed      -> done, quarantined or failed again, by the closing sweep or the next run of the command
 *   quarantined -> pending      its reason is no longer true, or a person runs `quarantine retry`
 *
 * A failed row is never removed from its table, and no backfill is done while it has one.
 */
export const noFailures = (limit: number): RowFailures => ({
  keys: new Set(),
  limit,
  over: false,
  pausedSince: null,
  pauses: 0,
})

/** The first pause, in milliseconds. Each pause is twice as long as the one before. */
const firstPauseMs = 250

/**
 * Waits before failed rows are tried again, because an application may refuse writes for some seconds.
 * Returns false if the time for retries is over, or if the run is to stop.
 */
export async function pauseBeforeRetry(job: Job): Promise<boolean> {
  const { ctx } = job.run
  const { failures } = job
  failures.pausedSince ??= ctx.clock.now()
  const left = ctx.retryFailedSeconds * 1000 - (ctx.clock.now() - failures.pausedSince)
  if (left <= 0 || ctx.signal.aborted) return false
  const nextMs = Math.min(left, firstPauseMs * 2 ** failures.pauses++)
  const { table } = job.migration.backfill!
  ctx.emit({
    type: 'notice',
    text: `rows of ${table} fail: they are tried again in ${Math.round(nextMs)} ms`,
  })
  await ctx.clock.sleep(nextMs, ctx.signal)
  return !ctx.signal.aborted
}

/** Resets the pauses after a success, so that the next failures are waited for just as long. */
export function trustAgain({ failures }: Job): void {
  failures.keys.clear()
  failures.pausedSince = null
  failures.pauses = 0
}

/** What the server says of a fault, as the cause of a failed row. */
export function causeOf(error: unknown): Cause & { sqlstate: string } {
  const { code, message } = serverFault(error)!
  return { sqlstate: code, reason: message }
}

/** Records a failed row. If there are more than the limit, the run stops. */
export async function noteFailure(
  job: Job,
  sql: Db,
  row: Parameters<typeof noteFailed>[2],
  error: unknown,
): Promise<void> {
  const key = await noteFailed(sql, job.pending, row, causeOf(error))
  if (key !== null) job.failures.keys.add(key)
  if (job.failures.keys.size > job.failures.limit) job.failures.over = true
}

/** Most causes that a report lists. */
const namedCauses = 3

/** The findings about failed rows. Empty if there are none. */
export async function failedFindings(
  sql: Db,
  track: string,
  migration: string | null,
  stoppedEarly = false,
): Promise<Finding[]> {
  const groups = await failedGroups(sql, track, migration)
  return groups
    .slice(0, namedCauses)
    .map(({ relation, ...facts }) => finding('ROWS_FAILED', relation, { ...facts, stoppedEarly }))
}
