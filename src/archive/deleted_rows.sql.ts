import { type Db, ident } from '../database/types.js'

/** Creates the table for rows that are deleted from another table. */
export async function makeStore(sql: Db, storedAs: string, table: string): Promise<void> {
  await sql.unsafe(`create table ${storedAs} (like ${table})`)
}

/** The text before a DELETE whose rows are stored by the statement around it. */
export const rowsGone = 'with gone as (\n'

/** Runs a DELETE without RETURNING, and stores its rows in the archive. `alias` is the table's name in it. */
export async function keepDeleted(sql: Db, text: string, alias: string, storedAs: string): Promise<void> {
  await sql.unsafe(
    `${rowsGone}${text}\nreturning ${ident(alias)}.*\n) insert into ${storedAs} select * from gone`,
  )
}

/**
 * Runs a DELETE on the quarantine, without RETURNING. Returns how many of its rows are not back in their
 * table with all their values. Earlier statements must have inserted them.
 */
export async function putBack(sql: Db, text: string, alias: string): Promise<number> {
  const [row] = await sql.unsafe<{ lost: number }[]>(
    `${rowsGone}${text}\nreturning ${ident(alias)}.*\n)
     select count(*)::int as lost from gone where not rethread_archive.is_back(gone.relation, gone.original)`,
  )
  return row!.lost
}
