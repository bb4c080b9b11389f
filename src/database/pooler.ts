import { Failure } from '../model/failure.js'
import { addressOf, readAddress } from './address.js'
import { type Greeted, openConnection } from './connection.js'

/** The part of a context that is needed to detect a pooler. */
interface Asking {
  url: string
  signal: AbortSignal
  clock: { sleep(ms: number, signal?: AbortSignal): Promise<void> }
}

/** Poolers that were found to give each client its own session, for the duration of a command. */
const proven = new WeakMap<AbortSignal, Set<string>>()

/** Whether this command's sessions come from a pooler that keeps them separate. */
export const isPooled = ({ signal, url }: Asking): boolean => proven.get(signal)?.has(url) ?? false

/**
 * Throws TRANSACTION_POOLER unless the session is exclusive. If the backend is not the one that the start-up
 * named, there is a pooler. A second session is opened to find out whether it shares sessions: each must keep
 * its backend while the other works. A pooler that shares them gives both the same backend, or changes that
 * of the first.
 */
export async function refuseSharedSessions(ctx: Asking, first: Greeted): Promise<void> {
  const shared = () => new Failure('TRANSACTION_POOLER', addressOf(ctx.url))
  // Prisma's parameter for a pooler that shares sessions
  if (readAddress(ctx.url).shared) throw shared()
  if (first.direct || isPooled(ctx)) return
  const stays = async (session: Greeted) => {
    if ((await session.again()) !== session.pid) throw shared()
  }
  for (let round = 0; round < 2; round++) await stays(first)
  const second = await openConnection({
    url: ctx.url,
    application: 'pooler',
    setup: 'select',
    admit: async session => {
      if (session.pid === first.pid) throw shared()
      for (let round = 0; round < 2; round++) {
        await stays(first)
        await stays(session)
      }
    },
    looksForPlanted: false,
    sleep: (ms, signal) => ctx.clock.sleep(Math.min(ms, secondMs), signal),
  }).catch(error => {
    throw error instanceof Failure && error.finding.code === 'NO_SERVER' ? usedUp(ctx, 1) : error
  })
  await second.close()
  proven.set(ctx.signal, (proven.get(ctx.signal) ?? new Set()).add(ctx.url))
}

/** Time limit for the second session of a pooler, in milliseconds. */
const secondMs = 5_000

/** The failure for a pooler without a free session. */
export const usedUp = (ctx: Asking, most: number): Failure =>
  new Failure('POOL_USED_UP', addressOf(ctx.url), { most })
