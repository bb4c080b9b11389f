import { type Node, strings } from '../files/statements.js'
import { tableText } from '../model/table_name.js'
import { type Rewrite, renameTable } from './scope.js'

/** The type of ids in the shipped tracks, which a database may replace by another type. */
const idType = 'uuid'

/**
 * Rewrites the name of a type. The row type of a table is renamed with the table. A uuid becomes the type of
 * the role that `named` belongs to. `named` is the parameter, column or value with this type; `within` is its
 * function or table.
 */
export function rewriteType(
  to: Rewrite,
  type: Node,
  named: string | null,
  within: string | null = to.body?.name ?? null,
): void {
  const { edits, names } = to
  const path = strings(type.names)
  const at = edits.at(type.location)
  if (path.length === 2) {
    const table = tableText({ schema: path[0]!, name: path[1]! })
    if (edits.tokens[at + 1]?.raw === '.') renameTable(to, table, at)
    return
  }
  const now = named === null ? null : names.type(named, within)
  const token = edits.tokens[at]
  if (now !== null && token?.name === idType) edits.replace(token.start, token.end, now)
}
