import type { Db } from '../database/types.js'

/** A column as the catalog has it. */
export interface CatalogColumn {
  table: string
  column: string
  type: string
  /** For a domain, its base type; else the type itself. */
  base: string
  /** True for GENERATED ALWAYS AS IDENTITY. */
  always: boolean
  /** True if a CHECK of the column or its domain compares it with a number from below. */
  positive: boolean
  /** Length of a varchar; null if it has none. */
  length: number | null
  /**
   * The SQL of the default or identity that generates its values, as the server prints it. Null if there is
   * none.
   */
  makes: string | null
}

/** The columns of tables. A table that does not exist has none. */
export async function columnsOf(sql: Db, tables: string[]): Promise<CatalogColumn[]> {
  return sql<CatalogColumn[]>`
    select t.name as table, a.attname::text as column, format_type(a.atttypid, a.atttypmod) as type,
      case y.typtype when 'e' then format('%I.%I', m.nspname, y.typname)
        else format_type(coalesce(nullif(y.typbasetype, 0), a.atttypid), -1) end as base,
      a.attidentity = 'a' as always,
      exists (
        select from pg_catalog.pg_constraint k
        where k.contype = 'c' and (k.contypid = a.atttypid or k.conrelid = a.attrelid and k.conkey = array[a.attnum])
          and pg_get_constraintdef(k.oid) ~ '>=? *[(]?[0-9]') as positive,
      nullif(greatest(a.atttypmod, y.typtypmod), -1) - 4 as length,
      case when a.attidentity <> ''
        then format('nextval(%L::regclass)', pg_get_serial_sequence(a.attrelid::regclass::text, a.attname))
        else pg_get_expr(d.adbin, d.adrelid) end as makes
    from unnest(${tables}::text[]) as t (name)
    join pg_catalog.pg_attribute a on a.attrelid = to_regclass(t.name) and a.attnum > 0 and not a.attisdropped
    join pg_catalog.pg_type y on y.oid = a.atttypid
    join pg_catalog.pg_namespace m on m.oid = y.typnamespace
    left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum and a.attgenerated = ''
    order by 1, a.attnum`
}
