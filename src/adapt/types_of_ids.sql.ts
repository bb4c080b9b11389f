import { setLocal } from '../database/connection.sql.js'
import { isRefused } from '../database/faults.js'
import type { Db } from '../database/types.js'
import { partText } from '../model/table_name.js'

/** A column, its table as SQL, and the type that it is to get. */
interface TypeChange {
  table: string
  column: string
  to: string
}

/** The statement that gives a column another type. */
export const otherType = ({ table, column, to }: TypeChange): string =>
  `alter table ${table} alter column ${partText(column)} type ${to} using ${partText(column)}::${to};`

/** Time limit of reading all values, in milliseconds. */
const castMs = 5000

/**
 * Whether the statement of `otherType` would go through: every value can be read as the other type, and
 * no policy, view, trigger, default or foreign key is in the way. False too where that takes too long.
 */
export async function canChangeType(sql: Db, { table, column, to }: TypeChange): Promise<boolean> {
  const [row] = await sql<{ held: boolean }[]>`
    select a.atthasdef or exists (
        select from pg_catalog.pg_depend d
        where d.refclassid = 'pg_class'::regclass and d.refobjid = a.attrelid and d.refobjsubid = a.attnum
          and d.classid in ('pg_policy'::regclass, 'pg_rewrite'::regclass, 'pg_trigger'::regclass, 'pg_proc'::regclass)
      ) or exists (
        select from pg_catalog.pg_constraint c
        where c.contype = 'f'
          and (c.conrelid = a.attrelid and a.attnum = any (c.conkey) or c.confrelid = a.attrelid and a.attnum = any (c.confkey))
      ) as held
    from pg_catalog.pg_attribute a
    where a.attrelid = to_regclass(${table}) and a.attname = ${column}`
  if (row?.held !== false) return false
  await setLocal(sql, 1000, castMs)
  try {
    await sql.unsafe(`select count(t.${partText(column)}::${to}) from ${table} t`)
    return true
  } catch (error) {
    if (!isRefused(error)) throw error
    return false
  }
}
