import type { Consent } from '../model/plan.js'
import { finding, type Report } from '../model/report.js'

/** Values of `plan --fail-on`. Each makes an otherwise clean plan end with attention. */
export const failLevels = ['warn', 'hazard', 'pending'] as const
/** One of them. */
export type FailLevel = (typeof failLevels)[number]

/**
 * Pure: applies `--fail-on` to a plan's report, and names what counts. A hazard that is allowed by name does
 * not count.
 */
export function failOn(report: Report, levels: FailLevel[], consent: Consent): Report {
  const counted: Record<FailLevel, () => string[]> = {
    warn: () => report.findings.filter(f => f.level !== 'info').map(f => f.code),
    hazard: () =>
      report.steps.flatMap(s => s.hazards.map(h => h.code)).filter(code => !consent.allow.has(code)),
    pending: () => report.steps.map(s => s.migration),
  }
  const found = levels.flatMap(level => {
    const [name, ...more] = new Set(counted[level]())
    return name === undefined ? [] : [finding('FAIL_ON', level, { names: [name, ...more] })]
  })
  const verdict = found.length > 0 && report.verdict === 'clean' ? 'attention' : report.verdict
  return { ...report, verdict, findings: [...report.findings, ...found] }
}
