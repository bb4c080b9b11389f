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

/** Time, injected: the core never reads the clock of the machine. */
export interface Clock {
  /** Monotonic milliseconds. */
  now(): number
  /** Resolves after `ms`, at once when the signal fires. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

/** What the core takes from the machine that it runs on, injected for the same reason. */
export interface Machine {
  clock: Clock
  /** Uniform in [0, 1). */
  random(): number
  /** Who runs this, and on which host: both go to the ledger and to whoever waits for the lease. */
  who: string
  host: string
}

/** What every verb is given. */
export interface Context extends Machine {
  url: string
  /** Sent to every session as `rethread.<name>`, read by the SQL files. */
  settings: Record<string, string>
  lockTimeoutMs: number
  lockBudgetSeconds: number
  batchTargetMs: number
  /**
   * Cores of the server that one statement of ours may use, the others being the application's; null for as
   * many as the server is set to.
   */
  cores: number | null
  /** Rows of a backfill that may fail before it stops. */
  maxFailedRows: number
  /** How long rows that fail are tried again, in seconds: an application may refuse writes for a while. */
  retryFailedSeconds: number
  /** WAL in bytes a second above which a backfill slows down; null for no limit. */
  walBytesPerSecond: number | null
  /** Backfills hold triggers of the application off in their own sessions, where that is safe. */
  holdTriggers: boolean
  /** Why this run, in the words of the person, else null. */
  reason: string | null
  /** Name and version of the tool, for the ledger. */
  tool: string
  /** All tracks of the folder, to tell which other one fits. */
  tracks(): Track[]
  emit: Emit
  /** A reader that is done with and still open, for the next one who wants a reader. */
  spare: { reader: Connection | null }
  /** Takes what each statement of a step did, in a rehearsal; elsewhere nobody looks. */
  trace?: (step: string, traces: StatementTrace[]) => void
  /** Number of the run in the ledger, once it has one: the sessions carry it in their name. */
  run?: number
  /** Fires at the first Ctrl-C: finish the batch, then report. */
  signal: AbortSignal
}

/**
 * Opens a session for a purpose, with the settings that belong to it and those in `more`, as SQL. Refuses a
 * pooler that shares sessions (TRANSACTION_POOLER) and schemas of ours that others can change
 * (FOREIGN_OBJECT) before anything is set, read or called.
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
      // a new one says what is wrong, if anything still is
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
    // workers and monitors are opened beside a session that has looked
    looksForPlanted: purpose !== 'worker' && purpose !== 'monitor',
    sleep: ctx.clock.sleep,
    onNotice: text => ctx.emit({ type: 'notice', text }),
  })
  if (!isPooled(ctx)) return opened
  return opened.catch(error => {
    // a pooler takes every client, and lets it wait for a session
    throw isLost(error) ? usedUp(ctx, 2) : error
  })
}

/** The name of a session, after `rethread `: what it is for, and of which run. */
export const applicationOf = ({ run }: Pick<Context, 'run'>, purpose: string): string =>
  run === undefined ? purpose : `${purpose} run ${run}`

/** Closes the reader that nobody took over. */
export async function closeSpare({ spare }: Context): Promise<void> {
  const { reader } = spare
  spare.reader = null
  await reader?.close()
}

/** A session whose statements all run in one transaction. */
export const inside = (connection: Connection, tx: Db): Connection => ({
  ...connection,
  pid: connection.pid,
  lost: connection.lost,
  sql: tx as unknown as Root,
})
