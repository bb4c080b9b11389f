import { type Code, codes } from '../model/codes.js'
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

/** The findings of a report in the order in which they are read. */
interface Read {
  /** What `status` begins with. */
  answers: Finding[]
  /** What refuses, fails or warns: the most urgent first, before the details. */
  urgent: Finding[]
  /** What is only to be known, after them. */
  others: Finding[]
}

/** A decision comes before what is only to be known; a plan warns of what a run refuses. */
const rank = ({ level, code }: Finding): number =>
  level === 'refused' ? 0 : level === 'error' ? 1 : code === 'FAIL_ON' || codes[code] === 'refused' ? 2 : 3

/** The findings that a report begins with, those that are urgent, and the others. */
export function answersFirst({ command, findings, targets }: Report): Read {
  // of many databases the rows answer first
  const status = command === 'status' && !targets
  const rest = status ? findings.filter(f => !leading.has(f.code)) : findings
  return {
    answers: status ? findings.filter(f => leading.has(f.code)) : [],
    urgent: rest.filter(f => f.level !== 'info').sort((a, b) => rank(a) - rank(b)),
    others: rest.filter(f => f.level === 'info'),
  }
}
