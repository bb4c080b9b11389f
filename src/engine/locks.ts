import type { ForeignKey, StatementLock } from '../model/plan.js'
import { type Node, pathName, relationName, type Statement, strings } from '../workspace/statements.js'

/** PostgreSQL's table lock modes, weakest first. Source: its documentation, chapter Explicit Locking. */
export const lockModes = [
  'ACCESS SHARE',
  'ROW SHARE',
  'ROW EXCLUSIVE',
  'SHARE UPDATE EXCLUSIVE',
  'SHARE',
  'SHARE ROW EXCLUSIVE',
  'EXCLUSIVE',
  'ACCESS EXCLUSIVE',
] as const
/** One of them. */
export type LockMode = (typeof lockModes)[number]

/**
 * Which of an application's statements wait while a mode is held. Source: the same
 * chapter's table of conflicts.
 */
export const blocks = (mode: LockMode): 'reads and writes' | 'writes' | 'nothing' =>
  mode === 'ACCESS EXCLUSIVE'
    ? 'reads and writes'
    : lockModes.indexOf(mode) >= lockModes.indexOf('SHARE')
      ? 'writes'
      : 'nothing'

/** What has to be known of the database to say what else a statement locks. */
export interface Known {
  foreignKeys: ForeignKey[]
  /** Table of an index, `schema.index` -> `schema.table`. */
  tableOf(index: string): string | null
  /** Whether a table or view of this name stands already. */
  exists(name: string): boolean
}

/** Storage parameters of a table whose change waits for everybody; all others wait for DDL only. */
const exclusiveOptions = new Set([
  'user_catalog_table',
  'security_barrier',
  'security_invoker',
  'check_option',
])

/**
 * Pure: the locks that a statement takes on tables that stand before it, from ROW EXCLUSIVE up. Null when
 * only running it can tell (DO blocks, CALL). A table that the statement itself makes is nobody else's yet.
 */
export function locksOf(statement: Statement, known: Known): StatementLock[] | null {
  const locks = new Map<string, LockMode>()
  const take = (table: string, mode: LockMode) => {
    const held = locks.get(table)
    if (!held || lockModes.indexOf(held) < lockModes.indexOf(mode)) locks.set(table, mode)
  }
  if (['DoStmt', 'CallStmt'].includes(statement.kind) || cascadesUnseen(statement)) return null
  ofStatement(statement, known, take)
  return [...locks].map(([table, mode]) => ({ table, mode, blocks: blocks(mode) }))
}

/** A drop that takes along whatever hangs on the object: views, triggers of any table, columns of a type. */
const cascadesUnseen = ({ kind, node }: Statement): boolean =>
  kind === 'DropStmt' && node.behavior === 'DROP_CASCADE'

type Take = (table: string, mode: LockMode) => void

function ofStatement({ kind, node }: Statement, known: Known, take: Take): void {
  switch (kind) {
    case 'SelectStmt':
      for (const clause of node.lockingClause ?? [])
        if (clause.LockingClause) for (const table of namesIn(node.fromClause)) take(table, 'ROW SHARE')
      writesOf(node.withClause, take)
      return
    case 'InsertStmt':
    case 'UpdateStmt':
    case 'DeleteStmt':
    case 'MergeStmt':
      take(relationName(node.relation), 'ROW EXCLUSIVE')
      writesOf(node.withClause, take)
      return
    case 'CopyStmt':
      if (node.is_from && node.relation) take(relationName(node.relation), 'ROW EXCLUSIVE')
      return
    case 'CreateStmt':
      ofCreate(node, take)
      return
    case 'IndexStmt':
      take(relationName(node.relation), node.concurrent ? 'SHARE UPDATE EXCLUSIVE' : 'SHARE')
      return
    case 'ReindexStmt':
      ofReindex(node, known, take)
      return
    case 'AlterTableStmt':
      ofAlter(node, known, take)
      return
    case 'RenameStmt':
      ofRename(node, known, take)
      return
    case 'AlterObjectSchemaStmt':
      if (node.objectType === 'OBJECT_TABLE') take(relationName(node.relation), 'ACCESS EXCLUSIVE')
      return
    case 'CreateTrigStmt':
      take(relationName(node.relation), 'SHARE ROW EXCLUSIVE')
      if (node.constrrel) take(relationName(node.constrrel), 'SHARE ROW EXCLUSIVE')
      return
    case 'CreatePolicyStmt':
    case 'AlterPolicyStmt':
      take(relationName(node.table), 'ACCESS EXCLUSIVE')
      return
    case 'RuleStmt':
      take(relationName(node.relation), 'ACCESS EXCLUSIVE')
      return
    case 'DropStmt':
      ofDrop(node, known, take)
      return
    case 'TruncateStmt':
      for (const r of node.relations) {
        const table = relationName(r.RangeVar)
        take(table, 'ACCESS EXCLUSIVE')
        if (node.behavior === 'DROP_CASCADE')
          for (const key of known.foreignKeys)
            if (key.references === table) take(key.table, 'ACCESS EXCLUSIVE')
      }
      return
    case 'CommentStmt':
      ofComment(node, take)
      return
    case 'ViewStmt':
      if (known.exists(relationName(node.view))) take(relationName(node.view), 'ACCESS EXCLUSIVE')
      return
    case 'RefreshMatViewStmt':
      take(relationName(node.relation), node.concurrent ? 'EXCLUSIVE' : 'ACCESS EXCLUSIVE')
      return
    case 'VacuumStmt': {
      const full = JSON.stringify(node.options ?? []).includes('"full"')
      for (const rel of node.rels ?? [])
        take(relationName(rel.VacuumRelation.relation), full ? 'ACCESS EXCLUSIVE' : 'SHARE UPDATE EXCLUSIVE')
      return
    }
    case 'ClusterStmt':
      if (node.relation) take(relationName(node.relation), 'ACCESS EXCLUSIVE')
      return
    case 'LockStmt':
      for (const r of node.relations)
        take(relationName(r.RangeVar), lockModes[node.mode - 1] ?? 'ACCESS EXCLUSIVE')
      return
    case 'CreateStatsStmt':
      for (const r of node.relations) if (r.RangeVar) take(relationName(r.RangeVar), 'SHARE UPDATE EXCLUSIVE')
      return
    case 'CreatePublicationStmt':
    case 'AlterPublicationStmt':
      for (const o of node.pubobjects ?? []) {
        const table = o.PublicationObjSpec?.pubtable?.relation
        if (table) take(relationName(table), 'SHARE UPDATE EXCLUSIVE')
      }
      return
  }
}

/** Tables that a FROM clause names. */
const namesIn = (from: Node[] | undefined): string[] =>
  (from ?? []).flatMap(item =>
    item.RangeVar
      ? [relationName(item.RangeVar)]
      : item.JoinExpr
        ? namesIn([item.JoinExpr.larg, item.JoinExpr.rarg])
        : [],
  )

/** Statements that write inside WITH. */
function writesOf(withClause: Node | undefined, take: Take): void {
  for (const cte of withClause?.ctes ?? []) {
    const query = cte.CommonTableExpr?.ctequery ?? {}
    for (const kind of ['InsertStmt', 'UpdateStmt', 'DeleteStmt'])
      if (query[kind]) {
        take(relationName(query[kind].relation), 'ROW EXCLUSIVE')
        writesOf(query[kind].withClause, take)
      }
  }
}

function ofCreate(node: Node, take: Take): void {
  const partition = Boolean(node.partbound)
  for (const parent of node.inhRelations ?? [])
    take(relationName(parent.RangeVar), partition ? 'ACCESS EXCLUSIVE' : 'SHARE UPDATE EXCLUSIVE')
  for (const c of [
    ...(node.constraints ?? []),
    ...(node.tableElts ?? []).flatMap((e: Node) => [e, ...(e.ColumnDef?.constraints ?? [])]),
  ])
    if (c.Constraint?.contype === 'CONSTR_FOREIGN')
      take(relationName(c.Constraint.pktable), 'SHARE ROW EXCLUSIVE')
}

function ofReindex(node: Node, known: Known, take: Take): void {
  if (!node.relation) return
  const concurrent = JSON.stringify(node.params ?? []).includes('"concurrently"')
  const mode = concurrent ? 'SHARE UPDATE EXCLUSIVE' : 'SHARE'
  const name = relationName(node.relation)
  const table = node.kind === 'REINDEX_OBJECT_INDEX' ? known.tableOf(name) : name
  if (table) take(table, mode)
}

function ofAlter(node: Node, known: Known, take: Take): void {
  const name = relationName(node.relation)
  // a view or a sequence is altered by the same statement; an index stands for its table only
  // where it moves in storage
  if (!['OBJECT_TABLE', 'OBJECT_MATVIEW', 'OBJECT_VIEW', 'OBJECT_SEQUENCE'].includes(node.objtype)) return
  for (const { AlterTableCmd: cmd } of node.cmds) {
    take(name, modeOf(cmd))
    const c = cmd.def?.Constraint as Node | undefined
    if (cmd.subtype === 'AT_AddConstraint' && c?.contype === 'CONSTR_FOREIGN')
      take(relationName(c.pktable), 'SHARE ROW EXCLUSIVE')
    if (cmd.subtype === 'AT_AddColumn')
      for (const inner of cmd.def?.ColumnDef?.constraints ?? [])
        if (inner.Constraint?.contype === 'CONSTR_FOREIGN')
          take(relationName(inner.Constraint.pktable), 'SHARE ROW EXCLUSIVE')
    if (cmd.subtype === 'AT_AttachPartition' || cmd.subtype === 'AT_DetachPartition') {
      const child = cmd.def?.PartitionCmd?.name
      if (child)
        take(
          relationName(child),
          cmd.def.PartitionCmd.concurrent ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS EXCLUSIVE',
        )
    }
    if (cmd.subtype === 'AT_AddInherit' || cmd.subtype === 'AT_DropInherit') {
      const parent = cmd.def?.RangeVar
      if (parent) take(relationName(parent), 'SHARE UPDATE EXCLUSIVE')
    }
    // a validation reads the other side, and keeps its rows from being deleted meanwhile
    if (cmd.subtype === 'AT_ValidateConstraint') {
      const key = known.foreignKeys.find(k => k.table === name && k.name === cmd.name)
      if (key) take(key.references, 'ROW SHARE')
    }
    if (cmd.subtype === 'AT_DropConstraint')
      for (const key of known.foreignKeys)
        if (key.table === name && key.name === cmd.name) take(key.references, 'ACCESS EXCLUSIVE')
    if (cmd.subtype === 'AT_DropColumn') dropsColumn(name, cmd, known, take)
  }
}

/** A column goes with its foreign keys, and with those that point at it where it cascades. */
function dropsColumn(table: string, cmd: Node, known: Known, take: Take): void {
  for (const key of known.foreignKeys) {
    if (key.table === table && key.columns.includes(cmd.name)) take(key.references, 'ACCESS EXCLUSIVE')
    if (key.references === table && key.referenced.includes(cmd.name) && cmd.behavior === 'DROP_CASCADE')
      take(key.table, 'ACCESS EXCLUSIVE')
  }
}

/**
 * What each command of ALTER TABLE takes on its own table. Source: PostgreSQL's documentation of ALTER TABLE,
 * proved by test/locks.test.ts.
 */
function modeOf(cmd: Node): LockMode {
  switch (cmd.subtype) {
    case 'AT_SetStatistics':
    case 'AT_SetOptions':
    case 'AT_ResetOptions':
    case 'AT_ClusterOn':
    case 'AT_DropCluster':
    case 'AT_ValidateConstraint':
    case 'AT_AttachPartition':
      return 'SHARE UPDATE EXCLUSIVE'
    case 'AT_DetachPartition':
      return cmd.def?.PartitionCmd?.concurrent ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS EXCLUSIVE'
    case 'AT_SetRelOptions':
    case 'AT_ResetRelOptions':
      return (cmd.def?.List?.items ?? []).some((o: Node) => exclusiveOptions.has(o.DefElem?.defname))
        ? 'ACCESS EXCLUSIVE'
        : 'SHARE UPDATE EXCLUSIVE'
    case 'AT_EnableTrig':
    case 'AT_EnableAlwaysTrig':
    case 'AT_EnableReplicaTrig':
    case 'AT_EnableTrigAll':
    case 'AT_EnableTrigUser':
    case 'AT_DisableTrig':
    case 'AT_DisableTrigAll':
    case 'AT_DisableTrigUser':
      return 'SHARE ROW EXCLUSIVE'
    case 'AT_AddConstraint':
      return cmd.def?.Constraint?.contype === 'CONSTR_FOREIGN' ? 'SHARE ROW EXCLUSIVE' : 'ACCESS EXCLUSIVE'
    default:
      return 'ACCESS EXCLUSIVE'
  }
}

function ofRename(node: Node, known: Known, take: Take): void {
  if (!node.relation) return
  const name = relationName(node.relation)
  if (node.renameType === 'OBJECT_INDEX') return
  // a column of a table goes by this name too, and so do triggers, policies and constraints of it
  if (known.tableOf(name)) return
  take(name, 'ACCESS EXCLUSIVE')
}

function ofDrop(node: Node, known: Known, take: Take): void {
  const objects: string[][] = node.objects.map((o: Node) => strings([o]))
  for (const path of objects)
    switch (node.removeType) {
      case 'OBJECT_TABLE': {
        const table = pathName(path)
        take(table, 'ACCESS EXCLUSIVE')
        // the other side of its foreign keys as well
        for (const key of known.foreignKeys) {
          if (key.table === table) take(key.references, 'ACCESS EXCLUSIVE')
        }
        break
      }
      case 'OBJECT_VIEW':
      case 'OBJECT_MATVIEW':
        take(pathName(path), 'ACCESS EXCLUSIVE')
        break
      case 'OBJECT_INDEX': {
        const table = known.tableOf(pathName(path))
        if (table) take(table, node.concurrent ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS EXCLUSIVE')
        break
      }
      case 'OBJECT_TRIGGER':
      case 'OBJECT_POLICY':
      case 'OBJECT_RULE':
        take(pathName(path.slice(0, -1)), 'ACCESS EXCLUSIVE')
        break
    }
}

function ofComment(node: Node, take: Take): void {
  const path = strings(node.object ? [node.object] : [])
  const mode = 'SHARE UPDATE EXCLUSIVE'
  if (['OBJECT_TABLE', 'OBJECT_VIEW', 'OBJECT_MATVIEW'].includes(node.objtype)) take(pathName(path), mode)
  else if (node.objtype === 'OBJECT_COLUMN') take(pathName(path.slice(0, -1)), mode)
}
