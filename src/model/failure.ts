import type { Code } from './codes.js'
import { type Finding, finding } from './report.js'

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
export class Failure extends Error {
  readonly finding: Finding
  constructor(code: Code, subject: string, facts: Finding['facts'] = {}, cause?: unknown) {
    super(`${code}: ${subject}`, { cause })
    this.name = 'Failure'
    this.finding = finding(code, subject, facts)
  }
}

/** Several findings at once: every fault of the files is gathered before failing. */
export class Failures extends Error {
  readonly findings: Finding[]
  constructor(findings: Finding[]) {
    super(findings.map(f => `${f.code}: ${f.subject}`).join('; '))
    this.name = 'Failures'
    this.findings = findings
  }
}

/** The findings that an error stands for; an error that is not ours becomes `UNEXPECTED`. */
export function findingsOf(error: unknown): Finding[] {
  if (error instanceof Failure) return [error.finding]
  if (error instanceof Failures) return error.findings
  const message = error instanceof Error ? error.message : String(error)
  return [finding('UNEXPECTED', error instanceof Error ? error.name : 'error', { reason: message })]
}
