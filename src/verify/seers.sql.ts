import type { Db } from '../database/types.js'

/** Of these names: the roles that row security may apply to. */
export async function boundRoles(sql: Db, names: string[]): Promise<string[]> {
  if (names.length === 0) return []
  const rows = await sql<{ role: string }[]>`
    select rolname::text as role from pg_catalog.pg_roles
    where rolname = any (${names}::text[]) and not rolsuper and rolname !~ '^pg_' order by 1`
  return rows.map(r => r.role)
}

/** Of these names: the functions of the application. */
export async function functionsThere(sql: Db, names: string[]): Promise<string[]> {
  if (names.length === 0) return []
  const rows = await sql<{ name: string }[]>`
    select distinct name from unnest(${names}::text[]) w(name)
    join (
      select quote_ident(n.nspname) || '.' || quote_ident(p.proname) as name
      from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
      where n.nspname <> 'pg_catalog'
    ) f using (name)`
  return rows.map(r => r.name)
}

/** The tables of some schemas. None for schemas of the tool and of the server. */
export async function tablesOfSchemas(sql: Db, schemas: string[]): Promise<string[]> {
  if (schemas.length === 0) return []
  const rows = await sql<{ name: string }[]>`
    select quote_ident(n.nspname) || '.' || quote_ident(c.relname) as name
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = any (${schemas}::text[]) and c.relkind in ('r', 'p') and not c.relispartition
      and n.nspname !~ '^(pg_|information_schema$|rethread)'
    order by 1`
  return rows.map(r => r.name)
}
