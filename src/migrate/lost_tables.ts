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
  const statements = (await Promise.all(track.migrations.map(m => parseStatements(m.file.text)))).flat()
  const made = new Set(
    statements
      .filter(s => s.kind === 'CreateStmt' || s.kind === 'ViewStmt')
      .flatMap(madeBy)
      .map(tableText),
  )
  const columns = [...new Set(track.migrations.flatMap(m => m.requires))].flatMap(requiredColumn)
  const tables = [...new Set(columns.map(c => c.table))].filter(t => !made.has(t))
  const lost = (
    await missingObjects(
      sql,
      tables.map(t => `table ${t}`),
    )
  ).map(o => o.slice('table '.length))
  // a later file moves it there, untouched
  const moved = await relationFacts(sql, lost.map(nameInArchive))
  const gone = lost.filter(t => !moved.some(m => m.name === nameInArchive(t)))
  const standing = await relationFacts(sql, [...made])
  if (gone.length === 0) return null
  if (standing.length === 0) return { finding: finding('ADOPT_NOTHING', track.name), fixUp: null }
  const table = gone[0]!
  const needed = columns.filter(c => c.table === table)
  const same = async (other: string): Promise<boolean> =>
    (
      await missingObjects(
        sql,
        needed.map(c => `column ${other}.${c.name}`),
      )
    ).length === 0
  const candidates: string[] = []
  for (const { name } of standing) if (await same(name)) candidates.push(name)
  const renamed = candidates[0] ?? null
  const empty = createRequired(
    table,
    needed.map(c => ({ name: c.name, type: c.type ?? 'text' })),
  )
  const back =
    renamed === null
      ? null
      : [
          renameTableSql(renamed, table),
          ...(
            await Promise.all(
              standing
                .filter(t => t.name !== renamed && t.kind === 'r')
                .map(async t => tableAside(t.name, await indexNames(sql, t.name))),
            )
          ).flat(),
        ].join('\n')
  const head = [
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
  const fixUp = fixUpText(head, [back ?? empty], [])
  return {
    finding: finding('ADOPT_LOST_TABLE', table, { track: track.name, renamed, rename: back, empty }),
    fixUp,
  }
}

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
