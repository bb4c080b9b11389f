import { isLost, isRefused } from '../database/faults.js'
import { Failure, findingsOf } from '../model/failure.js'
import { type Report, verdictOf } from '../model/report.js'

/**
 * The report of a command that a server, or what was thrown on purpose, has ended after it had begun: with
 * what became of its steps. Throws a fault of ours.
 */
export function endedBy(error: unknown, report: Report): Report {
  if (!isLost(error) && !isRefused(error) && !(error instanceof Failure)) throw error
  report.findings.push(...findingsOf(error))
  report.verdict = verdictOf(report)
  return report
}
