import { type ReferencingKey, referencingKeys } from '../database/catalog.sql.js'
import { primaryKey } from '../database/row_key.sql.js'
import type { Db } from '../database/types.js'
import { aliasOf } from '../files/backfill_statement.js'
import type { Migration, Track } from '../model/project.js'
import { unitPredicate } from './batch_predicate.sql.js'
import { betweenRests } from './batch_size.js'
import { restsFor } from './health_monitor.js'
import type { Job } from './job.js'
import type { KeptSpec, PendingScan, PendingSpec } from './pending.sql.js'
import { type KeyColumn, keyColumns } from './walk_keys.sql.js'

/** The columns that identify the rows of a backfill's table: those of its header, else the primary key. */
export async function rowKeyOf(
  sql: Db,
  { table, key }: NonNullable<Migration['backfill']>,
): Promise<KeyColumn[]> {
  return keyColumns(sql, table, key.length > 0 ? key : await primaryKey(sql, table))
}

/** Whether a backfill removes rows from its table and keeps them in the quarantine. */
export const takesOut = (m: Migration): boolean =>
  m.backfill !== null && m.hazards.includes('QUARANTINES_ROWS')

/** What a spec needs besides the file. `alias` is the alias of the table in its statement. */
interface SpecParts {
  alias: string
  key: KeyColumn[]
  run: number
  references: ReferencingKey[]
}

/** Which rows of a backfill are pending. */
export const pendingSpecOf = (
  track: Track | undefined,
  m: Migration,
  { alias, key, run, references }: SpecParts,
): PendingSpec => ({
  ...m.backfill!,
  track: m.track,
  migration: m.name,
  alias,
  key,
  run,
  removes: takesOut(m),
  within: null,
  references,
  hasFailedRows: true,
  explainedBefore: track !== undefined && explainsBefore(track, m),
})

/** The same, restricted to one unit such as a workspace. */
export function withinUnit<S extends PendingSpec>(spec: S, column: string, value: string): S {
  const within = unitPredicate(spec.alias, { column, value })
  return { ...spec, within, pending: `(${spec.pending}) and ${within}` }
}

/** The same, with the alias read from the file and the key from the catalog. */
export async function readPendingSpec(sql: Db, track: Track, m: Migration): Promise<PendingSpec> {
  const alias = await aliasOf(m.file.text, m.file.path, m.backfill!)
  const key = await rowKeyOf(sql, m.backfill!)
  return pendingSpecOf(track, m, { alias, key, run: 0, references: await referencesOf(sql, m) })
}

/** Foreign keys that reference a table whose rows a backfill removes. Empty for other backfills. */
export const referencesOf = async (sql: Db, m: Migration): Promise<ReferencingKey[]> =>
  takesOut(m) ? referencingKeys(sql, m.backfill!.table) : []

/** Whether an earlier backfill has reasons to quarantine rows of the same table. */
function explainsBefore(track: Track, m: Migration): boolean {
  const before = track.migrations.slice(
    0,
    track.migrations.findIndex(o => o.name === m.name),
  )
  return before.some(o => o.backfill?.table === m.backfill!.table && o.backfill.reason !== null)
}

/** Estimated time of a sweep to read one page of a table of messages, in milliseconds. */
const scannedPageMs = 0.03

/** What a sweep looks for, with the rests that apply now. */
export function pendingScanOf(job: Job): PendingScan & KeptSpec {
  const factor = restsFor(job)
  return {
    ...job.pending,
    restEvery: factor > 0 && !job.keys ? betweenRests(factor, scannedPageMs) : null,
  }
}
