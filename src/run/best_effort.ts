import type { Context } from '../database/context.js'
import { isLost, isRefused } from '../database/faults.js'

/**
 * Work that says more about a run and that nothing depends on, such as the ledger's row of a failure. A
 * lost connection shows at the next statement of the run. What the server refuses becomes a notice, so that
 * it does not take the place of the fault that the run reports. Null where the work failed.
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
