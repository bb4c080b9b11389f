import type { Db } from './types.js'

/**
 * A common table expression `family (asked, relid)` with tables and all of their children and partitions, for
 * a query with `with recursive`. Names are SQL.
 */
export const familyOf = (sql: Db, tables: string[]) => sql`family (asked, relid) as (
  select t, to_regclass(t)::oid from unnest(${tables}::text[]) as t
  union
  select f.asked, i.inhrelid from family f join pg_catalog.pg_inherits i on i.inhparent = f.relid
)`

/**
 * Size in bytes of the largest of these tables at the last VACUUM or ANALYZE, with TOAST and partitions. The
 * current size would wait for locks.
 */
export async function knownBytes(sql: Db, tables: string[]): Promise<number> {
  if (tables.length === 0) return 0
  const [row] = await sql<{ bytes: number }[]>`
    with recursive ${familyOf(sql, tables)}
    select coalesce(max(x.pages), 0)::float8 * current_setting('block_size')::float8 as bytes
    from (
      select f.asked, sum(greatest(c.relpages, 0) + greatest(coalesce(t.relpages, 0), 0)) as pages
      from family f
      join pg_catalog.pg_class c on c.oid = f.relid
      left join pg_catalog.pg_class t on t.oid = c.reltoastrelid
      group by 1
    ) x`
  return row!.bytes
}

/** The partitions of tables, as SQL. Who alters a table alters them, too. */
export async function partitionsOf(sql: Db, tables: string[]): Promise<string[]> {
  if (tables.length === 0) return []
  const rows = await sql<{ name: string }[]>`
    with recursive ${familyOf(sql, tables)}
    select distinct format('%I.%I', n.nspname, c.relname) as name
    from family f
    join pg_catalog.pg_class c on c.oid = f.relid and c.relispartition and c.relkind in ('r', 'p')
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    order by 1`
  return rows.map(r => r.name)
}
