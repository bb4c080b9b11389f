import type { Db } from '../database/types.js'
import type { Cells } from '../model/report.js'

/** Invalid indexes of these tables: left by an interrupted build, unused, but updated by every write. */
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
 * The sessions in this database by application: how many, how many in a transaction, and the age of the
 * oldest.
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
