import type { Migration } from '../model/project.js'
import { columnText, partText, type TableName, tableText } from '../model/table_name.js'
import { type Node, pathTable, rangeTable, type Statement, strings } from './statements.js'

/**
 * Something that a statement deletes. Names are as the statement has them; only the server can resolve them.
 */
export type DroppedObject =
  | { kind: 'table'; table: TableName }
  | { kind: 'column'; table: TableName; column: string }
  /** The values of a column, replaced by a change of its type. */
  | { kind: 'values'; table: TableName; column: string }
  /**
   * Rows of a table that stays. `kept` is the table of `rethread_archive` to which the same statement moves
   * all of them; null if it does not.
   */
  | { kind: 'rows'; table: TableName; by: 'DELETE' | 'TRUNCATE' | 'MERGE'; kept: TableName | null }
  /** A schema with everything in it. */
  | { kind: 'schema'; schema: string }
  | { kind: 'database'; name: string }
  /** Not known before the statement runs: the effect of functions, triggers and CASCADE. */
  | { kind: 'unknown' }

/**
 * Pure: what a statement deletes, and whether it may delete more than it names. All other code asks this
 * function: hazards, the loss report, the archive, and the refusal before a statement is sent. Views,
 * sequences and foreign tables hold no rows of their own. A detached partition remains a table.
 */
export function droppedObjects(statement: Statement): DroppedObject[] {
  const { kind, node } = statement
  switch (kind) {
    case 'DropStmt':
      return ofDrop(node)
    case 'AlterTableStmt':
      return ofAlter(node)
    case 'TruncateStmt':
      return [
        ...node.relations.map((r: Node) => rows(r.RangeVar, 'TRUNCATE')),
        ...(node.behavior === 'DROP_CASCADE' ? unknownObjects : []),
      ]
    case 'DropdbStmt':
      return [{ kind: 'database', name: node.dbname }]
    case 'ExplainStmt':
      return analyzes(node) ? ofQuery(node.query) : []
    case 'SelectStmt':
      // a view may call any function
      return readsRelation(node) || callsUnknown(node) ? ofQuery({ [kind]: node }) : []
    default:
      return plainName.has(kind) ? [] : ofQuery({ [kind]: node })
  }
}

/** The names of an object as SQL, as in hazards and `ours`. Empty if it has no name. */
export function objectText(o: DroppedObject): string[] {
  switch (o.kind) {
    case 'table':
    case 'rows':
      return [tableText(o.table)]
    case 'column':
    case 'values':
      return [columnText(o.table, o.column)]
    case 'schema':
      return [partText(o.schema)]
    case 'database':
      return [partText(o.name)]
    case 'unknown':
      return []
  }
}

/** Identifies what is deleted: its kind and its name as SQL. A column's values have the key of the column. */
export const keyOf = (kind: 'table' | 'column' | 'rows' | 'schema', name: string): string => `${kind} ${name}`

/** The keys of an object. Empty for an object whose deletion can never be allowed. */
export const keysOf = (o: DroppedObject): string[] =>
  o.kind === 'unknown' || o.kind === 'database'
    ? []
    : objectText(o).map(name => keyOf(o.kind === 'values' ? 'column' : o.kind, name))

/** The tables that a statement drops, as SQL. */
export const droppedTables = (statement: Statement): string[] =>
  droppedObjects(statement).flatMap(o => (o.kind === 'table' ? [tableText(o.table)] : []))

/** Statements that run no user code and delete nothing. A statement that is not listed may do either. */
const plainName = new Set([
  ...[
    'CreateStmt',
    'CreateSchemaStmt',
    'CreateEnumStmt',
    'CompositeTypeStmt',
    'CreateRangeStmt',
    'DefineStmt',
  ],
  ...[
    'CreateDomainStmt',
    'AlterDomainStmt',
    'AlterEnumStmt',
    'AlterTypeStmt',
    'CreateSeqStmt',
    'AlterSeqStmt',
  ],
  ...['IndexStmt', 'ReindexStmt', 'VacuumStmt', 'ClusterStmt', 'CreateStatsStmt', 'AlterStatsStmt'],
  ...['CreateFunctionStmt', 'AlterFunctionStmt', 'CreateTrigStmt', 'RuleStmt', 'ViewStmt', 'PrepareStmt'],
  ...['CreatePolicyStmt', 'AlterPolicyStmt', 'GrantStmt', 'GrantRoleStmt', 'AlterDefaultPrivilegesStmt'],
  ...[
    'CreateRoleStmt',
    'AlterRoleStmt',
    'AlterRoleSetStmt',
    'DropRoleStmt',
    'ReassignOwnedStmt',
    'AlterOwnerStmt',
  ],
  ...['RenameStmt', 'AlterObjectSchemaStmt', 'CommentStmt', 'SecLabelStmt', 'AlterDatabaseSetStmt'],
  ...[
    'CreatePublicationStmt',
    'AlterPublicationStmt',
    'CreateCastStmt',
    'CreateOpClassStmt',
    'CreateOpFamilyStmt',
  ],
  ...['VariableSetStmt', 'VariableShowStmt', 'LockStmt', 'NotifyStmt', 'DeallocateStmt', 'TransactionStmt'],
])

/**
 * PostgreSQL's functions that files call in defaults, checks and plain SELECTs. Any other may be a user's.
 */
const builtIn = new Set([
  ...['set_config', 'current_setting', 'setval', 'nextval', 'now', 'clock_timestamp', 'statement_timestamp'],
  ...[
    'gen_random_uuid',
    'random',
    'md5',
    'sha256',
    'length',
    'char_length',
    'octet_length',
    'lower',
    'upper',
    'btrim',
  ],
  ...[
    'trim',
    'jsonb_typeof',
    'json_typeof',
    'jsonb_build_object',
    'jsonb_array_length',
    'to_tsvector',
    'coalesce',
  ],
  ...[
    'array_length',
    'cardinality',
    'num_nonnulls',
    'num_nulls',
    'starts_with',
    'date_trunc',
    'pg_sleep',
    'version',
  ],
])

const unknownObjects: DroppedObject[] = [{ kind: 'unknown' }]

const rows = (
  range: Node,
  by: 'DELETE' | 'TRUNCATE' | 'MERGE',
  kept: TableName | null = null,
): DroppedObject => ({
  kind: 'rows',
  table: rangeTable(range),
  by,
  kept,
})

/** Kinds of objects on which nothing with rows depends, so CASCADE deletes no rows. */
const cascadesToNothing = new Set(['OBJECT_TRIGGER', 'OBJECT_POLICY', 'OBJECT_RULE', 'OBJECT_INDEX'])

function ofDrop(node: Node): DroppedObject[] {
  const cascades = node.behavior === 'DROP_CASCADE' && !cascadesToNothing.has(node.removeType)
  const more = cascades ? unknownObjects : []
  const named = node.objects.map((o: Node) => strings([o]))
  switch (node.removeType) {
    case 'OBJECT_TABLE':
      return [...named.map((path: string[]) => ({ kind: 'table', table: pathTable(path) })), ...more]
    case 'OBJECT_SCHEMA':
      // without CASCADE the server only drops empty schemas
      return cascades ? [...named.map(([schema]: string[]) => ({ kind: 'schema', schema })), ...more] : []
    case 'OBJECT_EXTENSION':
      // drops the tables of the extension too
      return unknownObjects
    default:
      return more
  }
}

function ofAlter(node: Node): DroppedObject[] {
  if (node.objtype === 'OBJECT_FOREIGN_TABLE') return []
  const table = rangeTable(node.relation)
  const commands: Node[] = node.cmds.map((c: Node) => c.AlterTableCmd)
  return [
    ...commands.flatMap((c): DroppedObject[] =>
      c.subtype === 'AT_DropColumn'
        ? [{ kind: 'column', table, column: c.name }]
        : c.subtype === 'AT_AlterColumnType' && node.objtype === 'OBJECT_TABLE'
          ? [{ kind: 'values', table, column: c.name }]
          : [],
    ),
    ...(commands.some(c => c.behavior === 'DROP_CASCADE') || callsUnknown(node) ? unknownObjects : []),
  ]
}

/** What a query deletes: rows of a DELETE or MERGE in it, and what triggers and functions may delete. */
function ofQuery(query: Node): DroppedObject[] {
  const moved = movedByInsert(query.InsertStmt)
  const found: DroppedObject[] = []
  for (const [kind, node] of nodesIn(query)) {
    if (kind === 'DeleteStmt')
      found.push(rows(node.relation, 'DELETE', node === moved ? rangeTable(query.InsertStmt.relation) : null))
    if (kind === 'MergeStmt' && deletes(node)) found.push(rows(node.relation, 'MERGE'))
  }
  return [...found, ...unknownObjects]
}

const deletes = (merge: Node): boolean =>
  (merge.mergeWhenClauses ?? []).some((c: Node) => c.MergeWhenClause.commandType === 'CMD_DELETE')

/**
 * The DELETE in `with gone as (delete from ... returning *) insert into rethread_archive.kept select * from
 * gone`, which moves every row to the archive. Null for any other form, also with a condition or ON CONFLICT.
 */
function movedByInsert(insert: Node | undefined): Node | null {
  const ctes: Node[] = insert?.withClause?.ctes ?? []
  const removed = ctes[0]?.CommonTableExpr.ctequery.DeleteStmt
  const select = insert?.selectStmt?.SelectStmt
  if (!insert || ctes.length !== 1 || !removed || !select) return null
  const { targetList, fromClause, limitOption, op, ...rest } = select
  const whole =
    insert.relation.schemaname === 'rethread_archive' &&
    !insert.cols &&
    !insert.onConflictClause &&
    Object.keys(rest).length === 0 &&
    fromClause?.length === 1 &&
    fromClause[0].RangeVar?.relname === ctes[0]!.CommonTableExpr.ctename &&
    !fromClause[0].RangeVar.schemaname
  return whole && isStar(targetList) && isStar(removed.returningClause?.exprs) ? removed : null
}

/** True for a select list of only `*` or `alias.*`. */
const isStar = (targets: Node[] | undefined): boolean =>
  targets?.length === 1 && Boolean(targets[0]!.ResTarget?.val?.ColumnRef?.fields.at(-1).A_Star)

/** True for a DELETE that can be put in a WITH with RETURNING: it has no writing WITH and no RETURNING. */
export const returnsRows = ({ kind, node }: Statement): boolean =>
  kind === 'DeleteStmt' &&
  !node.returningClause &&
  ![...nodesIn(node.withClause)].some(([k]) => /^(Insert|Update|Delete|Merge)Stmt$/.test(k))

const analyzes = (explain: Node): boolean =>
  (explain.options ?? []).some((o: Node) => o.DefElem.defname === 'analyze')

const readsRelation = (node: Node): boolean => [...nodesIn(node)].some(([kind]) => kind === 'RangeVar')

/** True if a statement calls a function that may not be PostgreSQL's own. */
const callsUnknown = (node: Node): boolean =>
  [...nodesIn(node)].some(([kind, call]) => {
    if (kind !== 'FuncCall') return false
    const path = strings(call.funcname)
    return path.length > 1 ? path[0] !== 'pg_catalog' : !builtIn.has(path[0] ?? '')
  })

/** All nodes of a tree, including the root, with their types. */
function* nodesIn(tree: unknown): Generator<[string, Node]> {
  if (typeof tree !== 'object' || tree === null) return
  for (const [kind, part] of Object.entries(tree)) {
    if (typeof part !== 'object' || part === null) continue
    if (/^[A-Z]/.test(kind)) yield [kind, part as Node]
    yield* nodesIn(part)
  }
}

/** Whether a quarantining backfill deletes the rows that it has copied: its own DELETE on its own table. */
export const setsAside = (m: Migration | null, s: Statement, table: string): boolean =>
  s.kind === 'DeleteStmt' && m?.backfill?.table === table
