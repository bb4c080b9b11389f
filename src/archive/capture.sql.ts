import { type Db, ident } from '../database/types.js'

/** The stored columns of a captured column's table. */
interface CapturedColumn {
  table: string
  column: string
  /** The primary key; empty if there is none. */
  key: string[]
  /** The columns that are stored: the key and the column, or all columns if there is no key. */
  kept: string[]
  storedAs: string
}

/** Creates the table for a column's values, and the function of the trigger that captures new writes. */
export async function startCapture(
  sql: Db,
  id: number,
  { table, column, key, kept, storedAs }: CapturedColumn,
): Promise<void> {
  const columns = kept.map(ident).join(', ')
  const keys = key.map(ident).join(', ')
  const values = kept.map(c => `new.${ident(c)}`).join(', ')
  const newest =
    key.length > 0 ? `on conflict (${keys}) do update set ${ident(column)} = excluded.${ident(column)}` : ''
  await sql.unsafe(`
    create table ${storedAs} as select ${columns} from ${table} with no data;
    ${key.length > 0 ? `alter table ${storedAs} add primary key (${keys});` : ''}
    create function rethread_archive.capture_${id}() returns trigger
    language plpgsql security definer set search_path = pg_catalog, pg_temp set row_security = off as $capture$
    begin
      if new.${ident(column)} is not null then
        insert into ${storedAs} (${columns}) values (${values}) ${newest};
      end if;
      return null;
    end
    $capture$;
    revoke all on function rethread_archive.capture_${id}() from public;`)
}

/** Whether the capturing trigger exists: an earlier run may have stopped before it was created. */
export async function isCapturing(sql: Db, id: number, table: string): Promise<boolean> {
  const [row] = await sql<{ there: boolean }[]>`
    select exists (
      select from pg_catalog.pg_trigger where tgrelid = ${table}::regclass and tgname = ${`rethread_capture_${id}`}
    ) as there`
  return row!.there
}

/** Creates the capturing trigger. It takes SHARE ROW EXCLUSIVE for a moment. */
export async function attachCapture(sql: Db, id: number, table: string, column: string): Promise<void> {
  await sql.unsafe(`
    create trigger rethread_capture_${id} after insert or update of ${ident(column)} on ${table}
    for each row execute function rethread_archive.capture_${id}()`)
}

/** Drops the capturing trigger, in the transaction that drops the column. */
export async function endCapture(sql: Db, id: number, table: string): Promise<void> {
  await sql.unsafe(`
    drop trigger if exists rethread_capture_${id} on ${table};
    drop function if exists rethread_archive.capture_${id}()`)
}

/** Copies the values at risk from some pages. Values that the trigger has captured stay. */
export async function copyValues(
  sql: Db,
  from: { relation: string; column: string; kept: string[]; ours: string | null; storedAs: string },
  pages: [string, string],
): Promise<number> {
  const columns = from.kept.map(ident).join(', ')
  const result = await sql.unsafe(
    `insert into ${from.storedAs} (${columns})
     select ${columns} from only ${from.relation} t
     where t.ctid >= $1::tid and t.ctid < $2::tid and t.${ident(from.column)} is not null and not (${from.ours ?? 'false'})
     on conflict do nothing`,
    pages,
  )
  return result.count
}
