import type { Db } from './types.js'

/** Resets settings for which files of other tools expect the defaults of role and database. */
const usualSettings = (set: 'set' | 'set local'): string =>
  ['search_path', 'row_security', 'timezone'].map(name => `${set} ${name} = default`).join('; ')

/** Gives a session the settings that files of other tools expect. They must be reset afterwards. */
export async function setUsual(sql: Db, set: 'set' | 'set local' = 'set'): Promise<void> {
  await sql.unsafe(usualSettings(set))
}

/** Returns to the role of the session, whatever role a file has set. */
export async function resetRole(sql: Db): Promise<void> {
  await sql.unsafe('reset session authorization; reset role')
}

/** `begin` for a file of another tool. */
export async function beginUsual(sql: Db, lockTimeoutMs: number, statementTimeoutMs: number): Promise<void> {
  await sql.unsafe(
    `begin; set local lock_timeout = ${lockTimeoutMs}; set local statement_timeout = ${statementTimeoutMs}; ${usualSettings('set local')}`,
  )
}

/** Sets a lock timeout, in milliseconds. */
export const lockLimit = (ms: number): string => `set lock_timeout = ${ms};`
