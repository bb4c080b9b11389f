import { type Db, ident } from '../database/types.js'

/** What a trial needs to know about a table. */
export interface TriedTable {
  /**
   * The columns of a copied row with their values: the original's value, or another one if it must be unique.
   * Columns that the table fills itself are left out.
   */
  copied: { name: string; value: string }[]
  /** Columns that an update may set to another row's value, because they are in no unique index. */
  updated: string[]
  /** Triggers of users that existed before. */
  others: string[]
}

/** The columns and triggers of a table. `made` are the triggers to try. */
export async function triedTable(sql: Db, table: string, made: string[]): Promise<TriedTable> {
  const [row] = await sql<TriedTable[]>`
    with columns as (
      select a.attname::text as name, a.attnum, a.attgenerated = '' and a.attidentity <> 'a' as free,
        a.atthasdef or a.attidentity <> '' or not a.attnotnull as made,
        exists (select from pg_catalog.pg_index i where i.indrelid = a.attrelid and i.indisunique and a.attnum = any (i.indkey)) as single,
        case
          when a.atttypid = 'uuid'::regtype then 'pg_catalog.gen_random_uuid()'
          when a.atttypid in ('text'::regtype, 'varchar'::regtype) then 'pg_catalog.md5(pg_catalog.random()::text)'
          when a.atttypid in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
            then format('(select max(%I) from %s) + row_number() over ()', a.attname, a.attrelid::regclass)
          else quote_ident(a.attname)
        end as other
      from pg_catalog.pg_attribute a
      where a.attrelid = to_regclass(${table}) and a.attnum > 0 and not a.attisdropped
    )
    select
      coalesce(jsonb_agg(jsonb_build_object('name', name, 'value', case when single then other else quote_ident(name) end) order by attnum)
        filter (where free and not (single and made)), '[]') as copied,
      coalesce(array_agg(name order by attnum) filter (where free and not single), '{}') as updated,
      array(select t.tgname::text from pg_catalog.pg_trigger t
        where t.tgrelid = to_regclass(${table}) and not t.tgisinternal and t.tgparentid = 0 and t.tgname <> all (${made}::text[])) as others
    from columns`
  return row!
}

/** Number of rows that are copied for the trial. */
const sample = 3

/** The kinds of statement to try. */
export type TriedKind = 'INSERT' | 'UPDATE' | 'DELETE'

/**
 * Runs a trial: inserts copies of some rows, or updates a row with the values of another, or inserts copies
 * and deletes them; then runs deferred triggers. Only copies are deleted, because nothing references them.
 */
export async function sendTried(sql: Db, table: string, kind: TriedKind, tried: TriedTable): Promise<void> {
  const { copied, updated } = tried
  const list = (names: string[]) => names.map(ident).join(', ')
  if (kind === 'UPDATE') {
    await sql.unsafe(
      `update ${table} t set (${list(updated)}) = row(${updated.map(c => `o.${ident(c)}`).join(', ')})
       from (select * from ${table} offset 1 limit 1) o where t.ctid = (select ctid from ${table} limit 1)`,
    )
  } else {
    const rows = await sql.unsafe<{ place: string }[]>(
      `insert into ${table} (${list(copied.map(c => c.name))}) select ${copied.map(c => c.value).join(', ')} from ${table} limit ${sample} returning ctid::text as place`,
    )
    const places = rows.map(r => `'${r.place}'::tid`).join(', ')
    if (kind === 'DELETE' && places) await sql.unsafe(`delete from ${table} where ctid in (${places})`)
  }
  await sql.unsafe('set constraints all immediate')
}

/** The kinds of statement that can be tried on a table. */
export const triedKinds = ({ copied, updated }: TriedTable): TriedKind[] => [
  ...(copied.length > 0 ? (['INSERT', 'DELETE'] as const) : []),
  ...(updated.length > 0 ? (['UPDATE'] as const) : []),
]

/** Begins a savepoint for a trial. */
export const beginTrial = (sql: Db) => sql.unsafe('savepoint rethread_trial')

/** Rolls the savepoint back. */
export const endTrial = (sql: Db) =>
  sql.unsafe('rollback to savepoint rethread_trial; release savepoint rethread_trial')

/** Disables triggers until the end of the trial. The lock of CREATE TRIGGER is sufficient for it. */
export async function disableTriggers(sql: Db, table: string, names: string[]): Promise<void> {
  for (const name of names) await sql.unsafe(`alter table ${table} disable trigger ${ident(name)}`)
}
