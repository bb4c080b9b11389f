import type { ChildProcess } from 'node:child_process'
import { startEmbedded } from '../../src/database/embedded.js'
import { open, root } from './database.js'
import { hasPooler, Pooler } from './pooler.js'
import type { Proxy as Network } from './proxy.js'
import type { SmallDisk } from './small_disk.js'

/** A server of a test's own, which may crash and run out of what it has. */
export interface Victim {
  /** The server as the application sees it. */
  url: string
  /** What is between the tool and the server. */
  network: Network
  /** The disk that its data is on; null where none can be mounted. */
  disk: SmallDisk | null
  /** A pooler in session mode in front of it; null where none is installed. */
  pooler: Pooler | null
  crash(): Promise<void>
  /** Starts it again where it has gone down. */
  revive(): Promise<void>
}

const sleep = (ms: number) => new Promise(done => setTimeout(done, ms))

/** Sends a statement to the server, whoever it serves; false where it was refused. */
async function send(url: string, statement: string): Promise<boolean> {
  const sql = open(url, 1)
  try {
    await sql.unsafe(statement)
    return true
  } catch {
    // a server that is away, or full, is the mishap's own doing
    return false
  } finally {
    await sql.end({ timeout: 1 }).catch(() => {})
  }
}

/** Sends a statement until it was taken: what is not put back would be every later run's mishap too. */
async function sendSurely(url: string, statement: string): Promise<void> {
  for (let tries = 0; !(await send(url, statement)); tries++) {
    if (tries === 60) throw new Error(`the server does not take: ${statement}`)
    await sleep(500)
  }
}

const ended = (one: boolean) =>
  `select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'rethread %' ${one ? 'order by random() limit 1' : ''}`

/** New sessions get a setting, and those that are there are ended, until it is taken back. */
const setting =
  (given: Record<string, string>) =>
  async ({ url }: Victim): Promise<() => Promise<void>> => {
    for (const [name, value] of Object.entries(given))
      await send(url, `alter database postgres set ${name} = ${value}`)
    await send(url, ended(false))
    return async () => {
      for (const name of Object.keys(given))
        await sendSurely(url, `begin read write; alter database postgres reset ${name}; commit`)
    }
  }

/**
 * What can happen to a run, by name: it begins, and what it gives back ends it. `dead`: the client is gone,
 * or cannot be reached, so that its locks are to go.
 */
export const mishaps: Record<
  string,
  {
    dead?: boolean
    begin(child: ChildProcess, victim: Victim, next: () => number): Promise<() => Promise<void>>
  }
> = {
  'tool killed': {
    dead: true,
    begin: async child => {
      child.kill('SIGKILL')
      return async () => {}
    },
  },
  'backend ended': {
    begin: async (_, { url }) => {
      await send(url, ended(true))
      return async () => {}
    },
  },
  'server crashed': {
    begin: async (_, victim) => {
      await victim.crash()
      return async () => {}
    },
  },
  'network cut': {
    begin: async (_, { network }) => {
      network.drop()
      return async () => {}
    },
  },
  'half open': {
    dead: true,
    begin: async (_, { network }) => {
      network.halve()
      return async () => {}
    },
  },
  'pooler restarted': {
    begin: async (_, { pooler }) => {
      await pooler?.restart()
      return async () => {}
    },
  },
  'network silent': {
    dead: true,
    begin: async (_, { network }, next) => {
      network.hush()
      await sleep(2000 + next() * 10_000)
      return async () => network.speak()
    },
  },
  'tool stopped': {
    dead: true,
    begin: async (child, _, next) => {
      child.kill('SIGSTOP')
      await sleep(1000 + next() * 9000)
      return async () => void child.kill('SIGCONT')
    },
  },
  'read-only': { begin: (_, victim) => setting({ default_transaction_read_only: 'on' })(victim) },
  'time-outs': {
    begin: (_, victim) =>
      setting({
        statement_timeout: "'40ms'",
        lock_timeout: "'5ms'",
        idle_in_transaction_session_timeout: "'60ms'",
      })(victim),
  },
  'too many connections': {
    begin: async (_, { url }) => {
      // for good measure: of those that a superuser has for itself, too
      const taken = Array.from({ length: 40 }, () => open(url, 1))
      await Promise.allSettled(taken.map(sql => sql`select 1`))
      taken.push(open(url, 1))
      await taken[0]!.unsafe(ended(true)).catch(() => {})
      await Promise.allSettled(taken.map(sql => sql`select 1`))
      return async () => void (await Promise.allSettled(taken.map(sql => sql.end({ timeout: 1 }))))
    },
  },
  'disk full': {
    begin: async (_, { disk, revive }, next) => {
      disk?.fill(Math.floor(next() * 3000))
      return async () => {
        disk?.empty()
        await revive()
      }
    },
  },
}

/** The kinds that can happen to a victim, of those that there are. */
export const possible = ({ disk, pooler }: Victim): string[] =>
  Object.keys(mishaps).filter(
    kind => (disk || kind !== 'disk full') && (pooler || kind !== 'pooler restarted'),
  )

/** Seconds for which locks of ours that keep the application waiting are still held, from now on. */
export async function secondsUntilUnlocked(url: string): Promise<number> {
  const sql = open(url, 1)
  const start = performance.now()
  let last = 0
  try {
    for (;;) {
      const at = (performance.now() - start) / 1000
      const held = await sql`
        select from pg_locks l join pg_stat_activity a using (pid)
        where a.application_name like 'rethread %' and l.granted and l.locktype = 'relation'
          and l.mode not in ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock') and l.relation >= 16384
          and l.relation in (select oid from pg_class where relnamespace = 'public'::regnamespace)`
      if (held.length === 0 || at > 60) return last
      last = at
      await sleep(100)
    }
  } catch {
    return last
  } finally {
    await sql.end({ timeout: 1 }).catch(() => {})
  }
}

/** Starts a server of one's own; on a small disk where there is one. */
export async function startVictim(
  folder: string,
  disk: SmallDisk | null,
  inFront: (url: string) => Promise<Network>,
  withPooler: boolean,
): Promise<Victim & { stop(): Promise<void> }> {
  const start = (port?: number) =>
    startEmbedded({
      dataDir: `${disk?.folder ?? folder}/data`,
      from: [root],
      settings: { max_connections: '30', max_wal_size: '64MB', min_wal_size: '32MB', wal_recycle: 'off' },
      ...(port ? { port } : {}),
    })
  let server = await start()
  const { port, url } = server
  const revive = async () => {
    const sql = open(url, 1)
    const answers = await sql`select 1`.then(
      () => true,
      () => false,
    )
    await sql.end({ timeout: 1 }).catch(() => {})
    if (answers) return
    await server.stop('immediate')
    server = await start(port)
  }
  const pooler =
    withPooler && hasPooler
      ? await Pooler.start(url, { pool_mode: 'session', default_pool_size: 20, query_wait_timeout: 8 })
      : null
  return {
    url,
    network: await inFront(url),
    disk,
    pooler,
    crash: async () => {
      await server.stop('immediate')
      // while the disk is full it may not come back: `revive` starts it when there is room again
      server = await start(port).catch(error => {
        if (!disk) throw error
        return server
      })
    },
    revive,
    stop: async () => {
      await pooler?.[Symbol.asyncDispose]()
      await server.stop('immediate')
    },
  }
}
