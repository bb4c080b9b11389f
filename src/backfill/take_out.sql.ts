import type { ReferencingKey } from '../database/catalog.sql.js'
import { ofPointedRow, relationExists } from '../database/catalog.sql.js'
import { type Db, ident } from '../database/types.js'

/**
 * Whether a row has another one that points at it. As a list of values, not row by row: it is asked of few
 * rows, and mostly no index leads from a row to what points at it.
 */
export function isReferenced(alias: string, table: string, references: ReferencingKey[]): string {
  if (references.length === 0) return 'false'
  const asked = references.map(r => {
    const own = (row: string) => `(${r.parentColumns.map(c => `${row}.${ident(c)}`).join(', ')})`
    const theirs = r.columns.map(c => `rethread_child.${ident(c)}`)
    const filled = theirs.map(c => `${c} is not null`)
    // a row that points at itself goes with itself
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

/** How many rows the last report of a run said that a backfill takes out; null where none did. */
export async function announcedRows(sql: Db, track: string, migration: string): Promise<number | null> {
  if (!(await relationExists(sql, 'rethread.announced'))) return null
  const [row] = await sql<{ rows: number }[]>`
    select rows::float8 as rows from rethread.announced where track = ${track} and migration = ${migration}`
  return row?.rows ?? null
}

/** Keeps how many rows a report has named: consent by name alone is for no more than these. */
export async function announceRows(sql: Db, track: string, migration: string, rows: number): Promise<void> {
  await sql`
    insert into rethread.announced (track, migration, rows) values (${track}, ${migration}, ${rows})
    on conflict (track, migration) do update set rows = excluded.rows, at = excluded.at`
}
