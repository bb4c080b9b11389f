import type { Code } from '../model/codes.js'
import type { Finding, Report } from '../model/report.js'

/** What whoever looks at a database at night wants to know first. */
const leading: ReadonlySet<Code> = new Set<Code>([
  'AT_WORK',
  'RUN_KILLED',
  'NOBODY_AT_WORK',
  'HOW_FAR',
  'NOT_DRIFTED',
  'DRIFT',
  'DRIFT_UNKNOWN',
  'ARCHIVE_WAITING',
  'NEXT_STEP',
])

/**
 * The findings that a report begins with, and those that come after everything else. The next step is in
 * both: the last command that a reader sees is the one to type.
 */
export function answersFirst({ command, findings, targets }: Report): {
  answers: Finding[]
  others: Finding[]
} {
  // of many databases the rows answer first
  if (command !== 'status' || targets) return { answers: [], others: findings }
  return {
    answers: findings.filter(f => leading.has(f.code)),
    others: [...findings.filter(f => !leading.has(f.code)), ...findings.filter(f => f.code === 'NEXT_STEP')],
  }
}
