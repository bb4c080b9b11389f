import type { Db } from '../database/types.js'
import { type Node, relationName, type Statement, strings } from '../files/statements.js'
import type { Migration } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { distributedTables } from './distributed_tables.sql.js'
import type { FileOfStatements } from './twin_script.js'

/**
 * Tables that Citus has distributed and that the files change. rethread cannot walk their pages, and the
 * files were not written for them. They are refused; the finding says what a copy of the track would need.
 */
export async function distributed(
  sql: Db,
  changed: Map<string, Migration>,
  files: FileOfStatements[],
): Promise<Finding[]> {
  return (await distributedTables(sql, [...changed.keys()])).map(({ table, column }) =>
    finding('DISTRIBUTED_TABLE', table, {
      column,
      needs: column === null ? [] : files.flatMap(f => whatFileNeeds(f, table, column)),
      migration: changed.get(table)!.file.path,
    }),
  )
}

/** What a file would have to change for a table that is distributed by a column. */
function whatFileNeeds(
  { migration: m, statements }: FileOfStatements,
  table: string,
  column: string,
): string[] {
  const needs: string[] = []
  if (m.backfill?.table === table && !m.backfill.key.includes(column))
    needs.push(`${m.name}: --! key: ${column} and the columns of the primary key`)
  if (m.backfill?.table === table && m.backfill.unit !== column) needs.push(`${m.name}: --! unit: ${column}`)
  for (const s of statements)
    for (const what of lacking(s, table, column)) needs.push(`${m.name}: ${what} with ${column} in it`)
  if (statements.some(s => s.kind === 'CreateTrigStmt' && relationName(s.node.relation) === table))
    needs.push(`${m.name}: set citus.enable_unsafe_triggers = on, for its triggers`)
  return needs
}

/** The keys that a statement creates on a table without the given column. */
function lacking({ kind, node }: Statement, table: string, column: string): string[] {
  if (!node.relation || relationName(node.relation) !== table) return []
  if (kind === 'IndexStmt') {
    const names = node.indexParams.map((p: Node) => p.IndexElem.name)
    return node.unique && !names.includes(column) ? [`the unique index ${node.idxname ?? ''}`.trim()] : []
  }
  if (kind !== 'AlterTableStmt') return []
  return node.cmds.flatMap(({ AlterTableCmd: c }: Node): string[] => {
    const key = c?.subtype === 'AT_AddConstraint' ? c.def.Constraint : null
    const columns = strings(key?.fk_attrs ?? key?.keys)
    return key && columns.length > 0 && !columns.includes(column)
      ? [`the key ${key.conname ?? ''}`.trim()]
      : []
  })
}
