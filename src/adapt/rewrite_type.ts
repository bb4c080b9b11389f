import { type Node, strings } from '../files/statements.js'
import { tableText } from '../model/table_name.js'
import { type Rewrite, renameTable } from './scope.js'

/** The type whose names the roles of a track may give another: all ids of the shipped tracks are uuids. */
const idType = 'uuid'

/**
 * A type's name: that of a table follows the table, and a uuid is what the role behind `named` has, the
 * name of the parameter, column or value that has the type, in the function or table `within`.
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
