import type { PendingSpec } from '../backfill/pending.sql.js'
import { hasKey, rowKey } from '../backfill/row_identity.sql.js'
import type { KeyColumn } from '../backfill/walk_keys.sql.js'
import { relationExists } from '../database/catalog.sql.js'
import { type Db, literal } from '../database/types.js'
import type { Cells } from '../model/report.js'
import { keptAs } from '../run/kept_rows.sql.js'

/** Whether a run has created the quarantine in this database. */
export const hasQuarantine = (sql: Db): Promise<boolean> =>
  relationExists(sql, 'rethread_archive.failed_rows')

/** The quarantined rows by reason: how many are still in their table, and what happened to the others. */
export async function asideByReason(sql: Db, s: PendingSpec): Promise<Cells[]> {
  return sql.unsafe<Cells[]>(
    `select q.reason, q.migration, q.relation as "table", count(*)::int as rows,
       count(*) filter (where r.waits)::int as waiting,
       count(*) filter (where not r.waits)::int as "done since",
       count(*) filter (where r.waits is null)::int as ${s.removes ? '"taken out"' : '"not in the table"'}
     from rethread_archive.quarantine q
     left join lateral (
       select coalesce((${s.pending}), false) as waits from ${s.table} ${s.alias} where ${hasKey(s.alias, s.key, 'q.key')}
     ) r on true
     where q.track = ${literal(s.track)} and q.migration = ${literal(s.migration)} and q.relation = ${literal(s.table)}
     group by 1, 2, 3 order by 4 desc, 1`,
  )
}

/** The first quarantined and failed rows of a track, each with its number for `show`. */
export async function waitingRows(sql: Db, track: string, most: number): Promise<Cells[]> {
  return sql<Cells[]>`
    (select 'f' || f.id as id, 'failed' as outcome, f.relation as "table", f.key, f.migration,
      concat_ws(' ', f.sqlstate, f.reason) as reason
    from rethread_archive.failed_rows f where f.track = ${track} order by f.id limit ${most})
    union all
    (select q.id::text, 'set aside', q.relation, q.key, q.migration, q.reason
    from rethread_archive.quarantine q where q.track = ${track} order by q.id limit ${most})`
}

/** A quarantined or failed row. */
export interface KeptRow {
  outcome: string
  table: string
  key: string
  migration: string
  sqlstate: string | null
  reason: string
  run: number | null
  at: string
  /** The copy of the row as JSON; null for a failed row. */
  original: string | null
}

/** The row with this number; null if there is none. */
export async function keptRow(sql: Db, track: string, id: number, failed: boolean): Promise<KeptRow | null> {
  const [row] = failed
    ? await sql<KeptRow[]>`
        select 'failed' as outcome, relation as "table", key, migration, sqlstate, reason, run::float8 as run,
          at::text as at, original::text as original
        from rethread_archive.failed_rows where track = ${track} and id = ${id}`
    : await sql<KeptRow[]>`
        select 'set aside' as outcome, relation as "table", key, migration, null as sqlstate, reason,
          run::float8 as run, at::text as at, original::text as original
        from rethread_archive.quarantine where track = ${track} and id = ${id}`
  return row ?? null
}

/** The current row as JSON, and the reason that the file gives now. Null if the row no longer exists. */
export async function rowNow(
  sql: Db,
  s: PendingSpec,
  key: string,
): Promise<{ row: string; pending: boolean; reason: string | null } | null> {
  const { original } = await keptAs(sql, s.table, s.alias)
  const [now] = await sql.unsafe<{ row: string; pending: boolean; reason: string | null }[]>(
    `select ${original}::text as row, coalesce((${s.pending}), false) as pending, (${s.reason ?? 'null'})::text as reason
     from ${s.table} ${s.alias} where ${hasKey(s.alias, s.key, '$1::text')}`,
    [key],
  )
  return now ?? null
}

/** Checks whether the names in a query for pending rows exist. Reads no row. */
export async function isAskable(sql: Db, s: PendingSpec): Promise<void> {
  await sql.unsafe(
    `select from ${s.table} ${s.alias} where (${s.pending}) and (${s.reason ?? 'null'}) is null limit 0`,
  )
}

/** What came into a backfill's table, and what it became. */
export interface Account {
  cameIn: number
  done: number
  aside: number
  failed: number
  takenOut: number
  toDo: number
}

/** The account of a backfill: what came in = done + quarantined + failed + removed + pending. */
export async function accountOf(sql: Db, s: PendingSpec): Promise<Account> {
  const [account] = await sql.unsafe<Account[]>(
    `with rows as (
       select coalesce((${s.pending}), false) as pending,
         exists (select from rethread_archive.failed_rows f where f.relation = ${literal(s.table)} and f.key = ${rowKey(s.alias, s.key)}) as failed,
         exists (select from rethread_archive.quarantine q where q.relation = ${literal(s.table)} and q.key = ${rowKey(s.alias, s.key)}) as aside
       from ${s.table} ${s.alias}
     ),
     gone as (
       select count(distinct q.key) as n from rethread_archive.quarantine q
       where q.relation = ${literal(s.table)} and q.track = ${literal(s.track)}
         and not exists (select from ${s.table} ${s.alias} where ${hasKey(s.alias, s.key, 'q.key')})
     )
     select (count(*) + (select n from gone))::int as "cameIn",
       count(*) filter (where not pending)::int as done,
       count(*) filter (where pending and aside)::int as aside,
       count(*) filter (where pending and failed and not aside)::int as failed,
       (select n from gone)::int as "takenOut",
       count(*) filter (where pending and not aside and not failed)::int as "toDo"
     from rows`,
  )
  return account!
}

const inPlace = (s: PendingSpec, reason: string): string =>
  `q.track = ${literal(s.track)} and q.migration = ${literal(s.migration)} and q.relation = ${literal(s.table)}
   and (${reason}::text is null or q.reason = ${reason}) and ${hasKey(s.alias, s.key, 'q.key')}`

/**
 * Deletes the copies of rows that are still in their table, with one reason or with any. Rows that are not
 * done can then be processed again.
 */
export async function releaseRows(sql: Db, s: PendingSpec, reason: string | null): Promise<number> {
  const released = await sql.unsafe(
    `delete from rethread_archive.quarantine q using ${s.table} ${s.alias} where ${inPlace(s, '$1')}`,
    [reason],
  )
  return released.count
}

/**
 * Assigns a workspace to quarantined rows in their table. Returns their number, and the reason that one of
 * them still has; null if none has one.
 */
export async function assignUnit(
  sql: Db,
  s: PendingSpec,
  { unit, value, reason }: { unit: KeyColumn; value: string; reason: string | null },
): Promise<{ rows: number; left: string | null }> {
  const updated = await sql.unsafe(
    `update ${s.table} ${s.alias} set ${unit.name} = $1::text::${unit.type}
     from rethread_archive.quarantine q where ${inPlace(s, '$2')} and (${s.pending})`,
    [value, reason],
  )
  const [left] = await sql.unsafe<{ reason: string }[]>(
    `select (${s.reason ?? 'null'})::text as reason
     from ${s.table} ${s.alias} join rethread_archive.quarantine q on ${inPlace(s, '$1')}
     where ${s.alias}.${unit.name} = $2::text::${unit.type} and (${s.reason ?? 'null'})::text is not null limit 1`,
    [reason, value],
  )
  return { rows: updated.count, left: left?.reason ?? null }
}
