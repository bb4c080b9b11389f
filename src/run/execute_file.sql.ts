import type { Db } from '../database/types.js'

/** Drops what a stopped build has left. */
export async function dropIndex(sql: Db, name: string): Promise<void> {
  await sql.unsafe(`drop index concurrently if exists ${name}`)
}

/** Cancels what a backend is doing. */
export async function cancel(sql: Db, pid: number): Promise<void> {
  await sql`select pg_catalog.pg_cancel_backend(${pid})`
}

/** Back to the session's own settings. RESET ALL does not undo SET ROLE; the caller checks the role. */
export async function resetAll(sql: Db, setup: string): Promise<void> {
  await sql.unsafe(`reset all;\n${setup}`)
}

/**
 * Sends text without parameters: the simple protocol, so that a whole file goes as one. Rows that the
 * last statement wrote.
 */
export async function sendText(sql: Db, text: string): Promise<number> {
  const result = await sql.unsafe(text)
  return /^(INSERT|UPDATE|DELETE|MERGE)$/.test(String(result.command)) ? result.count : 0
}

/** Sends one statement; the rows that it read or wrote. */
export async function rowsOfText(sql: Db, text: string): Promise<number> {
  return (await sql.unsafe(text)).count ?? 0
}
