import type { Db } from '../database/types.js'

/** A column as the catalog has it. */
export interface CatalogColumn {
  table: string
  column: string
  type: string
  /** The type below a domain; else the type itself. */
  base: string
  /** True when a row needs a value for it that the database does not make itself. */
  required: boolean
  /** True for GENERATED ALWAYS AS IDENTITY. */
  always: boolean
}

/** The columns of tables; a table that is not there has none. */
export async function columnsOf(sql: Db, tables: string[]): Promise<CatalogColumn[]> {
  return sql<CatalogColumn[]>`
    select t.name as table, a.attname::text as column, format_type(a.atttypid, a.atttypmod) as type,
      format_type(coalesce(nullif(y.typbasetype, 0), a.atttypid), -1) as base,
      a.attnotnull and not a.atthasdef and a.attidentity = '' and a.attgenerated = '' as required,
      a.attidentity = 'a' as always
    from unnest(${tables}::text[]) as t (name)
    join pg_catalog.pg_attribute a on a.attrelid = to_regclass(t.name) and a.attnum > 0 and not a.attisdropped
    join pg_catalog.pg_type y on y.oid = a.atttypid
    order by 1, a.attnum`
}
