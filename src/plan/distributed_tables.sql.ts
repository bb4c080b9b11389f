import type { Db } from '../database/types.js'

/** A table whose rows are on other servers, and the column that decides on which. */
interface DistributedTable {
  table: string
  /** Null for a table that every server has as a whole. */
  column: string | null
}

/** Of these tables, those that the extension Citus has distributed. */
export async function distributedTables(sql: Db, tables: string[]): Promise<DistributedTable[]> {
  if (tables.length === 0) return []
  const [catalog] = await sql<{ there: boolean }[]>`
    select to_regclass('pg_catalog.pg_dist_partition') is not null as there`
  if (!catalog!.there) return []
  // the column is stored as a Var node; its attribute number is in the text
  return sql<DistributedTable[]>`
    select t as table, a.attname::text as column
    from unnest(${tables}::text[]) as t
    join pg_catalog.pg_dist_partition d on d.logicalrelid = to_regclass(t)
    left join pg_catalog.pg_attribute a
      on a.attrelid = d.logicalrelid and a.attnum = substring(d.partkey::text from ':varattno ([0-9]+)')::int2
    order by 1`
}
