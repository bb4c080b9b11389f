import type { Db } from '../database/types.js'
import { rowChanges } from '../files/body_writes.js'
import type { Statement } from '../files/statements.js'
import { unqualifiedNames } from '../files/unqualified_names.js'
import { type Finding, finding } from '../model/report.js'
import { schemasOfNames, type UnpinnedTrigger, unpinnedTriggers } from './unpinned_triggers.sql.js'

/**
 * Triggers of the application that would fail when a function of these statements fires them: theirs sets no
 * `search_path` and uses names without a schema, which that function does not find. Ours search pg_catalog
 * only. Those that set the path before they write also search the schemas in which nobody else may create.
 */
export async function unpinnedBelow(sql: Db, statements: Statement[]): Promise<Finding[]> {
  const functions = statements.filter(s => s.kind === 'CreateFunctionStmt')
  const found = new Map<string, Finding>()
  for (const setsPath of [false, true]) {
    const { tables, filled } = await rowChanges(functions.filter(f => pathSet.test(f.text) === setsPath))
    for (const t of await unpinnedTriggers(sql, [...new Set([...tables, ...filled])])) {
      const { names, path } = await namesNotFound(sql, t, setsPath)
      const facts = { trigger: t.name, function: t.function, names, path }
      if (names.length > 0) found.set(`${t.table} ${t.name}`, finding('TRIGGER_NEEDS_PATH', t.table, facts))
    }
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, f]) => f)
}

/** A function that chooses its path when it runs. */
const pathSet = /set_config\('search_path'/

/** The names that a trigger would not find, and the schemas that have them, each once. */
async function namesNotFound(
  sql: Db,
  trigger: UnpinnedTrigger,
  setsPath: boolean,
): Promise<{ names: string[]; path: string[] }> {
  const { relations, functions } = await unqualifiedNames(trigger.definition)
  const all = await schemasOfNames(sql, {
    relations: relations.filter(r => !trigger.transition.includes(r)),
    functions,
  })
  const unknown = all.filter(n => !n.schemas.includes('pg_catalog') && !(setsPath && n.searched))
  // the schema of the function has most of what it uses
  const path = new Set<string>()
  for (const { schemas } of unknown)
    if (!schemas.some(s => path.has(s)))
      path.add(schemas.includes(trigger.schema) ? trigger.schema : schemas[0]!)
  return { names: unknown.map(n => n.name), path: [...path] }
}
