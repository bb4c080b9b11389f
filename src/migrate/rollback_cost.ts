import { atRisk, rollbackCommand } from '../archive/loss_report.js'
import { connect } from '../database/context.js'
import { isLost } from '../database/faults.js'
import { isOneWay } from '../model/foreign.js'
import type { Plan, Step } from '../model/plan.js'
import type { Migration, Track } from '../model/project.js'
import { finding, type Report } from '../model/report.js'
import type { Run } from '../run/run.js'

/** Time limit of the query for the cost line, in milliseconds. */
const costTimeoutMs = 500

/** At the end of a run: the exact rollback command, and what it would cost now. */
export async function reportCost(
  run: Run,
  track: Track,
  plan: Plan,
  done: Step[],
  report: Report,
): Promise<void> {
  // without a rollback there is no cost
  if (done.some(s => isOneWay(s.migration))) return
  const applied = [...plan.applied, ...done.map(s => s.migration)]
  const command = await rollbackCommand(track, plan.applied.at(-1) ?? null, applied, run.target.info.database)
  const rows = await rowsAtRisk(
    run,
    track,
    done.map(s => s.migration),
  )
  run.ctx.emit({ type: 'rollback-cost', command, atRisk: rows })
  report.findings.push(finding('ROLLBACK_COST', track.name, { command, atRisk: rows }))
}

/**
 * Counts rows at risk on a connection of its own, so that a failure does not affect the writer. Null if the
 * server is gone.
 */
async function rowsAtRisk(run: Run, track: Track, migrations: Migration[]): Promise<number | null> {
  try {
    await using reader = await connect(run.ctx, 'reader')
    return await atRisk(reader, track, migrations, costTimeoutMs)
  } catch (error) {
    if (isLost(error)) return null
    throw error
  }
}
