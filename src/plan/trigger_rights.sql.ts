import type { Db } from '../database/types.js'

/** The definitions of functions in PL/pgSQL that run with the rights of whoever fires them. */
export async function bodiesOfTriggers(
  sql: Db,
  functions: string[],
): Promise<{ name: string; definition: string }[]> {
  return sql<{ name: string; definition: string }[]>`
    select format('%I.%I', n.nspname, p.proname) as name, pg_get_functiondef(p.oid) as definition
    from pg_catalog.pg_proc p
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    join pg_catalog.pg_language l on l.oid = p.prolang and l.lanname = 'plpgsql'
    where not p.prosecdef and p.prorettype = 'pg_catalog.trigger'::regtype
      and format('%I.%I', n.nspname, p.proname) = any (${functions}::text[])
    order by 1`
}

/** Of privileges on tables, those that this role lacks, with the owner of the table. */
export async function lackedRights<R extends { table: string; privilege: string }>(
  sql: Db,
  rights: R[],
): Promise<(R & { owner: string; role: string })[]> {
  if (rights.length === 0) return []
  const rows = await sql<{ place: number; owner: string; role: string }[]>`
    select w.place::int, pg_get_userbyid(c.relowner)::text as owner, current_user::text as role
    from unnest(${rights.map(r => r.table)}::text[], ${rights.map(r => r.privilege)}::text[]) with ordinality as w (name, privilege, place)
    join pg_catalog.pg_class c on c.oid = to_regclass(w.name)
    where not has_table_privilege(c.oid, w.privilege)
    order by 1`
  return rows.map(({ place, ...whose }) => ({ ...rights[place - 1]!, ...whose }))
}
