import postgres from 'postgres'
import { Failure, Failures } from '../model/failure.js'
import { greet, sendSetup } from './connection.sql.js'
import { unlessLost } from './faults.js'
import type { Planted } from './planted.sql.js'

/** One dedicated connection. Closed by `await using` or `close()`. */
export interface Connection extends AsyncDisposable {
  readonly sql: postgres.Sql<{ bigint: number; textArray: string[] }>
  /** Backend pid when it was opened. */
  readonly pid: number
  /** True once the connection broke; nothing may be sent on it any more. */
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
  /** Resolves when the server has had long enough to answer; stops waiting when its signal fires. */
  deadline: (signal: AbortSignal) => Promise<void>
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
  const { url, application, setup } = options
  let lost = false
  let closing = false
  const sql = postgres(url, {
    max: 1,
    idle_timeout: 0,
    max_lifetime: null,
    connect_timeout: connectSeconds,
    fetch_types: false,
    prepare: false,
    connection: { application_name: `rethread ${application}` },
    types: {
      bigint: { to: 20, from: [20], serialize: String, parse: Number },
      // fetching the array types would cost a round trip at every start; text[] is the only one we use
      textArray: { to: 1009, from: [1009], serialize: writeTextArray, parse: readTextArray },
    },
    onnotice: notice => {
      // postgres.js tells DEBUG and LOG lines too; people asked for what a file RAISEs
      if (notice.severity === 'NOTICE' || notice.severity === 'WARNING')
        options.onNotice?.(notice.message ?? '')
    },
    onclose: () => {
      if (closing) return
      lost = true
      closing = true
      void sql.end({ timeout: 0 }).catch(unlessLost)
    },
  })
  refuseWhenLost(sql, () => lost)
  const answered = new AbortController()
  const late = options.deadline(answered.signal).then(() => {
    if (!answered.signal.aborted) throw new Failure('NO_SERVER', addressOf(url), noAnswer)
  })
  const inTime = <T>(answer: Promise<T>): Promise<T> => Promise.race([answer, late as Promise<never>])
  try {
    const { pid, named, planted } = await inTime(greet(sql, options.looksForPlanted))
    const again = async () => (await inTime(greet(sql, false))).pid
    await options.admit({ pid, direct: pid === named, planted, again })
    await inTime(sendSetup(sql, setup))
    const close = async () => {
      closing = true
      await sql.end({ timeout: 2 }).catch(unlessLost)
    }
    return {
      sql,
      pid,
      close,
      get lost() {
        return lost
      },
      [Symbol.asyncDispose]: close,
    }
  } catch (error) {
    closing = true
    await sql.end({ timeout: 0 }).catch(unlessLost)
    throw connectFailure(error, url)
  } finally {
    answered.abort()
    await late.catch(() => {})
  }
}

/** Longest wait for a server to take a connection, in seconds. */
const connectSeconds = 10
/** What is said of a server that takes a connection and then says nothing. */
const noAnswer = { code: 'NO_ANSWER', reason: 'it took the connection and did not answer' }

/** Host and port of a URL, for people. */
export function addressOf(url: string): string {
  const { host, port } = readUrl(url)
  return `${host}:${port}`
}

/**
 * Has transactions and reserved connections refuse what is sent after the end of the connection. postgres.js
 * (3.4.9) would write it into a socket that it has forgotten: a TypeError which nobody can catch ends the
 * process.
 */
function refuseWhenLost(sql: Connection['sql'], isGone: () => boolean): void {
  type Work = (tx: object) => Promise<unknown>
  const guarded = <T extends object>(db: T): T => {
    const refused = () =>
      Promise.reject(Object.assign(new Error('the connection is gone'), { code: 'CONNECTION_CLOSED' }))
    // as begin() below; what awaits the savepoint is told, so that its work can end
    const savepoint = (...given: [...unknown[], Work]) => {
      const work = given.pop() as Work
      return new Promise((resolve, reject) => {
        const inner = (tx: object) =>
          work(guarded(tx)).catch(error => {
            if (!isGone()) throw error
            reject(error)
            return new Promise(() => {})
          })
        ;(db as { savepoint(...all: unknown[]): Promise<unknown> })
          .savepoint(...given, inner)
          .then(resolve, reject)
      })
    }
    return new Proxy(db, {
      apply: (send, _, given) =>
        isGone() && Array.isArray(given[0]?.raw) ? refused() : Reflect.apply(send as never, undefined, given),
      get: (target, name) =>
        (name === 'unsafe' || name === 'savepoint') && isGone()
          ? refused
          : name === 'savepoint' && name in target
            ? savepoint
            : Reflect.get(target, name),
    })
  }
  const { begin, reserve } = sql
  sql.begin = ((...given: [...unknown[], Work]) => {
    const work = given.pop() as Work
    return (begin as (...all: unknown[]) => Promise<unknown>)(...given, (tx: object) =>
      work(guarded(tx)).catch(error => {
        if (!isGone()) throw error
        // begin() has been rejected; this would only make it send a rollback
        return new Promise(() => {})
      }),
    )
  }) as typeof begin
  sql.reserve = async () => guarded(await reserve())
}

/** The URL with its password masked; an unreadable one is not shown at all. */
export function maskUrl(url: string): string {
  if (!URL.canParse(url)) return '(unreadable URL)'
  const parsed = new URL(url)
  if (parsed.password) parsed.password = '***'
  for (const key of ['password', 'sslpassword'])
    if (parsed.searchParams.has(key)) parsed.searchParams.set(key, '***')
  return parsed.toString()
}

/** A part of a URL with its % codes decoded; null where they are none that a URL may have. */
export function plainText(part: string): string | null {
  try {
    return decodeURIComponent(part)
  } catch (error) {
    if (!(error instanceof URIError)) throw error
    return null
  }
}

/** Host, port and database of a URL. Throws BAD_URL. */
export function readUrl(url: string): { host: string; port: number; database: string } {
  const bad = (reason: string) => new Failure('BAD_URL', maskUrl(url), { reason })
  if (!URL.canParse(url)) throw bad('it is not a URL')
  const parsed = new URL(url)
  if (!['postgres:', 'postgresql:'].includes(parsed.protocol))
    throw bad(`it starts with \`${parsed.protocol}//\``)
  const decoded = (part: string) => {
    const plain = plainText(part)
    if (plain === null) throw bad('a % in it is not followed by two hexadecimal digits')
    return plain
  }
  // the driver decodes it too, and would fail with less to go by
  decoded(parsed.password)
  return {
    host: decoded(parsed.hostname) || parsed.searchParams.get('host') || 'localhost',
    port: Number(parsed.port || 5432),
    database: decoded(parsed.pathname.slice(1)) || decoded(parsed.username) || 'postgres',
  }
}

/** Says what a failed connection means, with the words of the server where it has some. */
function connectFailure(error: unknown, url: string): Failure | Failures {
  if (error instanceof Failure || error instanceof Failures) return error
  const { database } = readUrl(url)
  const where = addressOf(url)
  const { code = '', message = '' } = error as { code?: string; message?: string }
  if (code === '28P01' || code === '28000')
    return new Failure('WRONG_PASSWORD', where, { reason: message }, error)
  if (code === '3D000') return new Failure('NO_SUCH_DATABASE', database, { server: where }, error)
  if (
    /^(ECONN|ENOTFOUND|EAI_AGAIN|ENET|EHOST|ETIMEDOUT|CONNECT_TIMEOUT|CONNECTION_|57P03|ENOENT|EPIPE)/.test(
      code,
    )
  ) {
    return new Failure(
      'NO_SERVER',
      where,
      { code, reason: code === 'ENETUNREACH' ? `${code}: IPv6 only?` : code },
      error,
    )
  }
  return new Failure(
    'NO_SERVER',
    where,
    { code: code || null, reason: message || code || 'no answer' },
    error,
  )
}

/** A text[] as the server reads it. */
export const writeTextArray = (list: string[]): string =>
  `{${list.map(text => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`).join(',')}}`

/** A one-dimensional text[] as the server writes it; NULL elements do not occur in ours. */
export const readTextArray = (text: string): string[] =>
  [...text.slice(1, -1).matchAll(/"((?:[^"\\]|\\.)*)"|([^,]+)/g)].map(([, quoted, bare]) =>
    quoted === undefined ? bare! : quoted.replace(/\\(.)/g, '$1'),
  )
