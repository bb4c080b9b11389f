import { familyOf } from '../database/family.sql.js'
import type { Db } from '../database/types.js'

/** A table and how many column numbers PostgreSQL has used for it. */
interface NumberedTable {
  /** The table or the descendant of it that has used the most. */
  table: string
  /** The table that was requested. */
  asked: string
  /** Column numbers that are used. The number of a dropped column stays used. */
  given: number
  /** Names of its current columns. */
  columns: string[]
}

/**
 * For each table: the member of its inheritance tree, itself included, that has used the most column
 * numbers.
 */
export async function numberedTables(sql: Db, tables: string[]): Promise<NumberedTable[]> {
  if (tables.length === 0) return []
  return sql<NumberedTable[]>`
    with recursive ${familyOf(sql, tables)}
    select distinct on (f.asked) format('%I.%I', n.nspname, c.relname) as table, f.asked, c.relnatts::int as given,
      array(select a.attname::text from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns
    from family f
    join pg_catalog.pg_class c on c.oid = f.relid and c.relkind in ('r', 'p')
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    order by f.asked, c.relnatts desc, c.oid`
}
