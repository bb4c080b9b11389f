import { type Db, ident } from '../database/types.js'

/** Makes the table for rows that are deleted from another one. */
export async function makeStore(sql: Db, storedAs: string, table: string): Promise<void> {
  await sql.unsafe(`create table ${storedAs} (like ${table})`)
}

/** What comes before a DELETE whose rows something of ours takes up. */
export const rowsGone = 'with gone as (\n'

/**
 * Runs a DELETE, without RETURNING, so that its rows go to the archive. `alias` is the table's name in it.
 */
export async function keepDeleted(sql: Db, text: string, alias: string, storedAs: string): Promise<void> {
  await sql.unsafe(
    `${rowsGone}${text}\nreturning ${ident(alias)}.*\n) insert into ${storedAs} select * from gone`,
  )
}

/**
 * Runs a DELETE on the quarantine, without RETURNING; how many of its rows are not in their table again with
 * all their values. The statements before it must have put them there.
 */
export async function putBack(sql: Db, text: string, alias: string): Promise<number> {
  const [row] = await sql.unsafe<{ lost: number }[]>(
    `${rowsGone}${text}\nreturning ${ident(alias)}.*\n)
     select count(*)::int as lost from gone where not rethread_archive.is_back(gone.relation, gone.original)`,
  )
  return row!.lost
}
