import type { Node, Statement } from './statements.js'

/**
 * Statements that write the catalog and nothing else: no expression of theirs is
 * computed, no function called.
 */
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
 * True unless a statement is known to run none of the users' code. Code may do what the statement does
 * not show, such as changing a setting of the session. Event triggers are the server's matter: whoever
 * asks looks for them there.
 */
export function mayRunCode({ kind, node }: Statement): boolean {
  if (declarations.has(kind)) return false
  // the bounds of a partition are computed, and so is what an index holds of the rows that are there
  if (kind === 'CreateStmt') return Boolean(node.partbound)
  if (kind === 'IndexStmt') return Boolean(node.whereClause) || !node.indexParams.every(isPlainColumn)
  return true
}

const isPlainColumn = ({ IndexElem: e }: Node): boolean => Boolean(e?.name) && !e.opclass
