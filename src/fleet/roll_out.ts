import type { FactsOfFleet } from '../model/facts_of_fleet.js'
import type { TargetReport, Verdict } from '../model/report.js'
import type { Rollout } from './fleet_options.js'
import type { FleetTarget } from './parse_targets.js'

/** Why databases were not started. */
export type StopReason = FactsOfFleet['NOT_STARTED']

/** The results, in the order of the list; null for a database that was not started. */
interface RolledOut {
  reports: (TargetReport | null)[]
  /** Why some were not started; null if all were. */
  stop: StopReason | null
}

/** Verdicts that count as a failure of a database. */
const failures: readonly Verdict[] = ['failed', 'refused', 'interrupted']

/**
 * Runs work on each database, group by group, with a limited number at the same time. A database that fails
 * never stops one that is running; it may stop those that were not started:
 *
 *   waiting -> running -> ended
 *           -> not started: a canary failed, too many failed, or the signal fired
 */
export async function rollOut(
  targets: FleetTarget[],
  { groups, hasCanaries, jobs, stopAfter }: Rollout,
  signal: AbortSignal,
  run: (target: FleetTarget) => Promise<TargetReport>,
): Promise<RolledOut> {
  const reports: RolledOut['reports'] = targets.map(() => null)
  const failed: string[] = []
  let stop: StopReason | null = null
  const reason = (amongCanaries: boolean): StopReason | null => {
    if (signal.aborted) return { because: 'interrupted', failed: [] }
    if (amongCanaries && failed.length > 0) return { because: 'canary', failed: [...failed] }
    if (stopAfter !== null && failed.length >= stopAfter) return { because: 'failures', failed: [...failed] }
    return null
  }
  for (const [n, group] of groups.entries()) {
    const amongCanaries = hasCanaries && n === 0
    const waiting = [...group]
    const worker = async () => {
      for (let place = waiting.shift(); place !== undefined; place = waiting.shift()) {
        stop ??= reason(amongCanaries)
        if (stop) return
        const target = targets[place]!
        const ended = await run(target)
        reports[place] = ended
        if (failures.includes(ended.report!.verdict)) failed.push(target.name)
      }
    }
    await Promise.all(Array.from({ length: Math.min(jobs, group.length) }, worker))
    if (n < groups.length - 1) stop ??= reason(amongCanaries)
    if (stop) break
  }
  return { reports, stop }
}
