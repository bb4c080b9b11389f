import { type Db, literal } from '../database/types.js'

/** The text that is sent before that of a check. */
const beforeCheck = 'with found as materialized (\n'
/** Its length in characters, to correct the positions of errors. */
export const beforeCheckLength = beforeCheck.length

/** Rows of a check, and the names of its columns even if there are no rows. */
interface CheckRows {
  rows: Record<string, unknown>[]
  columns: string[]
}

/**
 * The rows of a check, up to a limit. PostgreSQL plans a materialised subquery to be read completely, with
 * parallel workers; that is usual, because a check finds nothing. It still returns rows one by one, so a
 * check with millions of rows stops early. A cursor would not use parallel workers.
 */
export async function checkRows(sql: Db, body: string, limit: number): Promise<CheckRows> {
  const rows = await sql.unsafe<Record<string, unknown>[]>(
    `${beforeCheck}${body.replace(/[\s;]+$/, '')}\n) select * from found limit ${limit}`,
  )
  return { rows: [...rows], columns: rows.columns.map(c => c.name) }
}

/** Of these tables: those without a row. */
export async function emptyTables(sql: Db, tables: string[]): Promise<string[]> {
  if (tables.length === 0) return []
  const rows = await sql.unsafe<{ name: string }[]>(
    `select t.name from (values ${tables.map(t => `(${literal(t)}, exists (select from ${t}))`).join(', ')}) as t (name, filled)
     where not t.filled`,
  )
  return rows.map(r => r.name)
}
