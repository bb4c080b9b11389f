import type { z } from 'zod'
import { type Code, codes, type Level } from './codes.js'
import type { Finding, FindingOf, WithFacts } from './facts.js'
import type { Pin } from './pin.js'
import type { KeptProof } from './proof.js'
import type {
  backfillSchema,
  checkSchema,
  reportSchema,
  stepSchema,
  summarySchema,
  tablePictureSchema,
  tableSchema,
  targetReportSchema,
  targetSchema,
} from './schema.js'

export type { Facts, Finding, FindingOf, WithFacts } from './facts.js'

/** One planned step and its result. The report has every planned step, also those that did not run. */
export type StepResult = z.infer<typeof stepSchema>
/** A table lock that a statement takes or took. */
export type Lock = StepResult['locks'][number]
/** What one statement did in a rehearsal. */
export type StatementTrace = StepResult['traces'][number]
/** One check and its result. */
export type CheckResult = z.infer<typeof checkSchema>
/** The state of one backfill. Rows are counted, not estimated. */
export type BackfillResult = z.infer<typeof backfillSchema>
/** The server and database. It never holds a secret. */
export type TargetInfo = z.infer<typeof targetSchema>
/** Rows under a title, for what has no part of its own. */
export type Table = z.infer<typeof tableSchema>
/** A summary of the whole report. */
export type Summary = z.infer<typeof summarySchema>
/** A table in a picture of the schema. */
export type TablePicture = z.infer<typeof tablePictureSchema>
/** A report as one JSON document, with its summary and with `message` and `fix` of its findings. */
export type ReportDocument = z.infer<typeof reportSchema>
/**
 * The result of every command and the input of every renderer. The renderer adds `message` and `fix` to
 * findings.
 */
export type Report = Omit<z.infer<typeof reportSchema>, 'findings' | 'summary' | 'targets' | 'session'> & {
  findings: Finding[]
  targets?: TargetReport[]
  /** A session as JSON text that keeps every digit and key. Only the JSON format shows it. */
  session?: string
  /** What `--out` of `plan` and `prove` writes. No renderer shows it. */
  pin?: Pin
  proof?: KeptProof
  /** What `--fix-up` writes: SQL that changes the database to match the files. */
  fixUp?: string
}
/** One database of a list, with the report of the command on it. */
export type TargetReport = Omit<z.infer<typeof targetReportSchema>, 'report'> & { report: Report | null }
/** How a command ended. */
export type Verdict = Report['verdict']

/** The exit code for each verdict. README.md lists them. */
export const exitCodes: Record<Verdict, number> = {
  clean: 0,
  attention: 1,
  failed: 2,
  refused: 3,
  interrupted: 130,
}

/** Makes a finding with the usual level of its code. */
export function finding<C extends Code>(
  code: C,
  subject: string,
  ...[facts, level]: WithFacts<C, [level?: Level]>
): FindingOf<C> {
  return { code, level: level ?? codes[code], subject, facts: facts ?? {} } as FindingOf<C>
}

/** An empty report of a command; the caller fills in what it has. */
export const emptyReport = (command: string, target: TargetInfo | null = null): Report => ({
  format: 1,
  command,
  verdict: 'clean',
  target,
  steps: [],
  checks: [],
  backfill: [],
  tables: [],
  findings: [],
})

/**
 * The verdict of a report from its parts: refused before failed before interrupted before attention. Findings
 * of level `info` and `warn` do not fail a run; checks and callers raise `attention`.
 */
export function verdictOf(report: Report): Verdict {
  if (report.findings.some(f => f.level === 'refused')) return 'refused'
  if (report.steps.some(s => s.outcome === 'failed') || report.findings.some(f => f.level === 'error'))
    return 'failed'
  const interrupted =
    report.steps.some(s => s.outcome === 'interrupted') || report.findings.some(f => f.code === 'INTERRUPTED')
  if (report.verdict === 'clean' && interrupted) return 'interrupted'
  return report.verdict === 'clean' && leavesUnseen(report.findings) ? 'attention' : report.verdict
}

/** Verdicts in the order in which `verdictOf` considers them, worst first. */
export const worstFirst: Verdict[] = ['refused', 'failed', 'interrupted', 'attention', 'clean']

/** The worst of some verdicts; clean if there is none. */
export const worstVerdict = (verdicts: Verdict[]): Verdict =>
  worstFirst.find(verdict => verdicts.includes(verdict)) ?? 'clean'

/** Codes of findings that report something as not examined. */
const unseenCodes: ReadonlySet<Code> = new Set<Code>([
  'DRIFT_UNKNOWN',
  'RECHECK_FAILED',
  'NOT_RECHECKED',
  'ROWS_NOT_LOOKED_AT',
  'NOT_TRIED',
  'VISIBILITY_UNKNOWN',
  'CHANGES_UNKNOWN_ROWS',
])

/** Whether findings report something as not examined. `clean` means that everything was. */
export const leavesUnseen = (findings: Finding[]): boolean => findings.some(f => unseenCodes.has(f.code))

/** The report of a command that was stopped early: what was found so far, and never `clean`. */
export const interrupted = (report: Report, subject: string): Report => ({
  ...report,
  findings: [...report.findings, finding('INTERRUPTED', subject, { command: null })],
  verdict: report.verdict === 'clean' || report.verdict === 'attention' ? 'interrupted' : report.verdict,
})

/** True if a check has found a row that is neither accepted nor older than the first step. */
export const counts = (check: CheckResult): boolean =>
  check.more || check.found.some(f => f.accepted === null && !f.preExisting)

/** True for a finding that refuses a command or makes it fail. */
export const isSevere = ({ level }: { level: Level }): boolean => level === 'error' || level === 'refused'

/** True for a check that could not run, or that found an error that counts. */
export const isFault = (check: CheckResult): boolean =>
  check.outcome === 'failed' || (check.outcome === 'found' && check.level === 'error' && counts(check))

/** The result of a check that acts as a user. */
export interface Probed {
  found: { object: string; detail: string; about?: string[] }[]
  tables: Table[]
  findings: Finding[]
  /** Why it proved nothing, else null. */
  skipped: string | null
}

/** A row to show: values as text, number, boolean or null. */
export type Cells = Record<string, string | number | boolean | null>

/** Title of the table of locks that others wait for. A renderer may draw it in a special way. */
export const waitsTitle = 'Who waits'

/** Makes a table of the report from rows of one kind. */
export const tableOfCells = (title: string, rows: Cells[]): Table => ({
  title,
  columns: Object.keys(rows[0] ?? {}),
  rows: rows.map(r => Object.values(r)),
})
