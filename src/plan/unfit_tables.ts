import type { Db } from '../database/types.js'
import { addsColumn, relationName, visitNodes } from '../files/statements.js'
import { type Finding, finding } from '../model/report.js'
import type { FileOfStatements } from './twin_script.js'
import { generatedColumns, type PeculiarTable, peculiarTables } from './unfit_tables.sql.js'

/** What files do to existing tables, each with the first file that does it. */
interface Touched {
  /** Tables that get a column. */
  widened: Map<string, string>
  /**
   * Tables that are altered, indexed, or get triggers or policies. A backfill can process all other tables.
   */
  changed: Map<string, string>
  /** Tables that a new foreign key references. */
  referenced: Map<string, string>
}

/**
 * Tables that depend on something else, where the server refuses what the files do or it does not reach the
 * rows. A rehearsal does not show it, because a copy is an ordinary table.
 */
export async function unfitTables(sql: Db, files: FileOfStatements[]): Promise<Finding[]> {
  const { widened, changed, referenced } = touchedBy(files)
  const all = new Set([...changed.keys(), ...referenced.keys()])
  return (await peculiarTables(sql, [...all])).flatMap(({ table, asked, is, of }) => {
    const concerned = is === 'typed' ? widened : isNoTarget(is) && !changed.has(asked) ? referenced : changed
    const migration = concerned.get(asked)
    return migration ? [finding('UNFIT_TABLE', table, { is, of, migration })] : []
  })
}

/** Whether no foreign key can reference such a table. */
const isNoTarget = (is: PeculiarTable['is']): boolean => is === 'foreign' || is === 'view'

function touchedBy(files: FileOfStatements[]): Touched {
  const made = new Set<string>()
  const touched: Touched = { widened: new Map(), changed: new Map(), referenced: new Map() }
  for (const { migration, statements } of files) {
    const { path } = migration.file
    const note = (where: Map<string, string>, table: string) => {
      if (!made.has(table) && !where.has(table)) where.set(table, path)
    }
    for (const s of statements) {
      if (s.kind === 'CreateStmt') made.add(relationName(s.node.relation))
      else if (tableStatements.has(s.kind))
        note(touched.changed, relationName(s.node.relation ?? s.node.table))
      if (s.kind === 'AlterTableStmt' && s.node.cmds.some(addsColumn))
        note(touched.widened, relationName(s.node.relation))
      visitNodes(s.node, ({ contype, pktable }) => {
        if (contype === 'CONSTR_FOREIGN' && pktable) note(touched.referenced, relationName(pktable))
      })
    }
  }
  return touched
}

/** Statements that change a table without writing its rows. */
const tableStatements = new Set(['AlterTableStmt', 'CreateTrigStmt', 'CreatePolicyStmt', 'IndexStmt'])

/** A column to which a file, or a function that it creates, assigns a value. */
export interface WrittenColumn {
  table: string
  column: string
  migration: string
}

/** Generated columns that the files write. The server refuses every such statement. */
export async function computedColumns(sql: Db, written: WrittenColumn[]): Promise<Finding[]> {
  return (await generatedColumns(sql, written)).map(({ table, column, named }) =>
    finding('GENERATED_COLUMN', `${table}.${named}`, {
      table,
      column: named,
      migration: written.find(w => w.table === table && w.column === column)!.migration,
    }),
  )
}
