import type { Known } from '../database/known.js'
import { type Node, relationName } from '../files/statements.js'
import { lockAll, type Taken } from '../model/lock_mode.js'

/**
 * The tables at the other end of a partitioned table's keys, which a new partition joins and an old one
 * leaves.
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
 * What a partition that joins takes beside itself and the parent: the default one is searched for its rows.
 */
export function joinsPartitions(parent: string, known: Known): Taken[] {
  const { referenced, referencing } = partners(parent, known)
  const rest = known.defaultOf(parent)
  return [
    ...lockAll([...referenced, ...referencing], 'SHARE ROW EXCLUSIVE'),
    ...lockAll(rest ? [rest] : [], 'ACCESS EXCLUSIVE'),
  ]
}

/** What ATTACH PARTITION takes beside the lock on the parent. */
export function attachLocks(table: string, cmd: Node, known: Known): Taken[] {
  const child = relationName(cmd.def.PartitionCmd.name)
  return [...lockAll(known.family(child), 'ACCESS EXCLUSIVE'), ...joinsPartitions(table, known)]
}

/** What DETACH PARTITION takes beside the lock on the parent. */
export function detachLocks(table: string, cmd: Node, known: Known): Taken[] {
  const child = relationName(cmd.def.PartitionCmd.name)
  const { referenced, referencing } = partners(table, known)
  const rest = known.defaultOf(table)
  return [
    ...lockAll([child, ...referencing, ...(rest ? [rest] : [])], 'ACCESS EXCLUSIVE'),
    ...lockAll(referenced, 'SHARE ROW EXCLUSIVE'),
  ]
}
