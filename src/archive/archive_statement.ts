import { serverFault, sqlFailure } from '../database/faults.js'
import { primaryKey } from '../database/row_key.sql.js'
import { type Db, ident } from '../database/types.js'
import { type DroppedObject, droppedObjects, keyOf } from '../files/dropped_objects.js'
import { type Statement, withoutByteOrderMark } from '../files/statements.js'
import { type Failure, failureOf } from '../model/failure.js'
import { plural } from '../model/plural.js'
import type { Migration } from '../model/project.js'
import { columnText, type TableName } from '../model/table_name.js'
import type { Archived } from '../run/refuse_destruction.js'
import { type Relation, relationsOf } from '../run/refuse_destruction.sql.js'
import type { Run } from '../run/run.js'
import { isPutBack, refusal, type WouldTake, whyNotArchived } from '../run/why_not_archived.js'
import { storedName } from './archive.js'
import { addArchive, listArchives } from './archive.sql.js'
import { endCapture } from './capture.sql.js'
import { keepDeleted, makeStore, putBack, rowsGone } from './deleted_rows.sql.js'
import { oursOf } from './loss_report.js'
import { attachments, dropTables, leaveParents, moveTable } from './move_table.sql.js'

/** What is needed to archive the objects that one rollback file deletes. */
export interface Archiving {
  run: Run
  tx: Db
  migration: Migration
  /** Archives of columns whose values are already copied, by the column's name as SQL. */
  captures: ReadonlyMap<string, number>
  spared: ReadonlySet<string>
  existed(oid: number): boolean
}

/**
 * Archives what a statement of a rollback would delete, in the rollback's transaction. A table is moved
 * instead of dropped. The rows of a DELETE go to a table of the archive. Of a column, whose values are copied
 * already, the capturing trigger is detached. Throws DESTROYS_UNARCHIVED for what cannot be archived.
 */
export async function archiveInstead(a: Archiving, statement: Statement): Promise<Archived> {
  const objects = droppedObjects(statement)
  const named = objects.filter(o => 'table' in o)
  if (named.length === 0) return { left: statement, keys: [] }
  const relations = await relationsOf(
    a.tx,
    named.map(o => o.table),
  )
  const standing = named.map((object, i) => ({ object, relation: held(a, relations[i] ?? null) }))
  for (const { object, relation } of standing) {
    if (!relation || (object.kind === 'rows' && object.kept)) continue
    const why = await whyNotArchived(a.tx, statement, object, relation)
    if (why) throw refused(a, statement, why)
  }
  if (statement.kind === 'DropStmt') return archiveTables(a, statement, standing)
  const keys: string[] = []
  for (const { object, relation } of standing) {
    if (!relation) continue
    if (object.kind === 'rows') {
      if (!object.kept)
        return { left: await archiveRows(a, statement, relation), keys: [keyOf('rows', relation.text)] }
    } else if (object.kind !== 'table') {
      const column = columnText(relation, object.column)
      const capture = a.captures.get(column)
      if (capture === undefined) continue
      await endCapture(a.tx, capture, relation.text)
      keys.push(keyOf('column', column))
    }
  }
  return { left: statement, keys }
}

/**
 * The relation, if it has something to lose: not if it was created in this transaction, is temporary, or can
 * be created again.
 */
const held = (a: Archiving, r: Relation | null): Relation | null =>
  r && !r.temporary && a.existed(r.oid) && (r.archive || !a.spared.has(r.text)) ? r : null

/**
 * Moves the tables of a DROP TABLE. The statement keeps names that do not exist and tables with nothing to
 * lose.
 */
async function archiveTables(
  a: Archiving,
  statement: Statement,
  drops: { object: DroppedObject & { table: TableName }; relation: Relation | null }[],
): Promise<Archived> {
  const left: TableName[] = []
  for (const { object, relation } of drops) {
    if (!relation || !['r', 'p'].includes(relation.kind)) {
      left.push(object.table)
      continue
    }
    // a partition has been moved with its table
    const [still] = await relationsOf(a.tx, [relation])
    if (still?.oid === relation.oid) await archiveTable(a, relation)
  }
  if (left.length === drops.length) return { left: statement, keys: [] }
  if (left.length === 0) return { left: null, keys: [] }
  const { missing_ok, behavior } = statement.node
  const names = left.map(t => (t.schema === null ? '' : `${ident(t.schema)}.`) + ident(t.name)).join(', ')
  const text = dropTables(names, { ifExists: Boolean(missing_ok), cascade: behavior === 'DROP_CASCADE' })
  return { left: { ...statement, text }, keys: [] }
}

async function archiveTable(a: Archiving, relation: Relation): Promise<void> {
  const { run, tx } = a
  const table = relation.text
  const storedAs = await storedName(tx, run.id, relation.name, null)
  const keyColumns = await primaryKey(tx, table)
  const parents = await leaveParents(tx, table)
  const attached = await attachments(tx, table)
  const back = await moveTable(
    tx,
    table,
    storedAs,
    run.id,
    attached.flatMap(m => (m.drop ? [m.drop] : [])),
  )
  const moved = back.map(again => ({ kind: 'move back', name: table, again }))
  await noteArchive(a, table, { storedAs, keyColumns, manifest: [...parents, ...attached, ...moved] })
}

/** Adds an archive of a table or of its rows, in the file's transaction. It is sealed after the run. */
const noteArchive = (
  { run, tx, migration }: Archiving,
  table: string,
  kept: { storedAs: string; keyColumns: string[]; manifest: object[] },
): Promise<number> =>
  addArchive(tx, {
    run: run.id,
    track: migration.track,
    migration: migration.name,
    relation: table,
    column: null,
    ours: oursOf(migration.rollback!, table),
    state: 'capturing',
    ...kept,
  })

/** Runs a DELETE that stores its rows in the archive. Nothing of the statement is left to run. */
async function archiveRows(a: Archiving, statement: Statement, relation: Relation): Promise<null> {
  const { run, tx } = a
  const alias = statement.node.relation.alias?.aliasname ?? statement.node.relation.relname
  if (isPutBack(statement, relation)) {
    const lost = await inFile(a, statement, () => putBack(tx, statement.text, alias))
    if (lost === 0) return null
    throw refused(a, statement, {
      object: relation.text,
      what: `${plural(lost, 'row')} of ${relation.text}`,
      reason: 'they are not in their table again',
      instead: 'Put them back first, and delete only those whose key is in the table.',
    })
  }
  const table = relation.text
  const open = (await listArchives(tx)).find(
    x =>
      x.run === run.id && x.relation === table && x.column === null && x.state === 'capturing' && x.deleted,
  )
  const storedAs = open?.storedAs ?? (await storedName(tx, run.id, relation.name, 'rows'))
  if (!open) {
    await makeStore(tx, storedAs, table)
    const keyColumns = await primaryKey(tx, table)
    await noteArchive(a, table, { storedAs, keyColumns, manifest: [{ kind: 'deleted rows' }] })
  }
  await inFile(a, statement, () => keepDeleted(tx, { text: statement.text, table, alias, storedAs }))
  return null
}

/** Runs a part of a statement. An error is reported with line and column in the file. */
async function inFile<T>(a: Archiving, statement: Statement, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const fault = serverFault(error)
    if (fault?.position) fault.position = String(Number(fault.position) - rowsGone.length)
    const { path, text } = a.migration.rollback!.file
    throw sqlFailure(error, path, withoutByteOrderMark(text), statement.offset)
  }
}

const refused = (a: Archiving, statement: Statement, why: WouldTake): Failure =>
  failureOf(refusal(statement, a.migration.rollback!.file, [why], 'archive'))
