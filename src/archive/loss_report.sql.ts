import { batchXids } from '../backfill/batch.sql.js'
import { type Db, ident } from '../database/types.js'

/** What would be lost of one object. `untouched` rows were written by a backfill and not changed since. */
export interface LossRow {
  rows: number
  untouched: number
  edited: number
  users: number
}

/**
 * Counts a table's rows, or a column's values, by their origin. `ours` is the predicate for what a repeated
 * migrate makes again.
 */
export async function lossOf(
  sql: Db,
  track: string,
  table: string,
  column: string | null,
  ours: string | null,
): Promise<LossRow> {
  const [row] = await sql.unsafe<LossRow[]>(
    `select
       count(*)::float8 as rows,
       (count(*) filter (where mine and made))::float8 as untouched,
       (count(*) filter (where mine and not made))::float8 as edited,
       (count(*) filter (where not mine))::float8 as users
     from (
       select coalesce((${ours ?? 'false'}), false) as mine, t.xmin::text::bigint in ${batchXids} as made
       from ${table} t
       ${column === null ? '' : `where t.${ident(column)} is not null`}
     ) x`,
    [track],
  )
  return row!
}

/**
 * Counts only rows and values at risk, of all these objects in one statement, for the line that `migrate` and
 * `status` print. Of a column, values that a repeated migrate makes again are left out, so that an index on
 * it is sufficient.
 */
export async function riskOf(
  sql: Db,
  track: string,
  objects: { table: string; column: string | null; ours: string | null }[],
): Promise<number> {
  const filled = await filledTables(
    sql,
    objects.map(o => o.table),
  )
  const looked = objects.filter(o => filled.has(o.table))
  if (looked.length === 0) return 0
  const counts = looked.map(({ table, column, ours }) =>
    column === null
      ? `select count(*) as n from ${table} t
         where coalesce((${ours ?? 'false'}), false) is not true or t.xmin::text::bigint not in (select xid from made)`
      : `select count(*) as n from ${table} t where t.${ident(column)} is not null and not (${ours ?? 'false'})`,
  )
  const [row] = await sql.unsafe<{ n: number }[]>(
    `with made (xid) as materialized ${batchXids}
     select coalesce(sum(n), 0)::float8 as n from (${counts.join(' union all ')}) c`,
    [track],
  )
  return row!.n
}

/**
 * Of these tables: those that may have rows. A table without pages and without children has none, and is not
 * scanned. Only heaps are checked; with another access method a table counts as filled.
 */
async function filledTables(sql: Db, tables: string[]): Promise<ReadonlySet<string>> {
  const rows = await sql<{ name: string }[]>`
    select wanted.name from unnest(${tables}::text[]) as wanted (name)
    left join pg_catalog.pg_class c on c.oid = to_regclass(wanted.name)
    left join pg_catalog.pg_am a on a.oid = c.relam
    where c.oid is null or c.relkind <> 'r' or c.relhassubclass or a.amname <> 'heap'
      or pg_catalog.pg_relation_size(c.oid) > 0`
  return new Set(rows.map(r => r.name))
}

/**
 * Rows, or values of a column, that users wrote within the last seconds. What a migrate itself makes is left
 * out. `time` is SQL over a row `t`.
 */
export async function recentRows(
  sql: Db,
  { table, column, ours }: { table: string; column: string | null; ours: string | null },
  { time, seconds }: { time: string; seconds: number },
): Promise<number> {
  const [row] = await sql.unsafe<{ n: number }[]>(
    `select count(*)::float8 as n from ${table} t
     where ${time} > now() - interval '${seconds} seconds' and ${time} <= now()
       and not coalesce((${ours ?? 'false'}), false) ${column === null ? '' : `and t.${ident(column)} is not null`}`,
  )
  return row!.n
}
