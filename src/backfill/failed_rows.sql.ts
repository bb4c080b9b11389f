import { relationExists } from '../database/catalog.sql.js'
import { type Db, literal } from '../database/types.js'
import { type PendingRow, type PendingSpec, rowKey } from './pending.sql.js'

/** What a row failed with; no SQLSTATE where the statement ran and left the row to do. */
export interface Cause {
  sqlstate: string | null
  reason: string
}

/** The first parameter that `noteFailed` leaves to its predicate. */
export const rowParameter = 6

/**
 * Notes that a row failed: the row of `from` that `where` finds, with its values from `rowParameter` on. The
 * row stays as it is, in its table. Returns its key; null where it is gone.
 */
export async function noteFailed(
  sql: Db,
  s: PendingSpec,
  row: { from: string; where: string; args: string[] },
  { sqlstate, reason }: Cause,
): Promise<string | null> {
  const [noted] = await sql.unsafe<{ key: string }[]>(
    `insert into rethread_archive.failed_rows as o (track, migration, relation, key, sqlstate, reason, run)
     select $1, $2, ${literal(s.table)}, ${rowKey(s.alias, s.key)}, $3, $4, $5
     from ${row.from} ${s.alias} where ${row.where}
     on conflict (relation, key, migration) do update
     set sqlstate = excluded.sqlstate, reason = excluded.reason, run = excluded.run, attempts = o.attempts + 1, at = excluded.at
     returning key`,
    [s.track, s.migration, sqlstate, reason, s.run, ...row.args],
  )
  return noted?.key ?? null
}

/**
 * Makes the list of failed rows what a sweep has left: rows that are done or set aside since leave it, rows
 * that raised no error and are still to do come in.
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
      : `exists (select from ${s.table} ${s.alias} where ${rowKey(s.alias, s.key)} = rethread_f.key and ${s.within})`
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

/** Rows that failed for one reason. */
export interface FailedGroup extends Cause {
  migration: string
  relation: string
  rows: number
  /** Keys of the first of them. */
  keys: string[]
}

/** Keys of a group that are named. */
const namedKeys = 3

/** The rows of a track that failed, by reason, of one migration or of all; the most frequent reason first. */
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

/** Every row of a track that failed, with its cause. */
export async function failedRows(
  sql: Db,
  track: string,
): Promise<(Cause & { migration: string; relation: string; key: string })[]> {
  if (!(await relationExists(sql, 'rethread_archive.failed_rows'))) return []
  return sql`
    select f.migration, f.relation, f.key, f.sqlstate, f.reason
    from rethread_archive.failed_rows f where f.track = ${track} order by f.id`
}

/** Forgets the failed rows of a migration that was rolled back; the rows themselves are in their table. */
export async function forgetFailed(sql: Db, track: string, migration: string): Promise<void> {
  await sql`delete from rethread_archive.failed_rows where track = ${track} and migration = ${migration}`
}
