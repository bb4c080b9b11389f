import { hostname, userInfo } from 'node:os'
import type { Machine } from '../database/context.js'
import { isSystemError } from '../model/failure.js'

/**
 * The clock, random numbers and names of this machine, for the command line and the library. Other code gets
 * them from here.
 */
export const machine = (): Machine => ({
  clock: { now: () => performance.now(), sleep },
  random: Math.random,
  who: userName(),
  host: hostname(),
})

/** The current time, by the machine's clock. */
export const momentNow = (): Date => new Date()

/** In a container the process may have a number without a user name. */
function userName(): string {
  try {
    return userInfo().username
  } catch (error) {
    if (!isSystemError(error)) throw error
    return 'unknown'
  }
}

function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise(done => {
    if (signal?.aborted) return done()
    const end = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', end)
      done()
    }
    const timer = setTimeout(end, ms)
    signal?.addEventListener('abort', end, { once: true })
  })
}
