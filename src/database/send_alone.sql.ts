import { codeOf, isLostCode } from '../model/failure.js'
import type { Db } from './types.js'

/**
 * Sends a text outside a transaction that may fail after it has sent rows. postgres.js (3.4.9) goes on
 * counting those, and the next statement's rows would come behind so many empty places, its only row where
 * nobody looks. A statement that succeeds ends the count; in a transaction, the rollback does.
 */
export async function sendAlone<Row extends object>(sql: Db, text: string) {
  try {
    return await sql.unsafe<Row[]>(text)
  } catch (error) {
    await sql.unsafe('select').catch(after => {
      // a connection that is gone has nothing to count
      if (!isLostCode(codeOf(after))) throw after
    })
    throw error
  }
}
