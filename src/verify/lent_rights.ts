import { type ForeignCode, foreignEventTriggers } from '../database/foreign_code.sql.js'
import type { Db } from '../database/types.js'
import { shortList } from '../model/few_names.js'
import { describeForeignCode } from '../plan/foreign_code.js'
import { codeOfOthers } from './lent_rights.sql.js'

/** Most functions that a reason names. */
const mostCode = 3

/** Why this session must not use these tables as another role, else null. */
export async function whyNotAct(sql: Db, tables: string[], does: 'reads' | 'writes'): Promise<string | null> {
  return reasonFor(await codeOfOthers(sql, tables, does))
}

/** Why this session must not make tables like these, fill them and use them as another role, else null. */
export async function whyNotMake(sql: Db, tables: string[]): Promise<string | null> {
  const events = (await foreignEventTriggers(sql)).filter(e => e.superuser)
  return reasonFor([...events, ...(await codeOfOthers(sql, tables, 'writes'))])
}

function reasonFor(code: Omit<ForeignCode, 'asked'>[]): string | null {
  if (code.length === 0) return null
  const named = [...new Set(code.map(c => `${describeForeignCode(c)} on ${c.table}`))]
  return `acting as somebody would run ${shortList(named, mostCode)}, which could take the rights of ${code[0]!.role}, a superuser: connect as a role that is no superuser`
}
