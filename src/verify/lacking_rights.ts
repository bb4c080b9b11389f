import type { Db } from '../database/types.js'
import {
  type Node,
  parseStatements,
  relationName,
  type Statement,
  strings,
  visitNodes,
} from '../files/statements.js'
import { partText } from '../model/table_name.js'
import { type RightWanted, rightsLacking } from './lacking_rights.sql.js'

/**
 * The rights for statements that a role lacks, each with the GRANT, as rows of a check. Empty if the role has
 * all rights: then policies or triggers refused.
 */
export async function lackingRights(
  sql: Db,
  role: string,
  text: string,
): Promise<{ object: string; detail: string }[]> {
  const lacking = await rightsLacking(sql, role, (await parseStatements(text)).flatMap(rightsWanted))
  return lacking.map(({ table, right, column }) => {
    const columns = column === null ? '' : ` (${partText(column)})`
    return {
      object: column === null ? table : `${table}.${partText(column)}`,
      detail: `${role} may not ${right} it: grant ${right.toLowerCase()}${columns} on ${table} to ${partText(role)};`,
    }
  })
}

/** Pure: the rights that a statement needs, according to its parse tree. */
function rightsWanted({ kind, node }: Statement): RightWanted[] {
  const wanted: RightWanted[] = []
  const target = node.relation ? relationName(node.relation) : null
  const names = (list: Node[] | undefined): string[] =>
    (list ?? []).map(c => c.ResTarget?.name).filter(Boolean)
  if (kind === 'InsertStmt')
    for (const column of names(node.cols)) wanted.push({ table: target!, right: 'INSERT', column })
  if (kind === 'UpdateStmt')
    for (const column of names(node.targetList)) wanted.push({ table: target!, right: 'UPDATE', column })
  if (kind === 'DeleteStmt') wanted.push({ table: target!, right: 'DELETE', column: null })
  const tables = new Map<string, string>()
  visitNodes({ [kind]: node }, ({ RangeVar: range }) => {
    if (range?.schemaname) tables.set(range.alias?.aliasname ?? range.relname, relationName(range))
  })
  if (kind !== 'InsertStmt' && target)
    tables.set(node.relation.alias?.aliasname ?? node.relation.relname, target)
  visitNodes({ [kind]: node }, ({ ColumnRef: ref }) => {
    const [first, second] = strings(ref?.fields)
    if (first === undefined) return
    const of = second === undefined ? [...tables.values()] : [tables.get(first)].filter(t => t !== undefined)
    for (const table of of) wanted.push({ table, right: 'SELECT', column: second ?? first })
  })
  return wanted
}
