import type { Db } from './types.js'

/** Settings that files of other tools expect as the role and the database have them. */
const usualSettings = (set: 'set' | 'set local'): string =>
  ['search_path', 'row_security', 'timezone'].map(name => `${set} ${name} = default`).join('; ')

/** Gives a session the settings that files of other tools expect; to be taken back when they have run. */
export async function setUsual(sql: Db, set: 'set' | 'set local' = 'set'): Promise<void> {
  await sql.unsafe(usualSettings(set))
}

/** Back to the role of the session, from whatever role a file has taken on. */
export async function resetRole(sql: Db): Promise<void> {
  await sql.unsafe('reset session authorization; reset role')
}

/** `begin` for a file of another tool. */
export async function beginUsual(sql: Db, lockTimeoutMs: number, statementTimeoutMs: number): Promise<void> {
  await sql.unsafe(
    `begin; set local lock_timeout = ${lockTimeoutMs}; set local statement_timeout = ${statementTimeoutMs}; ${usualSettings('set local')}`,
  )
}

/** For a session that waits no longer than that for any lock, in milliseconds. */
export const lockLimit = (ms: number): string => `set lock_timeout = ${ms};`
