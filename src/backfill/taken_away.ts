import { isSqlState } from '../database/faults.js'
import type { Db } from '../database/types.js'
import { droppedObjects, objectText } from '../files/dropped_objects.js'
import {
  type Node,
  pathName,
  relationName,
  type Statement,
  statementsOrNone,
  strings,
  visitNodes,
  wordsOfBlock,
} from '../files/statements.js'
import type { Migration, Track } from '../model/project.js'
import { namesIn, partText } from '../model/table_name.js'
import { missingNames, type NamesAsked, pendingQuestion } from './taken_away.sql.js'

/**
 * Whether a query about a backfill failed because a later step dropped what it names. The error alone is no
 * proof: the catalog must lack a name of the query, and an applied later step must drop or move it. Any other
 * missing name is an error in a file or in rethread.
 */
export async function wasTakenAway(
  sql: Db,
  error: unknown,
  backfill: { track: Track; migration: Migration; applied: { has(name: string): boolean }; alias: string },
): Promise<boolean> {
  // a table, column, function or schema does not exist
  if (!isSqlState(error, '42P01', '42703', '42883', '3F000')) return false
  const { track, migration, applied, alias } = backfill
  const at = track.migrations.indexOf(migration)
  const later = track.migrations.slice(at + 1).filter(m => applied.has(m.name))
  const statements = (await Promise.all(later.map(m => statementsOrNone(m.file.text)))).flat()
  const taken = takenBy(statements)
  const missing = await missingNames(sql, await namesAsked(migration, alias))
  return missing.some(name => taken(name))
}

/** What a query for the pending rows of a backfill names. */
async function namesAsked(m: Migration, alias: string): Promise<NamesAsked> {
  const { table, pending, reason } = m.backfill!
  const [question] = await statementsOrNone(pendingQuestion(table, alias, pending, reason))
  const relations = new Set([table])
  const called = new Map<string, string>()
  visitNodes(question?.node, node => {
    if (typeof node.relname !== 'string') return
    relations.add(relationName(node))
    called.set(node.alias?.aliasname ?? node.relname, relationName(node))
  })
  const columns: NamesAsked['columns'] = []
  const functions = new Set<string>()
  visitNodes(question?.node, node => {
    const [of, column] = strings(node.ColumnRef?.fields)
    if (column !== undefined) {
      const relation = called.get(of!)
      if (relation) columns.push({ relation, column })
    } else if (of !== undefined) columns.push({ relation: table, column: of })
    if (node.funcname?.length > 1) functions.add(pathName(strings(node.funcname)))
  })
  return { relations: [...relations], columns, functions: [...functions] }
}

/** Returns whether statements drop or move an object, by its name as SQL. */
function takenBy(statements: Statement[]): (name: string) => boolean {
  const names = new Set<string>()
  const words = new Set<string>()
  for (const statement of statements) {
    const { kind, node } = statement
    for (const object of droppedObjects(statement))
      if (object.kind !== 'rows' && object.kind !== 'values')
        for (const name of objectText(object)) names.add(name)
    if (kind === 'AlterObjectSchemaStmt' && node.relation) names.add(relationName(node.relation))
    if (kind === 'RenameStmt' && node.relation)
      names.add(
        relationName(node.relation) +
          (node.renameType === 'OBJECT_COLUMN' ? `.${partText(node.subname)}` : ''),
      )
    if (kind === 'DropStmt')
      for (const { ObjectWithArgs: dropped } of node.objects as Node[])
        if (dropped) names.add(pathName(strings(dropped.objname)))
    if (kind === 'DoStmt') for (const word of wordsOfBlock(node)) words.add(partText(word))
  }
  return name => {
    const parts = (namesIn(name) ?? [name]).map(partText)
    return names.has(name) || names.has(parts[0]!) || words.has(parts.at(-1)!)
  }
}
