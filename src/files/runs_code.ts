import type { Node, Statement } from './statements.js'

/** Statements that only write the catalog. They evaluate no expression and call no function. */
const declarations = new Set([
  'AlterDefaultPrivilegesStmt',
  'AlterOwnerStmt',
  'AlterPolicyStmt',
  'CommentStmt',
  'CreateEnumStmt',
  'CreatePolicyStmt',
  'CreateTrigStmt',
  'DropStmt',
  'GrantStmt',
  'RenameStmt',
  'ViewStmt',
])

/**
 * True unless the statement is known to run no user code. Such code may have an effect that the statement
 * does not show, such as changing a setting of the session. Event triggers are not considered.
 */
export function mayRunCode({ kind, node }: Statement): boolean {
  if (declarations.has(kind)) return false
  // bounds of a partition are evaluated; an index evaluates its expressions for existing rows
  if (kind === 'CreateStmt') return Boolean(node.partbound)
  if (kind === 'IndexStmt') return Boolean(node.whereClause) || !node.indexParams.every(isPlainColumn)
  return true
}

const isPlainColumn = ({ IndexElem: e }: Node): boolean => Boolean(e?.name) && !e.opclass
