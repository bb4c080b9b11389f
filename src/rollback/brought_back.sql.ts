import type { Db } from '../database/types.js'

/**
 * Which rows of an archived table an interrupted restore has restored. Each is noted by its ctid in the
 * archive, in the transaction that restores it, so that a repeated restore only restores the others: without
 * a key nothing in the table shows which these are, and with one a missing row may have been deleted since.
 */

/** True for an archived row `a` that is noted. */
export const isNoted = (archive: number): string => `exists (
  select from rethread_archive.brought_back b
  where b.archive = ${archive} and b.relation = a.tableoid and b.place = a.ctid)`

/** True if this transaction has noted it. */
export const isNotedNow = (archive: number): string => `exists (
  select from rethread_archive.brought_back b
  where b.archive = ${archive} and b.relation = a.tableoid and b.place = a.ctid and b.xid = pg_current_xact_id())`

/** Notes the archived rows of a predicate that are not noted yet. Returns their number. */
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

/** Forgets which rows of an archive have been restored. */
export async function forgetNotes(sql: Db, archive: number): Promise<void> {
  await sql`delete from rethread_archive.brought_back where archive = ${archive}`
}

/** How many notes refer to rows that have moved, because the archive's table was rewritten. */
export async function misplacedRows(sql: Db, archive: number): Promise<number> {
  const [row] = await sql<{ n: number }[]>`
    select count(*)::float8 as n from rethread_archive.brought_back
    where archive = ${archive} and filenode is distinct from pg_relation_filenode(relation)`
  return row!.n
}

/**
 * Raises an error, as a trigger would: the transaction notes a row that was prevented from being restored.
 */
export async function refuseLeftOut(sql: Db): Promise<void> {
  await sql.unsafe(
    `do $$ begin raise exception 'a trigger or a rule of the table leaves it out' using errcode = '09000'; end $$`,
  )
}
