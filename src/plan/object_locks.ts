import type { Known } from '../database/known.js'
import { type Node, pathName, relationName, strings } from '../files/statements.js'
import { lockAll, type Taken } from '../model/lock_mode.js'
import { keyLocks, keysOfColumn } from './alter_table_locks.js'
import { joinsPartitions } from './partition_locks.js'
import { spread } from './query_locks.js'

/** All locks of the parts; null if one part is unknown. */
export const allOrUnknown = (parts: (Taken[] | null)[]): Taken[] | null =>
  parts.includes(null) ? null : parts.flatMap(part => part!)

/** CREATE TABLE locks the tables that it references, its parents, and the partitions beside a new one. */
export function locksOfCreate(node: Node, known: Known): Taken[] {
  const name = relationName(node.relation)
  if (node.if_not_exists && known.exists(name)) return []
  const parents: string[] = (node.inhRelations ?? []).map((p: Node) => relationName(p.RangeVar))
  const constraints: Node[] = [...(node.constraints ?? []), ...(node.tableElts ?? [])]
  return [
    ...lockAll(parents, node.partbound ? 'ACCESS EXCLUSIVE' : 'SHARE UPDATE EXCLUSIVE'),
    ...(node.partbound ? parents.flatMap(p => joinsPartitions(p, known)) : []),
    ...constraints.flatMap(e => [...keyLocks(e.Constraint, known), ...keysOfColumn(e.ColumnDef, known)]),
  ].filter(l => l.table !== name)
}

/** RENAME of a table or of a part of one. Renaming other objects locks no table. */
export function locksOfRename(node: Node, known: Known): Taken[] | null {
  if (!node.relation) return []
  if (node.renameType === 'OBJECT_ATTRIBUTE') return node.behavior === 'DROP_CASCADE' ? null : []
  const name = relationName(node.relation)
  if (node.missing_ok && known.exists(name) === false && !known.owners.has(name)) return []
  const table = known.place(name)
  switch (node.renameType) {
    case 'OBJECT_INDEX':
      return known.owners.has(name) ? lockAll([table], 'SHARE UPDATE EXCLUSIVE') : null
    case 'OBJECT_COLUMN':
    case 'OBJECT_TABCONSTRAINT':
      return lockAll(spread(node.relation, known), 'ACCESS EXCLUSIVE')
    case 'OBJECT_TRIGGER':
      return lockAll(known.withPartitions(table), 'ACCESS EXCLUSIVE')
    case 'OBJECT_TYPE':
      return []
    default:
      return lockAll([table], 'ACCESS EXCLUSIVE')
  }
}

/** ALTER ... SET SCHEMA. Of an extension, all its objects move: their tables are unknown. */
export function locksOfNewSchema(node: Node, known: Known): Taken[] | null {
  if (node.objectType === 'OBJECT_EXTENSION') return null
  if (!node.relation) return []
  const name = relationName(node.relation)
  if (node.missing_ok && known.exists(name) === false) return []
  return lockAll([known.place(name)], 'ACCESS EXCLUSIVE')
}

/** ALTER DOMAIN. A new constraint is checked in every table with a column of the domain. */
export function locksOfDomain(node: Node, known: Known): Taken[] | null {
  // C: ADD CONSTRAINT, O: SET NOT NULL, V: VALIDATE CONSTRAINT; other forms lock no table
  if (!['C', 'O', 'V'].includes(node.subtype) || node.def?.Constraint?.skip_validation) return []
  if (!known.looked) return null
  return lockAll(tablesOfDomain(pathName(strings(node.typeName)), known), 'SHARE')
}

/** The tables with a column of a domain. */
export const tablesOfDomain = (domain: string, known: Known): string[] =>
  [...known.domains].filter(d => d.startsWith(`${domain}>`)).map(d => d.slice(domain.length + 1))

/** CREATE INDEX. On a partitioned table, every partition gets an index. */
export function locksOfIndex(node: Node, known: Known): Taken[] {
  const table = relationName(node.relation)
  return lockAll(
    node.relation.inh ? known.withPartitions(table) : [table],
    node.concurrent ? 'SHARE UPDATE EXCLUSIVE' : 'SHARE',
    ['CREATE INDEX', node.concurrent ? 'CONCURRENTLY' : '', node.idxname ?? ''].filter(w => w).join(' '),
  )
}

/**
 * REINDEX locks the indexes exclusively, and no query of their table can be planned meanwhile. Partitions
 * are rebuilt one by one; before that they are listed under a SHARE lock.
 */
export function locksOfReindex(node: Node, known: Known): Taken[] | null {
  if (!node.relation) return null
  const concurrent = JSON.stringify(node.params ?? []).includes('"concurrently"')
  const name = relationName(node.relation)
  const ofIndex = node.kind === 'REINDEX_OBJECT_INDEX'
  const table = ofIndex ? known.owners.get(name) : name
  if (!table) return null
  return known.withPartitions(table).flatMap(t => {
    const empty = !ofIndex && (known.isPartitioned(t) || (known.looked && !known.indexed.has(t)))
    if (concurrent) return lockAll([t], t === table ? 'SHARE UPDATE EXCLUSIVE' : 'SHARE')
    return lockAll([t], empty ? 'SHARE' : 'ACCESS EXCLUSIVE')
  })
}

/** DROP. With CASCADE the dropped objects (views, triggers, columns) are unknown. */
export function locksOfDrop(node: Node, known: Known): Taken[] | null {
  if (node.behavior === 'DROP_CASCADE' || node.removeType === 'OBJECT_EXTENSION') return null
  return allOrUnknown(node.objects.map((o: Node) => locksOfDropped(strings([o]), node, known)))
}

function locksOfDropped(path: string[], node: Node, known: Known): Taken[] | null {
  const name = path.length > 0 ? pathName(path) : ''
  const table = path.length > 1 ? pathName(path.slice(0, -1)) : ''
  const gone = (it: string) => node.missing_ok && known.exists(it) === false
  switch (node.removeType) {
    case 'OBJECT_TABLE':
      return gone(name) ? [] : lockAll(droppedWith(name, known), 'ACCESS EXCLUSIVE')
    case 'OBJECT_VIEW':
    case 'OBJECT_MATVIEW':
    case 'OBJECT_FOREIGN_TABLE':
    case 'OBJECT_SEQUENCE':
      return gone(name) ? [] : lockAll([known.place(name)], 'ACCESS EXCLUSIVE')
    case 'OBJECT_INDEX': {
      const owner = known.owners.get(name)
      if (!owner) return node.missing_ok && known.looked ? [] : null
      return lockAll(
        known.withPartitions(owner),
        node.concurrent ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS EXCLUSIVE',
      )
    }
    case 'OBJECT_STATISTIC_EXT': {
      const owner = known.statistics.get(name)
      if (!owner) return node.missing_ok && known.looked ? [] : null
      return lockAll([owner], 'SHARE UPDATE EXCLUSIVE')
    }
    case 'OBJECT_POLICY': {
      const policies = known.relations.get(table)?.policies
      if (gone(table) || (node.missing_ok && policies && !(path.at(-1)! in policies))) return []
      return lockAll([table], 'ACCESS EXCLUSIVE', `dropping ${path.at(-1)}`)
    }
    case 'OBJECT_TRIGGER':
      return gone(table)
        ? []
        : lockAll(known.withPartitions(table), 'ACCESS EXCLUSIVE', `dropping ${path.at(-1)}`)
    case 'OBJECT_RULE':
      return gone(table) ? [] : lockAll([table], 'ACCESS EXCLUSIVE', `dropping ${path.at(-1)}`)
    default:
      return []
  }
}

/** The tables that DROP TABLE locks: its partitions, the other side of its foreign keys, and its parent. */
function droppedWith(table: string, known: Known): string[] {
  const parent = known.partitionOf(table)
  const rest = parent && known.defaultOf(parent)
  return [
    ...known.withPartitions(table),
    ...known.foreignKeys.filter(k => k.table === table).flatMap(k => known.withPartitions(k.references)),
    ...(parent ? [parent] : []),
    ...(rest ? [rest] : []),
  ]
}

/** VACUUM. Without table names it processes all tables. Only FULL blocks others. */
export function locksOfVacuum(node: Node, known: Known): Taken[] | null {
  const full = isFullVacuum(node)
  if (!node.rels?.length) return full ? null : []
  return lockAll(
    node.rels.flatMap((r: Node) => spread(r.VacuumRelation.relation, known)),
    full ? 'ACCESS EXCLUSIVE' : 'SHARE UPDATE EXCLUSIVE',
  )
}

/** True for VACUUM FULL, which rewrites the table. */
export const isFullVacuum = (node: Node): boolean =>
  Boolean(node.is_vacuumcmd) &&
  (node.options ?? []).some(
    (o: Node) => o.DefElem?.defname === 'full' && !/^(false|off|0)$/.test(o.DefElem.arg?.String?.sval ?? ''),
  )

/** COMMENT ON locks a table only for the table itself and its columns. */
export function locksOfComment(node: Node, known: Known): Taken[] {
  const path = strings(node.object ? [node.object] : [])
  const whole = [
    'OBJECT_TABLE',
    'OBJECT_VIEW',
    'OBJECT_MATVIEW',
    'OBJECT_FOREIGN_TABLE',
    'OBJECT_SEQUENCE',
    'OBJECT_INDEX',
  ]
  const name = node.objtype === 'OBJECT_COLUMN' ? path.slice(0, -1) : whole.includes(node.objtype) ? path : []
  if (name.length === 0) return []
  const table = known.place(pathName(name))
  // a composite type has columns, but is no table
  return known.exists(table) === false ? [] : lockAll([table], 'SHARE UPDATE EXCLUSIVE')
}

/**
 * Publications. A published parent adds its children. A partitioned table is published through its
 * partitions.
 */
export function locksOfPublication(node: Node, known: Known): Taken[] {
  return (node.pubobjects ?? []).flatMap((o: Node) => {
    const range = o.PublicationObjSpec?.pubtable?.relation
    if (!range) return []
    const table = relationName(range)
    return lockAll(known.isPartitioned(table) ? [table] : spread(range, known), 'SHARE UPDATE EXCLUSIVE')
  })
}
