import { relationExists } from '../database/catalog.sql.js'
import type { Db } from '../database/types.js'

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
