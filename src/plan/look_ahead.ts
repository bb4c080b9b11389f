import type { Connection } from '../database/connection.js'
import type { Context } from '../database/context.js'
import { type Known, knownOf } from '../database/known.js'
import type { Db } from '../database/types.js'
import { rowChanges } from '../files/body_writes.js'
import { shortSql } from '../files/lint.js'
import { proofOf } from '../files/statement_proof.js'
import {
  addsColumn,
  isUnprovenKey,
  type Node,
  parseStatements,
  relationName,
  type Statement,
  statementsOrNone,
  visitNodes,
} from '../files/statements.js'
import { remainderOf } from '../files/transactions.js'
import type { Migration, Track } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { columnLimit } from './column_limit.js'
import { countedColumns } from './counted_columns.js'
import { distributed } from './distributed_tables.js'
import { foreignHazard } from './foreign_code.js'
import { learnStatement } from './learn_changes.js'
import { inheritedTables, notReferable, tablesWithoutIdentity, writeRules } from './look_ahead.sql.js'
import { type Ahead, namesTaken } from './names_taken.js'
import { missingBeside } from './trigger_rights.js'
import type { FileOfStatements } from './twin_script.js'
import { rehearseOnTwins } from './twins.js'
import { computedColumns, unfitTables, type WrittenColumn } from './unfit_tables.js'
import { unpinnedBelow } from './unpinned_triggers.js'
import { judgeAnswers, questionsOf } from './violations.js'

/**
 * Looks before the first step for everything that would stop a later one: in every pending file, also in
 * files that this run leaves for later. It reads the catalog first and then runs the files on empty twins
 * of the tables. `findings` is empty if nothing is in the way.
 */
export async function lookAhead(
  ctx: Context,
  connection: Connection,
  track: Track,
  ahead: Ahead,
): Promise<Finding[]> {
  const { pending, major, obstacles } = ahead
  if (pending.length === 0 || obstacles.some(f => f.level === 'refused')) return []
  const { sql } = connection
  if (track.layout) return adviseOnForeign(connection, ahead)
  const files: FileOfStatements[] = []
  for (const migration of pending)
    files.push({ migration, statements: await parseStatements(migration.file.text) })
  const known = await knownOf(
    sql,
    files.flatMap(f => f.statements),
  )
  const changed = await changedBy(files)
  const widened = widenedBy(files)
  const found = [
    ...(await namesTaken(connection, ahead)),
    ...(await unfitTables(sql, files)),
    ...files.flatMap(f => ofPartitions(f, known, major)),
    ...changed.findings,
    ...(await computedColumns(sql, changed.columns)),
    ...(await withoutIdentity(sql, changed.tables)),
    ...(await ruledOut(sql, files)),
    ...(await inherited(sql, widened)),
    ...(await distributed(sql, new Map([...widened, ...changed.tables]), files)),
    ...(await columnLimit(sql, files)),
    ...(await countedColumns(sql, widened)),
    ...(await unreferable(sql, files)),
    ...(await missingBeside(sql, track, pending)),
    ...(await unpinnedBelow(
      sql,
      files.flatMap(f => f.statements),
    )),
  ]
  // constraints would be evaluated on rows, and twins have them too; event triggers run for twins
  const reason = await foreignHazard(sql, pending, ahead.consent)
  if (reason) return [...found, finding('NOT_REHEARSED', track.name, { reason })]
  const { findings, questions } = await questionsOf(sql, files)
  found.push(...findings)
  // report one fault once: a rehearsal would find the refused ones again
  if (found.some(f => f.level === 'refused')) return found
  const rehearsed = await rehearseOnTwins(ctx, track, files, questions)
  return [...found, ...rehearsed.findings, ...judgeAnswers(questions, rehearsed.answers)]
}

/**
 * Checks files of another tool without running them. The findings are advice only: a DO block may do what
 * no statement shows. If such a file fails, nothing of it remains.
 */
async function adviseOnForeign(connection: Connection, ahead: Ahead): Promise<Finding[]> {
  const files: FileOfStatements[] = []
  const pending: Migration[] = []
  for (const m of ahead.pending) {
    const migration = await remainderOf(m, ahead.resumed.get(m.name) ?? 0)
    pending.push(migration)
    files.push({ migration, statements: await statementsOrNone(migration.file.text) })
  }
  const known = await knownOf(
    connection.sql,
    files.flatMap(f => f.statements),
  )
  const found = [
    ...(await namesTaken(connection, { ...ahead, pending })),
    ...files.flatMap(f => ofPartitions(f, known, ahead.major)),
  ]
  return found.map(f => (f.level === 'refused' ? { ...f, level: 'warn' as const } : f))
}

/**
 * Tables whose rows the files change, each with the first file that does: by a statement, by a function
 * that it creates, or by its rollback. The findings name statements whose effect only shows when they run.
 */
async function changedBy(
  files: FileOfStatements[],
): Promise<{ tables: Map<string, Migration>; columns: WrittenColumn[]; findings: Finding[] }> {
  const found = new Map<string, Migration>()
  const written: WrittenColumn[] = []
  const findings: Finding[] = []
  for (const { migration, statements } of files) {
    const back = migration.rollback ? await parseStatements(migration.rollback.file.text) : []
    const { tables, columns, unread } = await rowChanges([...statements, ...back])
    for (const table of tables) if (!found.has(table)) found.set(table, migration)
    for (const [table, names] of columns)
      for (const column of names) written.push({ table, column, migration: migration.file.path })
    for (const sql of unread)
      findings.push(finding('CHANGES_UNKNOWN_ROWS', migration.file.path, { sql: shortSql(sql) }))
  }
  return { tables: found, columns: written, findings }
}

/** Existing tables that get a column, each with the first file that adds one. */
function widenedBy(files: FileOfStatements[]): Map<string, Migration> {
  const made = new Set<string>()
  const found = new Map<string, Migration>()
  for (const { migration, statements } of files)
    for (const { kind, node } of statements) {
      if (kind === 'CreateStmt') made.add(relationName(node.relation))
      if (kind !== 'AlterTableStmt' || !node.cmds.some(addsColumn)) continue
      const table = relationName(node.relation)
      if (!made.has(table) && !found.has(table)) found.set(table, migration)
    }
  return found
}

/** A statement that writes rows of a table, for the comparison with the table's rules. */
interface Write {
  table: string
  event: string
  /**
   * True if the server refuses it on a table with a rule: it has WITH or ON CONFLICT, or is inside a WITH.
   */
  alone: boolean
  file: string
}

/** The writes of the files and of their rollbacks. A rollback that the server would refuse is none. */
async function writesOf(files: FileOfStatements[]): Promise<Write[]> {
  const found: Write[] = []
  const add = (file: string, kind: string, node: Node, alone: boolean) => {
    const event = eventOf[kind]
    if (!event || !node.relation) return
    const table = relationName(node.relation)
    const refused = alone || onConflict(node) || Boolean(node.withClause)
    found.push({ table, event, alone: refused, file })
    if (onConflict(node)) found.push({ table, event: 'UPDATE', alone: true, file })
  }
  const addAll = (file: string, { kind, node }: Statement, isBack: boolean) => {
    // a DELETE of a rollback is sent inside a WITH that archives its rows
    add(file, kind, node, isBack && kind === 'DeleteStmt')
    visitNodes(node, ({ CommonTableExpr: part }) => {
      for (const [inner, query] of Object.entries(part?.ctequery ?? {})) add(file, inner, query as Node, true)
    })
  }
  for (const { migration: m, statements } of files) {
    for (const s of statements) addAll(m.file.path, s, false)
    if (!m.rollback) continue
    for (const s of await parseStatements(m.rollback.file.text)) addAll(m.rollback.file.path, s, true)
  }
  return found
}

/** Tables whose rules would replace a statement of the files, or make the server refuse it. */
async function ruledOut(sql: Db, files: FileOfStatements[]): Promise<Finding[]> {
  const writes = await writesOf(files)
  const tables = [...new Set(writes.map(w => w.table))]
  return (await writeRules(sql, tables)).flatMap(({ name: rule, table, event, instead }) => {
    const met = writes.find(w => w.table === table && w.event === event && (instead || w.alone))
    return met ? [finding('REWRITTEN_BY_RULE', table, { rule, event, instead, migration: met.file })] : []
  })
}

const eventOf: Record<string, string> = { InsertStmt: 'INSERT', UpdateStmt: 'UPDATE', DeleteStmt: 'DELETE' }

const onConflict = (node: Node): boolean => Boolean(node.onConflictClause)

/**
 * Tables with children. The children would get the column too, and a rollback could not keep their values.
 */
async function inherited(sql: Db, widened: Map<string, Migration>): Promise<Finding[]> {
  return (await inheritedTables(sql, [...widened.keys()])).map(({ table, children }) =>
    finding('INHERITED_TABLE', table, { children, migration: widened.get(table)!.file.path }),
  )
}

/** Published tables whose updates or deletions the server would refuse. */
async function withoutIdentity(sql: Db, writes: Map<string, Migration>): Promise<Finding[]> {
  return (await tablesWithoutIdentity(sql, [...writes.keys()])).map(
    ({ table, asked, publications, clashes }) =>
      finding('NO_REPLICA_IDENTITY', table, {
        publications,
        clashes,
        migration: writes.get(asked)!.file.path,
      }),
  )
}

/** Statements that PostgreSQL does not support on a partitioned table. */
function ofPartitions({ migration, statements }: FileOfStatements, known: Known, major: number): Finding[] {
  const found: Finding[] = []
  for (const s of statements) {
    const { kind, node } = s
    const table = node.relation ? relationName(node.relation) : ''
    // in a file without a transaction, a statement with a proof is run for each partition
    const divided = migration.transaction === 'none' && proofOf(s) !== null
    if (!divided && known.isPartitioned(table)) {
      const reason = whyNotPartitioned(kind, node, major)
      const facts = { migration: migration.file.path, sql: shortSql(s.text) }
      if (reason) found.push(finding('PARTITIONED_TABLE', table, { ...facts, reason }))
    }
    learnStatement(known, s)
  }
  return found
}

function whyNotPartitioned(kind: string, node: Node, major: number): string | null {
  if (kind === 'IndexStmt' && node.concurrent && node.relation.inh)
    return 'an index on all partitions cannot be built concurrently'
  if (kind !== 'AlterTableStmt' || major >= keysOfPartitions) return null
  return node.cmds.some(isUnprovenKey) ? `PostgreSQL ${major} has no foreign key NOT VALID there` : null
}

/** The first major version that can add a NOT VALID foreign key to a partitioned table. */
const keysOfPartitions = 18

/** Tables that this role may not reference by a foreign key. */
async function unreferable(sql: Db, files: FileOfStatements[]): Promise<Finding[]> {
  const tables = new Set<string>()
  for (const s of files
    .flatMap(f => f.statements)
    .filter(s => ['CreateStmt', 'AlterTableStmt'].includes(s.kind)))
    visitNodes(s.node, node => {
      if (node.contype === 'CONSTR_FOREIGN' && node.pktable) tables.add(relationName(node.pktable))
    })
  return (await notReferable(sql, [...tables])).map(({ name, owner, role }) =>
    finding('MISSING_PRIVILEGE', name, { wants: 'REFERENCES', owner, role }),
  )
}
