import { setParameter } from './connection.sql.js'
import type { Db } from './types.js'

/**
 * Asks with every name written with its schema: what is noted is read again in a session that may look in
 * other schemas. For the time of `work`, which is a part of a transaction.
 */
export async function withFullNames<T>(tx: Db, work: () => Promise<T>): Promise<T> {
  const [row] = await tx<{ path: string }[]>`select current_setting('search_path') as path`
  await setParameter(tx, 'search_path', '')
  const value = await work()
  await setParameter(tx, 'search_path', row!.path)
  return value
}
