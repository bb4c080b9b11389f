import { type Reopened, reopenedBackfills, reopenedFindings } from '../backfill/reopened.js'
import type { Connection } from '../database/connection.js'
import type { Track } from '../model/project.js'
import type { Finding } from '../model/report.js'
import { type HistoryAndPlan, readHistory } from '../plan/history.js'
import type { PlanOptions } from '../plan/make_plan.js'

/**
 * The plan from ledger and files. Its steps include finished backfills with pending rows. The findings name
 * these, and the backfills that could not be checked.
 */
export async function readPlan(
  connection: Connection,
  track: Track,
  options: PlanOptions,
): Promise<HistoryAndPlan & { reopened: Finding[] }> {
  let again: Reopened | null = null
  const read = await readHistory(connection, track, options, async applied => {
    again = await reopenedBackfills(connection, track, applied)
    return again.names
  })
  return { ...read, reopened: reopenedFindings(again!) }
}
