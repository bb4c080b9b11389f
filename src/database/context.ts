import type { Emit } from '../model/event.js'
import { Failure } from '../model/failure.js'
import type { Track } from '../model/project.js'
import type { StatementTrace } from '../model/report.js'
import { readAddress } from './address.js'
import { type Connection, openConnection } from './connection.js'
import { type Purpose, sendSetup, setupSql } from './connection.sql.js'
import { isLost } from './faults.js'
import { refusePlanted } from './planted.js'
import { isPooled, refuseSharedSessions, usedUp } from './pooler.js'
import type { Db, Root } from './types.js'

/** Time, injected: other code never reads the machine's clock. */
export interface Clock {
  /** Monotonic time in milliseconds. */
  now(): number
  /** Resolves after `ms` milliseconds, or at once when the signal fires. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

/** Properties of the machine, injected for the same reason. */
export interface Machine {
  clock: Clock
  /** A random number, uniform in [0, 1). */
  random(): number
  /** The user and the host. They are in the ledger, and shown to those who wait for the lease. */
  who: string
  host: string
}

/** The input of every command's function. */
export interface Context extends Machine {
  url: string
  /** Every session gets these as `rethread.<name>`; SQL files read them. */
  settings: Record<string, string>
  lockTimeoutMs: number
  lockBudgetSeconds: number
  batchTargetMs: number
  /**
   * How many cores of the server one statement may use; the others are left to the application. Null for the
   * server's setting.
   */
  cores: number | null
  /** How many rows of a backfill may fail before it stops. */
  maxFailedRows: number
  /**
   * How long failed rows are tried again, in seconds, because an application may refuse writes for a while.
   */
  retryFailedSeconds: number
  /** WAL in bytes per second above which a backfill slows down; null for no limit. */
  walBytesPerSecond: number | null
  /** Whether backfills disable triggers of the application in their own sessions, if that is safe. */
  holdTriggers: boolean
  /** The person's reason for this run, or null. */
  reason: string | null
  /** Name and version of the tool, for the ledger. */
  tool: string
  /** All tracks of the folder, to find another one that fits. */
  tracks(): Track[]
  emit: Emit
  /** A reader that is no longer used but still open, for the next one who needs a reader. */
  spare: { reader: Connection | null }
  /** Receives what each statement of a step did, in rehearsals only. */
  trace?: (step: string, traces: StatementTrace[]) => void
  /** Number of the run in the ledger, once it has one. It is in the application_name of its sessions. */
  run?: number
  /** Fires at the first Ctrl-C. The run then finishes its batch and reports. */
  signal: AbortSignal
}

/**
 * Opens a session for a purpose, with its settings and those in `more`, as SQL. Throws TRANSACTION_POOLER for
 * a pooler that shares sessions, and FOREIGN_OBJECT for tool schemas that others can change, before anything
 * is set, read or called.
 */
export async function connect(ctx: Context, purpose: Purpose, more = ''): Promise<Connection> {
  if (ctx.url === '') throw new Failure('NO_DATABASE_URL', 'database')
  readAddress(ctx.url)
  const setup = [setupSql(purpose, ctx.settings, ctx.cores), more].filter(Boolean).join('\n')
  const { reader } = ctx.spare
  if (reader && purpose === 'reader') {
    ctx.spare.reader = null
    try {
      await sendSetup(reader.sql, setup)
      return reader
    } catch (error) {
      await reader.close()
      // the spare session is lost: open a new one, which reports what is wrong
      if (!isLost(error)) throw error
    }
  }
  const opened = openConnection({
    url: ctx.url,
    application: applicationOf(ctx, purpose),
    setup,
    admit: async greeted => {
      refusePlanted(greeted.planted)
      await refuseSharedSessions(ctx, greeted)
    },
    // workers and monitors are opened beside a session that has checked
    looksForPlanted: purpose !== 'worker' && purpose !== 'monitor',
    sleep: ctx.clock.sleep,
    onNotice: text => ctx.emit({ type: 'notice', text }),
  })
  if (!isPooled(ctx)) return opened
  return opened.catch(error => {
    // a pooler accepts every client and lets it wait for a session
    throw isLost(error) ? usedUp(ctx, 2) : error
  })
}

/** The application_name of a session, after `rethread `: its purpose and run. */
export const applicationOf = ({ run }: Pick<Context, 'run'>, purpose: string): string =>
  run === undefined ? purpose : `${purpose} run ${run}`

/** Closes the spare reader if nobody has taken it. */
export async function closeSpare({ spare }: Context): Promise<void> {
  const { reader } = spare
  spare.reader = null
  await reader?.close()
}

/** A connection whose statements all run in one transaction. */
export const inside = (connection: Connection, tx: Db): Connection => ({
  ...connection,
  pid: connection.pid,
  lost: connection.lost,
  sql: tx as unknown as Root,
})
