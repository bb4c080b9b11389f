import type { Db } from '../database/types.js'

/** Roles of Supabase's API, for which the tracks are written. */
export const apiRoles: readonly string[] = ['anon', 'authenticated', 'service_role']

/**
 * What a table gives to each role beside its owner, as names in SQL, in the order of their names; null where
 * there is an API: its functions, its roles on the table, or row security on one of the tables.
 */
export async function ownGrants(
  sql: Db,
  table: string,
  tables: string[],
): Promise<{ role: string; privileges: string[] }[] | null> {
  const [plain] = await sql<{ plain: boolean }[]>`
    select to_regprocedure('auth.uid()') is null and to_regprocedure('auth.jwt()') is null
      and not exists (
        select from pg_catalog.pg_class c
        cross join lateral aclexplode(c.relacl) a
        join pg_catalog.pg_roles r on r.oid = a.grantee
        where c.oid = to_regclass(${table}) and r.rolname = any (${[...apiRoles]}::text[]))
      and not exists (
        select from pg_catalog.pg_class c
        where c.relrowsecurity and c.oid = any (array(select to_regclass(t)::oid from unnest(${tables}::text[]) t))) as plain`
  if (!plain!.plain) return null
  return sql<{ role: string; privileges: string[] }[]>`
    select case a.grantee when 0 then 'public' else quote_ident(r.rolname) end as role,
      array_agg(lower(a.privilege_type) order by array_position(array['SELECT', 'INSERT', 'UPDATE', 'DELETE'], a.privilege_type)) as privileges
    from pg_catalog.pg_class c
    cross join lateral aclexplode(c.relacl) a
    left join pg_catalog.pg_roles r on r.oid = a.grantee
    where c.oid = to_regclass(${table}) and a.grantee <> c.relowner
      and a.privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
    group by 1
    order by 1`
}

/** A statement that grants privileges on objects, as they stand in a file, to a role. */
export const grantText = (privileges: string, objects: string, role: string): string =>
  `grant ${privileges} on ${objects} to ${role};`
