import { askedName, type Known } from '../database/known.js'
import { type Node, relationName, visitNodes } from '../files/statements.js'
import { lockAll, lockModes, type Taken } from '../model/lock_mode.js'

/** The tables that are locked where a query names one. ONLY leaves out the children. */
export const spread = (range: Node, known: Known): string[] =>
  range.inh ? known.family(relationName(range)) : [relationName(range)]

/**
 * SELECT: the tables with FOR UPDATE and the like, and the writes in its WITH. Null if it calls a function
 * that may do anything.
 */
export function locksOfSelect(node: Node, known: Known): Taken[] | null {
  const found: Taken[] = []
  let acts = false
  visitNodes(node, part => {
    if (part.lockingClause) found.push(...lockAll(rangesOf(part.fromClause, known), 'ROW SHARE'))
    if (part.FuncCall && mayAct(part.FuncCall, known)) acts = true
    for (const kind of ['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'])
      if (part[kind]) found.push(...locksOfWrite(part[kind], known))
  })
  return acts ? null : found
}

/**
 * Whether a function may lock tables: it is volatile and not built in. Before the catalog was read, any
 * function with another schema.
 */
function mayAct(call: Node, known: Known): boolean {
  const asked = askedName(call.funcname)
  const facts = known.functions.get(asked)
  if (facts) return facts.acts
  return known.looked || (asked.includes('.') && !asked.startsWith('pg_catalog.'))
}

const rangesOf = (from: Node[] | undefined, known: Known): string[] =>
  (from ?? []).flatMap(item =>
    item.RangeVar
      ? spread(item.RangeVar, known)
      : item.JoinExpr
        ? rangesOf([item.JoinExpr.larg, item.JoinExpr.rarg], known)
        : rangesOf(item.RangeSubselect?.subquery?.SelectStmt?.fromClause, known),
  )

/** INSERT, UPDATE, DELETE and MERGE, with what their WITH queries write. */
export function locksOfWrite(node: Node, known: Known): Taken[] {
  const found = lockAll(spread(node.relation, known), 'ROW EXCLUSIVE')
  for (const cte of node.withClause?.ctes ?? []) {
    const query = cte.CommonTableExpr?.ctequery ?? {}
    for (const kind of ['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'])
      if (query[kind]) found.push(...locksOfWrite(query[kind], known))
  }
  return found
}

/** TRUNCATE. CASCADE follows the foreign keys from table to table. */
export function locksOfTruncate(node: Node, known: Known): Taken[] {
  const tables = new Set<string>(node.relations.flatMap((r: Node) => spread(r.RangeVar, known)))
  if (node.behavior === 'DROP_CASCADE')
    for (const table of tables)
      for (const key of known.foreignKeys)
        if (key.references === table) for (const t of known.withPartitions(key.table)) tables.add(t)
  return lockAll([...tables], 'ACCESS EXCLUSIVE', 'TRUNCATE')
}

/** LOCK TABLE. Null for a view: the tables behind it are locked too and are not known. */
export function locksOfLock(node: Node, known: Known): Taken[] | null {
  const ranges: Node[] = node.relations.map((r: Node) => r.RangeVar)
  if (ranges.some(r => known.kinds.get(relationName(r)) === 'v')) return null
  return lockAll(
    ranges.flatMap(r => spread(r, known)),
    lockModes[node.mode - 1] ?? 'ACCESS EXCLUSIVE',
  )
}
