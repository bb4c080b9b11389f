import { Failure } from '../model/failure.js'
import { addressOf, readAddress } from './address.js'
import { type Greeted, openConnection } from './connection.js'

/** The part of a verb's context that finding a pooler needs. */
interface Asking {
  url: string
  signal: AbortSignal
  clock: { sleep(ms: number, signal?: AbortSignal): Promise<void> }
}

/** Poolers that were found to give each client a session of its own, for as long as a command lasts. */
const proven = new WeakMap<AbortSignal, Set<string>>()

/** Whether the sessions of this command come from a pooler that keeps them apart. */
export const isPooled = ({ signal, url }: Asking): boolean => proven.get(signal)?.has(url) ?? false

/**
 * Throws TRANSACTION_POOLER unless a session is ours alone. A backend that is not the one which the start-up
 * named has a pooler before it. Whether that one lends a session for more than a statement shows in a second
 * session beside it: each must stay with its backend while the other works. One that hands out what was given
 * back last gives both the same; one that goes round gives the first another.
 */
export async function refuseSharedSessions(ctx: Asking, first: Greeted): Promise<void> {
  const shared = () => new Failure('TRANSACTION_POOLER', addressOf(ctx.url))
  // Prisma's sign for a pooler that shares sessions
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

/** How long a pooler may take to find a second session, in milliseconds. */
const secondMs = 5_000

/** The failure of a session that a pooler has none left for. */
export const usedUp = (ctx: Asking, most: number): Failure =>
  new Failure('POOL_USED_UP', addressOf(ctx.url), { most })
