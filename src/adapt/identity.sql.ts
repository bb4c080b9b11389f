import { isRefused, serverFault } from '../database/faults.js'
import { readAside } from '../database/scopes.js'
import type { Root } from '../database/types.js'

/** Nobody, as a value of the type of a person's id. */
export const nobody = (type: string): string => `null::${type}`

/**
 * Why an expression is nobody's id to this server, in its own words; null where it can be compared with
 * one. It is planned and never run. What a prerequisite would make is left to those who ask for it.
 */
export async function whyNoIdentity(sql: Root, expression: string, type: string): Promise<string | null> {
  try {
    await readAside(sql, tx => tx.unsafe(`explain select (${expression}) = ${nobody(type)}`))
    return null
  } catch (error) {
    if (!isRefused(error)) throw error
    const { code, message } = serverFault(error)!
    const isToCome = /^(42883|3F000)$/.test(code) && /(function|schema) "?auth\b/.test(message)
    return isToCome ? null : message
  }
}
