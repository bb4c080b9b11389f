import { shortList } from '../model/few_names.js'
import { type CheckResult, isFault, type TargetReport } from '../model/report.js'

/** Most rows of a check that are shown for all databases together. */
const shownRows = 20

/** Outcomes of a check, the most important first. */
const worst: CheckResult['outcome'][] = ['failed', 'found', 'skipped', 'pass']

/**
 * Merges the checks of all databases. Each finding names its database. A check that did not run on some
 * database is not shown as passed, because a pass means that everything was examined.
 */
export function foldChecks(targets: TargetReport[]): CheckResult[] {
  const byName = new Map<string, { name: string; check: CheckResult }[]>()
  for (const { name, report } of targets)
    for (const check of report?.checks ?? []) {
      const key = `${check.track} ${check.check}`
      byName.set(key, [...(byName.get(key) ?? []), { name, check }])
    }
  return [...byName.values()].map(foldCheck)
}

function foldCheck(all: { name: string; check: CheckResult }[]): CheckResult {
  const outcome = worst.find(o =>
    all.some(one => one.check.outcome === o && (o !== 'skipped' || shouldHaveRun(one.check))),
  )
  const settled = outcome ?? (all.some(one => one.check.outcome === 'pass') ? 'pass' : 'skipped')
  const leading = (all.find(one => isFault(one.check)) ?? all.find(one => one.check.outcome === settled)!)
    .check
  const found = all.flatMap(({ name, check }) =>
    check.found.map(f => ({ ...f, object: `${name}: ${f.object}` })),
  )
  const unlike = all.filter(one => one.check.outcome === settled && one.check.reason !== null)
  const [first] = unlike
  const isEverywhere = unlike.length === all.length
  const where = isEverywhere
    ? ''
    : `${shortList(
        unlike.map(one => one.name),
        1,
      )}: `
  return {
    ...leading,
    outcome: settled,
    found: found.slice(0, shownRows),
    more: found.length > shownRows || all.some(one => one.check.more),
    reason: first ? `${where}${first.check.reason}` : null,
    durationMs: Math.max(...all.map(one => one.check.durationMs)),
  }
}

/** Whether a skipped check should have run. */
const shouldHaveRun = (check: CheckResult): boolean => check.applies === 'now'
