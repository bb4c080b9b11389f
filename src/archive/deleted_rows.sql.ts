import { columnNames } from '../database/catalog.sql.js'
import { type Db, ident, literal } from '../database/types.js'

/** Creates the table for rows that are deleted from another table. */
export async function makeStore(sql: Db, storedAs: string, table: string): Promise<void> {
  await sql.unsafe(`create table ${storedAs} (like ${table})`)
}

/** The text before a DELETE whose rows are stored by the statement around it. */
export const rowsGone = 'with gone as (\n'

/** A DELETE without RETURNING, whose rows go to a table of the archive. */
interface KeptDeletion {
  text: string
  table: string
  /** The table's name in the statement. */
  alias: string
  storedAs: string
}

/** Runs a DELETE and stores its rows in the archive. Returns their number. */
export async function keepDeleted(sql: Db, d: KeptDeletion, parameters: string[] = []): Promise<number> {
  const result = (await hasRules(sql, d.table))
    ? await keepByTrigger(sql, d, parameters)
    : await sql.unsafe(
        `${rowsGone}${d.text}\nreturning ${ident(d.alias)}.*\n) insert into ${d.storedAs} select * from gone`,
        parameters,
      )
  return result.count
}

/** Whether a rule rewrites a DELETE from this table: the server does not take it into a WITH then. */
async function hasRules(sql: Db, table: string): Promise<boolean> {
  const [row] = await sql<{ found: boolean }[]>`
    select exists (
      select from pg_catalog.pg_rewrite w
      where w.ev_class = to_regclass(${table}) and w.ev_type = '4' and w.ev_enabled <> 'D') as found`
  return row!.found
}

/**
 * Runs a DELETE as it is, so that the rules apply. A trigger stores its rows, and is dropped afterwards:
 * deferred constraints of the table are checked before that.
 */
async function keepByTrigger(sql: Db, { text, table, storedAs }: KeptDeletion, parameters: string[]) {
  const names = (await columnNames(sql, table)).map(ident)
  const trigger = 'rethread_keep_deleted'
  await sql.unsafe(`
    create function rethread_archive.keep_deleted() returns trigger
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $keep$
    begin
      insert into ${storedAs} (${names.join(', ')}) values (${names.map(n => `old.${n}`).join(', ')});
      return null;
    end
    $keep$;
    revoke all on function rethread_archive.keep_deleted() from public;
    create trigger ${trigger} after delete on ${table} for each row execute function rethread_archive.keep_deleted()`)
  // an error's position is the same as in the other statement
  const result = await sql.unsafe(' '.repeat(rowsGone.length) + text, parameters)
  await sql.unsafe(`
    select rethread_archive.settle(${literal(table)}::regclass);
    drop trigger ${trigger} on ${table};
    drop function rethread_archive.keep_deleted()`)
  return result
}

/**
 * Runs a DELETE on the quarantine, without RETURNING. Returns how many of its rows are not back in their
 * table with all their values. Earlier statements must have inserted them.
 */
export async function putBack(sql: Db, text: string, alias: string): Promise<number> {
  const [row] = await sql.unsafe<{ lost: number }[]>(
    `${rowsGone}${text}\nreturning ${ident(alias)}.*\n)
     select count(*)::int as lost from gone where not rethread_archive.is_back(gone.relation, gone.original, gone.exact)`,
  )
  return row!.lost
}
