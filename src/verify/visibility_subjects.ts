import { takesOut } from '../backfill/pending_spec.js'
import type { Db } from '../database/types.js'
import { pairsIn } from '../files/moved_names.js'
import { statementsOrNone } from '../files/statements.js'
import type { Migration } from '../model/project.js'
import { namesIn, tableText } from '../model/table_name.js'
import { accessChanges, granteesOf } from '../plan/access_changes.js'
import type { AccessChange } from '../plan/access_types.js'
import { AccessState } from './access_state.js'
import { policyReach } from './policy_reach.js'
import { reachGraph } from './policy_reach.sql.js'
import { functionsThere, tablesOfSchemas } from './seers.sql.js'
import type { PlayedStatement } from './visibility_twins.js'
import { subjectsOf } from './visibility_twins.sql.js'

/** A pending migration with its changes of access. */
export interface PendingFile {
  migration: Migration
  played: PlayedStatement[]
}

/** The pending migrations with each statement's changes of access. */
export async function readAccessFiles(pending: Migration[]): Promise<PendingFile[]> {
  const files: PendingFile[] = []
  for (const migration of pending) {
    const statements = migration.backfill ? [] : await statementsOrNone(migration.file.text)
    const played = statements
      .map(statement => ({ statement, changes: accessChanges(statement) }))
      .filter(p => p.changes.length > 0)
    files.push({ migration, played })
  }
  return files
}

/** All changes of access in these files. */
export const changesOf = (files: PendingFile[]): AccessChange[] =>
  files.flatMap(f => f.played.flatMap(p => p.changes))

/** The tables whose visibility some migrations may change, and these migrations. */
export async function visibilityStops(
  sql: Db,
  pending: Migration[],
): Promise<{ tables: string[]; migrations: string[]; also: string[] }> {
  const files = await readAccessFiles(pending)
  const functions = await changedFunctions(sql, files)
  const tables = (await subjectsOf(sql, await subjectNames(sql, files))).map(s => s.table)
  const matters = ({ migration, played }: PendingFile): boolean =>
    takesOut(migration) || played.some(p => p.changes.some(c => changesAccess(c, tables, functions)))
  return {
    tables,
    migrations: tables.length === 0 ? [] : files.filter(matters).map(f => f.migration.name),
    also: files.flatMap(f => f.played.flatMap(p => granteesOf(p.statement))),
  }
}

/** Whether a change may affect who sees rows of these tables. `functions` are those that exist. */
export const changesAccess = (c: AccessChange, tables: string[], functions: ReadonlySet<string>): boolean =>
  (c.on === 'table' && (tables.includes(c.table) || c.table.endsWith('.*'))) ||
  (c.on === 'unknown' &&
    (c.tables === null ||
      c.tables.some(t => tables.includes(t)) ||
      c.functions.some(f => functions.has(f)))) ||
  (c.on === 'server' &&
    (c.roles ||
      c.functions.some(f => functions.has(f)) ||
      tables.some(t => c.schemas.includes(namesIn(t)![0]!))))

/** Existing functions that files change. */
export const changedFunctions = async (sql: Db, files: PendingFile[]): Promise<ReadonlySet<string>> =>
  new Set(
    await functionsThere(
      sql,
      changesOf(files).flatMap(c => (c.on === 'server' || c.on === 'unknown' ? c.functions : [])),
    ),
  )

/** The tables whose visibility may change. Some may not exist. */
export async function subjectNames(sql: Db, files: PendingFile[]): Promise<string[]> {
  const changes = changesOf(files)
  const direct = new Set<string>()
  const schemas = new Set<string>()
  let everywhere = false
  for (const c of changes) {
    if (c.on === 'table') {
      if (c.table.endsWith('.*')) schemas.add(namesIn(c.table.slice(0, -2))?.[0] ?? '')
      else direct.add(c.table)
    }
    if (c.on === 'server') {
      everywhere ||= c.roles
      for (const schema of c.schemas) schemas.add(schema)
    }
    if (c.on === 'unknown') for (const table of c.tables ?? []) direct.add(table)
  }
  // a change of roles concerns all tables that the files name; one of a schema concerns all of its tables
  if (everywhere)
    for (const { migration } of files)
      for (const pair of await pairsIn(migration.file.text)) direct.add(tableText(pair))
  for (const table of await tablesOfSchemas(sql, [...schemas])) direct.add(table)
  const changed = await changedFunctions(sql, files)
  const there = new Set((await subjectsOf(sql, [...direct])).map(s => s.table))
  if (there.size + changed.size === 0) return []
  const graph = await reachGraph(sql)
  for (let grown = true; grown; ) {
    grown = false
    for (const { reader } of graph.reads) {
      if (there.has(reader)) continue
      const reach = policyReach(reader, graph, there)
      const touched =
        [...there].some(t => reach.relations.has(t)) || [...changed].some(f => reach.functions.has(f))
      if (!touched) continue
      there.add(reader)
      grown = true
    }
  }
  return [...there]
}

/** Whether the files show that nothing can be predicted about these tables. */
export function isLostFromTheStart(
  files: PendingFile[],
  tables: string[],
  functions: ReadonlySet<string>,
): boolean {
  const state = new AccessState()
  for (const { migration, played } of files) {
    for (const { changes } of played) for (const c of changes) state.note(migration.name, c)
    const changes = played.some(p =>
      p.changes.some(c => c.on !== 'unknown' && changesAccess(c, tables, functions)),
    )
    if (!changes || state.everything !== null) continue
    const readsMade = played.some(
      ({ statement: { kind, node } }) =>
        kind !== 'DropStmt' && state.makes([node.qual, node.with_check]) !== null,
    )
    if (!readsMade) return false
  }
  return true
}
