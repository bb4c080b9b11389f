import type { Known } from '../database/known.js'
import { type Node, pathName, relationName, type Statement } from '../files/statements.js'
import { blocks, isStronger, type LockMode, lockAll, lockModes, type Taken } from '../model/lock_mode.js'
import type { StatementLock } from '../model/plan.js'
import { namesIn } from '../model/table_name.js'
import { alterTableLocks } from './alter_table_locks.js'
import {
  allOrUnknown,
  locksOfComment,
  locksOfCreate,
  locksOfDomain,
  locksOfDrop,
  locksOfIndex,
  locksOfNewSchema,
  locksOfPublication,
  locksOfReindex,
  locksOfRename,
  locksOfVacuum,
} from './object_locks.js'
import { locksOfLock, locksOfSelect, locksOfTruncate, locksOfWrite } from './query_locks.js'

/** Returns the locks of one kind of statement; null if they are only known when it runs. */
type Reader = (node: Node, known: Known) => Taken[] | null

/**
 * Pure: the locks of a statement on tables that exist before it, from ROW SHARE upwards; of several on one
 * table, the strongest. Null if they are only known when it runs (DO, CALL, CASCADE), or if the statement
 * is not in the table below. A lock on an index or on a column's sequence counts as one on its table. Locks
 * on rows through views, triggers, rules and foreign keys are left out: they are ROW EXCLUSIVE at most,
 * which makes nobody wait.
 */
export function locksOf(statement: Statement, known: Known): StatementLock[] | null {
  const taken = readLocks(statement, known)
  if (taken === null) return null
  const strongest = new Map<string, { mode: LockMode; by: Set<string> }>()
  for (const { table, mode, by = labelOf(statement) } of taken) {
    if (mode === 'ACCESS SHARE') continue
    const held = strongest.get(table)
    if (held?.mode === mode) held.by.add(by)
    else if (!held || isStronger(mode, held.mode)) strongest.set(table, { mode, by: new Set([by]) })
  }
  return [...strongest].map(([table, { mode, by }]) => ({
    table,
    mode,
    blocks: blocks(mode),
    by: [...by].join(', '),
  }))
}

const lockDeclaration = /^--[ \t]*locks:[ \t]*(?:none|((?:"[^"]+"|[^\s"])+)[ \t]+([A-Z ]+?))[ \t]*$/gim

/**
 * The locks that comments above a statement declare: `-- locks: public.chats ACCESS EXCLUSIVE`, one for
 * each table, or `-- locks: none`. Null without such a comment. `mode` is in capitals. `parts` is null if
 * the name is no valid table name.
 */
export function declaredLocks({ above }: Statement): { parts: string[] | null; mode: string }[] | null {
  const lines = [...above.matchAll(lockDeclaration)]
  if (lines.length === 0) return null
  return lines.flatMap(([, table, mode]) =>
    table === undefined ? [] : [{ parts: namesIn(table), mode: mode!.toUpperCase() }],
  )
}

/**
 * The locks of a statement, read from it or declared above it. Null if neither is possible: they are
 * unknown until it runs.
 */
export function foretoldLocks(statement: Statement, known: Known): StatementLock[] | null {
  const said = locksOf(statement, known)
  if (said) return said
  const by = labelOf(statement)
  const declared = declaredLocks(statement)?.map(({ parts, mode }) => {
    const known = lockModes.find(m => m === mode)
    return parts && known ? { table: pathName(parts), mode: known, blocks: blocks(known), by } : null
  })
  return declared?.every(lock => lock !== null) ? declared : null
}

const readLocks = ({ kind, node }: Statement, known: Known): Taken[] | null =>
  statementRules[kind]?.(node, known) ?? null

const none: Reader = () => []
const untold: Reader = () => null

/**
 * The locks of each kind of statement. test/locks.test.ts checks every entry on real servers. The locks of
 * a kind that is not listed are unknown.
 */
export const statementRules: Record<string, Reader> = {
  SelectStmt: locksOfSelect,
  InsertStmt: locksOfWrite,
  UpdateStmt: locksOfWrite,
  DeleteStmt: locksOfWrite,
  MergeStmt: locksOfWrite,
  CopyStmt: node =>
    node.is_from && node.relation ? lockAll([relationName(node.relation)], 'ROW EXCLUSIVE') : [],
  ExplainStmt: inner,
  PrepareStmt: inner,
  DeclareCursorStmt: inner,
  CreateStmt: locksOfCreate,
  CreateForeignTableStmt: (node, known) => locksOfCreate(node.base, known),
  CreateTableAsStmt: none,
  CreateSchemaStmt: (node, known) =>
    allOrUnknown((node.schemaElts ?? []).map((e: Node) => readNode(e, known))),
  AlterTableStmt: alterTableLocks,
  RenameStmt: locksOfRename,
  AlterObjectSchemaStmt: locksOfNewSchema,
  AlterSeqStmt: (node, known) => lockAll([known.place(relationName(node.sequence))], 'SHARE ROW EXCLUSIVE'),
  AlterDomainStmt: locksOfDomain,
  IndexStmt: locksOfIndex,
  ReindexStmt: locksOfReindex,
  CreateStatsStmt: node =>
    node.relations.flatMap((r: Node) =>
      r.RangeVar ? lockAll([relationName(r.RangeVar)], 'SHARE UPDATE EXCLUSIVE') : [],
    ),
  CreateTrigStmt: (node, known) =>
    lockAll(
      node.row ? known.withPartitions(relationName(node.relation)) : [relationName(node.relation)],
      'SHARE ROW EXCLUSIVE',
      `CREATE TRIGGER ${node.trigname}`,
    ),
  CreatePolicyStmt: node =>
    lockAll([relationName(node.table)], 'ACCESS EXCLUSIVE', `CREATE POLICY ${node.policy_name}`),
  AlterPolicyStmt: node =>
    lockAll([relationName(node.table)], 'ACCESS EXCLUSIVE', `ALTER POLICY ${node.policy_name}`),
  RuleStmt: node =>
    lockAll([relationName(node.relation)], 'ACCESS EXCLUSIVE', `CREATE RULE ${node.rulename}`),
  ViewStmt: (node, known) =>
    node.replace && known.exists(relationName(node.view)) !== false
      ? lockAll([relationName(node.view)], 'ACCESS EXCLUSIVE')
      : [],
  RefreshMatViewStmt: node =>
    lockAll([relationName(node.relation)], node.concurrent ? 'EXCLUSIVE' : 'ACCESS EXCLUSIVE'),
  DropStmt: locksOfDrop,
  TruncateStmt: locksOfTruncate,
  LockStmt: locksOfLock,
  VacuumStmt: locksOfVacuum,
  ClusterStmt: (node, known) =>
    node.relation ? lockAll(known.withPartitions(relationName(node.relation)), 'ACCESS EXCLUSIVE') : null,
  CommentStmt: locksOfComment,
  CreatePublicationStmt: locksOfPublication,
  AlterPublicationStmt: locksOfPublication,
  DoStmt: untold,
  CallStmt: untold,
  ...Object.fromEntries(
    (
      'AlterCollationStmt AlterDatabaseSetStmt AlterDatabaseStmt AlterDefaultPrivilegesStmt AlterEnumStmt AlterEventTrigStmt ' +
      'AlterFdwStmt AlterForeignServerStmt AlterFunctionStmt AlterOpFamilyStmt AlterOperatorStmt AlterOwnerStmt AlterRoleSetStmt ' +
      'AlterRoleStmt AlterStatsStmt AlterTSConfigurationStmt AlterTSDictionaryStmt AlterTypeStmt ' +
      'AlterUserMappingStmt CheckPointStmt ClosePortalStmt CompositeTypeStmt ConstraintsSetStmt CreateAmStmt CreateCastStmt ' +
      'CreateConversionStmt CreateDomainStmt CreateEnumStmt CreateEventTrigStmt CreateExtensionStmt CreateFdwStmt ' +
      'CreateForeignServerStmt CreateFunctionStmt CreateOpClassStmt CreateOpFamilyStmt CreateRangeStmt CreateRoleStmt ' +
      'CreateSeqStmt CreateUserMappingStmt DefineStmt DiscardStmt DropRoleStmt ' +
      'DropUserMappingStmt GrantRoleStmt GrantStmt ListenStmt NotifyStmt TransactionStmt UnlistenStmt ' +
      'VariableSetStmt VariableShowStmt'
    )
      .split(' ')
      .map(kind => [kind, none]),
  ),
}

function inner(node: Node, known: Known): Taken[] | null {
  return readNode(node.query, known)
}

const readNode = (wrapped: Node, known: Known): Taken[] | null => {
  const kind = Object.keys(wrapped)[0]!
  return statementRules[kind]?.(wrapped[kind], known) ?? null
}

/** The beginning of a statement, as its name in a sentence. */
const labelOf = ({ text }: Statement): string => {
  const line = text.replace(/\s+/g, ' ')
  return line.length > 60 ? `${line.slice(0, 60).trimEnd()} ...` : line
}
