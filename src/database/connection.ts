import postgres from 'postgres'
import { Failure, Failures, isSystemError } from '../model/failure.js'
import { addressOf, readAddress } from './address.js'
import { backendState, endBackend, greet, sendSetup } from './connection.sql.js'
import { isLost, isRefused, unlessLost } from './faults.js'
import type { Planted } from './planted.sql.js'
import { refuseWhenLost } from './refuse_when_lost.js'
import { type Db, readTextArray, writeTextArray } from './types.js'
import { openWire, type Wire } from './wire.js'

/** One dedicated connection. Closed by `await using` or `close()`. */
export interface Connection extends AsyncDisposable {
  readonly sql: postgres.Sql<{ bigint: number; textArray: string[] }>
  /** Process id of its backend. */
  readonly pid: number
  /** True once the connection was lost or closed. Nothing may be sent any more. */
  readonly lost: boolean
  close(): Promise<void>
}

/** Options for a new session. */
interface ConnectionOptions {
  url: string
  application: string
  /** Settings of the session, sent after `admit`. */
  setup: string
  /**
   * Checks a new session before anything is set in it, and throws if it must not be used: a setting sent
   * through a pooler would stay in a connection that the application gets next.
   */
  admit: (greeted: Greeted) => Promise<void>
  /** Whether to look for objects of others in the tool's schemas. */
  looksForPlanted: boolean
  /** Waits, or less if the signal fires. */
  sleep: (ms: number, signal: AbortSignal) => Promise<void>
  onNotice?: (text: string) => void
}

/** What is known of a new session before any setting. */
export interface Greeted {
  /** Process id of the backend that answered. */
  pid: number
  /** True if it is the backend that the start-up named. A pooler names one of its own. */
  direct: boolean
  /** Objects in the tool's schemas that others own or may change. Empty if this was not checked. */
  planted: Planted[]
  /** Reads again which backend answers. */
  again(): Promise<number>
}

/**
 * Opens one connection without a pool, because a pool could take a lock on one and release it on another.
 * After it is lost it stays lost: postgres.js would reconnect without our settings and locks. Throws Failure
 * with what to fix.
 */
export async function openConnection(options: ConnectionOptions): Promise<Connection> {
  const { url, setup, sleep } = options
  const { sql, wire } = await openDriver(options)
  let closing = false
  wire.onLost = () => {
    if (closing) return
    closing = true
    void sql
      .end({ timeout: 0 })
      .catch(unlessLost)
      .then(() => wire.letGo())
  }
  refuseWhenLost(sql, wire)
  const closed = new AbortController()
  const close = async () => {
    closing = true
    closed.abort()
    await sql.end({ timeout: 2 }).catch(unlessLost)
    // if nobody answers, the open socket would keep the process alive
    wire.destroy()
  }
  const answered = new AbortController()
  const late = sleep(answerMs, answered.signal).then(() => {
    if (!answered.signal.aborted) throw new Failure('NO_SERVER', addressOf(url), noAnswer)
  })
  const inTime = <T>(answer: Promise<T>): Promise<T> => Promise.race([answer, late as Promise<never>])
  try {
    const { pid, named, planted } = await inTime(greet(sql, options.looksForPlanted))
    const again = async () => (await inTime(greet(sql, false))).pid
    await options.admit({ pid, direct: pid === named, planted, again })
    await inTime(sendSetup(sql, setup))
    endWhenSilent(wire, pid, options, closed.signal).catch(error => wire.break(error))
    return {
      sql,
      pid,
      close,
      get lost() {
        return wire.lost || closing
      },
      [Symbol.asyncDispose]: close,
    }
  } catch (error) {
    closing = true
    await sql.end({ timeout: 0 }).catch(unlessLost)
    wire.destroy()
    throw connectFailure(error, url)
  } finally {
    answered.abort()
    // if it failed, the pending query has failed too
    await Promise.allSettled([late])
  }
}

/** Opens the socket within the time limit, and the driver on it. */
async function openDriver({
  url,
  application,
  sleep,
  onNotice,
}: ConnectionOptions): Promise<{ sql: Connection['sql']; wire: Wire }> {
  const address = readAddress(url)
  const late = new AbortController()
  const opened = new AbortController()
  const deadline = sleep(answerMs, opened.signal).then(() => {
    if (!opened.signal.aborted) late.abort()
  })
  let wire: Wire
  try {
    wire = await openWire(address, late.signal)
  } catch (error) {
    throw late.signal.aborted
      ? new Failure('NO_SERVER', addressOf(url), noAnswer, error)
      : connectFailure(error, url)
  } finally {
    opened.abort()
    await deadline
  }
  let used = false
  const { host, port, user, password, database, options } = address
  const sql = postgres({
    host,
    port,
    ...(user ? { user } : {}),
    ...(password ? { pass: password } : {}),
    database,
    ssl: false,
    // the driver does not detect a silent network, and would open another socket after a loss
    socket: () => {
      if (used) throw Object.assign(new Error('the connection is gone'), { code: 'CONNECTION_CLOSED' })
      used = true
      return wire
    },
    max: 1,
    idle_timeout: 0,
    max_lifetime: null,
    connect_timeout: 0,
    fetch_types: false,
    prepare: false,
    connection: { application_name: `rethread ${application}`, ...(options ? { options } : {}) },
    types: {
      bigint: { to: 20, from: [20], serialize: String, parse: Number },
      // reading the array types would cost a round trip at every start; only text[] is used
      textArray: { to: 1009, from: [1009], serialize: writeTextArray, parse: readTextArray },
    },
    onnotice: (notice: postgres.Notice) => {
      // postgres.js also passes on DEBUG and LOG; only NOTICE and WARNING are for users
      if (notice.severity === 'NOTICE' || notice.severity === 'WARNING') onNotice?.(notice.message ?? '')
    },
  } as unknown as Parameters<typeof postgres>[0] & object)
  return { sql: sql as unknown as Connection['sql'], wire }
}

/** Time limit for a connection, and for the server's first answers, in milliseconds. */
const answerMs = 10_000
/**
 * After this time without a byte of a due answer, in milliseconds, a second connection looks for the cause.
 */
const silentMs = 5_000
/** The reason for a server that accepts a connection and does not answer. */
const noAnswer = { code: 'NO_ANSWER', reason: 'it took the connection and did not answer' }
/** The error for an answer that did not arrive. */
const silence = () =>
  Object.assign(new Error('no answer came: the network or the server is silent'), {
    code: 'CONNECTION_CLOSED',
  })

/**
 * Ends a connection whose answer does not arrive although the server is not working on it. A statement may
 * take hours, so a time limit would be wrong: a second connection looks at the state of the backend. If the
 * server does not answer there either, or the backend is gone, the connection is ended. If two looks find the
 * backend finished, the network has lost the answer, and the backend is terminated too.
 *
 *   receiving -> silent -> working: look again later
 *                       -> finished -> still finished: end the connection and the backend
 *                       -> no answer, or no such backend: end the connection
 */
async function endWhenSilent(
  wire: Wire,
  pid: number,
  options: ConnectionOptions,
  closed: AbortSignal,
): Promise<void> {
  let finished = 0
  while (!closed.aborted && !wire.lost) {
    const { moved } = wire
    await options.sleep(silentMs, closed)
    if (closed.aborted || wire.lost) return
    if (!wire.waiting || wire.moved !== moved) {
      finished = 0
      continue
    }
    const state = await askBeside(options, async sql => {
      const found = await backendState(sql, pid)
      if (found === 'finished' && ++finished > 1) await endBackend(sql, pid)
      return found
    })
    if (state === 'working') finished = 0
    if (closed.aborted || wire.moved !== moved) continue
    if (state === 'gone' || state === 'silent' || finished > 1) wire.break(silence())
  }
}

/** Checks on a second connection. `silent` if nobody answers, `working` if nothing can be found out. */
async function askBeside(
  options: ConnectionOptions,
  ask: (sql: Db) => Promise<'working' | 'finished' | 'gone'>,
): Promise<'working' | 'finished' | 'gone' | 'silent'> {
  const over = new AbortController()
  let end = () => {}
  try {
    const late = options.sleep(answerMs, over.signal).then(() => 'silent' as const)
    const asking = (async () => {
      const { sql, wire } = await openDriver({ ...options, application: 'silence' })
      end = () => wire.destroy()
      return ask(sql)
    })()
    return await Promise.race([asking, late])
  } catch (error) {
    if (isLost(error)) return 'silent'
    // the server exists, even if it refuses another connection
    if (isRefused(error) || isSystemError(error) || error instanceof Failure) return 'working'
    throw error
  } finally {
    over.abort()
    end()
  }
}

/** Settings of role, database or server that may end a session before its own settings have arrived. */
const cutOffBy: Record<string, string> = {
  '57014': 'statement_timeout',
  '57P05': 'idle_session_timeout',
  '25P03': 'idle_in_transaction_session_timeout',
  '25P04': 'transaction_timeout',
}

/** The failure for a connection that could not be opened, with the server's message if there is one. */
function connectFailure(error: unknown, url: string): Failure | Failures {
  if (error instanceof Failure || error instanceof Failures) return error
  const { database } = readAddress(url)
  const where = addressOf(url)
  const {
    code = '',
    message = '',
    sqlstate,
  } = error as { code?: string; message?: string; sqlstate?: string }
  if (code === '28P01' || code === '28000')
    return new Failure('WRONG_PASSWORD', where, { reason: message }, error)
  if (code === '3D000') return new Failure('NO_SUCH_DATABASE', database, { server: where }, error)
  const setting = cutOffBy[sqlstate ?? code]
  if (setting)
    return new Failure(
      'SESSION_CUT_OFF',
      where,
      { setting, role: readAddress(url).user || 'the role', database, reason: message },
      error,
    )
  // an error of the system is identified by its code; the server's message is a sentence
  const system = /^(E[A-Z]+|EAI_\w+)$/.test(code)
  return new Failure(
    'NO_SERVER',
    where,
    { code: code || null, reason: (system ? code : message || code) || 'no answer' },
    error,
  )
}
