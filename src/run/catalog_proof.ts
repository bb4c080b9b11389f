import { addConstraint, columnFacts, constraintFacts, indexFacts } from '../database/catalog.sql.js'
import type { Connection } from '../database/connection.js'
import type { Proof } from '../files/statement_proof.js'
import { type Node, nodeShape, parseStatements } from '../files/statements.js'
import { Failure } from '../model/failure.js'
import { onPartitions } from './by_partition.js'

/** The state of a statement's object: absent, done, or left half done by a run that was stopped. */
type ProofState = 'absent' | 'done' | 'half'

/**
 * Reads from the catalog whether a statement has done its work. Throws DIFFERENT_DEFINITION if another object
 * has the name, and FOREIGN_INVALID_INDEX for an invalid index that this tool did not leave (`ours` is
 * false).
 */
export async function proofState(connection: Connection, proof: Proof, ours: boolean): Promise<ProofState> {
  const { sql } = connection
  switch (proof.kind) {
    case 'index': {
      const found = await indexFacts(sql, proof.index)
      if (!proof.present) return found ? 'absent' : 'done'
      if (!found) return 'absent'
      if (found.builder !== null || !found.valid) {
        if (ours) return 'half'
        throw new Failure('FOREIGN_INVALID_INDEX', proof.index, { builder: found.builder })
      }
      const [existing] = await parseStatements(found.definition)
      if (!sameIndex(proof.node, existing!.node)) {
        throw new Failure('DIFFERENT_DEFINITION', proof.index, { found: found.definition })
      }
      return 'done'
    }
    case 'constraint': {
      const found = await constraintFacts(sql, proof.table, proof.name)
      const below = found ? 'none' : await onPartitions(connection, proof.table, proof.name)
      if (!proof.present) return found || below !== 'none' ? 'absent' : 'done'
      if (!found) return below === 'all' && !proof.valid ? 'done' : 'absent'
      if (proof.node && !(await sameConstraint(proof.node, found.definition))) {
        throw new Failure('DIFFERENT_DEFINITION', `${proof.table} ${proof.name}`, { found: found.definition })
      }
      return proof.valid && !found.valid ? 'absent' : 'done'
    }
    case 'not-null': {
      const found = await columnFacts(sql, proof.table, proof.column)
      return found?.notNull === proof.present ? 'done' : 'absent'
    }
    case 'column': {
      const found = await columnFacts(sql, proof.table, proof.column)
      return (found !== null) === proof.present ? 'done' : 'absent'
    }
  }
}

/**
 * Whether two index definitions are the same: method, columns with order, predicate, uniqueness, included
 * columns.
 */
const sameIndex = (wanted: Node, found: Node): boolean =>
  indexShape(wanted) === indexShape(found) && sameExpression(wanted.whereClause, found.whereClause)

/** Compares an expression of a file with its form in the catalog, where the server adds types to strings. */
const sameExpression = (wanted: Node | undefined, found: Node | undefined): boolean =>
  nodeShape(wanted ?? null) === nodeShape(withoutTypes(found ?? null, wanted ?? null))

/** The server's form without the types of strings that have none in the file. */
function withoutTypes(found: unknown, wanted: unknown): unknown {
  if (found === null || typeof found !== 'object' || wanted === null || typeof wanted !== 'object')
    return found
  const cast = (found as Node).TypeCast
  if (cast?.arg?.A_Const?.sval && (wanted as Node).A_Const?.sval) return cast.arg
  if (Array.isArray(found)) return found.map((item, n) => withoutTypes(item, (wanted as Node)[n] ?? null))
  return Object.fromEntries(
    Object.entries(found).map(([key, value]) => [key, withoutTypes(value, (wanted as Node)[key] ?? null)]),
  )
}

/** A definition without its predicate. */
function indexShape(node: Node): string {
  const elements = (list: Node[] | undefined) =>
    (list ?? []).map(({ IndexElem: e }) => {
      const descending = e.ordering === 'SORTBY_DESC'
      const nulls = e.nulls_ordering ?? 'SORTBY_NULLS_DEFAULT'
      // DESC implies NULLS FIRST, ASC implies NULLS LAST
      const first = nulls === 'SORTBY_NULLS_DEFAULT' ? descending : nulls === 'SORTBY_NULLS_FIRST'
      return [e.name ?? nodeShape(e.expr), descending, first]
    })
  return JSON.stringify([
    node.accessMethod ?? 'btree',
    Boolean(node.unique),
    elements(node.indexParams),
    elements(node.indexIncludingParams),
  ])
}

/** Parses the output of `pg_get_constraintdef` and compares it with a constraint of a file. */
async function sameConstraint(wanted: Node, definition: string): Promise<boolean> {
  const [parsed] = await parseStatements(addConstraint(definition))
  const found = parsed!.node.cmds[0].AlterTableCmd.def.Constraint as Node
  if (wanted.contype !== found.contype) return false
  if (wanted.contype === 'CONSTR_FOREIGN') {
    const key = (c: Node) => nodeShape([c.fk_attrs, c.pktable.relname, c.fk_del_action, c.fk_upd_action])
    return key(wanted) === key(found)
  }
  if (wanted.contype === 'CONSTR_CHECK') return sameExpression(wanted.raw_expr, found.raw_expr)
  return nodeShape(wanted.keys) === nodeShape(found.keys)
}
