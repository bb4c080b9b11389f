import type { Db } from '../database/types.js'
import { type Node, relationName } from '../files/statements.js'
import { type Finding, finding } from '../model/report.js'
import { numberedTables } from './column_limit.sql.js'
import type { FileOfStatements } from './twin_script.js'

/** So many columns can a table have in all its life: PostgreSQL uses the number of a dropped one no more. */
const mostColumns = 1600

/** Tables that have used up the columns which PostgreSQL gives them, before the files have added theirs. */
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
    // a file that was broken off has added its own
    const more = wanted.filter(name => !columns.includes(name)).length
    const facts = { columns: columns.length, dropped: given - columns.length, added: more, most: mostColumns }
    return more === 0 || given + more <= mostColumns
      ? []
      : [finding('COLUMNS_USED_UP', table, { ...facts, migration })]
  })
}
