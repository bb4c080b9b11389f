import { type Code, codes } from '../model/codes.js'
import type { Finding, Report } from '../model/report.js'

/** Findings that answer the first questions about a database. */
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

/** The findings of a report in reading order. */
interface Read {
  /** The first findings of `status`. */
  answers: Finding[]
  /** Refusals, errors and warnings, the most urgent first, before the details. */
  urgent: Finding[]
  /** All other findings, after the details. */
  others: Finding[]
}

/** Decisions come before information. A plan warns of what a run would refuse. */
const rank = ({ level, code }: Finding): number =>
  level === 'refused' ? 0 : level === 'error' ? 1 : code === 'FAIL_ON' || codes[code] === 'refused' ? 2 : 3

/** Divides the findings into the first ones, the urgent ones, and the others. */
export function answersFirst({ command, findings, targets }: Report): Read {
  // for many databases, the table of databases comes first
  const status = command === 'status' && !targets
  const rest = status ? findings.filter(f => !leading.has(f.code)) : findings
  return {
    answers: status ? findings.filter(f => leading.has(f.code)) : [],
    urgent: rest.filter(f => f.level !== 'info').sort((a, b) => rank(a) - rank(b)),
    others: rest.filter(f => f.level === 'info'),
  }
}
