import { setParameter } from './connection.sql.js'
import type { Db } from './types.js'

/**
 * Runs work with an empty search_path, so that the server prints every name with its schema. The result can
 * then be read in any session. It needs a transaction.
 */
export async function withFullNames<T>(tx: Db, work: () => Promise<T>): Promise<T> {
  const [row] = await tx<{ path: string }[]>`select current_setting('search_path') as path`
  await setParameter(tx, 'search_path', '')
  const value = await work()
  await setParameter(tx, 'search_path', row!.path)
  return value
}
