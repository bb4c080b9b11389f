import { whyNotRun } from '../model/expected.js'
import type { Track } from '../model/project.js'
import { type CheckResult, type Finding, finding } from '../model/report.js'

/**
 * ISOLATION_UNVERIFIED if some access rights were not tried by these checks. None if all were, or if a failed
 * check reports it. Otherwise a verdict could be clean although no right was tried.
 */
export function unverifiedIsolation(
  track: Track,
  applied: ReadonlySet<string>,
  results: CheckResult[],
): Finding[] {
  const access = track.checks.filter(c => c.kind === 'access')
  const unverified = (why: Why, more: { check?: string; after?: string | null } = {}): Finding[] => [
    finding('ISOLATION_UNVERIFIED', track.name, { why, check: null, after: null, ...more }),
  ]
  if (access.length === 0) return unverified('no-file')
  const ran = results.filter(r => access.some(c => c.name === r.check) && r.outcome !== 'skipped')
  if (ran.some(r => r.outcome === 'failed')) return []
  const later = access.find(c => whyNotRun(c, applied)?.applies === 'not yet')
  if (later) return unverified(ran.length > 0 ? 'in-part' : 'later', { after: later.after })
  if (ran.length > 0) return []
  const skipped = results.find(r => access.some(c => c.name === r.check) && r.applies === 'now')
  if (skipped) return unverified('skipped', { check: skipped.check })
  const current = access.find(c => whyNotRun(c, applied) === null)
  return current ? unverified('not-asked', { check: current.name }) : unverified('no-file')
}

type Why = 'no-file' | 'later' | 'in-part' | 'skipped' | 'not-asked'
