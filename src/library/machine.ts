import { hostname, userInfo } from 'node:os'
import type { Machine } from '../database/context.js'
import { isSystemError } from '../model/failure.js'

/**
 * This machine's clock, random numbers and names, for the command line and the library. The core
 * reads none of them itself.
 */
export const machine = (): Machine => ({
  clock: { now: () => performance.now(), sleep },
  random: Math.random,
  who: userName(),
  host: hostname(),
})

/** The moment, by the machine's clock. */
export const momentNow = (): Date => new Date()

/** A container may run under a number that no user of it has. */
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
