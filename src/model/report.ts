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

/**
 * One planned step and what became of it; every planned step is in the report, also those that did not run.
 */
export type StepResult = z.infer<typeof stepSchema>
/** A table lock that a statement takes or took. */
export type Lock = StepResult['locks'][number]
/** What one statement did in a rehearsal. */
export type StatementTrace = StepResult['traces'][number]
/** One check and what it saw. */
export type CheckResult = z.infer<typeof checkSchema>
/** The state of one backfill. Rows are rows really written, not estimates. */
export type BackfillResult = z.infer<typeof backfillSchema>
/** What we are talking to. Never holds a secret. */
export type TargetInfo = z.infer<typeof targetSchema>
/** Generic part of a report: rows under a title. */
export type Table = z.infer<typeof tableSchema>
/** What a report comes to, for whoever reads nothing else of it. */
export type Summary = z.infer<typeof summarySchema>
/** A table as a drawing of the schema has it. */
export type TablePicture = z.infer<typeof tablePictureSchema>
/** A report as one JSON document: with `message` and `fix` of its findings, and its summary. */
export type ReportDocument = z.infer<typeof reportSchema>
/**
 * What every command returns and every renderer takes. `message` and `fix` of findings
 * are added by the renderer.
 */
export type Report = Omit<z.infer<typeof reportSchema>, 'findings' | 'summary' | 'targets' | 'session'> & {
  findings: Finding[]
  targets?: TargetReport[]
  /** A whole session as JSON text, with every digit and key as they are; the JSON format alone shows it. */
  session?: string
  /** What `--out` of `plan` and of `prove` writes; no renderer shows it. */
  pin?: Pin
  proof?: KeptProof
  /** What `--fix-up` writes: SQL that takes the database to where the files leave it. */
  fixUp?: string
}
/** One database of a list, and what the command came to there. */
export type TargetReport = Omit<z.infer<typeof targetReportSchema>, 'report'> & { report: Report | null }
/** How a command ended. */
export type Verdict = Report['verdict']

/** Verdict -> exit code of the process; README.md lists them. */
export const exitCodes: Record<Verdict, number> = {
  clean: 0,
  attention: 1,
  failed: 2,
  refused: 3,
  interrupted: 130,
}

/** Makes a finding, with the level that its code usually has. */
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
 * The verdict that the parts of a report add up to: refused before failed before interrupted before
 * attention. Findings of level `info` and `warn` do not fail a run; `attention` is raised by the
 * checks and by the caller.
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

/** Verdicts by the order in which `verdictOf` looks for them: the worst first. */
export const worstFirst: Verdict[] = ['refused', 'failed', 'interrupted', 'attention', 'clean']

/** The worst of some verdicts; clean where there is none. */
export const worstVerdict = (verdicts: Verdict[]): Verdict =>
  worstFirst.find(verdict => verdicts.includes(verdict)) ?? 'clean'

/** Codes of findings that say that something was not looked at. */
const unseenCodes: ReadonlySet<Code> = new Set<Code>([
  'DRIFT_UNKNOWN',
  'RECHECK_FAILED',
  'NOT_RECHECKED',
  'ROWS_NOT_LOOKED_AT',
  'NOT_TRIED',
  'VISIBILITY_UNKNOWN',
  'CHANGES_UNKNOWN_ROWS',
])

/** Whether findings say that something was not looked at: clean means that everything was. */
export const leavesUnseen = (findings: Finding[]): boolean => findings.some(f => unseenCodes.has(f.code))

/**
 * A report whose command was stopped before it had looked at everything: what was found
 * so far, and never `clean`.
 */
export const interrupted = (report: Report, subject: string): Report => ({
  ...report,
  findings: [...report.findings, finding('INTERRUPTED', subject, { command: null })],
  verdict: report.verdict === 'clean' || report.verdict === 'attention' ? 'interrupted' : report.verdict,
})

/** True where a check has found a row that is neither accepted nor as it was before the first step. */
export const counts = (check: CheckResult): boolean =>
  check.more || check.found.some(f => f.accepted === null && !f.preExisting)

/** True for a check that could not run, or that has found an error which counts. */
export const isFault = (check: CheckResult): boolean =>
  check.outcome === 'failed' || (check.outcome === 'found' && check.level === 'error' && counts(check))

/** What a check that acts came to. */
export interface Probed {
  found: { object: string; detail: string; about?: string[] }[]
  tables: Table[]
  findings: Finding[]
  /** Why it proved nothing, else null. */
  skipped: string | null
}

/** A row as it is shown: values as text, number, boolean or null. */
export type Cells = Record<string, string | number | boolean | null>

/** Title of the table of locks that make somebody wait; a renderer may draw it in its own way. */
export const waitsTitle = 'Who waits'

/** Rows of one kind as a table of the report. */
export const tableOfCells = (title: string, rows: Cells[]): Table => ({
  title,
  columns: Object.keys(rows[0] ?? {}),
  rows: rows.map(r => Object.values(r)),
})
