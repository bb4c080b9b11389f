import type { Emit } from '../model/event.js'
import type { Report } from '../model/report.js'
import type { Rollout } from './fleet_options.js'
import { foldReports } from './fold_reports.js'
import type { FleetTarget } from './parse_targets.js'
import { rollOut } from './roll_out.js'
import { type FleetRun, type Met, runTarget } from './run_target.js'

/**
 * Runs a command on every database of a list and merges the reports. All state is in the databases, so the
 * same command continues after an interruption.
 */
export async function runFleet(
  fleet: FleetRun & { list: string; emit: Emit },
  targets: FleetTarget[],
  rollout: Rollout,
): Promise<Report> {
  const met: Met = new Map()
  let ended = 0
  const { reports, stop } = await rollOut(targets, rollout, fleet.signal, async target => {
    fleet.emit({ type: 'target-start', target: target.name })
    const done = await runTarget(fleet, met, target)
    fleet.emit({
      type: 'target-done',
      target: target.name,
      verdict: done.report!.verdict,
      seconds: done.seconds!,
      index: ++ended,
      of: targets.length,
    })
    return done
  })
  return foldReports({ command: fleet.command, list: fleet.list, targets, reports, stop })
}
