import type { Db, Root } from './types.js'

/** Runs work that can be rolled back: a transaction, or a savepoint in one. */
export type Scope = <T>(work: (tx: Db) => Promise<T>) => Promise<T>

/** A new transaction on a connection. */
export const transaction =
  (sql: Root, options = ''): Scope =>
  async work =>
    (await sql.begin(options, tx => work(tx))) as never

/** A savepoint in a transaction. An error rolls back to it. */
export const savepoint =
  (tx: Db): Scope =>
  work =>
    (tx as unknown as { savepoint: Scope }).savepoint(work)

/** A savepoint if there is a transaction already, else a transaction. */
export const scopeOf = (sql: Db): Scope =>
  'savepoint' in sql ? savepoint(sql) : transaction(sql as unknown as Root)

class TakenBack extends Error {}

/** Runs work, rolls it back, and returns its result. An error is thrown, after the rollback. */
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

/** Reads in a transaction that is rolled back; in a plan's transaction, in a savepoint. */
export const readAside = <T>(sql: Root, work: (tx: Db) => Promise<T>): Promise<T> =>
  takenBack('savepoint' in sql ? savepoint(sql) : transaction(sql, 'read only'), work)
