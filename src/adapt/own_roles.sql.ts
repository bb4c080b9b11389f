import type { Db } from '../database/types.js'
import { apiRoles } from './without_api.sql.js'

/** A role that uses a table, with its names as SQL and the effect of row security on it. */
export interface TableUser {
  role: string
  privileges: string[]
  /** Privileges on some columns only, each with its columns. Empty if several tables are examined. */
  columns: Record<string, string[]>
  /** True for a superuser or a role with BYPASSRLS: no policy applies to it. */
  bypasses: boolean
  /** True for the owner of the tables, if they do not FORCE ROW LEVEL SECURITY. */
  owns: boolean
}

/** A policy of the application that applies to a role. */
export interface OwnPolicy {
  table: string
  policy: string
  role: string
  permissive: boolean
  command: 'select' | 'insert' | 'update' | 'delete' | 'all'
  /** Its expressions as the server prints them; null if it has none. */
  using: string | null
  check: string | null
}

/** True if the database has no API: none of its functions, and no grants to its roles on the tables. */
export async function hasNoApi(sql: Db, tables: string[]): Promise<boolean> {
  const [row] = await sql<{ plain: boolean }[]>`
    select to_regprocedure('auth.uid()') is null and to_regprocedure('auth.jwt()') is null
      and not exists (
        select from pg_catalog.pg_class c
        cross join lateral aclexplode(c.relacl) a
        join pg_catalog.pg_roles r on r.oid = a.grantee
        where c.oid = any (array(select to_regclass(t)::oid from unnest(${tables}::text[]) t))
          and r.rolname = any (${[...apiRoles]}::text[])) as plain`
  return row!.plain
}

/** Which of the tables have row security, and which force it for their owner. */
export async function rowSecurityOf(
  sql: Db,
  tables: string[],
): Promise<{ table: string; forced: boolean }[]> {
  return sql<{ table: string; forced: boolean }[]>`
    select t.name as table, c.relforcerowsecurity
        and not exists (select from pg_catalog.pg_roles r where r.rolname = current_user and (r.rolsuper or r.rolbypassrls)) as forced
    from unnest(${tables}::text[]) with ordinality as t (name, n)
    join pg_catalog.pg_class c on c.oid = to_regclass(t.name)
    where c.relrowsecurity
    order by t.n`
}

/**
 * The roles that may use the tables, besides the migrating role, ordered by name. Their rights are those on
 * any of the tables.
 */
export async function usersOf(sql: Db, tables: string[]): Promise<TableUser[]> {
  return sql<TableUser[]>`
    with tables as (
      select c.oid, c.relowner, c.relacl, c.relforcerowsecurity as is_forced, not o.rolsuper and o.rolname <> current_user as is_named
      from pg_catalog.pg_class c left join pg_catalog.pg_roles o on o.oid = c.relowner
      where c.oid = any (array(select to_regclass(t)::oid from unnest(${tables}::text[]) t))
    ),
    granted as (
      select a.grantee, lower(a.privilege_type) as privilege, bool_or(t.is_forced) as is_forced, bool_or(a.grantee = t.relowner) as is_owner
      from tables t
      cross join lateral aclexplode(coalesce(t.relacl, acldefault('r', t.relowner))) a
      where a.privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
        -- the migrating role owns the new tables; a superuser needs no grant
        and (a.grantee <> t.relowner or t.is_named)
      group by 1, 2
    ),
    by_column as (
      select a.grantee, lower(a.privilege_type) as privilege, jsonb_agg(n.attname order by n.attnum) as columns
      from tables t
      join pg_catalog.pg_attribute n on n.attrelid = t.oid and n.attnum > 0 and not n.attisdropped
      cross join lateral aclexplode(n.attacl) a
      where a.privilege_type in ('SELECT', 'INSERT', 'UPDATE') and (a.grantee <> t.relowner or t.is_named)
        and cardinality(${tables}::text[]) = 1
        and not exists (select from granted g where g.grantee = a.grantee and g.privilege = lower(a.privilege_type))
      group by 1, 2
    )
    select case u.grantee when 0 then 'public' else quote_ident(r.rolname) end as role,
      array(
        select g.privilege from granted g where g.grantee = u.grantee
        order by array_position(array['select', 'insert', 'update', 'delete'], g.privilege)) as privileges,
      (select coalesce(jsonb_object_agg(b.privilege, b.columns), '{}') from by_column b where b.grantee = u.grantee) as columns,
      coalesce(r.rolsuper or r.rolbypassrls, false) as bypasses,
      exists (select from granted g where g.grantee = u.grantee and g.is_owner and not g.is_forced) as owns
    from (select grantee from granted union select grantee from by_column) u
    left join pg_catalog.pg_roles r on r.oid = u.grantee
    order by 1`
}

/** The policies of tables that apply to each of these roles. The roles are names in SQL. */
export async function policiesOf(sql: Db, tables: string[], roles: string[]): Promise<OwnPolicy[]> {
  return sql<OwnPolicy[]>`
    select t.name as table, p.polname::text as policy, u.role, p.polpermissive as permissive,
      case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end as command,
      pg_get_expr(p.polqual, p.polrelid) as using, pg_get_expr(p.polwithcheck, p.polrelid) as check
    from unnest(${tables}::text[]) with ordinality as t (name, n)
    join pg_catalog.pg_policy p on p.polrelid = to_regclass(t.name)
    cross join unnest(${roles}::text[]) as u (role)
    left join pg_catalog.pg_roles r on quote_ident(r.rolname) = u.role
    where 0 = any (p.polroles)
      or exists (select from unnest(p.polroles) o where r.oid is not null and pg_catalog.pg_has_role(r.oid, o, 'USAGE'))
    order by t.n, p.polname, u.role`
}
