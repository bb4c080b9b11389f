import type { Connection } from '../database/connection.js'
import { applicationOf, type Context, connect } from '../database/context.js'
import { isLost, unlessLost } from '../database/faults.js'
import { inspect, type Target } from '../database/server.js'
import { Failure } from '../model/failure.js'
import { closeKilledRuns, nameSession } from './at_work.sql.js'
import { beside } from './beside.js'
import { bestEffort } from './best_effort.js'
import { beat, endFormerBackend, endGhosts, readLease, releaseLease, takeLease } from './lease.sql.js'
import { addRun, endRun } from './ledger.sql.js'
import type { Run } from './run.js'
import { schemaVersion, upgrade, upgrades } from './schema_upgrades.sql.js'
import { restoreTableSettings } from './table_settings.js'

/** Names the run in its sessions, and in an event. */
async function nameRun(ctx: Context, id: number, writer: Connection, monitor: Connection): Promise<void> {
  ctx.run = id
  await Promise.all([
    nameSession(writer.sql, applicationOf(ctx, 'writer')),
    nameSession(monitor.sql, applicationOf(ctx, 'monitor')),
  ])
  ctx.emit({ type: 'run', run: id })
}

/** Interval of the heartbeat of the lease's holder, in milliseconds. */
const heartbeatMs = 2000

/** How long a terminated backend needs to disappear, in milliseconds. */
const goneMs = 100

/** Installs or upgrades the tool's schema. Throws NEWER_LEDGER if a newer rethread has upgraded it. */
async function prepareLedger(connection: Connection, tool: string): Promise<void> {
  const version = await schemaVersion(connection.sql)
  if (version !== null && version > upgrades.length) {
    throw new Failure('NEWER_LEDGER', 'schema rethread', { found: version, known: upgrades.length })
  }
  if (version !== upgrades.length) await upgrade(connection.sql, tool)
}

/**
 * Waits for the lease by polling at random intervals. It does not wait inside a transaction, which would
 * block a concurrent index build forever. Throws ANOTHER_RUN when the time is over, INTERRUPTED at Ctrl-C.
 */
async function acquire(
  ctx: Context,
  connection: Connection,
  command: string,
  waitMs: number,
): Promise<number> {
  const holder = `${ctx.who}@${ctx.host}: ${command}`
  const start = ctx.clock.now()
  for (let attempt = 1; ; attempt++) {
    const token = await takeLease(connection.sql, holder)
    if (token !== null) return token
    const lease = await readLease(connection.sql)
    const waited = ctx.clock.now() - start
    if ((await endGhosts(connection.sql)) > 0) {
      await ctx.clock.sleep(goneMs, ctx.signal)
      continue
    }
    if (ctx.signal.aborted) throw new Failure('INTERRUPTED', 'the wait for another run', { command: null })
    if (waited >= waitMs) {
      throw new Failure('ANOTHER_RUN', lease.holder ?? 'another run', {
        pid: lease.backendPid,
        waitedSeconds: Math.round(waited / 1000),
      })
    }
    const nextMs = 150 + ctx.random() * 350
    if (attempt % 10 === 1) {
      const blocker = {
        pid: lease.backendPid ?? 0,
        application: lease.holder ?? '',
        state: 'holds the lease',
        seconds: Math.round(lease.heartbeatAge ?? 0),
        query: '',
      }
      ctx.emit({
        type: 'wait',
        on: 'lease',
        subject: 'the writer’s lease',
        attempt,
        nextMs,
        blockers: [blocker],
      })
    }
    await ctx.clock.sleep(nextMs, ctx.signal)
  }
}

/**
 * Opens a run: connects, prepares the ledger, takes the lease. The caller reads the ledger again afterwards.
 */
export async function openRun(given: Context, command: string, leaseWaitMs: number): Promise<Run> {
  const ctx: Context = { ...given, cores: given.cores ?? 1 }
  let writer = await connect(ctx, 'writer')
  let monitor: Connection
  try {
    monitor = await connect(ctx, 'monitor')
  } catch (error) {
    await writer.close()
    throw error
  }
  let token = 0
  let id = 0
  let stopped = false
  const stop = new AbortController()
  const shut = async () => {
    stop.abort()
    await Promise.all([writer.close(), monitor.close()])
  }
  let target: Target
  try {
    target = await inspect(ctx, writer)
    await prepareLedger(writer, ctx.tool)
    token = await acquire(ctx, writer, command, leaseWaitMs)
    id = await addRun(writer.sql, {
      command,
      host: ctx.host,
      who: ctx.who,
      reason: ctx.reason,
      tool: ctx.tool,
    })
    await nameRun(ctx, id, writer, monitor)
    await closeKilledRuns(writer.sql, id)
  } catch (error) {
    await shut()
    throw error
  }

  /** Without a monitor nobody would hear that the holder lives. */
  const replaceMonitor = async () => {
    const before = monitor
    const fresh = await connect(ctx, 'monitor')
    // the run may have connected again meanwhile, or have ended
    if (monitor !== before || stopped) return fresh.close()
    monitor = fresh
    await before.close()
  }
  const heart = async () => {
    while (!stopped) {
      await ctx.clock.sleep(heartbeatMs, stop.signal)
      if (stopped) return
      await bestEffort(ctx, 'heartbeat of the lease', async () => {
        if (monitor.lost) await replaceMonitor()
        await beat(monitor.sql, token)
      })
    }
  }
  const beating = beside(heart())

  const run: Run = {
    ctx,
    target,
    get id() {
      return id
    },
    get token() {
      return token
    },
    get writer() {
      return writer
    },
    get monitor() {
      return monitor
    },
    reconnect: async () => {
      const before = token
      await closeLost(writer, monitor)
      writer = await connectAgain(ctx)
      monitor = await connectAgain(ctx)
      const lease = await readLease(writer.sql)
      if (lease.token !== before) throw new Failure('FENCED', 'this run')
      // the server may not know yet that the former connection is gone
      await endFormerBackend(writer.sql, before)
      token = await acquire(ctx, writer, command, 10_000)
    },
    close: async outcome => {
      stopped = true
      if (!writer.lost) {
        // a server that takes no writes any more would take the report away
        await bestEffort(ctx, 'end of the run', () => endRun(writer.sql, id, outcome))
        await bestEffort(ctx, 'end of the lease', () => releaseLease(writer.sql, token))
      }
      await shut()
      await beating.end()
    },
  }
  try {
    // settings of the application's tables that a killed run has left behind
    await restoreTableSettings(run)
  } catch (error) {
    await run.close('failed')
    throw error
  }
  return run
}

/** Closes connections of which at least one is lost. */
const closeLost = async (...connections: Connection[]): Promise<void> => {
  await Promise.all(connections.map(c => c.close().catch(unlessLost)))
}

/** How long to wait for a server that is away, in milliseconds. A restart takes seconds. */
const awayMs = 60_000

/** Tries to connect while the server is away. */
async function connectAgain(ctx: Context): Promise<Connection> {
  const start = ctx.clock.now()
  for (let attempt = 1; ; attempt++) {
    try {
      return await connect(ctx, 'writer')
    } catch (error) {
      const away = ctx.clock.now() - start
      if (away > awayMs || ctx.signal.aborted || !isLost(error)) throw error
      ctx.emit({ type: 'reconnect', attempt, reason: (error as Error).message })
      await ctx.clock.sleep(Math.min(2000, 100 * attempt), ctx.signal)
    }
  }
}

/**
 * Joins a backfill whose lease another invocation holds: opens a writer and a monitor without the lease. The
 * claim of each range prevents conflicts. Only the holder writes the ledger.
 */
export async function joinRun(given: Context, command: string): Promise<Run> {
  const ctx: Context = { ...given }
  let writer = await connect(ctx, 'writer')
  let monitor = await connect(ctx, 'monitor')
  const target = await inspect(ctx, writer)
  const id = await addRun(writer.sql, {
    command,
    host: ctx.host,
    who: ctx.who,
    reason: ctx.reason,
    tool: ctx.tool,
  })
  await nameRun(ctx, id, writer, monitor)
  return {
    ctx,
    id,
    target,
    token: 0,
    get writer() {
      return writer
    },
    get monitor() {
      return monitor
    },
    reconnect: async () => {
      await closeLost(writer, monitor)
      writer = await connectAgain(ctx)
      monitor = await connectAgain(ctx)
    },
    close: async outcome => {
      if (!writer.lost) await endRun(writer.sql, id, outcome)
      await Promise.all([writer.close(), monitor.close()])
    },
  }
}
