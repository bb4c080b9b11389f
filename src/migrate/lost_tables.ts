import { relationFacts } from '../database/catalog.sql.js'
import { missingObjects } from '../database/requirements.sql.js'
import type { Db } from '../database/types.js'
import { parseStatements } from '../files/statements.js'
import type { Track } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { nameAt, tableText } from '../model/table_name.js'
import { madeBy } from '../plan/twin_statements.js'
import { createRequired, fixUpText, renameTableSql, tableAside } from './fix_up.sql.js'
import { indexNames } from './fix_up_rows.sql.js'

/** A table that a track requires and that is missing, and how to continue. */
export interface Lost {
  finding: Finding | null
  fixUp: string | null
}

/** A column that files require. */
interface RequiredColumn {
  table: string
  name: string
  /** The first of the accepted types; null if any type is accepted. */
  type: string | null
}

/**
 * The table of the application that a track starts from, where somebody else's SQL has renamed or dropped it
 * and made what the track would make of it. Null where none is lost.
 */
export async function lostTables(sql: Db, track: Track): Promise<Lost | null> {
  const made = await tablesMade(track)
  const columns = [...new Set(track.migrations.flatMap(m => m.requires))].flatMap(requiredColumn)
  const [table] = await tablesGone(
    sql,
    [...new Set(columns.map(c => c.table))].filter(t => !made.has(t)),
  )
  const standing = await relationFacts(sql, [...made])
  if (table === undefined) return null
  if (standing.length === 0) return { finding: finding('ADOPT_NOTHING', track.name), fixUp: null }
  const needed = columns.filter(c => c.table === table)
  const renamed = await renamedTable(sql, standing, needed)
  const empty = createRequired(
    table,
    needed.map(c => ({ name: c.name, type: c.type ?? 'text' })),
  )
  const rename = renamed === null ? null : await backAsBefore(sql, standing, renamed, table)
  return {
    finding: finding('ADOPT_LOST_TABLE', table, { track: track.name, renamed, rename, empty }),
    fixUp: fixUpText(headOf(track, table, renamed), [rename ?? empty], []),
  }
}

/** The tables and views that the files of a track make. */
async function tablesMade({ migrations }: Track): Promise<Set<string>> {
  const statements = (await Promise.all(migrations.map(m => parseStatements(m.file.text)))).flat()
  return new Set(
    statements
      .filter(s => s.kind === 'CreateStmt' || s.kind === 'ViewStmt')
      .flatMap(madeBy)
      .map(tableText),
  )
}

/** Those of the tables that are gone; a table that a later file has moved into the archive is there. */
async function tablesGone(sql: Db, tables: string[]): Promise<string[]> {
  const missing = await missingObjects(
    sql,
    tables.map(t => `table ${t}`),
  )
  const lost = missing.map(o => o.slice('table '.length))
  const moved = await relationFacts(sql, lost.map(nameInArchive))
  return lost.filter(t => !moved.some(m => m.name === nameInArchive(t)))
}

/** The first table that has all columns of the one that is gone: it was renamed. */
async function renamedTable(
  sql: Db,
  standing: { name: string }[],
  needed: RequiredColumn[],
): Promise<string | null> {
  for (const { name } of standing) {
    const missing = await missingObjects(
      sql,
      needed.map(c => `column ${name}.${c.name}`),
    )
    if (missing.length === 0) return name
  }
  return null
}

/** SQL that gives a renamed table its name back, and puts the other new tables aside. */
async function backAsBefore(
  sql: Db,
  standing: { name: string; kind: string }[],
  renamed: string,
  table: string,
): Promise<string> {
  const lines = [renameTableSql(renamed, table)]
  for (const { name, kind } of standing)
    if (name !== renamed && kind === 'r') lines.push(...tableAside(name, await indexNames(sql, name)))
  return lines.join('\n')
}

/** What the file that fixes it says on top. */
const headOf = (track: Track, table: string, renamed: string | null): string[] => [
  `${table} is what track ${track.name} starts from, and it is not there.`,
  ...(renamed === null
    ? [
        'What it held has been moved already: an empty table takes its place, to which the track has nothing',
        'to move.',
      ]
    : [
        `${renamed} has all of its columns: it was renamed. It gets its name back, and the other new tables`,
        'one that is in nobody’s way. The track then makes all of them itself, of every row of it. What people',
        'have written only into the other new tables since is not among that: look at them first.',
      ]),
  'Afterwards run rethread migrate --adopt again.',
]

const nameInArchive = (table: string): string =>
  tableText({ schema: 'rethread_archive', name: nameAt(table)!.parts.at(-1)! })

/** The column of a requirement, unless it is in the users' schema. */
function requiredColumn(required: string): RequiredColumn[] {
  if (!required.startsWith('column ')) return []
  const found = nameAt(required.slice('column '.length))
  if (found?.parts.length !== 3 || found.parts[0] === 'auth') return []
  const [schema, table, name] = found.parts as [string, string, string]
  const type = found.rest.trim().split('|')[0] || null
  return [{ table: tableText({ schema, name: table }), name, type }]
}
