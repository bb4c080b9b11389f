import type { Db } from '../database/types.js'
import type { Migration } from '../model/project.js'
import type { BackfillResult } from '../model/report.js'
import { anyAtWork } from '../run/at_work.sql.js'
import { type History, upward } from '../run/ledger_history.js'
import type { Run } from '../run/run.js'
import { shareDone } from './pace.js'
import { type BackfillRow, readBackfills } from './run_backfill.sql.js'

/** The newest state row of a backfill that was opened. */
export async function newestRow(run: Run, migration: Migration): Promise<BackfillRow> {
  const [row] = await readBackfills(run.writer.sql, migration.track, migration.name)
  return row!
}

/**
 * The state of each backfill of a track, but those that a rollback has closed: their rows are history, and
 * what they had done is undone.
 */
export async function backfillResults(
  sql: Db,
  track: string,
  { applied, unfinished }: History,
): Promise<BackfillResult[]> {
  const atWork = await anyAtWork(sql)
  const rows = await readBackfills(sql, track, null)
  const isApplied = (name: string) => applied.has(name) || upward(unfinished.get(name)) !== null
  return rows
    .filter(b => b.state !== 'done' || isApplied(b.migration))
    .map(b => (atWork ? toResult(b) : atRest(b)))
}

/** A state row at which nobody is at work: what is not finished is stopped, at its pace so far. */
export const atRest = (row: BackfillRow): BackfillResult =>
  row.state === 'running'
    ? { ...toResult({ ...row, pace: null }), state: 'stopped', etaSeconds: null }
    : toResult(row)

/** A state row as the report shows it. */
export const toResult = (row: BackfillRow): BackfillResult => ({
  track: row.track,
  migration: row.migration,
  state: row.state,
  rows: row.rows,
  rangesDone: row.rangesDone,
  ranges: row.ranges,
  fraction: row.state === 'done' ? 1 : shareDone(row),
  batches: row.batches,
  quarantined: row.quarantined,
  failed: row.failed,
  passes: row.passes,
  seconds: Math.round(row.seconds * 1000) / 1000,
  rowsPerSecond: row.pace?.rowsPerSecond ?? (row.seconds > 0 ? Math.round(row.rows / row.seconds) : 0),
  etaSeconds:
    row.state === 'running' && row.pace?.etaSeconds != null ? Math.round(row.pace.etaSeconds) : null,
  counted:
    row.countedUnits === 0 ? null : { units: row.countedUnits, rows: row.countedRows, hash: row.countedHash },
  slowedBy: row.state === 'done' ? null : row.advice,
})
