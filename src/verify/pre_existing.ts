import type { Db } from '../database/types.js'
import type { Track } from '../model/project.js'
import { type Finding, finding, type Table } from '../model/report.js'
import { catalogBefore, newestLook, storedSchema } from '../run/ledger.sql.js'
import { catalogOf, objects } from '../run/schema_snapshot.sql.js'
import type { Checked } from './run_check.js'

/** How a finding about a missing constraint names those of its table. */
const constraintsOf = 'constraints of '

/**
 * Marks findings on objects that have not changed since before the first step of the track: they are no fault
 * of the migration. Nothing is marked if that schema was not stored, or was stored under another major
 * version.
 */
export async function markPreExisting(sql: Db, track: Track, checked: Checked[]): Promise<void> {
  if (checked.every(c => c.about.size === 0)) return
  const before = await catalogBefore(sql, track.name, track.migrations[0]!.name)
  if (before === null) return
  // an object that the track changed and a person changed back is still a fault
  const last = await storedSchema(sql, await newestLook(sql))
  const now = catalogOf(await objects(sql))
  // what a table lacks, it lacked before if it has lost nothing since
  const hasItsConstraints = (table: string) =>
    before[`table ${table}`] !== undefined &&
    Object.keys(before).every(name => !name.startsWith(`constraint ${table}.`) || before[name] === now[name])
  const isAsBefore = (name: string) =>
    name.startsWith(constraintsOf)
      ? hasItsConstraints(name.slice(constraintsOf.length))
      : before[name] !== undefined &&
        before[name] === now[name] &&
        (last === null || last.catalog[name] === now[name])
  for (const { result, about } of checked)
    for (const [i, names] of about) result.found[i]!.preExisting = names.every(isAsBefore)
}

/** The marked findings, apart from those that count. */
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
