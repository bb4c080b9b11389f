import type { Code } from './codes.js'
import type { Facts, Finding, WithFacts } from './facts.js'
import { finding } from './report.js'

/** A position in a file. Line and column count from 1, in characters. */
export interface Where {
  file: string
  line: number
  column: number
  /** The source line itself. */
  excerpt: string
}

/**
 * The only error that is thrown on purpose. It carries the finding; `cause` is the original error, for
 * `--verbose`. The report of the command lists the steps that were done before.
 */
export class Failure<C extends Code = Code> extends Error {
  readonly finding: Finding
  constructor(code: C, subject: string, ...[facts, cause]: WithFacts<C, [cause?: unknown]>) {
    // include the reason: users of the library see it in a stack trace
    const { reason } = (facts ?? {}) as { reason?: unknown }
    super([code, subject, reason].filter(Boolean).join(': '), { cause })
    this.name = 'Failure'
    this.finding = finding(code, subject, ...([facts] as WithFacts<C, []>)) as Finding
  }
}

/**
 * A wrong command line or request. `subject` is what was typed, such as `--phase later`. `known` lists valid
 * values; `meant` is the likely intention, ready to type.
 */
export class UsageError extends Failure<'USAGE'> {
  constructor(subject: string, reason: string, right: { known?: string[]; meant?: string | null } = {}) {
    const { known = [], meant = null } = right
    // the command line fills in the command
    super('USAGE', subject, { reason, known, meant, command: null })
    this.name = 'UsageError'
  }
}

/** A failure that carries the finding. */
export const failureOf = ({ code, subject, facts }: Finding): Failure =>
  new Failure(code, subject, ...([facts] as unknown as WithFacts<Code, []>))

/** Several findings at once. All faults of the files are collected before the command fails. */
export class Failures extends Error {
  readonly findings: Finding[]
  constructor(findings: Finding[]) {
    super(findings.map(f => `${f.code}: ${f.subject}`).join('; '))
    this.name = 'Failures'
    this.findings = findings
  }
}

/** Error codes of the driver, system and server for a lost connection. */
const lost = /^(CONNECTION_|CONNECT_TIMEOUT|ECONN|EPIPE|ENOTFOUND|57P0|08|25P0[34])/

/** SQLSTATE of a server that refuses writes. */
const readOnly = '25006'

/** SQLSTATEs of a server that lacks disk space, memory or connections, or cannot read its disk. */
const outOfResources = /^(53|58030)/

/** True for a code of a server that lacks a resource. */
export const isShortCode = (code: string): boolean => outOfResources.test(code)

/** True for a code of a lost connection. */
export const isLostCode = (code: string): boolean => lost.test(code)

/** The code of an error of the driver, the server, the system or Node; empty if it has none. */
export function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown }
  return typeof code === 'string' ? code : ''
}

/** True for an error of the operating system, for example a missing permission. */
export const isSystemError = (error: unknown): error is Error =>
  error instanceof Error && 'syscall' in error && codeOf(error) !== ''

/** The reason for a missing file, as the end of a sentence. */
export const noSuchFile = 'there is no such file'

/** Why a file could not be read, as the end of a sentence. */
export const whyNotRead = (error: Error): string =>
  codeOf(error) === 'ENOENT' ? noSuchFile : `it cannot be read: ${error.message}`

/** True if a package, or a file of it, is not installed. */
export const isNotInstalled = (error: unknown): boolean =>
  ['MODULE_NOT_FOUND', 'ERR_PACKAGE_PATH_NOT_EXPORTED'].includes(codeOf(error))

const unexpected = (name: string, reason: string, by: Facts['UNEXPECTED']['by'], code: string | null) =>
  finding('UNEXPECTED', name, { reason, by, code })

/**
 * The findings that report an error. A lost connection and an error of the system or server have codes of
 * their own. Any other unknown error, such as a stack overflow, is reported as a bug of rethread.
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
