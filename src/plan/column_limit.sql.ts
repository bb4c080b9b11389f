import { familyOf } from '../database/family.sql.js'
import type { Db } from '../database/types.js'

/** A table with the numbers that PostgreSQL has given to its columns. */
interface NumberedTable {
  /** The table, or the one that inherits from it and has given the most. */
  table: string
  /** The table that was asked for. */
  asked: string
  /** Numbers that are given: those of dropped columns stay given. */
  given: number
  /** Names of the columns that it has. */
  columns: string[]
}

/** For each table the one of its family, itself included, that has given the most numbers to columns. */
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
