import type { ReferencingKey } from '../database/catalog.sql.js'
import { ofPointedRow, relationExists } from '../database/catalog.sql.js'
import { type Db, ident } from '../database/types.js'

/**
 * SQL that is true if another row references a row. It compares with a list of values, because there are few
 * rows and the referencing columns usually have no index.
 */
export function isReferenced(alias: string, table: string, references: ReferencingKey[]): string {
  if (references.length === 0) return 'false'
  const asked = references.map(r => {
    const own = (row: string) => `(${r.parentColumns.map(c => `${row}.${ident(c)}`).join(', ')})`
    const theirs = r.columns.map(c => `rethread_child.${ident(c)}`)
    const filled = theirs.map(c => `${c} is not null`)
    // a row that references itself does not count
    const others =
      r.table === (r.parent ?? table)
        ? [
            `(${theirs.join(', ')}) is distinct from (${r.parentColumns.map(c => `rethread_child.${ident(c)}`).join(', ')})`,
          ]
        : []
    const pointing = `select ${theirs.join(', ')} from ${r.table} rethread_child where ${[...filled, ...others].join(' and ')}`
    return ofPointedRow(alias, r, row => `${own(row)} in (${pointing})`)
  })
  return `coalesce(${asked.join(' or ')}, false)`
}

/** The number of rows in the last report of a run that a backfill removes; null if there is none. */
export async function announcedRows(sql: Db, track: string, migration: string): Promise<number | null> {
  if (!(await relationExists(sql, 'rethread.announced'))) return null
  const [row] = await sql<{ rows: number }[]>`
    select rows::float8 as rows from rethread.announced where track = ${track} and migration = ${migration}`
  return row?.rows ?? null
}

/** Stores the number of rows in a report. Consent without a number is for at most these. */
export async function announceRows(sql: Db, track: string, migration: string, rows: number): Promise<void> {
  await sql`
    insert into rethread.announced (track, migration, rows) values (${track}, ${migration}, ${rows})
    on conflict (track, migration) do update set rows = excluded.rows, at = excluded.at`
}
