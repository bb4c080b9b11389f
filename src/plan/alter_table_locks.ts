import type { Known } from '../database/known.js'
import { type Node, relationName } from '../files/statements.js'
import { type LockMode, lockAll, type Taken } from '../model/lock_mode.js'
import type { ForeignKey } from '../model/plan.js'
import { attachLocks, detachLocks } from './partition_locks.js'

/** The locks that one command of ALTER TABLE takes. */
interface AlterRule {
  mode: LockMode | ((cmd: Node) => LockMode)
  /**
   * Which other tables are locked: none, all that inherit, or only the partitions of a partitioned table.
   */
  reach: 'none' | 'family' | 'partitions'
  /** The locks that the command takes on other tables. */
  others?: (table: string, cmd: Node, known: Known) => Taken[]
}

/** Storage parameters whose change takes ACCESS EXCLUSIVE. All others block only DDL. */
const exclusiveOptions = new Set([
  'user_catalog_table',
  'security_barrier',
  'security_invoker',
  'check_option',
])

const modeOfOptions = (cmd: Node): LockMode =>
  (cmd.def?.List?.items ?? []).some((o: Node) => exclusiveOptions.has(o.DefElem?.defname))
    ? 'ACCESS EXCLUSIVE'
    : 'SHARE UPDATE EXCLUSIVE'

const exclusive = (reach: AlterRule['reach'], others?: AlterRule['others']): AlterRule => ({
  mode: 'ACCESS EXCLUSIVE',
  reach,
  ...(others ? { others } : {}),
})
const mild = (reach: AlterRule['reach'], others?: AlterRule['others']): AlterRule => ({
  ...exclusive(reach, others),
  mode: 'SHARE UPDATE EXCLUSIVE',
})
const firingLock: AlterRule = { mode: 'SHARE ROW EXCLUSIVE', reach: 'partitions' }

/**
 * The locks of each ALTER TABLE command. test/locks.test.ts checks every entry on real servers. The locks
 * of a command that is not listed are unknown. Where PostgreSQL 15 takes fewer locks than 18, the entry has
 * those of 18.
 */
export const alterTableRules: Record<string, AlterRule> = {
  AT_AddColumn: exclusive('family', (_table, cmd, known) => keysOfColumn(cmd.def?.ColumnDef, known)),
  AT_DropColumn: exclusive('family', locksOfColumnDrop),
  AT_ColumnDefault: exclusive('family'),
  AT_DropNotNull: exclusive('family'),
  AT_SetNotNull: exclusive('family'),
  AT_SetExpression: exclusive('family'),
  AT_DropExpression: exclusive('family'),
  AT_SetStatistics: mild('family'),
  AT_SetOptions: mild('none'),
  AT_ResetOptions: mild('none'),
  AT_SetStorage: exclusive('family'),
  AT_SetCompression: exclusive('none'),
  AT_AlterColumnType: exclusive('family', (table, cmd, known) => locksOfTypeChange(table, cmd, known)),
  AT_AlterColumnGenericOptions: exclusive('none'),
  AT_AddIdentity: exclusive('partitions'),
  AT_SetIdentity: exclusive('partitions'),
  AT_DropIdentity: exclusive('partitions'),
  AT_AddConstraint: {
    mode: cmd =>
      cmd.def?.Constraint?.contype === 'CONSTR_FOREIGN' ? 'SHARE ROW EXCLUSIVE' : 'ACCESS EXCLUSIVE',
    reach: 'family',
    others: (_table, cmd, known) => keyLocks(cmd.def?.Constraint, known),
  },
  AT_AlterConstraint: exclusive('partitions'),
  AT_ValidateConstraint: mild('family', locksOfValidation),
  AT_DropConstraint: exclusive('family', (table, cmd, known) =>
    known.foreignKeys
      .filter(k => k.table === table && k.name === cmd.name)
      .flatMap(k => lockAll(known.withPartitions(k.references), 'ACCESS EXCLUSIVE')),
  ),
  AT_ChangeOwner: exclusive('none'),
  AT_ClusterOn: mild('none'),
  AT_DropCluster: mild('none'),
  AT_SetLogged: exclusive('none'),
  AT_SetUnLogged: exclusive('none'),
  AT_SetAccessMethod: exclusive('none'),
  AT_SetTableSpace: exclusive('none'),
  AT_SetRelOptions: { mode: modeOfOptions, reach: 'none' },
  AT_ResetRelOptions: { mode: modeOfOptions, reach: 'none' },
  AT_EnableTrig: firingLock,
  AT_EnableAlwaysTrig: firingLock,
  AT_EnableReplicaTrig: firingLock,
  AT_EnableTrigAll: firingLock,
  AT_EnableTrigUser: firingLock,
  AT_DisableTrig: firingLock,
  AT_DisableTrigAll: firingLock,
  AT_DisableTrigUser: firingLock,
  AT_EnableRule: exclusive('none'),
  AT_EnableAlwaysRule: exclusive('none'),
  AT_EnableReplicaRule: exclusive('none'),
  AT_DisableRule: exclusive('none'),
  AT_AddInherit: exclusive('none', (_table, cmd) =>
    lockAll([relationName(cmd.def.RangeVar)], 'SHARE UPDATE EXCLUSIVE'),
  ),
  AT_DropInherit: exclusive('none'),
  AT_AddOf: exclusive('none'),
  AT_DropOf: exclusive('none'),
  AT_ReplicaIdentity: exclusive('none'),
  AT_EnableRowSecurity: exclusive('none'),
  AT_DisableRowSecurity: exclusive('none'),
  AT_ForceRowSecurity: exclusive('none'),
  AT_NoForceRowSecurity: exclusive('none'),
  AT_GenericOptions: exclusive('none'),
  AT_AttachPartition: mild('none', attachLocks),
  AT_DetachPartition: {
    mode: cmd => (cmd.def?.PartitionCmd?.concurrent ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS EXCLUSIVE'),
    reach: 'none',
    others: detachLocks,
  },
  AT_DetachPartitionFinalize: mild('none', (_table, cmd) =>
    lockAll([relationName(cmd.def.PartitionCmd.name)], 'ACCESS EXCLUSIVE'),
  ),
}

/**
 * The locks of an ALTER TABLE, also of a view, a sequence or an index. Null if one of its commands is
 * unknown.
 */
export function alterTableLocks(node: Node, known: Known): Taken[] | null {
  const name = relationName(node.relation)
  if (node.missing_ok && known.exists(name) === false && !known.owners.has(name)) return []
  if (node.objtype === 'OBJECT_TYPE')
    return node.cmds.some((c: Node) => c.AlterTableCmd.behavior === 'DROP_CASCADE') ? null : []
  const table = known.place(name)
  if (node.objtype === 'OBJECT_INDEX') return locksOfIndexChange(name, node, known)
  const found: Taken[] = []
  for (const { AlterTableCmd: cmd } of node.cmds) {
    const rule = alterTableRules[cmd.subtype]
    if (!rule || cascadesUnseen(table, cmd, known)) return null
    const mode = typeof rule.mode === 'function' ? rule.mode(cmd) : rule.mode
    const by = commandLabel(cmd)
    found.push(...lockAll(tablesReached(table, node, cmd, rule, known), mode, by))
    found.push(...(rule.others?.(table, cmd, known) ?? []).map(t => ({ by, ...t })))
  }
  return found
}

function tablesReached(table: string, node: Node, cmd: Node, rule: AlterRule, known: Known): string[] {
  // with IF NOT EXISTS, a column that exists already is left alone, and no child is locked
  const idle = cmd.missing_ok && known.relations.get(table)?.columns[cmd.def?.ColumnDef?.colname]
  if (rule.reach === 'none' || idle) return [table]
  if (rule.reach === 'partitions' && !known.isPartitioned(table)) return [table]
  if (node.relation.inh) return known.family(table)
  // ONLY: children keep the column as their own, and are locked to say so
  return cmd.subtype === 'AT_DropColumn'
    ? [table, ...known.descents.filter(d => d.parent === table).map(d => d.child)]
    : [table]
}

/**
 * Planning any query on a table locks all of its indexes. A lock on an index therefore counts as a lock on
 * its table.
 */
function locksOfIndexChange(name: string, node: Node, known: Known): Taken[] | null {
  const table = known.owners.get(name)
  if (!table) return null
  const found: Taken[] = []
  for (const { AlterTableCmd: cmd } of node.cmds)
    switch (cmd.subtype) {
      case 'AT_SetRelOptions':
      case 'AT_ResetRelOptions':
      case 'AT_SetStatistics':
        found.push({ table, mode: 'SHARE UPDATE EXCLUSIVE' })
        break
      case 'AT_SetTableSpace':
        found.push({ table, mode: 'ACCESS EXCLUSIVE' })
        break
      case 'AT_AttachPartition': {
        const child = known.owners.get(relationName(cmd.def.PartitionCmd.name))
        if (!child) return null
        found.push({ table, mode: 'SHARE UPDATE EXCLUSIVE' }, { table: child, mode: 'ACCESS EXCLUSIVE' })
        break
      }
      default:
        return null
    }
  return found
}

/** True if CASCADE would also drop views, or foreign keys of tables that are not in `known`. */
function cascadesUnseen(table: string, cmd: Node, known: Known): boolean {
  if (cmd.behavior !== 'DROP_CASCADE') return false
  if (known.relations.get(table)?.viewed !== false) return true
  return cmd.subtype === 'AT_DropConstraint' && known.foreignKeys.some(k => k.references === table)
}

/** The name of the command, as it is written in SQL. */
export function commandLabel(cmd: Node): string {
  const constraint = cmd.def?.Constraint as Node | undefined
  switch (cmd.subtype) {
    case 'AT_AddColumn':
      return `ADD COLUMN ${cmd.def.ColumnDef.colname}`
    case 'AT_AlterColumnType':
      return `ALTER COLUMN ${cmd.name} TYPE`
    case 'AT_AddConstraint':
      if (constraint?.contype === 'CONSTR_FOREIGN') return 'ADD FOREIGN KEY'
      return `ADD CONSTRAINT ${constraint?.conname ?? ''}`.trim()
    default: {
      const words = String(cmd.subtype)
        .replace(/^AT_/, '')
        .replace(/([a-z])([A-Z])/g, '$1 $2')
        .toUpperCase()
        .replace(/\bTRIG\b/, 'TRIGGER')
        .replace('UN LOGGED', 'UNLOGGED')
        .replace('REL OPTIONS', 'STORAGE PARAMETERS')
      return cmd.name ? `${words} ${cmd.name}` : words
    }
  }
}

/** Creating a foreign key locks both tables; of a partitioned table, all of its partitions. */
export const keyLocks = (c: Node | undefined, known: Known): Taken[] =>
  c?.contype === 'CONSTR_FOREIGN'
    ? lockAll(known.withPartitions(relationName(c.pktable)), 'SHARE ROW EXCLUSIVE', 'a foreign key to it')
    : []

/** The foreign keys that are written beside a column. */
export const keysOfColumn = (column: Node | undefined, known: Known): Taken[] =>
  (column?.constraints ?? []).flatMap((c: Node) => keyLocks(c.Constraint, known))

/**
 * True if a foreign key references the column. A key that this plan creates may name no referenced columns.
 * It references the primary key then, and counts as referencing every column.
 */
export const pointsAt = (key: ForeignKey, table: string, column: string): boolean =>
  key.references === table && (key.referenced.length === 0 || key.referenced.includes(column))

/** Dropping a column drops its foreign keys; with CASCADE, also the keys that reference it. */
function locksOfColumnDrop(table: string, cmd: Node, known: Known): Taken[] {
  return locksOfTypeChange(table, cmd, known, cmd.behavior === 'DROP_CASCADE')
}

/** A change of type creates the foreign key again. Both tables are locked, as for a drop. */
function locksOfTypeChange(table: string, cmd: Node, known: Known, both = true): Taken[] {
  return known.foreignKeys.flatMap(key => {
    if (key.table === table && key.columns.includes(cmd.name))
      return lockAll(known.withPartitions(key.references), 'ACCESS EXCLUSIVE')
    return both && pointsAt(key, table, cmd.name)
      ? lockAll(known.withPartitions(key.table), 'ACCESS EXCLUSIVE')
      : []
  })
}

/** VALIDATE CONSTRAINT reads the referenced table and prevents its rows from being deleted meanwhile. */
function locksOfValidation(table: string, cmd: Node, known: Known): Taken[] {
  return known.foreignKeys
    .filter(k => k.table === table && k.name === cmd.name)
    .flatMap(k => lockAll(known.withPartitions(k.references), 'ROW SHARE'))
}
