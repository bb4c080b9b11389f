import type { Db } from '../database/types.js'

/** The bodies of the functions with these names (`schema.name`). An overloaded function has several. */
export async function functionBodies(sql: Db, names: string[]): Promise<{ name: string; body: string }[]> {
  return sql<{ name: string; body: string }[]>`
    select w.name, p.prosrc as body
    from unnest(${names}::text[]) as w (name)
    join pg_catalog.pg_namespace n on n.nspname = split_part(w.name, '.', 1)
    join pg_catalog.pg_proc p on p.pronamespace = n.oid and p.proname = split_part(w.name, '.', 2)
    order by 1`
}
