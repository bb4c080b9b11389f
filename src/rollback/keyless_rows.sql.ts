import type { Db } from '../database/types.js'

/**
 * Rows of archived tables without a key: nothing in the table shows whether one of them is back. Each is
 * noted by its place in the archive, in the transaction that brings it back, so that a restore that is run
 * again brings back the others alone.
 */

/** True for the archived row `a` where it is noted. */
export const isNoted = (archive: number): string => `exists (
  select from rethread_archive.brought_back b
  where b.archive = ${archive} and b.relation = a.tableoid and b.place = a.ctid)`

/** True where this transaction has noted it. */
export const isNotedNow = (archive: number): string => `exists (
  select from rethread_archive.brought_back b
  where b.archive = ${archive} and b.relation = a.tableoid and b.place = a.ctid and b.xid = pg_current_xact_id())`

/** Notes the archived rows of a predicate that are not noted yet; how many. */
export async function noteRows(
  sql: Db,
  rows: { archive: number; source: string; where: string },
  args: string[],
): Promise<number> {
  const result = await sql.unsafe(
    `insert into rethread_archive.brought_back (archive, relation, filenode, place, xid)
     select ${rows.archive}, a.tableoid, pg_relation_filenode(a.tableoid), a.ctid, pg_current_xact_id()
     from only ${rows.source} a
     where ${rows.where} and not ${isNoted(rows.archive)}`,
    args,
  )
  return result.count
}

/** How many rows are noted by places that they no longer have, because their table was written again. */
export async function misplacedRows(sql: Db, archive: number): Promise<number> {
  const [row] = await sql<{ n: number }[]>`
    select count(*)::float8 as n from rethread_archive.brought_back
    where archive = ${archive} and filenode is distinct from pg_relation_filenode(relation)`
  return row!.n
}

/** Raises, as a trigger would: the transaction notes a row that something has kept from coming back. */
export async function refuseLeftOut(sql: Db): Promise<void> {
  await sql.unsafe(
    `do $$ begin raise exception 'a trigger or a rule of the table leaves it out' using errcode = '09000'; end $$`,
  )
}
