import { type Db, ident } from '../database/types.js'

/** Of the procedures with these names: those that end a transaction. */
export async function committingProcedures(sql: Db, names: string[]): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    select distinct p.proname::text as name
    from pg_catalog.pg_proc p
    where p.prokind = 'p' and p.proname::text = any(${names}) and p.prosrc ~* '\\m(commit|rollback)\\M'`
  return rows.map(r => r.name)
}

/** The schema in which the search_path finds a name; null if it finds none. */
export async function schemaInPath(sql: Db, name: string): Promise<string | null> {
  const [row] = await sql<{ schema: string }[]>`
    select n.nspname::text as schema
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.oid = to_regclass(${ident(name)})`
  return row?.schema ?? null
}

/**
 * Invalid indexes with matching names on a table, or on the table of an index, as SQL. Indexes that are being
 * built now are left out.
 */
export async function invalidLeftovers(
  sql: Db,
  { schema, name }: { schema: string | null; name: string },
  pattern: string,
): Promise<string[]> {
  const relation = schema === null ? ident(name) : `${ident(schema)}.${ident(name)}`
  const rows = await sql<{ name: string }[]>`
    select format('%I.%I', n.nspname, c.relname) as name
    from pg_catalog.pg_index i
    join pg_catalog.pg_class c on c.oid = i.indexrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where i.indrelid in (
        select r.oid from pg_catalog.pg_class r where r.oid = to_regclass(${relation})
        union
        select x.indrelid from pg_catalog.pg_index x where x.indexrelid = to_regclass(${relation})
      )
      and not (i.indisvalid and i.indisready and i.indislive)
      and c.relname::text ~ ${pattern}
      and not exists (
        select from pg_catalog.pg_stat_progress_create_index p
        where p.index_relid = i.indexrelid and p.datname = current_database()
      )
    order by 1`
  return rows.map(r => r.name)
}
