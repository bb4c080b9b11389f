import type { Db } from '../database/types.js'

/** A privilege that a statement needs on columns of a table. Without columns, on the whole table. */
export interface RightWanted {
  table: string
  right: 'SELECT' | 'INSERT' | 'UPDATE' | 'DELETE'
  column: string | null
}

/** Of these rights: those that a role lacks. Columns that do not exist are left out. */
export async function rightsLacking(sql: Db, role: string, wanted: RightWanted[]): Promise<RightWanted[]> {
  return sql<RightWanted[]>`
    select distinct w.table, w.right, a.attname::text as column
    from unnest(${wanted.map(w => w.table)}::text[], ${wanted.map(w => w.right)}::text[], ${wanted.map(w => w.column ?? '')}::text[])
      as w ("table", "right", "column")
    left join pg_catalog.pg_attribute a
      on a.attrelid = to_regclass(w.table) and a.attname = w.column and a.attnum > 0 and not a.attisdropped
    where to_regclass(w.table) is not null and case
      when w.column = '' then not has_table_privilege(${role}, to_regclass(w.table), w.right)
      else a.attname is not null and not has_column_privilege(${role}, to_regclass(w.table), a.attnum, w.right) end
    order by 1, 2, 3`
}
