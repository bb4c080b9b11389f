import { codeOf, Failure, isLostCode, isShortCode, type Where } from '../model/failure.js'

/** The fields of a server's error. */
interface ServerFault {
  code: string
  message: string
  detail?: string
  hint?: string
  position?: string
  where?: string
  internal_position?: string
  /** The function of the server that raised it. It does not depend on the language of messages. */
  routine?: string
  column_name?: string
}

/**
 * SQLSTATEs after which the transaction can be repeated: lock not available, deadlock, serialization failure.
 */
const retriable = new Set(['55P03', '40P01', '40001'])

/** The server's error behind an error, at any depth of wrapping (umzug wraps errors). */
export function serverFault(error: unknown): ServerFault | null {
  for (
    let e = error as { cause?: unknown; severity?: string; code?: string } | undefined;
    e;
    e = e.cause as never
  ) {
    if (typeof e.severity === 'string' && typeof e.code === 'string') return e as unknown as ServerFault
  }
  return null
}

/** A fault of the server in a line: its SQLSTATE and what it says. */
export function faultText(error: unknown): string {
  const { code, message } = serverFault(error)!
  return `${code}: ${message}`
}

/** True for a fault of the server with one of these SQLSTATEs. */
export const isSqlState = (error: unknown, ...states: string[]): boolean =>
  states.includes(serverFault(error)?.code ?? '')

/** True if the server refused a statement and the connection still exists. */
export const isRefused = (error: unknown): boolean => serverFault(error) !== null && !isLost(error)

/** True if row level security would have hidden rows. `row_security = off` makes that an error. */
export const isFiltered = (error: unknown): boolean => serverFault(error)?.routine === 'check_enable_rls'

/** Throws the error again unless the connection is lost. For clean-up work on a connection. */
export function unlessLost(error: unknown): void {
  if (!isLost(error)) throw error
}

/** True for a cancelled statement: it exceeded its time limit, or somebody cancelled it. */
export const isCanceled = (error: unknown): boolean => isSqlState(error, '57014')

/** True if it is right to wait and try again: a lock timeout or a deadlock. */
export const isRetriable = (error: unknown): boolean => retriable.has(serverFault(error)?.code ?? '')

/** True for errors that may pass by themselves: locks, lack of resources, an object in use, an I/O error. */
export function isTransient(error: unknown): boolean {
  const code = serverFault(error)?.code ?? ''
  return isRetriable(error) || code === '55006' || isShortCode(code)
}

/** True if the connection is lost, according to the client or the server. */
export function isLost(error: unknown): boolean {
  const code = serverFault(error)?.code ?? codeOf(error)
  return isLostCode(code) || (error instanceof Failure && error.finding.code === 'NO_SERVER')
}

/** Classes of SQLSTATE that do not concern a row, but the connection, the statement or the server. */
const notOfRows = new Set(
  '00 01 02 03 08 0A 0B 0F 0L 0P 0Z 20 24 25 26 28 2B 2D 34 3B 3D 3F 40 42 53 55 57 58 72 F0 HV XX'.split(
    ' ',
  ),
)

/**
 * True for errors caused by a row's content: data exceptions, constraints, limits, and RAISE with any
 * SQLSTATE of an application.
 */
export function isDataFault(error: unknown): boolean {
  const fault = serverFault(error)
  return fault !== null && !notOfRows.has(fault.code.slice(0, 2))
}

/**
 * An error in a file, with file, line, column and the text of the line. The server counts characters from 1.
 * `offset` is where the sent text begins in the file.
 */
export function sqlFailure(error: unknown, file: string, source: string, offset = 0): Failure {
  if (error instanceof Failure) return error
  const fault = serverFault(error)
  if (!fault) {
    if (isLost(error))
      return new Failure('CONNECTION_LOST', file, { reason: (error as Error).message }, error)
    throw error
  }
  const at: Partial<Where> = fault.position
    ? locate(source, offset + charIndex(source.slice(offset), Number(fault.position)))
    : {}
  return new Failure(
    'SQL_ERROR',
    at.line ? `${file}:${at.line}` : file,
    {
      sqlstate: fault.code,
      reason: fault.message,
      detail: fault.detail ?? null,
      hint: fault.hint ?? null,
      column: at.column ?? null,
      excerpt: at.excerpt ?? null,
      context: fault.position ? null : fault.where || null,
    },
    error,
  )
}

/**
 * The line of a text at the position of an error. Null if there is no position, or if it is outside of the
 * text. `before` is the number of characters that were sent before the text.
 */
export function faultLine(error: unknown, source: string, before: number): number | null {
  const position = Number(serverFault(error)?.position ?? 0) - before
  return position > 0 && position <= source.length ? locate(source, charIndex(source, position)).line : null
}

/** Converts the server's position in code points to JavaScript's UTF-16 units. */
function charIndex(text: string, position: number): number {
  let units = 0
  let points = 1
  for (const char of text) {
    if (points++ >= position) break
    units += char.length
  }
  return units
}

function locate(source: string, index: number): Omit<Where, 'file'> {
  const before = source.slice(0, index)
  const line = before.split('\n').length
  const column = [...before.slice(before.lastIndexOf('\n') + 1)].length + 1
  return { line, column, excerpt: (source.split('\n')[line - 1] ?? '').replace(/\r$/, '') }
}

/**
 * Does work again if it fails with one of these SQLSTATEs, up to `most` times: somebody has dropped what it
 * was reading.
 */
export async function readAgainOn<T>(
  { states, most }: { states: string[]; most: number },
  work: () => Promise<T>,
): Promise<T> {
  for (let reading = 1; ; reading++)
    try {
      return await work()
    } catch (error) {
      if (reading === most || !isSqlState(error, ...states)) throw error
    }
}
