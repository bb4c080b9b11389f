import { codeOf, Failure, isLostCode, isShortCode, type Where } from '../model/failure.js'

/** What the server says of a fault. */
interface ServerFault {
  code: string
  message: string
  detail?: string
  hint?: string
  position?: string
  where?: string
  internal_position?: string
  /** The function of the server that raised it: the same in every language of messages. */
  routine?: string
  column_name?: string
}

/**
 * SQLSTATEs after which the same transaction may simply be tried again: lock not
 * available, deadlock, serialization.
 */
const retriable = new Set(['55P03', '40P01', '40001'])

/** The server's fault behind an error, however deep it is wrapped (umzug wraps). */
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

/** True when the server refused a statement, whatever its reason, and the connection is still there. */
export const isRefused = (error: unknown): boolean => serverFault(error) !== null && !isLost(error)

/** True where row level security would have hidden rows, and `row_security = off` made that an error. */
export const isFiltered = (error: unknown): boolean => serverFault(error)?.routine === 'check_enable_rls'

/** Rethrows an error unless it says that the connection is gone: of work that only tidies one up. */
export function unlessLost(error: unknown): void {
  if (!isLost(error)) throw error
}

/** True where a statement was cancelled: it took longer than it may, or somebody asked. */
export const isCanceled = (error: unknown): boolean => isSqlState(error, '57014')

/** True when waiting and trying again is right: a lock that did not come in time, a deadlock. */
export const isRetriable = (error: unknown): boolean => retriable.has(serverFault(error)?.code ?? '')

/**
 * SQLSTATEs that pass by themselves: besides locks, resources that are short for a moment, an object in use
 * and an input or output error.
 */
export function isTransient(error: unknown): boolean {
  const code = serverFault(error)?.code ?? ''
  return isRetriable(error) || code === '55006' || isShortCode(code)
}

/** True when the connection is gone, by the client's or the server's word. */
export function isLost(error: unknown): boolean {
  const code = serverFault(error)?.code ?? codeOf(error)
  return isLostCode(code) || (error instanceof Failure && error.finding.code === 'NO_SERVER')
}

/** Classes of SQLSTATE that say nothing of a row: the connection, the statement, the server. */
const notOfRows = new Set(
  '00 01 02 03 08 0A 0B 0F 0L 0P 0Z 20 24 25 26 28 2B 2D 34 3B 3D 3F 40 42 53 55 57 58 72 F0 HV XX'.split(
    ' ',
  ),
)

/**
 * True for faults of a row's content, not of the statement: data exceptions, constraints, RAISE with whatever
 * SQLSTATE an application makes up, limits.
 */
export function isDataFault(error: unknown): boolean {
  const fault = serverFault(error)
  return fault !== null && !notOfRows.has(fault.code.slice(0, 2))
}

/**
 * A fault in a file, with file, line, column and the line itself. The server counts the position in
 * characters from 1; `offset` is where the text that was sent starts in the file.
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
 * The line of a text at which the server has found a fault, null where it does not say or where it is not in
 * the text; `before` is how many characters were sent before it.
 */
export function faultLine(error: unknown, source: string, before: number): number | null {
  const position = Number(serverFault(error)?.position ?? 0) - before
  return position > 0 && position <= source.length ? locate(source, charIndex(source, position)).line : null
}

/** The server counts code points, JavaScript counts UTF-16 units. */
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
