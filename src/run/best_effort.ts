import type { Context } from '../database/context.js'
import { isLost, isRefused } from '../database/faults.js'

/**
 * Runs work that only adds information to a run, such as the ledger's row of a failure. If the connection is
 * lost, the next statement of the run reports it. An error of the server becomes a notice, so that it does
 * not replace the run's own error. Returns null if the work failed.
 */
export async function bestEffort<T>(
  { emit }: Pick<Context, 'emit'>,
  what: string,
  work: () => Promise<T>,
): Promise<T | null> {
  try {
    return await work()
  } catch (error) {
    if (!isLost(error) && !isRefused(error)) throw error
    if (isRefused(error)) emit({ type: 'notice', text: `${what}: ${(error as Error).message}` })
    return null
  }
}
