import type { Db, Root } from './types.js'

/** Something that a transaction can be gone back to: its start, or a savepoint in it. */
export type Scope = <T>(work: (tx: Db) => Promise<T>) => Promise<T>

/** A transaction of its own on a connection. */
export const transaction =
  (sql: Root, options = ''): Scope =>
  async work =>
    (await sql.begin(options, tx => work(tx))) as never

/** A savepoint inside a transaction; what throws inside it goes back to it. */
export const savepoint =
  (tx: Db): Scope =>
  work =>
    (tx as unknown as { savepoint: Scope }).savepoint(work)

/** A savepoint where statements are in a transaction already, else a transaction. */
export const scopeOf = (sql: Db): Scope =>
  'savepoint' in sql ? savepoint(sql) : transaction(sql as unknown as Root)

class TakenBack extends Error {}

/**
 * Does work and takes all of it back; what it found out. A fault of the work is thrown, and taken back too.
 */
export async function takenBack<T>(scope: Scope, work: (tx: Db) => Promise<T>): Promise<T> {
  let found: { value: T } | null = null
  try {
    await scope(async tx => {
      found = { value: await work(tx) }
      throw new TakenBack()
    })
  } catch (error) {
    if (!(error instanceof TakenBack)) throw error
  }
  return (found as unknown as { value: T }).value
}

/**
 * Reads in a transaction that always goes back; inside a plan's own transaction there is only
 * a savepoint to go back to.
 */
export const readAside = <T>(sql: Root, work: (tx: Db) => Promise<T>): Promise<T> =>
  takenBack('savepoint' in sql ? savepoint(sql) : transaction(sql, 'read only'), work)
