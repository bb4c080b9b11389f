import type { Db } from './types.js'

/** Rows of a check, up to a limit; a cursor, so that a check that finds millions stays cheap. */
export async function checkRows(sql: Db, body: string, limit: number): Promise<Record<string, unknown>[]> {
  await sql.unsafe(`declare found no scroll cursor for ${body.replace(/[\s;]+$/, '')}`)
  const rows = await sql.unsafe<Record<string, unknown>[]>(`fetch ${limit} from found`)
  await sql.unsafe('close found')
  return [...rows]
}
