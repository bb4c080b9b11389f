import { type Db, literal } from '../database/types.js'

/** What stands before the text of a check when it is sent. */
const beforeCheck = 'with found as materialized (\n'
/** How many characters that is: the server counts them in the places of faults. */
export const beforeCheckLength = beforeCheck.length

/** Rows of a check, and the names of its columns, also where there is no row. */
interface CheckRows {
  rows: Record<string, unknown>[]
  columns: string[]
}

/**
 * Rows of a check, up to a limit. A materialised subquery is planned to be read to its end, which it mostly
 * is, because nothing is found, by several workers where the server has some; and yet it gives its rows one
 * by one, so that a check that finds millions stays cheap. (A cursor would do both but the workers.)
 */
export async function checkRows(sql: Db, body: string, limit: number): Promise<CheckRows> {
  const rows = await sql.unsafe<Record<string, unknown>[]>(
    `${beforeCheck}${body.replace(/[\s;]+$/, '')}\n) select * from found limit ${limit}`,
  )
  return { rows: [...rows], columns: rows.columns.map(c => c.name) }
}

/** Of these tables, by their names as SQL, those without a row. */
export async function emptyTables(sql: Db, tables: string[]): Promise<string[]> {
  if (tables.length === 0) return []
  const rows = await sql.unsafe<{ name: string }[]>(
    `select t.name from (values ${tables.map(t => `(${literal(t)}, exists (select from ${t}))`).join(', ')}) as t (name, filled)
     where not t.filled`,
  )
  return rows.map(r => r.name)
}
