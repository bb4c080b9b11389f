import { indexName, type Node, pathName, relationName, type Statement, strings } from './statements.js'

/**
 * What the catalog shows after a statement has run. A file without a transaction is resumed by reading the
 * catalog, not by trusting a counter, so each of its statements needs a proof.
 */
export type Proof =
  | { kind: 'index'; index: string; table: string; node: Node; present: true }
  | { kind: 'index'; index: string; table: null; node: null; present: false }
  | { kind: 'constraint'; table: string; name: string; valid: boolean; present: boolean; node: Node | null }
  | { kind: 'not-null'; table: string; column: string; present: boolean }
  | { kind: 'column'; table: string; column: string; present: boolean }

/** The proof of a statement. Null if the catalog does not show whether it has run. */
export function proofOf(statement: Statement): Proof | null {
  const { kind, node } = statement
  if (kind === 'IndexStmt' && node.idxname) {
    return {
      kind: 'index',
      index: indexName(node),
      table: relationName(node.relation),
      node,
      present: true,
    }
  }
  if (kind === 'DropStmt' && node.removeType === 'OBJECT_INDEX' && node.objects.length === 1) {
    return { kind: 'index', index: pathName(strings(node.objects)), table: null, node: null, present: false }
  }
  if (kind === 'AlterTableStmt' && node.objtype === 'OBJECT_TABLE' && node.cmds.length === 1) {
    return alterProof(relationName(node.relation), node.cmds[0].AlterTableCmd)
  }
  return null
}

function alterProof(table: string, cmd: Node): Proof | null {
  switch (cmd.subtype) {
    case 'AT_AddConstraint': {
      const def = cmd.def.Constraint as Node
      if (!def.conname) return null
      return {
        kind: 'constraint',
        table,
        name: def.conname,
        valid: !def.skip_validation,
        present: true,
        node: def,
      }
    }
    case 'AT_ValidateConstraint':
      return { kind: 'constraint', table, name: cmd.name, valid: true, present: true, node: null }
    case 'AT_DropConstraint':
      return { kind: 'constraint', table, name: cmd.name, valid: false, present: false, node: null }
    case 'AT_SetNotNull':
    case 'AT_DropNotNull':
      return { kind: 'not-null', table, column: cmd.name, present: cmd.subtype === 'AT_SetNotNull' }
    case 'AT_DropColumn':
      return { kind: 'column', table, column: cmd.name, present: false }
    default:
      return null
  }
}
