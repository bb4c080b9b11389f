import type { Db } from '../database/types.js'

/** Drops an index that an interrupted build has left. */
export async function dropIndex(sql: Db, name: string): Promise<void> {
  await sql.unsafe(`drop index concurrently if exists ${name}`)
}

/** Cancels the current statement of a backend. */
export async function cancel(sql: Db, pid: number): Promise<void> {
  await sql`select pg_catalog.pg_cancel_backend(${pid})`
}

/** Resets the session's settings. RESET ALL does not undo SET ROLE; the caller checks the role. */
export async function resetAll(sql: Db, setup: string): Promise<void> {
  await sql.unsafe(`reset all;\n${setup}`)
}

/**
 * Sends a text without parameters by the simple protocol, so that a whole file is one message. Returns how
 * many rows the last statement wrote.
 */
export async function sendText(sql: Db, text: string): Promise<number> {
  const result = await sql.unsafe(text)
  return /^(INSERT|UPDATE|DELETE|MERGE)$/.test(String(result.command)) ? result.count : 0
}

/** Sends one statement. Returns how many rows it read or wrote. */
export async function rowsOfText(sql: Db, text: string): Promise<number> {
  return (await sql.unsafe(text)).count ?? 0
}
