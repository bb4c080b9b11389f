import { codeOf, isLostCode } from '../model/failure.js'
import type { Db } from './types.js'

/**
 * Sends a text that may fail after it has returned rows, outside of a transaction. postgres.js (3.4.9) would
 * count these rows for the next statement, whose own rows then come at wrong positions. A statement that
 * succeeds ends the count; in a transaction, the rollback does.
 */
export async function sendAlone<Row extends object>(sql: Db, text: string) {
  try {
    return await sql.unsafe<Row[]>(text)
  } catch (error) {
    await sql.unsafe('select').catch(after => {
      // a lost connection needs no reset
      if (!isLostCode(codeOf(after))) throw after
    })
    throw error
  }
}
