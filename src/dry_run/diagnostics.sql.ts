import type { Db } from '../database/types.js'
import type { Cells } from '../model/report.js'

/**
 * Indexes of these tables that are invalid: left by a build that broke off, of use to
 * nobody, kept up by every write.
 */
export async function invalidIndexes(sql: Db, tables: string[]): Promise<string[]> {
  const rows = await sql<{ index: string }[]>`
    select i.indexrelid::regclass::text as index
    from pg_catalog.pg_index i
    where not (i.indisvalid and i.indisready)
      and i.indrelid in (select to_regclass(t) from unnest(${tables}::text[]) as t)
    order by 1`
  return rows.map(r => r.index)
}

/**
 * Who is connected to this database now, by application: how many, how many in a
 * transaction, the oldest one's age.
 */
export async function connected(sql: Db): Promise<Cells[]> {
  return sql<Cells[]>`
    select coalesce(nullif(a.application_name, ''), '(no name)') as application, a.usename::text as role, count(*)::int as sessions,
      (count(*) filter (where a.xact_start is not null))::int as "in a transaction",
      round(extract(epoch from max(clock_timestamp() - a.xact_start)))::int as "oldest transaction, s"
    from pg_catalog.pg_stat_activity a
    where a.datname = current_database() and a.backend_type = 'client backend' and a.application_name not like 'rethread %'
    group by 1, 2
    order by 3 desc, 1
    limit 20`
}

/** The bits of `pg_trigger.tgtype` that say what fires a trigger. */
const eventBits = { INSERT: 4, DELETE: 8, UPDATE: 16 } as const

/**
 * The triggers of a table that statements of these kinds fire, by name. One of UPDATE OF columns is fired
 * where the statement sets one of them; a WHEN of its own may still keep it from firing.
 */
export async function triggersFiredBy(
  sql: Db,
  table: string,
  { events, columns }: { events: (keyof typeof eventBits)[]; columns: string[] },
): Promise<string[]> {
  const other = events.reduce((bits, e) => bits | (e === 'UPDATE' ? 0 : eventBits[e]), 0)
  const update = events.includes('UPDATE') ? eventBits.UPDATE : 0
  const rows = await sql<{ name: string }[]>`
    select t.tgname::text as name
    from pg_catalog.pg_trigger t
    where t.tgrelid = to_regclass(${table}) and not t.tgisinternal and t.tgenabled in ('O', 'A')
      and (t.tgtype & ${other}::int <> 0
        or t.tgtype & ${update}::int <> 0 and (t.tgattr::text = '' or exists (
          select from pg_catalog.pg_attribute a
          where a.attrelid = t.tgrelid and a.attnum = any (t.tgattr::int2[]) and a.attname = any (${columns}::text[]))))
    order by 1`
  return rows.map(r => r.name)
}
