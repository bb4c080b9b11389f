import type { Db } from '../database/types.js'
import type { Track } from '../model/project.js'
import { type Finding, finding, type Table } from '../model/report.js'
import { catalogBefore, newestLook, storedSchema } from '../run/ledger.sql.js'
import { catalogOf, objects } from '../run/schema_snapshot.sql.js'
import type { Checked } from './run_check.js'

/**
 * Marks what checks have found on objects that are as they were before the first step of the track: a fault
 * of the database that was migrated, not of the migration. Where nobody has kept how the schema was, or
 * another major version did, nothing is marked and everything counts.
 */
export async function markPreExisting(sql: Db, track: Track, checked: Checked[]): Promise<void> {
  if (checked.every(c => c.about.size === 0)) return
  const before = await catalogBefore(sql, track.name, track.migrations[0]!.name)
  if (before === null) return
  // what the track has changed, and somebody has changed back, is as it was and still a fault
  const last = await storedSchema(sql, await newestLook(sql))
  const now = catalogOf(await objects(sql))
  const isAsBefore = (name: string) =>
    before[name] !== undefined &&
    before[name] === now[name] &&
    (last === null || last.catalog[name] === now[name])
  for (const { result, about } of checked)
    for (const [i, names] of about) result.found[i]!.preExisting = names.every(isAsBefore)
}

/** What was marked, apart from what counts. */
export function preExisting(track: Track, checked: Checked[]): { tables: Table[]; findings: Finding[] } {
  const rows = checked.flatMap(({ result }) =>
    result.found.filter(f => f.preExisting).map(f => [result.check, f.object, f.detail, result.fix]),
  )
  if (rows.length === 0) return { tables: [], findings: [] }
  return {
    tables: [
      { title: 'As before the first step', columns: ['check', 'object', 'detail', 'what to do'], rows },
    ],
    findings: [finding('PRE_EXISTING', track.name, { rows: rows.length })],
  }
}
