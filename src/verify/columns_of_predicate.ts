import type { Db } from '../database/types.js'
import { type Node, parseStatements, visitNodes } from '../files/statements.js'
import { namesIn } from '../model/table_name.js'
import { tableColumns } from './proof.sql.js'

const systemColumns = new Set(['ctid', 'tableoid', 'xmin', 'xmax', 'cmin', 'cmax'])

/**
 * The columns of a table that a predicate may read. Null if it may read the whole row or system columns. A
 * name that belongs to another table in the predicate counts too.
 */
export async function columnsOfPredicate(
  sql: Db,
  table: string,
  predicate: string,
): Promise<string[] | null> {
  const [found] = await tableColumns(sql, [table])
  const columns = new Set(found?.columns ?? [])
  const relation = namesIn(table)!.at(-1)
  const asked = new Set<string>()
  let whole = false
  for (const { node } of await parseStatements(`select ${predicate}`))
    visitNodes(node, part => {
      if (!part.ColumnRef) return
      const path: string[] = part.ColumnRef.fields.map((f: Node) => f.String?.sval ?? '*')
      const [name, of] = [path.at(-1)!, path.at(-2)]
      if (of !== undefined && of !== relation) return
      if (columns.has(name)) asked.add(name)
      else if (name === '*' || name === relation || systemColumns.has(name)) whole = true
    })
  return whole ? null : [...asked]
}
