import { relationExists } from '../database/catalog.sql.js'
import { type Db, literal } from '../database/types.js'
import type { PendingRow, PendingSpec } from './pending.sql.js'
import { hasKey, rowKey } from './row_identity.sql.js'

/** Why a row failed. The SQLSTATE is null if the statement raised no error but left the row pending. */
export interface Cause {
  sqlstate: string | null
  reason: string
}

/** Number of the first parameter that `noteFailed` leaves to its predicate. */
export const rowParameter = 6

/**
 * Records that the row of `from` that `where` finds has failed. Its values are parameters from `rowParameter`
 * on. The row itself stays unchanged; rows with the same key are one entry. Returns the key; null if the row
 * no longer exists.
 */
export async function noteFailed(
  sql: Db,
  s: PendingSpec,
  row: { from: string; where: string; args: string[] },
  { sqlstate, reason }: Cause,
): Promise<string | null> {
  const [noted] = await sql.unsafe<{ key: string }[]>(
    `insert into rethread_archive.failed_rows as o (track, migration, relation, key, sqlstate, reason, run)
     select distinct $1, $2, ${literal(s.table)}, ${rowKey(s.alias, s.key)}, $3, $4, $5::bigint
     from ${row.from} ${s.alias} where ${row.where}
     on conflict (relation, key, migration) do update
     set sqlstate = excluded.sqlstate, reason = excluded.reason, run = excluded.run, attempts = o.attempts + 1, at = excluded.at
     returning key`,
    [s.track, s.migration, sqlstate, reason, s.run, ...row.args],
  )
  return noted?.key ?? null
}

/**
 * Updates the list of failed rows after a sweep. Rows that are done or quarantined are deleted from it. Rows
 * that are still pending without an error are added.
 */
export async function settleFailed(
  sql: Db,
  s: PendingSpec,
  left: PendingRow[],
  unchanged: string,
): Promise<void> {
  const within =
    s.within === null
      ? 'true'
      : `exists (select from ${s.table} ${s.alias} where ${hasKey(s.alias, s.key, 'rethread_f.key')} and ${s.within})`
  await sql.unsafe(
    `with left_over as (select jsonb_array_elements_text($1::text::jsonb) as key),
     done as (
       delete from rethread_archive.failed_rows rethread_f
       where rethread_f.track = $2 and rethread_f.migration = $3 and rethread_f.relation = $4 and ${within}
         and not exists (select from left_over l where l.key = rethread_f.key)
     )
     insert into rethread_archive.failed_rows (track, migration, relation, key, reason, run)
     select $2, $3, $4, key, $5, $6 from left_over
     on conflict do nothing`,
    [JSON.stringify(left.map(r => r.key)), s.track, s.migration, s.table, unchanged, s.run],
  )
}

/** Failed rows with the same cause. */
export interface FailedGroup extends Cause {
  migration: string
  relation: string
  rows: number
  /** Keys of the first of these rows. */
  keys: string[]
}

/** Most keys that are listed for a group. */
const namedKeys = 3

/** The failed rows of a track, of one migration or of all, by cause, the most frequent first. */
export async function failedGroups(sql: Db, track: string, migration: string | null): Promise<FailedGroup[]> {
  if (!(await relationExists(sql, 'rethread_archive.failed_rows'))) return []
  return sql<FailedGroup[]>`
    select f.migration, f.relation, f.sqlstate, f.reason, count(*)::int as rows,
      (array_agg(f.key order by f.id))[1:${namedKeys}::int] as keys
    from rethread_archive.failed_rows f
    where f.track = ${track} and (${migration}::text is null or f.migration = ${migration})
    group by 1, 2, 3, 4
    order by count(*) desc, 1, 4`
}

/** All failed rows of a track, each with its cause. */
export async function failedRows(
  sql: Db,
  track: string,
): Promise<(Cause & { migration: string; relation: string; key: string })[]> {
  if (!(await relationExists(sql, 'rethread_archive.failed_rows'))) return []
  return sql`
    select f.migration, f.relation, f.key, f.sqlstate, f.reason
    from rethread_archive.failed_rows f where f.track = ${track} order by f.id`
}

/**
 * Deletes the list of failed rows of a migration that was rolled back. The rows themselves stay in their
 * table.
 */
export async function forgetFailed(sql: Db, track: string, migration: string): Promise<void> {
  await sql`delete from rethread_archive.failed_rows where track = ${track} and migration = ${migration}`
}
