import type { Db } from '../database/types.js'

/** The server's time as text. */
export async function serverTime(sql: Db): Promise<string> {
  const [row] = await sql<{ at: string }[]>`
    select pg_catalog.to_char(pg_catalog.clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US+00') as at`
  return row!.at
}

/** The columns of the existing tables among these. */
export async function tableColumns(
  sql: Db,
  tables: string[],
): Promise<{ table: string; columns: string[] }[]> {
  return sql<{ table: string; columns: string[] }[]>`
    select t.name as table, array_agg(a.attname::text order by a.attname::text) as columns
    from unnest(${tables}::text[]) as t (name)
    join pg_catalog.pg_attribute a on a.attrelid = to_regclass(t.name) and a.attnum > 0 and not a.attisdropped
    group by t.name
    order by t.name`
}
