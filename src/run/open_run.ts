import type { Connection } from '../database/connection.js'
import { applicationOf, type Context, connect } from '../database/context.js'
import { isLost, unlessLost } from '../database/faults.js'
import { inspect } from '../database/server.js'
import type { Db } from '../database/types.js'
import { Failure } from '../model/failure.js'
import { closeKilledRuns, nameSession } from './at_work.sql.js'
import { beside } from './beside.js'
import { bestEffort } from './best_effort.js'
import { beat, endFormerBackend, endGhosts, readLease, releaseLease, takeLease } from './lease.sql.js'
import { addRun, endRun } from './ledger.sql.js'
import type { Run } from './run.js'
import { schemaVersion, upgrade, upgrades } from './schema_upgrades.sql.js'
import { restoreTableSettings } from './table_settings.js'

/** The connections of a run. Each is replaced where it was lost. */
interface Connections {
  writer: Connection
  monitor: Connection
}

/** Opens both connections of a run, or none. */
async function connectBoth(ctx: Context): Promise<Connections> {
  const writer = await connect(ctx, 'writer')
  try {
    return { writer, monitor: await connect(ctx, 'monitor') }
  } catch (error) {
    await writer.close()
    throw error
  }
}

async function closeBoth({ writer, monitor }: Connections): Promise<void> {
  await Promise.all([writer.close(), monitor.close()])
}

/** Closes the connections, one of which is gone, and opens both again; the other may be there yet. */
async function replaceBoth(ctx: Context, connections: Connections): Promise<void> {
  const { writer, monitor } = connections
  await Promise.all([writer, monitor].map(c => c.close().catch(unlessLost)))
  connections.writer = await connectAgain(ctx)
  connections.monitor = await connectAgain(ctx)
}

/** How long a server may be away, in milliseconds: one that restarts is for seconds. */
const awayMs = 60_000

/** Keeps knocking while the server is away. */
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

/** Adds the run to the list of runs; says to the server and to whoever listens which one it is. */
async function listRun(ctx: Context, { writer, monitor }: Connections, command: string): Promise<number> {
  const { host, who, reason, tool } = ctx
  const id = await addRun(writer.sql, { command, host, who, reason, tool })
  ctx.run = id
  await Promise.all([
    nameSession(writer.sql, applicationOf(ctx, 'writer')),
    nameSession(monitor.sql, applicationOf(ctx, 'monitor')),
  ])
  ctx.emit({ type: 'run', run: id })
  return id
}

/** Interval of the heartbeat of the lease's holder, in milliseconds. */
const heartbeatMs = 2000

/** How long a terminated backend needs to disappear, in milliseconds. */
const goneMs = 100

/** Installs or upgrades the tool's schema. NEWER_LEDGER when a newer rethread has been here. */
export async function prepareLedger(sql: Db, tool: string): Promise<void> {
  const version = await schemaVersion(sql)
  if (version !== null && version > upgrades.length) {
    throw new Failure('NEWER_LEDGER', 'schema rethread', { found: version, known: upgrades.length })
  }
  if (version !== upgrades.length) await upgrade(sql, tool)
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
        prepared: null,
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

/** Prepares the ledger, takes the lease and begins a run: those that were killed before it have ended. */
async function enter(ctx: Context, connections: Connections, command: string, leaseWaitMs: number) {
  const { writer } = connections
  const target = await inspect(ctx, writer)
  await prepareLedger(writer.sql, ctx.tool)
  const token = await acquire(ctx, writer, command, leaseWaitMs)
  const id = await listRun(ctx, connections, command)
  await closeKilledRuns(writer.sql, id)
  return { target, token, id }
}

/** Says that the holder of the lease lives, until the run is over. */
async function keepBeating(
  ctx: Context,
  connections: Connections,
  lease: { token: number },
  over: AbortSignal,
): Promise<void> {
  /** Without a monitor nobody would hear that the holder lives. */
  const replaceMonitor = async () => {
    const before = connections.monitor
    const fresh = await connect(ctx, 'monitor')
    // the run may have connected again meanwhile, or have ended
    if (connections.monitor !== before || over.aborted) return fresh.close()
    connections.monitor = fresh
    await before.close()
  }
  for (;;) {
    await ctx.clock.sleep(heartbeatMs, over)
    if (over.aborted) return
    await bestEffort(ctx, 'heartbeat of the lease', async () => {
      if (connections.monitor.lost) await replaceMonitor()
      await beat(connections.monitor.sql, lease.token)
    })
  }
}

/** Takes the lease once more after the connections were lost. FENCED when another run has it. */
async function acquireAgain(ctx: Context, writer: Connection, command: string, former: number) {
  const { token } = await readLease(writer.sql)
  if (token !== former) throw new Failure('FENCED', 'this run')
  // the server may not know yet that the former connection is gone
  await endFormerBackend(writer.sql, former)
  return await acquire(ctx, writer, command, 10_000)
}

/**
 * Opens a run: connects, prepares the ledger, takes the lease. The caller reads the ledger again afterwards.
 */
export async function openRun(given: Context, command: string, leaseWaitMs: number): Promise<Run> {
  const ctx: Context = { ...given, cores: given.cores ?? 1 }
  const connections = await connectBoth(ctx)
  const { target, id, ...lease } = await enter(ctx, connections, command, leaseWaitMs).catch(async error => {
    await closeBoth(connections)
    throw error
  })
  const over = new AbortController()
  const beating = beside(keepBeating(ctx, connections, lease, over.signal))
  const run: Run = {
    ctx,
    target,
    id,
    get token() {
      return lease.token
    },
    get writer() {
      return connections.writer
    },
    get monitor() {
      return connections.monitor
    },
    reconnect: async () => {
      await replaceBoth(ctx, connections)
      lease.token = await acquireAgain(ctx, connections.writer, command, lease.token)
    },
    close: async outcome => {
      over.abort()
      const { writer } = connections
      if (!writer.lost) {
        // a server that takes no writes any more would take the report away
        await bestEffort(ctx, 'end of the run', () => endRun(writer.sql, id, outcome))
        await bestEffort(ctx, 'end of the lease', () => releaseLease(writer.sql, lease.token))
      }
      await closeBoth(connections)
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

/**
 * Joins a backfill whose lease another invocation holds: opens a writer and a monitor without the lease. The
 * claim of each range prevents conflicts. Only the holder writes the ledger.
 */
export async function joinRun(given: Context, command: string): Promise<Run> {
  const ctx: Context = { ...given }
  const connections = await connectBoth(ctx)
  const target = await inspect(ctx, connections.writer)
  const id = await listRun(ctx, connections, command)
  return {
    ctx,
    id,
    target,
    token: 0,
    get writer() {
      return connections.writer
    },
    get monitor() {
      return connections.monitor
    },
    reconnect: () => replaceBoth(ctx, connections),
    close: async outcome => {
      const { writer } = connections
      if (!writer.lost) await endRun(writer.sql, id, outcome)
      await closeBoth(connections)
    },
  }
}
