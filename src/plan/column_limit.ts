import type { Db } from '../database/types.js'
import { type Node, relationName } from '../files/statements.js'
import { type Finding, finding } from '../model/report.js'
import { numberedTables } from './column_limit.sql.js'
import type { FileOfStatements } from './twin_script.js'

/** PostgreSQL's limit of columns in a table. The number of a dropped column is never used again. */
const mostColumns = 1600

/** Tables that would exceed PostgreSQL's limit of columns when the files have added theirs. */
export async function columnLimit(sql: Db, files: FileOfStatements[]): Promise<Finding[]> {
  const made = new Set<string>()
  const added = new Map<string, { columns: string[]; migration: string }>()
  for (const { migration, statements } of files)
    for (const { kind, node } of statements) {
      if (kind === 'CreateStmt') made.add(relationName(node.relation))
      if (kind !== 'AlterTableStmt' || made.has(relationName(node.relation))) continue
      const columns = node.cmds.flatMap(({ AlterTableCmd: c }: Node): string[] =>
        c?.subtype === 'AT_AddColumn' ? [c.def.ColumnDef.colname] : [],
      )
      const table = relationName(node.relation)
      if (!added.has(table)) added.set(table, { columns: [], migration: migration.file.path })
      added.get(table)!.columns.push(...columns)
    }
  return (await numberedTables(sql, [...added.keys()])).flatMap(({ table, asked, given, columns }) => {
    const { columns: wanted, migration } = added.get(asked)!
    // an interrupted file may have added its columns already
    const more = wanted.filter(name => !columns.includes(name)).length
    const facts = { columns: columns.length, dropped: given - columns.length, added: more, most: mostColumns }
    return more === 0 || given + more <= mostColumns
      ? []
      : [finding('COLUMNS_USED_UP', table, { ...facts, migration })]
  })
}
