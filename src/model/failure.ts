import type { Code } from './codes.js'
import type { Facts, Finding, WithFacts } from './facts.js'
import { finding } from './report.js'

/** Where in a file something went wrong; line and column count from 1, in characters. */
export interface Where {
  file: string
  line: number
  column: number
  /** The source line itself. */
  excerpt: string
}

/**
 * The only thing thrown on purpose. Carries the finding that says what is wrong; the cause for `--verbose`.
 * What had already happened is in the steps of the report that the command returns.
 */
export class Failure<C extends Code = Code> extends Error {
  readonly finding: Finding
  constructor(code: C, subject: string, ...[facts, cause]: WithFacts<C, [cause?: unknown]>) {
    // the reason too: what the library throws is read in a stack trace, not in a report
    const { reason } = (facts ?? {}) as { reason?: unknown }
    super([code, subject, reason].filter(Boolean).join(': '), { cause })
    this.name = 'Failure'
    this.finding = finding(code, subject, ...([facts] as WithFacts<C, []>)) as Finding
  }
}

/**
 * A command line that asks for what there is not. `subject` is what was typed, such as `--phase later`;
 * `known` lists what would be right, `meant` is what was probably meant, ready to type.
 */
export class UsageError extends Failure<'USAGE'> {
  constructor(subject: string, reason: string, right: { known?: string[]; meant?: string | null } = {}) {
    const { known = [], meant = null } = right
    // which command it was the command line knows
    super('USAGE', subject, { reason, known, meant, command: null })
    this.name = 'UsageError'
  }
}

/** The failure that a finding describes, whatever its code. */
export const failureOf = ({ code, subject, facts }: Finding): Failure =>
  new Failure(code, subject, ...([facts] as unknown as WithFacts<Code, []>))

/** Several findings at once: every fault of the files is gathered before failing. */
export class Failures extends Error {
  readonly findings: Finding[]
  constructor(findings: Finding[]) {
    super(findings.map(f => `${f.code}: ${f.subject}`).join('; '))
    this.name = 'Failures'
    this.findings = findings
  }
}

/** Codes of driver, system and server that say that the connection is gone. */
const lost = /^(CONNECTION_|CONNECT_TIMEOUT|ECONN|EPIPE|ENOTFOUND|57P0|08|25P0[34])/

/** SQLSTATE of a server that takes no writes. */
const readOnly = '25006'

/** SQLSTATEs of a server that lacks something: disk space, memory, connections, a disk that answers. */
const outOfResources = /^(53|58030)/

/** True for a code that says that the server lacks something. */
export const isShortCode = (code: string): boolean => outOfResources.test(code)

/** True for a code that says that the connection is gone. */
export const isLostCode = (code: string): boolean => lost.test(code)

/** The code that an error of the driver, the server, the system or Node carries; empty where it has none. */
export function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown }
  return typeof code === 'string' ? code : ''
}

/** True for an error of the operating system, such as a file that may not be read. */
export const isSystemError = (error: unknown): error is Error =>
  error instanceof Error && 'syscall' in error && codeOf(error) !== ''

/** Why there is nothing to read. */
export const noSuchFile = 'there is no such file'

/** Why a file could not be read, as the end of a sentence. */
export const whyNotRead = (error: Error): string =>
  codeOf(error) === 'ENOENT' ? noSuchFile : `it can't be read: ${error.message}`

/** True where a package or a file of it is not there. */
export const isNotInstalled = (error: unknown): boolean =>
  ['MODULE_NOT_FOUND', 'ERR_PACKAGE_PATH_NOT_EXPORTED'].includes(codeOf(error))

const unexpected = (name: string, reason: string, by: Facts['UNEXPECTED']['by'], code: string | null) =>
  finding('UNEXPECTED', name, { reason, by, code })

/**
 * The findings that report an error. A lost connection is nobody's fault, a refusal of the system or the
 * server is reported as one; any other error that is not ours, such as a stack overflow, is a fault of
 * rethread and never one of usage.
 */
export function findingsOf(error: unknown): Finding[] {
  if (error instanceof Failure) return [error.finding]
  if (error instanceof Failures) return error.findings
  if (!(error instanceof Error)) return [unexpected('error', String(error), 'rethread', null)]
  const { name, message } = error
  const code = codeOf(error)
  if (isLostCode(code)) return [finding('CONNECTION_LOST', 'the command', { reason: message })]
  if ('severity' in error && isShortCode(code))
    return [finding('OUT_OF_RESOURCES', 'The server', { reason: message, sqlstate: code })]
  if ('severity' in error && code === readOnly)
    return [finding('READ_ONLY_SERVER', 'the command', { why: message, since: 'run' })]
  const by = isSystemError(error) ? 'system' : code !== '' && 'severity' in error ? 'server' : 'rethread'
  return [unexpected(name, message, by, code || null)]
}
