import type { Context } from '../../src/database/context.js'
import { discover } from '../../src/files/discover.js'
import type { Consent } from '../../src/model/plan.js'
import type { Track } from '../../src/model/project.js'
import { root } from './database.js'

/** What a verb is given, for tests that call it in this process. */
export const contextOf = (url: string, tracks: Track[] = []): Context => ({
  url,
  settings: {},
  lockTimeoutMs: 80,
  lockBudgetSeconds: 30,
  batchTargetMs: 50,
  maxFailedRows: 1000,
  retryFailedSeconds: 0,
  cores: 1,
  walBytesPerSecond: null,
  holdTriggers: false,
  who: 'test',
  host: 'here',
  reason: null,
  tool: 'rethread test',
  tracks: () => tracks,
  emit: () => {},
  spare: { reader: null },
  clock: {
    now: () => performance.now(),
    sleep: (ms, signal) =>
      new Promise(done => {
        const end = () => {
          clearTimeout(timer)
          signal?.removeEventListener('abort', end)
          done()
        }
        const timer = setTimeout(end, ms)
        signal?.addEventListener('abort', end)
        if (signal?.aborted) end()
      }),
  },
  random: Math.random,
  signal: new AbortController().signal,
})

/** The only track of a folder. */
export function trackIn(folder: string): Track {
  const { tracks, faults } = discover(folder, root)
  if (tracks.length !== 1 || faults.some(f => f.level === 'error')) throw new Error(JSON.stringify(faults))
  return tracks[0]!
}

/** Everything that can be allowed by name for data of a database. */
export const consentTo = (database: string): Consent => ({
  allow: new Set([
    'DELETES_DATA',
    'REWRITES_TABLE',
    'IGNORES_DRIFT',
    'IGNORES_RECENT_WRITES',
    'CANNOT_TELL',
    'WIDENS_ACCESS',
  ]),
  confirm: database,
})
