import type { Known } from '../database/known.js'
import { type Node, relationName } from '../files/statements.js'
import { lockAll, type Taken } from '../model/lock_mode.js'

/**
 * The tables on the other side of a partitioned table's foreign keys. A partition that is attached or
 * detached locks them.
 */
const partners = (parent: string, known: Known) => ({
  referenced: known.foreignKeys
    .filter(k => k.table === parent)
    .flatMap(k => known.withPartitions(k.references))
    .filter(t => !known.family(parent).includes(t)),
  referencing: known.foreignKeys
    .filter(k => k.references === parent)
    .map(k => k.table)
    .filter(t => !known.family(parent).includes(t)),
})

/**
 * Locks of a new partition besides itself and the parent. The default partition is searched for its rows.
 */
export function joinsPartitions(parent: string, known: Known): Taken[] {
  const { referenced, referencing } = partners(parent, known)
  const rest = known.defaultOf(parent)
  return [
    ...lockAll([...referenced, ...referencing], 'SHARE ROW EXCLUSIVE'),
    ...lockAll(rest ? [rest] : [], 'ACCESS EXCLUSIVE'),
  ]
}

/** Locks of ATTACH PARTITION besides the parent's. */
export function attachLocks(table: string, cmd: Node, known: Known): Taken[] {
  const child = relationName(cmd.def.PartitionCmd.name)
  return [...lockAll(known.family(child), 'ACCESS EXCLUSIVE'), ...joinsPartitions(table, known)]
}

/** Locks of DETACH PARTITION besides the parent's. */
export function detachLocks(table: string, cmd: Node, known: Known): Taken[] {
  const child = relationName(cmd.def.PartitionCmd.name)
  const { referenced, referencing } = partners(table, known)
  const rest = known.defaultOf(table)
  return [
    ...lockAll([child, ...referencing, ...(rest ? [rest] : [])], 'ACCESS EXCLUSIVE'),
    ...lockAll(referenced, 'SHARE ROW EXCLUSIVE'),
  ]
}
