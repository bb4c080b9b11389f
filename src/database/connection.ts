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
  /** Backend pid when it was opened. */
  readonly pid: number
  /** True once the connection broke or was closed; nothing may be sent on it any more. */
  readonly lost: boolean
  close(): Promise<void>
}

/** How a session is opened. */
interface ConnectionOptions {
  url: string
  application: string
  /** Settings of the session, sent once `admit` has let it pass. */
  setup: string
  /**
   * Looks at a fresh session before anything is set in it and throws where it may not be used: a setting
   * sent through a pooler would stay behind in a connection that the application gets next.
   */
  admit: (greeted: Greeted) => Promise<void>
  /** Whether the tool's own schemas are looked at for objects of others. */
  looksForPlanted: boolean
  /** Waits, less where its signal fires. */
  sleep: (ms: number, signal: AbortSignal) => Promise<void>
  onNotice?: (text: string) => void
}

/** What a fresh session has said of itself, before any setting of ours. */
export interface Greeted {
  /** Pid of the backend that answered. */
  pid: number
  /** Whether it is the backend that the start-up named: a pooler names one of its own making. */
  direct: boolean
  /** Objects of others in the tool's schemas, or that others may change; empty where nobody looked. */
  planted: Planted[]
  /** Asks once more which backend answers. */
  again(): Promise<number>
}

/**
 * Opens a connection of its own (`max: 1`: a pool could take a lock on one and release it on another). When
 * it breaks it stays broken: postgres.js would connect again behind our back, without our settings and our
 * lock. Throws Failure with what to fix.
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
    // where nobody answers, the system would keep the socket, and the process with it
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
    // where it threw, so has what waited for the answer
    await Promise.allSettled([late])
  }
}

/** Opens the socket within the deadline, and the driver on it. */
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
    // the driver knows nothing of the silence of a network, and asks for a new socket when one breaks
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
      // fetching the array types would cost a round trip at every start; text[] is the only one we use
      textArray: { to: 1009, from: [1009], serialize: writeTextArray, parse: readTextArray },
    },
    onnotice: (notice: postgres.Notice) => {
      // postgres.js passes on DEBUG and LOG lines too; people asked for what a file RAISEs
      if (notice.severity === 'NOTICE' || notice.severity === 'WARNING') onNotice?.(notice.message ?? '')
    },
  } as unknown as Parameters<typeof postgres>[0] & object)
  return { sql: sql as unknown as Connection['sql'], wire }
}

/** Longest wait for a server to take a connection, and for its first answers, in milliseconds. */
const answerMs = 10_000
/** After how long without a byte of an answer that is due somebody asks beside, in milliseconds. */
const silentMs = 5_000
/** What is said of a server that takes a connection and then says nothing. */
const noAnswer = { code: 'NO_ANSWER', reason: 'it took the connection and did not answer' }
/** What is said of an answer that did not come. */
const silence = () =>
  Object.assign(new Error('no answer came: the network or the server is silent'), {
    code: 'CONNECTION_CLOSED',
  })

/**
 * Ends a connection whose answer does not come although the server is not at work on it. A statement may take
 * hours, so a deadline of its own would be wrong for it: a second connection asks whether its backend is at
 * work. Where nobody answers there either, or the backend is gone, the connection is ended. So it is where
 * the backend has finished for two looks: the network has lost the answer, and the backend with its locks is
 * ended too.
 *
 *   moving -> silent -> at work (asked again later)
 *                   -> finished -> finished still: ended here and there
 *                   -> nobody answers, or no such backend: ended here
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

/** Asks on a connection of its own; `silent` where nobody answers, `working` where nothing may be known. */
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
    // a server that refuses one connection more is there all the same
    if (isRefused(error) || isSystemError(error) || error instanceof Failure) return 'working'
    throw error
  } finally {
    over.abort()
    end()
  }
}

/** Says what a failed connection means, with the words of the server where it has some. */
function connectFailure(error: unknown, url: string): Failure | Failures {
  if (error instanceof Failure || error instanceof Failures) return error
  const { database } = readAddress(url)
  const where = addressOf(url)
  const { code = '', message = '' } = error as { code?: string; message?: string }
  if (code === '28P01' || code === '28000')
    return new Failure('WRONG_PASSWORD', where, { reason: message }, error)
  if (code === '3D000') return new Failure('NO_SUCH_DATABASE', database, { server: where }, error)
  // what the system says of a socket is its code; what the server says is a sentence
  const system = /^(E[A-Z]+|EAI_\w+)$/.test(code)
  return new Failure(
    'NO_SERVER',
    where,
    { code: code || null, reason: (system ? code : message || code) || 'no answer' },
    error,
  )
}
