import type { Db } from '../database/types.js'
import { rowChanges } from '../files/body_writes.js'
import type { Statement } from '../files/statements.js'
import { unqualifiedNames } from '../files/unqualified_names.js'
import { type Finding, finding } from '../model/report.js'
import { notOfServer, unpinnedTriggers } from './unpinned_triggers.sql.js'

/**
 * Triggers of the application that would fail when a function of these statements fires them: that function
 * sets `search_path` to pg_catalog, and theirs sets none and uses unqualified names.
 */
export async function unpinnedBelow(sql: Db, statements: Statement[]): Promise<Finding[]> {
  const functions = statements.filter(s => s.kind === 'CreateFunctionStmt')
  const { tables, filled } = await rowChanges(functions)
  const found: Finding[] = []
  for (const t of await unpinnedTriggers(sql, [...new Set([...tables, ...filled])])) {
    const { relations, functions: called } = await unqualifiedNames(t.definition)
    const names = await notOfServer(sql, {
      relations: relations.filter(r => !t.transition.includes(r)),
      functions: called,
    })
    if (names.length > 0)
      found.push(finding('TRIGGER_NEEDS_PATH', t.table, { trigger: t.name, function: t.function, names }))
  }
  return found
}
