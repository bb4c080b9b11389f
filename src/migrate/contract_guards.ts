import { reopenedBackfills, reopenedFindings } from '../backfill/reopened.js'
import { withLeavingRows } from '../backfill/take_out.js'
import { announceRows } from '../backfill/take_out.sql.js'
import type { HazardLevel } from '../model/codes.js'
import type { Plan } from '../model/plan.js'
import type { Track } from '../model/project.js'
import type { Finding } from '../model/report.js'
import { heldFindings } from '../plan/make_plan.js'
import { readLedger } from '../run/ledger.sql.js'
import { foldLedger } from '../run/ledger_history.js'
import type { Run } from '../run/run.js'
import { Stop } from '../run/run_steps.js'

/**
 * The findings for what is left, with the number of rows that it removes. Consent is for at most this number.
 */
export async function announceHeld(
  run: Run,
  track: Track,
  plan: Plan,
  from: HazardLevel | undefined,
): Promise<Finding[]> {
  if (run.writer.lost) return heldFindings(plan, run.target.info.database, from, true)
  const counted = await withLeavingRows(run.writer, track, plan)
  for (const { migration: m } of plan.held) {
    const rows = counted.leaving?.get(m.name)
    if (rows !== undefined) await announceRows(run.writer.sql, track.name, m.name, rows)
  }
  return heldFindings(counted, run.target.info.database, from, true)
}

/**
 * Before steps that delete something: every finished backfill must still have no pending rows. The queries
 * have no time limit. Failed rows, new rows, or a query that fails stop the run here. `closed` are the gates
 * that they close.
 */
export async function refuseReopened(
  run: Run,
  track: Track,
  before: string,
  closed: Finding[],
): Promise<void> {
  const { applied } = foldLedger(await readLedger(run.writer.sql), track.name)
  applied.delete(before)
  const again = await reopenedBackfills(run.writer, track, applied, 0)
  const open = [...again.unknown, ...again.failed.map(f => f.name)]
  if (again.found.length + open.length > 0)
    throw new Stop('attention', [...closed, ...reopenedFindings(again, true)], {
      reason:
        again.found.length > 0
          ? `${again.found.join(', ')} has rows to do again`
          : `it is not known whether ${open.join(', ')} has rows to do again`,
    })
}
