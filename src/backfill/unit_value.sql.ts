import type { Db } from '../database/types.js'
import type { KeyColumn } from './walk_keys.sql.js'

/** A value in the text form of its column's type. */
export async function unitText(sql: Db, { type }: KeyColumn, value: string): Promise<string> {
  const [row] = await sql.unsafe<{ text: string }[]>(`select $1::text::${type}::text as text`, [value])
  return row!.text
}

/** Whether a row of a table has the value. */
export async function hasUnit(sql: Db, table: string, unit: KeyColumn, value: string): Promise<boolean> {
  const [row] = await sql.unsafe<{ found: boolean }[]>(
    `select exists (select from ${table} t where t.${unit.name} = $1::text::${unit.type}) as found`,
    [value],
  )
  return row!.found
}
